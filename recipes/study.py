"""Run a figure of the paper as a study: all values of its axes and all seeds, on one machine or
many, resumable at any time.

    python recipes/study.py depth --quick  # two minutes on two CPU cores, nothing to download
    python recipes/study.py depth --dataset cifar10 --seeds 5  # figure 3, as the paper has it
    python recipes/study.py depth --scaled --data-dir DATA  # small images and networks, for a CPU
    python recipes/study.py depth --scaled --data-dir DATA --workers 2  # two processes
    python recipes/study.py depth --cluster tcp://host:8786  # the workers of a Dask cluster
    # choose h by Bayesian optimization instead of a grid
    python recipes/study.py h --depths 56 --sampler tpe --trials 30

Each trial is a training run of cifar10.py or ag_news.py and takes their flags (--epochs,
--train-size, --norm, --backend, ...). It has a folder in --out. Whatever is killed, the same
command runs what is missing and resumes what was begun after its last epoch. The same command on
several machines that share --out, such as the tasks of a Slurm array, shares the trials. The folder
gets trials.csv, a row per finished trial; --import FILE takes trials of equal settings from such a
file, also from another study's. `python recipes/report.py FOLDER` draws figures and tables, which
state the differences from the paper's settings.
"""

import dataclasses
import functools
import sys
from dataclasses import dataclass
from pathlib import Path

import _cli
from _paper import STUDIES
from _plan import RECIPES, SEED, family_of, make_plan
from _run import check_together, subset
from _settings import COUNT, EXISTING, Execution, setting

QUICK_DEPTHS = {"cifar10": (8, 14), "ag_news": (9,)}
EPILOG = "All other flags are those of cifar10.py or ag_news.py and apply to every trial."


@dataclass(frozen=True)
class StudyOptions:
    """The options of study.py in addition to the flags of a training."""

    seeds: int | None = setting(
        None, f"number of seeds, from {SEED} on (default: 5; with --quick 2)", parse=COUNT
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
    workers: int = setting(1, "processes on this machine; they divide the cores", parse=COUNT)
    cluster: str | None = setting(
        None, "run on a Dask cluster, whose scheduler has this address", parse=str, metavar="URL"
    )
    sampler: str = setting(
        "grid", "grid, or a search along the axis by tpe or gp", choices=("grid", "tpe", "gp")
    )
    trials: int | None = setting(
        None, "number of trials with tpe and gp (default: 30)", parse=COUNT
    )
    import_: Path | None = None
    study: str = ""
    dataset: str = ""
    quick: bool = False


def main(argv=None):
    """Run the trials of a study."""
    parser, options, given, execution = parse(argv)
    plan = make_plan(parser, options, given, execution)
    check_together(parser, plan.base, execution)
    search = _search(parser, options, plan)
    plan = dataclasses.replace(plan, execution=_cli.choose_backend(parser, execution))
    with _cli.errors_in_one_line(parser, resumes=True):
        from _trials import run_trial, write_trials_of

        from keras_euler import studies

        points = studies.Search(*search) if search else studies.grid(**plan.varied)
        try:
            table = studies.run(
                functools.partial(run_trial, plan),
                points,
                execution.out,
                workers=options.workers,
                cluster=options.cluster,
                settings=plan.shared(),
                known=_known(plan, options.import_),
            )
        finally:
            write_trials_of(execution.out)
        done = table[table.state == "complete"]
        if search and len(done):
            best, name = done.loc[done.value.idxmax()], search[0]
            print(f"best: {name} = {best[name]:.4g}, test accuracy {best.value:.4f}")
        print(f"Figures and tables: python recipes/report.py {execution.out}")
        if len(done) < len(table):
            sys.exit(
                f"study.py: trials that failed: {len(table) - len(done)}. The same command "
                f"retries them."
            )


def parse(argv):
    """Return the parser, the options of the study, the settings in the command line, and the
    execution."""
    parser = _cli.command(__doc__, EPILOG)
    names = sorted({name for name, _ in STUDIES})
    parser.add_argument("study", choices=names, help="what is varied")
    cls = RECIPES[family_of(parser, argv)].settings
    _cli.add_flags(parser, StudyOptions, ("study", "dataset", "quick", "import_"))
    parser.add_argument(
        "--import",
        dest="import_",
        type=EXISTING,
        metavar="FILE",
        help="take finished trials from a trials.csv",
    )
    _cli.add_flags(parser, cls, ("dataset",))
    own, execution = _cli.parse(parser, [Execution], argv, quick={})
    options = _cli.make(StudyOptions, vars(own))
    if (options.study, options.dataset) not in STUDIES:
        known = ", ".join(name for name, dataset in STUDIES if dataset == options.dataset)
        parser.error(f"there is no study {options.study} on {options.dataset}. Choose from {known}")
    searches = options.sampler != "grid"
    if searches and (options.seeds not in (None, 1) or options.import_):
        parser.error("--sampler takes neither --seeds nor --import: it trains each value once")
    if options.trials and not searches:
        parser.error("--trials is for a search; see --sampler")
    seeds = options.seeds or (1 if searches else 2 if options.quick else 5)
    scaled = "-scaled" if options.scaled else ""
    searched = f"-{options.sampler}" if searches else ""
    name = f"{options.study}-{options.dataset}{scaled}{searched}"
    names_depths = "depth" in [
        part[0] for part in (options.axis, options.line, options.panel) if part
    ]
    is_quick = options.quick and not names_depths
    depths = options.depths or (QUICK_DEPTHS[options.dataset] if is_quick else ())
    options = dataclasses.replace(options, seeds=seeds, depths=depths)
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


def _known(plan, file):
    """Return the trials of a file that were tested on the data of this study, or None."""
    if file is None:
        return None
    from _trials import checksum, data_settings, load_data, read_trials

    from keras_euler import training

    known = read_trials(file).rename(columns={"best_test_accuracy": "value"})
    known = known[known.recipe == plan.family].assign(**plan.description())
    settings = dataclasses.replace(plan.base, noise=0.0)
    if set(plan.varied) & {"image_size", "sequence_length", "alphabet", "test_size"}:
        return known
    data = load_data(plan.family, data_settings(settings), plan.execution.data_dir)
    test = training.fingerprint(subset(data[1], settings.test_size, "--test-size"))
    ours = known.test_data == checksum(test)
    if not ours.all():
        print(f"{(~ours).sum()} trials of {file} were tested on other data")
    return known[ours]


def _search(parser, options, plan):
    """Return the arguments of the search that the options describe, or None for a grid."""
    if options.sampler == "grid":
        return None
    name, values = plan.roles["axis"]
    others = {other: choices for other, choices in plan.varied.items() if other != name}
    several = [other for other, choices in others.items() if len(choices) > 1]
    if several:
        parser.error(f"--sampler searches along {name}; choose one value of {', '.join(several)}")
    if not all(isinstance(value, float) for value in values) or min(values) == max(values):
        parser.error(f"--sampler searches along numbers. Received: {name} {values}. See --axis")
    fixed = {other: choices[0] for other, choices in others.items()}
    return name, min(values), max(values), options.trials or 30, options.sampler, fixed


if __name__ == "__main__":
    main()
