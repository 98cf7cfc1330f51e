"""Plan a study: from the paper and the command line to the settings of every trial."""

import argparse
import dataclasses
from dataclasses import dataclass

import ag_news
import cifar10
from _paper import SCALED, SCALED_STUDIES, STUDIES
from _settings import LOGS, Execution, Settings, flag, identity

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

    def shared(self):
        """Return what all trials share and what a report needs, as a JSON-serializable dict."""
        shared = {**identity(self.base, self.execution), "backend": self.execution.backend}
        return {
            **self.description(),
            **{name: value for name, value in shared.items() if name not in self.varied},
        }

    def description(self):
        """Return the study, its scale and which settings have which role."""
        roles = {role: name for role, (name, _) in self.roles.items()}
        return {"study": self.study, "recipe": self.family, "scaled": self.scaled, **roles}


def paper_plan(study, family, scaled=False, execution=None):
    """Return the plan of a study with the values of the paper, or of its scaled version."""
    paper, recipe = STUDIES[study, family], RECIPES[family]
    if scaled:
        paper = dataclasses.replace(paper, **SCALED_STUDIES[study, family])
    base = recipe.settings(**{**(SCALED[family] if scaled else {}), **paper.fixed})
    roles = {role: getattr(paper, role) for role in ROLES if getattr(paper, role)}
    seeds = tuple(range(SEED, SEED + 5))
    return Plan(study, family, base, roles, seeds, execution or Execution(), scaled)


def make_plan(parser, options, given, execution):
    """Return the plan that the command line describes; wrong arguments end the process.

    Args:
        parser: The parser of study.py.
        options: The options of study.py.
        given: Dict of the settings in the command line.
        execution: The execution.
    """
    plan = paper_plan(options.study, options.dataset, options.scaled, execution)
    fixed = STUDIES[options.study, options.dataset].fixed
    roles = _roles(parser, options, plan)
    varied = {name: role for role, (name, _) in roles.items()}
    for name in given:
        if name == "seed":
            parser.error("--seed: every trial has its own seed; see --seeds")
        if name in varied:
            flags = "--depths ..." if name == "depth" else f"--{varied[name]} {name} ..."
            parser.error(f"{flag(name)}: this study varies {name}; choose its values by {flags}")
        if isinstance(fixed.get(name), str):
            parser.error(f"{flag(name)}: this study always has {name} {fixed[name]}")
    values = dict(plan.recipe.quick) if options.quick else {}
    values |= {"dataset": "synthetic"} if options.quick and execution.data_dir is None else {}
    values |= {name: value for name, value in fixed.items() if name not in varied} | given
    values = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
    return dataclasses.replace(
        plan,
        base=dataclasses.replace(plan.base, **values),
        roles=roles,
        seeds=tuple(range(SEED, SEED + options.seeds)),
    )


def _roles(parser, options, plan):
    """Return a dict of panel, line and axis -> pair of a setting and its values, from the paper or
    the command line."""
    given = {role: getattr(options, role) for role in ROLES if getattr(options, role)}
    roles = plan.roles | {role: _role(parser, role, given[role], plan.base) for role in given}
    if options.depths:
        role = next((role for role, (name, _) in roles.items() if name == "depth"), "panel")
        if role in given:
            parser.error(f"--depths and --{role} both name values; pass one of them")
        if role in roles and roles[role][0] != "depth":
            parser.error("--depths: the plots of this study vary another setting; see --panel")
        roles[role] = ("depth", options.depths)
    names = [name for name, _ in roles.values()]
    for name, values in roles.values():
        if names.count(name) > 1:
            several = " and ".join(f"--{role}" for role in roles if roles[role][0] == name)
            parser.error(f"{name} has two roles, {several}. Use another setting for one of them")
        if name == "h" and any(isinstance(value, tuple) for value in values):
            parser.error(f"h must be a number or a rule in a study. Received: {values[0]!r}.")
    return {role: roles[role] for role in ROLES if role in roles}


def _role(parser, role, arguments, settings):
    name, *values = arguments
    name = name.replace("-", "_")
    known = {
        option.name: option
        for option in dataclasses.fields(settings)
        if not {"many"} & set(option.metadata)
        and not is_log(option)
        and option.name not in ("seed", "dataset")
        and not isinstance(option.default, bool)
    }
    if name not in known or not values:
        parser.error(
            f"--{role} needs a setting and its values. Received: {' '.join(arguments)}. Settings "
            f"are: {', '.join(known)}"
        )
    option = known[name]
    try:
        parsed = map(option.metadata.get("parse", type(option.default)), values)
        return name, tuple(parsed)
    except (ValueError, argparse.ArgumentTypeError) as error:
        parser.error(f"--{role} {name}: {error}")


def is_log(option):
    """Return whether a field only determines what is logged."""
    return option.metadata.get("group") == LOGS
