"""Run a figure of the paper as a study: all values of its axes and all seeds, on one machine or
many, resumable at any time.

    python recipes/study.py depth --quick  # two minutes on two CPU cores, nothing to download
    python recipes/study.py depth --dataset cifar10 --seeds 5  # figure 3, as the paper has it
    python recipes/study.py depth --scaled --data-dir DATA  # small images and networks, for a CPU
    # on as many machines as you like
    python recipes/study.py depth --storage postgresql://user:password@host/studies
    # choose h by Bayesian optimization instead of a grid
    python recipes/study.py h --depths 56 --sampler tpe --trials 30

Each trial is a training run of cifar10.py or ag_news.py and takes their flags (--epochs,
--train-size, --norm, --backend, ...). The grid is queued once in the storage (default: study.db in
the folder), and workers claim its trials. After three missed heartbeats another worker takes over a
trial. Repeating the command runs only what is missing. A trial resumes after its last epoch if its
run folder exists, so machines that share a storage should also share --out; otherwise the trial of
a dead machine starts over. Without a shared database, --export FILE writes the finished trials, and
--import FILE takes those of equal settings from any study, also from another figure's. Every table
and figure states the differences from the paper's settings. `python recipes/report.py FOLDER` draws
them.
"""

import dataclasses
import functools
import json
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import _cli
from _paper import STUDIES
from _plan import RECIPES, SEED, choices, family_of, make_plan
from _run import check_together, subset, train
from _settings import Execution, Options, flag, newer_defaults, setting

QUICK_DEPTHS = {"cifar10": (8, 14), "ag_news": (9,)}
EPILOG = "All other flags are those of cifar10.py or ag_news.py and apply to every trial."


@dataclass(frozen=True)
class StudyOptions(Options):
    """The options of study.py in addition to the flags of a training."""

    seeds: int | None = setting(
        None, f"number of seeds, from {SEED} on (default: 5; with --quick 2)", parse=int, minimum=1
    )
    depths: tuple = setting((), "only these depths", parse=int, many="+")
    axis: tuple = setting(
        (),
        "horizontal axis instead of the paper's: a setting and its values",
        parse=str,
        many="+",
        metavar="PART",
    )
    line: tuple = setting((), "lines instead of the paper's", parse=str, many="+", metavar="PART")
    panel: tuple = setting((), "plots instead of the paper's", parse=str, many="+", metavar="PART")
    scaled: bool = setting(
        False, "small images and networks and few epochs, to test each claim at its depth on a CPU"
    )
    storage: str | None = setting(
        None, "database of the trials (default: study.db in the folder)", parse=str, metavar="URL"
    )
    name: str | None = setting(None, "name of the study (default: study and data set)", parse=str)
    workers: int = setting(1, "processes on this machine", minimum=1)
    heartbeat: int = setting(
        60, "seconds between heartbeats of a worker", minimum=1, metavar="SECONDS"
    )
    sampler: str = setting(
        "grid", "grid, or a search along the axis by tpe or gp", choices=("grid", "tpe", "gp")
    )
    trials: int | None = setting(
        None, "number of trials with tpe and gp (default: 30)", parse=int, minimum=1
    )
    export: Path | None = setting(
        None, "only write the finished trials to this file", parse=Path, suffix=".json"
    )
    import_: Path | None = setting(None, "take finished trials from a file of --export", parse=Path)
    study: str = ""
    dataset: str = ""
    quick: bool = False


def main(argv=None):
    """Queue the trials of a study and run them."""
    parser, options, given, execution = parse(argv)
    plan = make_plan(parser, options, given, execution)
    check_together(parser, plan.base, execution)
    search_range = _search_range(parser, options, plan)
    plan = dataclasses.replace(plan, execution=_cli.choose_backend(parser, execution))
    url = options.storage or f"sqlite:///{execution.out / 'study.db'}"
    with _cli.errors_in_one_line(parser, resumes=True):
        from keras_euler import studies

        if options.export:
            print(
                f"finished trials in {options.export}: {studies.export_trials(url, options.export)}"
            )
            return
        _check_sizes(plan)
        if options.import_:
            _check_data(plan, options.import_)
        execution.out.mkdir(parents=True, exist_ok=True)
        definition, description = plan.definition(), plan.description()
        if search_range:
            name, low, high, fixed = search_range
            points = studies.Search(name, low, high, options.trials or 30, options.sampler, fixed)
            definition |= fixed
            description |= {"search": [low, high]}
        else:
            points = studies.grid(**plan.varied)
        table = studies.run(
            functools.partial(run_trial, plan),
            points,
            url,
            name=options.name,
            workers=options.workers,
            heartbeat=options.heartbeat,
            definition=definition,
            attributes={"plan": description},
            choices=choices(plan),
            cost=functools.partial(_depth, plan.base.depth),
            reuse=options.import_,
            defaults=newer_defaults(plan.base),
        )
        if search_range:
            print(f"best: {_best(table, name)} ({', '.join(f'{n} {v}' for n, v in fixed.items())})")
        print(
            f"Figures and tables: python recipes/report.py "
            f"{studies.hide_password(url) if options.storage else execution.out}"
        )
        failed = _num_failed(table, points)
        if failed:
            sys.exit(
                f"study.py: trials that failed: {failed}. The report shows their errors; the same "
                f"command retries them."
            )
        missing = _num_missing(table, points)
        if missing:
            sys.exit(f"study.py: trials without a result: {missing}. The same command runs them.")


def parse(argv):
    """Return the parser, the options of the study, the settings in the command line, and the
    execution."""
    parser = _cli.command(__doc__, EPILOG)
    parser.add_argument(
        "study", choices=sorted({name for name, _ in STUDIES}), help="what is varied"
    )
    cls = RECIPES[family_of(parser, argv)].settings
    _cli.add_flags(parser, StudyOptions, ("study", "dataset", "quick", "import_"))
    parser.add_argument(
        "--import",
        dest="import_",
        type=Path,
        metavar="FILE",
        help="take finished trials from a file of --export",
    )
    _cli.add_flags(parser, cls, ("dataset",))
    own, execution = _cli.parse(parser, [Execution], argv, quick={})
    options = _cli.make(parser, StudyOptions, vars(own))
    if (options.study, options.dataset) not in STUDIES:
        known = ", ".join(name for name, dataset in STUDIES if dataset == options.dataset)
        parser.error(f"there is no study {options.study} on {options.dataset}. Choose from {known}")
    if options.sampler != "grid" and options.seeds not in (None, 1):
        parser.error(f"--seeds: --sampler trains each value once. Received: {options.seeds}.")
    if options.sampler == "grid" and options.trials is not None:
        parser.error("--trials is for a search; see --sampler")
    if options.import_ and options.export:
        parser.error("--export writes what is there, --import runs a study; pass one of them")
    if options.import_ and not options.import_.is_file():
        parser.error(f"--import must be a file of --export. Received: {options.import_}.")
    if options.storage == "":
        parser.error(
            "--storage must be a database URL such as sqlite:///study.db. Received: an empty string"
        )
    seeds = options.seeds or (1 if options.sampler != "grid" else 2 if options.quick else 5)
    scaled = "-scaled" if options.scaled else ""
    searched = "" if options.sampler == "grid" else f"-{options.sampler}"
    name = options.name or f"{options.study}-{options.dataset}{scaled}{searched}"
    depths = options.depths or (QUICK_DEPTHS[options.dataset] if options.quick else ())
    options = dataclasses.replace(options, seeds=seeds, name=name, depths=depths)
    given = {
        name: value
        for name, value in vars(own).items()
        if name in _cli.field_names(cls) and name != "dataset"
    }
    return (
        parser,
        options,
        given,
        dataclasses.replace(execution, out=execution.out or Path("runs") / name),
    )


def run_trial(plan, point, report):
    """Objective of the study: train one trial and return its value and record."""
    import keras

    from keras_euler import training

    settings = plan.settings(point)
    execution = plan.trial_execution(settings)
    keras.backend.clear_session()
    num_done = len(training.RunFolder(execution.out).history())
    if num_done:
        print(f"resumes after epoch {num_done} of {settings.epochs}", flush=True)

    def after_epoch(rows):
        if len(rows) < settings.epochs:
            report(rows[-1]["test_accuracy"], len(rows))

    data = load_data(plan.family, data_settings(settings), execution.data_dir)
    result = train(plan.recipe, settings, execution, data, after_epoch)
    config = training.RunFolder(execution.out).config()
    return {
        "value": result.summary["best_test_accuracy"],
        "host": socket.gethostname(),
        "run": execution.out.name,
        "test_accuracies": [row["test_accuracy"] for row in result.history],
        **{name: config.get(name) for name in ("device", "data", "versions")},
        **{name: result.summary[name] for name in ("diverged", "last_test_accuracy", "seconds")},
    }


def data_settings(settings):
    """Return the settings that the data depend on, with defaults for the others, so that trials can
    share data."""
    static = settings.noise > 0 and settings.noise_mode == "static"
    names = ["dataset", *(("noise", "noise_mode", "seed") if static else ())]
    names += [
        name for name in ("image_size", "sequence_length", "alphabet") if hasattr(settings, name)
    ]
    return type(settings)(**{name: getattr(settings, name) for name in names})


@functools.lru_cache(maxsize=1)
def load_data(family, settings, data_dir):
    """Return the data of a trial, loaded once for all trials that share them."""
    return RECIPES[family].load_data(settings, data_dir)


def _check_sizes(plan):
    """Raise a ValueError before anything runs if there are too few examples."""
    splits = load_data(
        plan.family,
        data_settings(dataclasses.replace(plan.base, noise=0.0)),
        plan.execution.data_dir,
    )
    for name, (_, labels) in zip(("train_size", "test_size"), splits, strict=True):
        for size in plan.varied.get(name, (getattr(plan.base, name),)):
            if size is not None and size > len(labels):
                raise ValueError(
                    f"Nothing was run. {flag(name)} must be between 1 and {len(labels)}, the "
                    f"number of examples. Received: {size}."
                )


def _check_data(plan, file):
    """Raise a ValueError if a file of --export has trials that should have had the test data of
    this study, and had others."""
    from keras_euler import training

    names = [
        name
        for name in ("dataset", "test_size", "image_size", "sequence_length", "alphabet")
        if hasattr(plan.base, name)
    ]
    if set(names) & set(plan.varied):
        return
    own = {name: getattr(plan.base, name) for name in names}
    _, test = load_data(
        plan.family,
        data_settings(dataclasses.replace(plan.base, noise=0.0)),
        plan.execution.data_dir,
    )
    expected = training.fingerprint(subset(test, plan.base.test_size, "--test-size"))
    others = sum(
        bool(data)
        and {name: settings.get(name) for name in names} == own
        and data["test"] != expected
        for settings, data in _tested(file)
    )
    if others:
        raise ValueError(
            f"--import: {others} trials of {file} were tested on other data than those of "
            f"--data-dir. Nothing was run. "
            "Pass their data, or leave out --import."
        )


def _tested(file):
    """Return pairs of settings and data of the trials in a file of --export; none for another file,
    which `studies.run` refuses."""
    try:
        return [
            (
                {**study["user_attrs"].get("definition", {}), **trial["params"]},
                trial["user_attrs"].get("record", {}).get("data"),
            )
            for study in json.loads(file.read_text()).values()
            for trial in study["trials"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _search_range(parser, options, plan):
    """Return the setting of a search, its bounds and the values of the others; None for a grid."""
    if options.sampler == "grid":
        return None
    name, values = plan.roles["axis"]
    if not isinstance(values[0], float) or min(values) == max(values):
        parser.error(
            f"--sampler searches along numbers: {name} has the values {sorted(set(values))}. See "
            f"--axis."
        )
    other_values = {other: choices for other, choices in plan.varied.items() if other != name}
    several = [
        f"{other} ({', '.join(map(str, choices))})"
        for other, choices in other_values.items()
        if len(choices) > 1
    ]
    if several:
        parser.error(
            f"--sampler searches along {name}; choose one value of {' and '.join(several)}."
        )
    return (
        name,
        min(values),
        max(values),
        {other: choices[0] for other, choices in other_values.items()},
    )


def _num_failed(table, points):
    """Return how many trials of this command failed."""
    failed = table[table.state == "failed"]
    return (
        sum(point in points for point in failed[list(points[0])].to_dict("records"))
        if isinstance(points, list)
        else len(failed)
    )


def _num_missing(table, points):
    """Return how many trials of this command have no result."""
    if not isinstance(points, list):
        return max(0, points.num_trials - int(table.state.isin(["complete", "pruned"]).sum()))
    finished = table[table.state == "complete"][list(points[0])].to_dict(
        "records"
    )  # a grid prunes repeated trials alone
    return sum(point not in finished for point in points)


def _depth(default, point):
    """Return the relative duration of a trial."""
    return point.get("depth", default)


def _best(table, name):
    """Describe the best value of a search."""
    done = table[table.state == "complete"] if len(table) else table
    if not len(done):
        return "none, because no trial is complete"
    row = done.loc[done.value.idxmax()]
    return f"{name} = {row[name]:.4g}, test accuracy {row.value:.4f}"


if __name__ == "__main__":
    main()
