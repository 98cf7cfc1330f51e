"""From a study's table entry and the command line to the settings of every trial."""

import argparse
import itertools
import math

import _harness
import ag_news
import cifar10
from _studies import STUDIES

RECIPES = {"cifar10": cifar10, "ag_news": ag_news}
SEED = 7  # the paper's first
ROLES = ("panel", "line", "axis")
# What says where and how a trial runs, not what it computes: no axis.
MACHINE = ("backend", "devices", "jit", "log_gradients", "log_weights", "log_per")
NO_AXIS = (*MACHINE, "help", "seed", "dataset", "data_dir", "out", "quick", "verbose")


class Plan:
    """All trials of a study.

    Args:
        own: Flags of study.py.
        rest: List of flags of the training recipe.

    Attributes:
        recipe: The training recipe.
        parser: Its flags.
        points: List of dicts of setting -> value, one per trial.
        actions: Dict of setting -> its flag, of argparse.
        definition: What all trials share: a study of the same name must have the same.
        description: What a report needs to know, the paper's settings among it.
    """

    def __init__(self, own, rest):
        paper = STUDIES[own.study, own.dataset]
        self.dataset, self.recipe = own.dataset, RECIPES[own.dataset]
        self.parser = _harness.training_parser(self.recipe)
        self.parser.prog = "study.py"
        self.folder = own.out
        self.roles = self._roles(own, paper)
        varied = dict(self.roles.values())
        self._check_flags(rest, paper.fixed, varied)
        fixed = {name: value for name, value in paper.fixed.items() if name not in varied}
        self.flags = ["--verbose", "0", *_flags(fixed), *rest]
        settings = _harness.parse(self.parser, self.recipe, self.flags)
        self.flags.append("--backend")
        self.flags.append(_harness.choose_backend(self.parser, settings.backend, settings.devices))
        # A seed after the other, h beside h: an unfinished study compares too.
        names = ["seed", *(self.roles[role][0] for role in ("panel", "axis", "line") if role in self.roles)]
        combinations = itertools.product(range(SEED, SEED + own.seeds), *(varied[name] for name in names[1:]))
        self.points = [self._typed(dict(zip(names, values, strict=True))) for values in combinations]
        self._check_distinct(names)
        self.actions = {name: self._action(name) for name in names}
        settings = _harness.settings(_harness.parse(self.parser, self.recipe, self.flags))
        settings = {name: value for name, value in settings.items() if name not in self.points[0]}
        roles = {role: name for role, (name, _) in self.roles.items()}
        self.definition = {"study": own.study, "recipe": own.dataset, **roles, **settings}
        self.description = {
            "study": own.study,
            "dataset": own.dataset,
            "data": settings["dataset"],
            "figures": paper.figures,
            **roles,
            "settings": settings,
            "paper": self._paper(paper),
            "our_choice": paper.our_choice,
        }

    def arguments(self, params):
        """The training recipe's arguments for a trial."""
        args = _harness.parse(self.parser, self.recipe, [*self.flags, *_flags(params)])
        args.out = self.folder / "runs" / _harness.run_folder(self.dataset, args).name
        return args

    def space(self):
        """Of a search along the axis its name, least and largest value, and what is fixed."""
        name, _ = self.roles["axis"]
        values = [point[name] for point in self.points]
        if not isinstance(values[0], float) or min(values) == max(values):
            raise ValueError(f"--sampler searches along numbers: {name} has {sorted(set(values))}. See --axis.")
        others = {name: {point[name] for point in self.points} for name, _ in self.roles.values()}
        several = [
            f"{other} ({', '.join(map(str, sorted(values)))})"
            for other, values in others.items()
            if other != name and len(values) > 1
        ]
        if several:
            raise ValueError(f"--sampler searches along {name}; choose one value of {' and '.join(several)}.")
        fixed = {other: value for other, value in self.points[0].items() if other != name}
        search = {"search": [min(values), max(values)]}
        self.definition |= {**search, **fixed}
        self.description |= search
        return name, min(values), max(values), fixed

    def check(self, load_data):
        """Build a network for every value that could be refused and read the data, and raise one error that names all.

        Args:
            load_data: Function of the recipe's arguments that returns training and test data.
        """
        import _training

        import keras_euler

        network = {"cifar10": keras_euler.EulerResNet, "ag_news": keras_euler.EulerVDCNN}[self.dataset]
        fine = {make.args[0] for make in keras_euler.list_models().values() if make.func is network}
        refused, seen = [], set()
        sizes = [len(labels) for _, labels in load_data(self.arguments({**self.points[0], "noise": 0.0}))]

        def check_sizes(args):
            _training.check_size("--train-size", args.train_size, sizes[0])
            _training.check_size("--test-size", args.test_size, sizes[1])

        if not {"train_size", "test_size"} & set(self.points[0]):
            check_sizes(self.arguments(self.points[0]))  # once, as all have the same
        for point in self.points:
            for name, value in point.items():
                if name == "seed" or (name, value) in seen or (name == "depth" and value in fine):
                    continue
                seen.add((name, value))
                smallest = {"depth": self.recipe.QUICK["depth"]} if name != "depth" else {}
                args = self.arguments({**smallest, name: value})
                try:
                    check_sizes(args)
                    keras_euler.MultiStepDecay(args.milestones, 0.1, args.learning_rate)
                    _training.compile_model(self.recipe.build_model(args), args)
                except (ValueError, TypeError) as error:
                    count = sum(other[name] == value for other in self.points)
                    refused.append(f"{count} trials with {name}={value}: {error}")
        if refused:
            raise ValueError(f"Nothing was run. Refused: {'; '.join(refused)}")

    def _roles(self, own, paper):
        """Dict of panel, line and axis -> pair of a setting and its values: the paper's, or the command line's."""
        roles = {role: self._role(role, getattr(own, role)) or getattr(paper, role) for role in ROLES}
        if own.depths:
            for role in ROLES:
                if getattr(own, role) and roles[role][0] == "depth":
                    self.parser.error(f"--depths and --{role} depth both name depths; pass one of them")
            role = next((role for role, pair in roles.items() if pair and pair[0] == "depth"), "panel")
            if roles[role] and roles[role][0] != "depth":
                self.parser.error("--depths: this study's plots are of another setting; see --panel")
            roles[role] = ("depth", own.depths)
        roles = {role: pair for role, pair in roles.items() if pair}
        names = [name for name, _ in roles.values()]
        for name in names:
            if names.count(name) > 1:
                several = " and ".join(f"--{role}" for role in roles if roles[role][0] == name)
                self.parser.error(f"{name} has two parts in this study, {several}. Give one of them another setting")
        return roles

    def _role(self, role, words):
        if not words:
            return None
        name, *values = words
        name = name.replace("-", "_")
        if not values:
            self.parser.error(f"--{role} needs a setting and its values, such as --{role} batch_size 32 64")
        self._action(name)
        return name, values

    def _action(self, name):
        actions = {action.dest: action for action in self.parser._actions}
        known = [known for known, action in actions.items() if action.nargs is None and known not in NO_AXIS]
        if name != "seed" and name not in known:
            what = "is no axis" if name in actions else "is unknown"
            self.parser.error(f"the setting {name!r} {what}. Axes are: {', '.join(known)}")
        return actions[name]

    def _check_flags(self, rest, fixed, varied):
        """Refuse flags that say what the study itself says."""
        absent = object()
        given = argparse.Namespace(**{action.dest: absent for action in self.parser._actions})
        given = {name for name, value in vars(self.parser.parse_args(rest, given)).items() if value is not absent}
        for name in sorted(given):
            flag = name.replace("_", "-")
            if name == "seed":
                self.parser.error("--seed: every trial has its own; see --seeds")
            if name in varied:
                (role,) = (role for role, pair in self.roles.items() if pair[0] == name)
                how = "--depths ..." if name == "depth" else f"--{role} {name} ..."
                self.parser.error(f"--{flag}: this study varies {name}; choose its values by {how}")
            if isinstance(fixed.get(name), str):
                self.parser.error(f"--{flag}: this study is the one with {name} {fixed[name]}")

    def _check_distinct(self, names):
        for name in names[1:]:
            count = len({point[name] for point in self.points})
            values = dict(self.roles.values())[name]
            if count < len(values):
                self.parser.error(f"{name} names a value twice. Received: {' '.join(map(str, values))}")

    def _typed(self, point):
        args = vars(_harness.parse(self.parser, self.recipe, [*self.flags, *_flags(point)]))
        point = {name: args[name] for name in point}
        for name, value in point.items():
            if self._action(name).type in (float, _harness.step_factor) and not (
                isinstance(value, float) and math.isfinite(value)
            ):
                self.parser.error(f"{name} must be a finite number in a study. Received: {value!r}.")
        return point

    def _paper(self, paper):
        """Dict of setting -> list of the paper's values, for all that decides what a trial computes."""
        parser = _harness.training_parser(self.recipe)  # --quick changes the defaults of the other
        full = _harness.settings(_harness.parse(parser, self.recipe, _flags(paper.fixed)))
        varied = dict(pair for pair in (getattr(paper, role) for role in ROLES) if pair)
        one = {name: [value] for name, value in full.items() if name not in (*MACHINE, "seed")}
        return {**one, **{name: list(values) for name, values in varied.items()}}


def cuts(description, params):
    """What differs from the paper, as a list of strings such as `epochs 2 (80)`.

    Args:
        description: Of a plan.
        params: List of the parameters of the trials that count, as dicts.
    """
    there = {name: [value] for name, value in description["settings"].items()}
    params = [point for point in params if point]  # a search knows those of trials that have begun
    for name in params[0] if params else ():
        there[name] = sorted({point[name] for point in params})
    if "search" in description:
        low, high = description["search"]
        there[description["axis"]] = [f"searched from {low:g} to {high:g}"]
    found = [
        f"{name} {_words(there[name])} ({_words(values)})"
        for name, values in sorted(description["paper"].items())
        if name in there and any(value not in there[name] for value in values)
    ]
    num_seeds = len(there.get("seed", ()))
    return found + ([f"seeds {num_seeds} (5)"] if 0 < num_seeds < 5 else [])


def _flags(settings):
    return [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def _words(values):
    return ", ".join("all" if value is None else str(value) for value in values)
