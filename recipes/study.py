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
from _paper import SCALED, STUDIES
from _plan import RECIPES, family_of, make_plan, paper_study
from _run import prepare_data
from _settings import Execution, existing, setting

QUICK_DEPTHS = {"cifar10": (8, 14), "ag_news": (9,)}


@dataclass(frozen=True)
class StudyOptions:
    """The options of study.py in addition to the flags of a training."""

    seeds: int = setting(5, "number of seeds, from 7 on; a search has one")
    depths: tuple = setting((), "only these depths", int, nargs="+")
    axis: tuple = setting(
        (), "horizontal axis instead of the paper's: a setting and its values", nargs="+"
    )
    line: tuple = setting((), "lines instead of the paper's", nargs="+")
    panel: tuple = setting((), "plots instead of the paper's", nargs="+")
    scaled: bool = setting(
        False, "small images and networks and few epochs, to test each claim at its depth on a CPU"
    )
    workers: int = setting(1, "processes on this machine; they divide the cores")
    cluster: str | None = setting(None, "run on a Dask cluster, whose scheduler has this address")
    sampler: str = setting(
        "grid", "grid, or a search along the axis by tpe or gp", choices=("grid", "tpe", "gp")
    )
    trials: int = setting(30, "number of trials with tpe and gp")


def main(argv=None):
    """Run the trials of a study."""
    parser, options, plan = parse(argv)
    with _cli.errors_in_one_line(parser):
        from _trials import run_trial, write_trials_of

        from keras_euler import studies

        folder = plan.execution.out
        try:
            table = studies.run(
                functools.partial(run_trial, plan),
                studies.grid(**plan.varied)
                if options.sampler == "grid"
                else _search(options, plan),
                folder,
                workers=options.workers,
                cluster=options.cluster,
                settings=plan.shared(),
                known=_known(plan, options.known),
            )
        finally:
            write_trials_of(folder)
        done = table[table.state == "complete"]
        if options.sampler != "grid" and len(done):
            best, name = done.loc[done.value.idxmax()], plan.roles["axis"][0]
            print(f"best: {name} = {best[name]:.4g}, test accuracy {best.value:.4f}")
        print(f"Figures and tables: python recipes/report.py {folder}")
        if len(done) < len(table):
            sys.exit(
                f"study.py: trials that failed: {len(table) - len(done)}. The same command retries "
                "them."
            )


def parse(argv):
    """Return the parser, the options of the study, and its plan."""
    parser = _cli.command(
        __doc__, "All other flags are those of cifar10.py or ag_news.py and apply to every trial."
    )
    family = family_of(parser, argv)
    recipe, names = RECIPES[family], [name for name, dataset in STUDIES if dataset == family]
    parser.add_argument("study", choices=names, help="what is varied")
    parser.add_argument(
        "--import", dest="known", type=existing, help="take finished trials from a trials.csv"
    )
    quick = {**recipe.quick, "seeds": 2, "depths": QUICK_DEPTHS[family]}
    options, _, settings, execution = _cli.parse(
        parser,
        [StudyOptions, recipe.settings, Execution],
        argv,
        ("dataset",),
        scaled=SCALED[family],
        quick=quick,
    )
    parser.set_defaults(**paper_study(options.study, family, options.scaled).fixed)
    settings = _cli.make(recipe.settings, vars(parser.parse_args(argv)))
    name = f"{options.study}-{family}" + "-scaled" * options.scaled
    if options.sampler != "grid":
        name += f"-{options.sampler}"
    execution = dataclasses.replace(execution, out=execution.out or Path("runs") / name)
    return parser, options, make_plan(parser, options, settings, execution)


def _known(plan, file):
    """Return the trials of a file that were tested on the data of this study, or None."""
    if file is None:
        return None
    from _trials import checksum, read_trials

    from keras_euler import training

    known = read_trials(file).rename(columns={"best_test_accuracy": "value"})
    known = known[known.recipe == plan.family].assign(**plan.description())
    _, test = prepare_data(plan.recipe, plan.base, plan.execution)
    ours = known.test_data == checksum(training.fingerprint(test))
    if not ours.all():
        print(f"{(~ours).sum()} trials of {file} were tested on other data")
    return known[ours]


def _search(options, plan):
    """Return the search along the axis that the options describe."""
    from keras_euler.studies import Search

    name, values = plan.roles["axis"]
    others = dict(plan.varied)
    del others[name]
    several = [other for other, choices in others.items() if len(choices) > 1]
    if several:
        raise ValueError(f"--sampler searches along {name}; choose one value of {several}")
    fixed = {other: choices[0] for other, choices in others.items()}
    return Search(name, min(values), max(values), options.trials, options.sampler, fixed)


if __name__ == "__main__":
    main()
