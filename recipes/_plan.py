"""Plan a study: from the paper and the command line to the settings of every trial."""

import argparse
import dataclasses
import itertools
from dataclasses import dataclass

import ag_news
import cifar10
from _paper import SCALED, SCALED_STUDIES, STUDIES
from _settings import LOGS, Execution, Settings, flag, identity, run_folder

RECIPES = {"cifar10": cifar10.RECIPE, "ag_news": ag_news.RECIPE}
SEED = 7  # the paper's first
ROLES = ("panel", "line", "axis")


def family_of(parser, argv):
    """Return the data set in the command line, on which the other flags depend."""
    parser.add_argument(
        "--dataset", choices=RECIPES, default="cifar10", help="default: %(default)s"
    )
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--dataset", default="cifar10")
    family = first.parse_known_args(argv)[0].dataset
    return family if family in RECIPES else "cifar10"  # the parser itself rejects others


@dataclass(frozen=True)
class Plan:
    """All trials of a study.

    Attributes:
        study, family: Key of the study in `STUDIES`.
        base: Settings of all trials, except those that vary.
        roles: Dict of panel, line and axis -> pair of a setting and its values.
        seeds: The seeds.
        execution: How each trial is carried out, with the folder of the study.
        scaled: Whether the study has the scale of `SCALED`.
    """

    study: str
    family: str
    base: Settings
    roles: dict
    seeds: tuple
    execution: Execution
    scaled: bool = False

    @property
    def recipe(self):
        return RECIPES[self.family]

    @property
    def varied(self):
        """Dict of setting -> values. Trials are ordered by seed, so that an unfinished study
        compares values of h."""
        ordered = [self.roles[role] for role in ("panel", "axis", "line") if role in self.roles]
        return {"seed": self.seeds, **dict(ordered)}

    def settings(self, point):
        """Return the settings of a trial."""
        return dataclasses.replace(self.base, **point)

    def trial_execution(self, settings):
        """Return the execution of a trial, in its own folder."""
        named = dataclasses.replace(self.execution, out=None)
        folder = self.execution.out / "runs" / run_folder(settings, named).name
        return dataclasses.replace(named, out=folder, verbose=0)

    def definition(self):
        """Return the settings that all trials share, as a JSON-serializable dict."""
        shared = identity(self.base, self.execution) | {"backend": self.execution.backend}
        fixed = {name: value for name, value in shared.items() if name not in self.varied}
        return {"recipe": self.family, **fixed}

    def description(self):
        """Return what a report needs to know, including the paper's settings."""
        paper = STUDIES[self.study, self.family]
        settings = self.recipe.settings(**paper.fixed)
        own = {
            name: getattr(settings, name, None) for name in identity(self.base, self.execution)
        }  # newer ones of this study too
        full = {**own, **identity(settings, Execution())}
        varied = dict(pair for pair in (paper.panel, paper.line, paper.axis) if pair)
        ignored = (
            "seed",
            "jit",
            "devices",
            *(option.name for option in dataclasses.fields(self.base) if is_log(option)),
        )
        fixed = {name: [value] for name, value in full.items() if name not in ignored}
        return {
            "study": self.study,
            "dataset": self.family,
            "data": self.base.dataset,
            "figures": paper.figures,
            "scaled": self.scaled,
            **self._names(),
            "settings": {n: v for n, v in self.definition().items() if n != "recipe"},
            "paper": {**fixed, **{name: list(values) for name, values in varied.items()}},
            "our_choice": paper.our_choice,
        }

    def _names(self):
        return {role: name for role, (name, _) in self.roles.items()}


def make_plan(parser, options, given, execution):
    """Return the plan that the command line describes; wrong arguments end the process.

    Args:
        parser: The parser of study.py.
        options: The options of study.py.
        given: Dict of the settings in the command line.
        execution: The execution.
    """
    paper, recipe = STUDIES[options.study, options.dataset], RECIPES[options.dataset]
    if options.scaled:
        paper = dataclasses.replace(paper, **SCALED_STUDIES[options.study, options.dataset])
    roles = _roles(parser, options, paper, recipe.settings)
    varied = {name: role for role, (name, _) in roles.items()}
    if "seed" in given:
        parser.error("--seed: every trial has its own seed; see --seeds")
    for name in given:
        if name in varied:
            flags = "--depths ..." if name == "depth" else f"--{varied[name]} {name} ..."
            parser.error(f"{flag(name)}: this study varies {name}; choose its values by {flags}")
        if isinstance(paper.fixed.get(name), str):
            parser.error(f"{flag(name)}: this study always has {name} {paper.fixed[name]}")
    values = {
        **(SCALED[options.dataset] if options.scaled else {}),
        **(recipe.quick if options.quick else {}),
    }
    values |= {"dataset": "synthetic"} if options.quick and execution.data_dir is None else {}
    values |= {name: value for name, value in paper.fixed.items() if name not in varied} | given
    try:
        base = recipe.settings(
            **{n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
        )
        seeds = tuple(range(SEED, SEED + options.seeds))
        plan = Plan(options.study, options.dataset, base, roles, seeds, execution, options.scaled)
        _check_points(plan)
    except ValueError as error:
        parser.error(str(error))
    return plan


def _check_points(plan):
    """Raise one ValueError that names all invalid values."""
    invalid = {}
    for combination in itertools.product(*plan.varied.values()):
        try:
            plan.settings(dict(zip(plan.varied, combination, strict=True)))
        except ValueError as error:
            invalid[str(error)] = invalid.get(str(error), 0) + 1
    if invalid:
        listed = "; ".join(f"{count} trials: {message}" for message, count in invalid.items())
        raise ValueError(f"Nothing was run. Invalid: {listed}")


def _roles(parser, options, paper, cls):
    """Return a dict of panel, line and axis -> pair of a setting and its values, from the paper or
    the command line."""
    given = {role: getattr(options, role) for role in ROLES}
    roles = {
        role: _role(parser, role, given[role], cls) if given[role] else getattr(paper, role)
        for role in ROLES
    }
    if options.depths:
        for role in ROLES:
            if given[role] and roles[role][0] == "depth":
                parser.error(f"--depths and --{role} depth both name depths; pass one of them")
        role = next((role for role, pair in roles.items() if pair and pair[0] == "depth"), "panel")
        if roles[role] and roles[role][0] != "depth":
            parser.error("--depths: the plots of this study vary another setting; see --panel")
        roles[role] = ("depth", options.depths)
    roles = {role: pair for role, pair in roles.items() if pair}
    names = [name for name, _ in roles.values()]
    for role, (name, values) in roles.items():
        if names.count(name) > 1:
            several = " and ".join(f"--{other}" for other in roles if roles[other][0] == name)
            parser.error(
                f"{name} has two roles in this study, {several}. Use another setting for one of "
                f"them"
            )
        if len(set(values)) < len(values):
            parser.error(f"{name} names a value twice. Received: {' '.join(map(str, values))}")
        if any(isinstance(value, (str, tuple)) for value in values) and name == "h":
            parser.error(f"{name} must be a finite number in a study. Received: {values[0]!r}.")
        roles[role] = (name, tuple(values))
    return roles


def _role(parser, role, arguments, cls):
    name, *values = arguments
    name = name.replace("-", "_")
    if not values:
        parser.error(f"--{role} needs a setting and its values, such as --{role} batch_size 32 64")
    known = {
        option.name: option
        for option in dataclasses.fields(cls)
        if "many" not in option.metadata and not is_log(option)
    }
    known = {
        n: option
        for n, option in known.items()
        if n not in ("seed", "dataset") and not isinstance(option.default, bool)
    }
    if name not in known:
        problem = (
            "cannot be an axis"
            if name in (*cls.__dataclass_fields__, *Execution.__dataclass_fields__)
            else "is unknown"
        )
        parser.error(f"the setting {name!r} {problem}. Axes are: {', '.join(known)}")
    option = known[name]
    try:
        return name, tuple(
            option.metadata.get("parse", type(option.default))(value) for value in values
        )
    except ValueError:
        parser.error(f"--{role} {name}: wrong value. Received: {' '.join(values)}")


def is_log(option):
    """Return whether a field only determines what is logged."""
    return option.metadata.get("group") == LOGS


def choices(plan):
    """Return a dict of varied setting -> all its possible values, for settings that are strings."""
    all_choices = {
        option.name: option.metadata.get("choices", ()) for option in dataclasses.fields(plan.base)
    }
    return {
        name: all_choices[name]
        for name in plan.varied
        if isinstance(next(iter(all_choices[name]), None), str)
    }


def cuts(description, points):
    """List the differences from the paper, as strings such as `epochs 2 (80)`.

    Args:
        description: Description of a plan.
        points: List of the points of the trials that count.
    """
    actual = {name: [value] for name, value in description["settings"].items()}
    for name in ("seed", *description["paper"]):
        if points and name in points[0]:
            actual[name] = sorted({point[name] for point in points})
    if "search" in description:
        low, high = description["search"]
        actual[description["axis"]] = [f"searched from {low:g} to {high:g}"]
    differences = [
        f"{name} {_listed(actual[name])} ({_listed(values)})"
        for name, values in sorted(description["paper"].items())
        if name in actual and any(value not in actual[name] for value in values)
    ]
    num_seeds = len(actual.get("seed", ()))
    return differences + ([f"seeds {num_seeds} (5)"] if 0 < num_seeds < 5 else [])


def _listed(values):
    if len(values) > 5:
        return f"{len(values)} values from {values[0]} to {values[-1]}"
    return ", ".join("all" if value is None else str(value) for value in values)
