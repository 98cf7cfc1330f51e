"""A figure of the paper as a study: every value of its axes, every seed, on one machine or many, killed and started again.

    python recipes/study.py depth --quick                                # two minutes on two CPU cores, nothing to download
    python recipes/study.py depth --dataset cifar10 --seeds 5            # figure 3, as the paper has it
    python recipes/study.py depth --depths 20 56 --epochs 2 --train-size 5000 --seeds 3 --data-dir DATA --workers 2
    python recipes/study.py depth --storage postgresql://user:password@host/studies      # on as many machines as you like
    python recipes/study.py h --depths 56 --sampler tpe --trials 30      # choose h by Bayesian optimization instead of a grid

Each trial is a training run of cifar10.py or ag_news.py and takes their flags (--epochs, --train-size, --norm, --backend, ...). The
grid is queued once in the storage (default: study.db in the folder), workers claim its trials, a dead worker's trial goes to
another after three missed heartbeats, and the same command again adds only what is missing. A trial goes on from its last epoch
wherever its run folder is: machines that share a storage should share --out too, else a dead machine's trial begins anew. What
differs from the paper's settings is written in every table and figure. `python recipes/report.py FOLDER` draws them.
"""

import argparse
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import types
import warnings
from pathlib import Path

import _harness
from _interrupts import ended_as_interrupted
from _plan import RECIPES, SEED, Plan
from _studies import STUDIES

QUICK_DEPTHS = {"cifar10": ["8", "14"], "ag_news": ["9"]}


def main(argv=None):
    """Queue the trials of a study and work on them."""
    own, rest = parse(argv)
    plan = Plan(own, rest)
    if own.workers > 1:  # on one GPU
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    url = own.storage or f"sqlite:///{own.out / 'study.db'}"
    with _harness.errors_in_one_line(plan.parser), contextlib.ExitStack() as stack:
        import _storage  # imports Optuna
        import _trials

        stack.enter_context(ended_as_interrupted())
        space = plan.space() if own.sampler != "grid" else None
        load_data = Data(plan.recipe)
        plan.check(load_data)
        own.out.mkdir(parents=True, exist_ok=True)
        storage = _storage.open_storage(url, own.heartbeat)
        with _storage.storage_errors(url):
            with _storage.alone(storage, url, own.name):
                study = _trials.open_study(storage, own.name, plan.definition, **sampling(own))
                study.set_user_attr("plan", plan.description)
                queue(study, plan, own, space)
            if own.workers > 1:
                sys.exit(spawn(own.workers, sys.argv[1:] if argv is None else argv))
            trainer = Trainer(plan, study, load_data)
            if space:
                name, *_, fixed = space
                failed = _trials.work(study, trainer, own.heartbeat, space=_trials.point_space(*space))
                print(f"best: {best(study, name)} ({described(fixed)})")
            else:
                failed = _trials.work(study, trainer, own.heartbeat, plan.points)
            shown = own.out if own.storage is None else _storage.without_password(url)
            print(f"Figures and tables: python recipes/report.py {shown}")
            if failed:
                sys.exit(f"study.py: {failed} trials failed, as said above. The same command tries again.")


def queue(study, plan, own, space):
    """Put the trials that are missing into the queue, and say how many there are."""
    import _trials

    if space:
        print(f"search {own.name}: {own.trials} trials, {_trials.propose(study, own.trials)} of them new")
        return
    domains = {name: _trials.distribution(action) for name, action in plan.actions.items()}
    added = _trials.enqueue(study, plan.points, domains)
    print(f"study {own.name}: {len(plan.points)} trials, {added} of them new")
    waiting = [trial.params for trial in study.get_trials(deepcopy=False, states=_trials.LEFT)]
    others = sum(params not in plan.points for params in waiting)
    if others:
        print(f"{others} more trials wait in this study, of other values or seeds than these: left to another command")


def parse(argv):
    """The study's own flags, and a list of those of the training recipe."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="All other flags are those of cifar10.py or ag_news.py, for every trial: see their --help.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("study", choices=sorted({name for name, _ in STUDIES}), help="what is varied")
    add("--dataset", choices=RECIPES, default="cifar10", help="default: %(default)s")
    add("--seeds", type=int, help=f"how many, from {SEED} on (default: 5; with --quick 2)")
    add("--depths", nargs="+", help="these depths only")
    for role, what in (("axis", "horizontal axis"), ("line", "lines"), ("panel", "plots")):
        add(f"--{role}", nargs="+", metavar="PART", help=f"other {what} than the paper's: a setting and its values")
    add("--storage", metavar="URL", help="database of the trials (default: study.db in the folder)")
    add("--name", help="name of the study (default: study and data set)")
    add("--out", type=Path, metavar="FOLDER", help="run folders and study.db (default: runs/ and the name)")
    add("--workers", type=int, default=1, help="processes on this machine (default: %(default)s)")
    add("--heartbeat", type=int, default=60, metavar="SECONDS", help="between signs of life (default: %(default)s)")
    add("--sampler", choices=("grid", "tpe", "gp"), default="grid", help="tpe and gp search along the axis")
    add("--trials", type=int, help="how many with tpe and gp (default: 30)")
    add("--quick", action="store_true", help="small, and on synthetic data unless a folder is given")
    own, rest = parser.parse_known_args(argv)
    if own.sampler != "grid":
        if own.seeds not in (None, 1):
            parser.error(f"--seeds: --sampler trains each value once. Received: {own.seeds}.")
        own.seeds = 1
    own.seeds = (2 if own.quick else 5) if own.seeds is None else own.seeds
    for name in ("seeds", "workers", "heartbeat", "trials"):
        if getattr(own, name) is not None and getattr(own, name) < 1:
            parser.error(f"--{name} must be at least 1. Received: {getattr(own, name)}.")
    if (own.study, own.dataset) not in STUDIES:
        known = ", ".join(name for name, dataset in STUDIES if dataset == own.dataset)
        parser.error(f"the paper has no study {own.study} on {own.dataset}. Choose from {known}")
    if own.storage == "":
        parser.error("--storage must be a database URL such as sqlite:///study.db. Received: an empty text")
    if own.sampler == "grid" and own.trials is not None:
        parser.error("--trials is how many a search has; see --sampler")
    own.trials = 30 if own.trials is None else own.trials
    if own.quick:
        own.depths = own.depths or QUICK_DEPTHS[own.dataset]
        rest.append("--quick")
    own.name = own.name or f"{own.study}-{own.dataset}" + ("" if own.sampler == "grid" else f"-{own.sampler}")
    own.out = own.out or Path("runs") / own.name
    return own, rest


class Data:
    """The data of a recipe, read once for all trials that have the same."""

    def __init__(self, recipe):
        self.recipe = recipe
        self.data = None, None

    def __call__(self, args):
        static = getattr(args, "noise", 0) and args.noise_mode == "static"
        names = (
            "dataset",
            "data_dir",
            "image_size",
            "sequence_length",
            "alphabet",
            *(("noise", "seed") if static else ()),
        )
        key = [getattr(args, name, None) for name in names]
        if self.data[0] != key:
            self.data = key, self.recipe.load_data(args)
        return self.data[1]


class Trainer:
    """Trains one trial, records what came of it, and says how the study stands.

    Args:
        plan: A `Plan`.
        study: An Optuna study.
        load_data: Function of the recipe's arguments.
    """

    def __init__(self, plan, study, load_data):
        self.plan, self.study, self.load_data = plan, study, load_data

    def __call__(self, trial):
        import _training
        import keras
        import optuna
        from _run_folder import RunFolder
        from _storage import again

        def after_epoch(rows):
            again(lambda: trial.report(rows[-1]["test_accuracy"], len(rows)))
            if len(rows) < args.epochs and again(trial.should_prune):
                print(f"{described(params)}: given up after epoch {len(rows)}", flush=True)
                raise optuna.TrialPruned

        params = trial.params
        args = self.plan.arguments(params)
        start = time.monotonic()
        begun = RunFolder(args.out).checkpoint.exists()
        again_elsewhere = not begun and "failed_trial" in self.study.trials[trial.number].system_attrs
        how = "goes on" if begun else "begins anew: its run folder is not here" if again_elsewhere else "begins"
        print(f"{described(params)}: {how}", flush=True)
        keras.backend.clear_session()
        recipe = types.SimpleNamespace(**{**vars(self.plan.recipe), "load_data": self.load_data})
        result = _training.run(recipe, args, after_epoch, report=False)
        folder = RunFolder(args.out)
        rows, config = folder.load_checkpoint()[0], folder.config()
        record = {
            "host": socket.gethostname(),
            "device": _training.device_name(args.backend),
            "run": args.out.name,
            "data": config.get("data"),
            "versions": config.get("versions"),
            "test_accuracies": [row["test_accuracy"] for row in rows],
            **{name: result[name] for name in ("diverged", "last_test_accuracy", "seconds")},
        }
        again(lambda: trial.set_user_attr("record", record))  # at once: each write waits for the disk
        how = "diverged" if result["diverged"] else f"best test accuracy {result['best_test_accuracy']:.4f}"
        print(f"{described(params)}: {how}, {time.monotonic() - start:.0f} s{self.progress()}", flush=True)
        return result["best_test_accuracy"]

    def progress(self):
        """How many trials are done, and an estimate of the time left, from the time that deep and shallow ones took."""
        from optuna.trial import TrialState

        trials, searches = self.study.get_trials(deepcopy=False), "search" in self.plan.description
        trained = [t for t in trials if "record" in t.user_attrs]  # this one too, which is about to be told
        given_up = searches * sum(t.state == TrialState.PRUNED for t in trials)
        left = [
            t.params
            for t in trials
            if t.state in (TrialState.WAITING, TrialState.RUNNING) and "record" not in t.user_attrs
        ]
        left = [params for params in left if not params or searches or params in self.plan.points]
        if not left:
            return ""
        depth = self.plan.points[0].get("depth", 1)  # where a search has not yet chosen its parameters
        per_layer = statistics.fmean(t.user_attrs["record"]["seconds"] / t.params.get("depth", 1) for t in trained)
        workers = max(1, sum(t.state == TrialState.RUNNING for t in trials))
        minutes = sum(per_layer * params.get("depth", depth) for params in left) / workers / 60
        about = f"about {minutes:.0f} min" if minutes >= 1 else "less than a minute"
        return f" ({len(trained) + given_up} done, {len(left)} to do, {about})"


def described(params):
    """Parameters in words."""
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in params.items()
    )


def sampling(own):
    """Sampler and pruner of Optuna: for a grid none that does anything."""
    import optuna

    if own.sampler == "grid":
        return {"pruner": optuna.pruners.NopPruner()}
    # Without a seed, so that workers differ; a trial that runs counts as a bad one for TPE, so that they keep apart.
    make = {"tpe": lambda: optuna.samplers.TPESampler(constant_liar=True), "gp": optuna.samplers.GPSampler}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = make[own.sampler]()
    return {"sampler": sampler, "pruner": optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1)}


def best(study, name):
    """The best value of a search, in words."""
    import optuna

    if not study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)):
        return "none, for no trial came to its end"
    return f"{name} = {study.best_params[name]:.4g}, test accuracy {study.best_value:.4f}"


def spawn(workers, argv):
    """Run workers as processes, with their share of the cores; return an exit status."""
    share = str(max(1, (os.cpu_count() or 1) // workers))
    threads = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    command = [sys.executable, __file__, *map(str, argv), "--workers", "1"]
    environment = {**dict.fromkeys(threads, share), **os.environ}
    processes = []
    try:
        while len(processes) < workers:
            # In groups of their own: an interrupt of the terminal gets to them by way of this process, and once.
            processes.append(subprocess.Popen(command, env=environment, process_group=0))
        statuses = [process.wait() for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
    for status in statuses:
        if status < 0:
            print(f"a worker was ended by {signal.Signals(-status).name}; the same command goes on", file=sys.stderr)
    return max(abs(status) for status in statuses)


if __name__ == "__main__":
    main()
