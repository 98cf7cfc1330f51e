"""Plan a study: from the paper and the command line to the settings of every trial."""

import dataclasses
from dataclasses import dataclass

import ag_news
import cifar10
from _paper import SCALED, STUDIES
from _settings import Execution, Settings, flag, identity

RECIPES = {"cifar10": cifar10.RECIPE, "ag_news": ag_news.RECIPE}
SEED = 7  # the paper's first
ROLES = ("panel", "line", "axis")


def family_of(parser, argv):
    """Return the data set in the command line, on which the other flags depend."""
    kwargs = dict(dest="family", choices=RECIPES, default="cifar10")
    parser.add_argument("--dataset", help="default: %(default)s", **kwargs)
    first = type(parser)(prog=parser.prog, add_help=False, allow_abbrev=False)
    first.add_argument("--dataset", **kwargs)
    return first.parse_known_args(argv)[0].family


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

    def shared(self):
        """Return what all trials share and what a report needs, as a JSON-serializable dict."""
        settings = identity(self.base, self.execution)
        shared = {name: value for name, value in settings.items() if name not in self.varied}
        return self.description() | shared

    def description(self):
        """Return the study, its scale and which settings have which role."""
        roles = {role: name for role, (name, _) in self.roles.items()}
        return {"study": self.study, "recipe": self.family, "scaled": self.scaled, **roles}


def paper_study(study, family, scaled):
    """Return a study with the values of the paper, or of its scaled version."""
    paper = STUDIES[study, family]
    return dataclasses.replace(paper, **paper.scaled) if scaled else paper


def paper_plan(study, family, scaled=False, execution=None):
    """Return the plan of a study with the values of the paper, or of its scaled version."""
    paper = paper_study(study, family, scaled)
    base = RECIPES[family].settings(**{**(SCALED[family] if scaled else {}), **paper.fixed})
    roles = {role: getattr(paper, role) for role in ROLES if getattr(paper, role)}
    seeds = tuple(range(SEED, SEED + 5))
    return Plan(study, family, base, roles, seeds, execution or Execution(), scaled)


def make_plan(parser, options, settings, execution):
    """Return the plan that the command line describes; wrong arguments end the process.

    Args:
        parser: The parser of study.py.
        options: The options of study.py.
        settings: The settings of all trials.
        execution: The execution.
    """
    plan = paper_plan(options.study, options.family, options.scaled, execution)
    roles = dict(plan.roles)
    if options.depths:
        role = next((role for role, (name, _) in roles.items() if name == "depth"), "panel")
        roles[role] = ("depth", tuple(options.depths))
    for role in ROLES:
        if getattr(options, role):
            roles[role] = _role(parser, role, getattr(options, role), settings)
    for name, value in paper_study(options.study, options.family, options.scaled).fixed.items():
        if isinstance(value, str) and getattr(settings, name) != value:
            parser.error(f"{flag(name)}: this study always has {name} {value}")
    names = ["seed", *(name for name, _ in roles.values())]
    for name in names:
        if names.count(name) > 1:
            parser.error(f"{name} has two roles: {names}")
        if getattr(settings, name) != parser.get_default(name):
            parser.error(f"{flag(name)}: this study varies {name}; see --seeds, --depths, --line")
    seeds = range(SEED, SEED + (options.seeds if options.sampler == "grid" else 1))
    roles = {role: roles[role] for role in ROLES if role in roles}
    return dataclasses.replace(plan, base=settings, roles=roles, seeds=tuple(seeds))


def _role(parser, role, arguments, settings):
    name, *values = arguments
    option = settings.__dataclass_fields__.get(name.replace("-", "_"))
    if not values or not option or "type" not in option.metadata or "nargs" in option.metadata:
        parser.error(f"--{role} needs a setting and its values. Received: {' '.join(arguments)}")
    try:
        return option.name, tuple(map(option.metadata["type"], values))
    except ValueError as error:
        parser.error(f"--{role} {name}: {error}")
