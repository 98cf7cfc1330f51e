"""From a study's table entry and the command line to the settings of every trial."""

import itertools

import _harness
import _trials
import ag_news
import cifar10
from _studies import STUDIES

RECIPES = {"cifar10": cifar10, "ag_news": ag_news}
SEED = 7  # the paper's first
# What decides neither what a trial computes nor how it compares with the paper's.
BESIDE = ("seed", "backend", "jit", "devices", "dtype", "log_gradients", "log_weights", "log_per")


class Plan:
    """All trials of a study.

    Args:
        own: Flags of study.py.
        rest: List of flags of the training recipe.

    Attributes:
        recipe: The training recipe.
        parser: Its flags.
        points: List of dicts of setting -> value, one per trial.
        distributions: Dict of setting -> Optuna's distribution.
        definition: What all trials share: a study of the same name must have the same.
        description: What a report needs to know, the cuts of the paper's settings among it.
    """

    def __init__(self, own, rest):
        paper = STUDIES[own.study, own.dataset]
        self.dataset, self.recipe = own.dataset, RECIPES[own.dataset]
        self.parser = _harness.training_parser(self.recipe)
        self.folder = own.out
        fixed = dict(paper.fixed)
        roles = {
            role: self._role(role, getattr(own, role)) if getattr(own, role) else getattr(paper, role)
            for role in ("panel", "line", "axis")
        }
        if own.depths:
            role = next((role for role, pair in roles.items() if pair and pair[0] == "depth"), "panel")
            if role == "panel" and roles["panel"] and roles["panel"][0] != "depth":
                self.parser.error("--depths: this study's plots are of another setting; see --panel")
            roles[role] = ("depth", own.depths)
        self.roles = {role: pair for role, pair in roles.items() if pair}
        varied = dict(self.roles.values())
        self.flags = [*rest, *_flags({name: value for name, value in fixed.items() if name not in varied})]
        settings = _harness.parse(self.parser, self.recipe, self.flags)
        self.flags += ["--verbose", "0", "--backend"]
        self.flags.append(_harness.choose_backend(self.parser, settings.backend, settings.devices))
        seeds = range(SEED, SEED + own.seeds)
        # A seed after the other, h beside h: an unfinished study compares too.
        names = ["seed", *(self.roles[role][0] for role in ("panel", "axis", "line") if role in self.roles)]
        combinations = itertools.product(seeds, *(varied[name] for name in names[1:]))
        self.points = [self._typed(dict(zip(names, values, strict=True))) for values in combinations]
        self.distributions = {name: _trials.distribution(self._action(name)) for name in names}
        settings = _harness.settings(_harness.parse(self.parser, self.recipe, self.flags))
        settings = {name: value for name, value in settings.items() if name not in self.points[0]}
        self.definition = {
            "study": own.study,
            "recipe": own.dataset,
            **{role: name for role, (name, _) in self.roles.items()},
            **settings,
        }
        self.description = {
            "study": own.study,
            "dataset": own.dataset,
            "data": settings["dataset"],
            "figures": paper.figures,
            **{role: name for role, (name, _) in self.roles.items()},
            "cuts": self._cuts(paper, settings, own.seeds),
            "settings": settings,
        }

    def arguments(self, params):
        """The training recipe's arguments for a trial."""
        args = _harness.parse(self.parser, self.recipe, [*self.flags, *_flags(params)])
        args.out = self.folder / "runs" / _harness.run_folder(self.dataset, args).name
        return args

    def range(self):
        """Name, least and largest value of the axis, for a search along it."""
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
        return name, min(values), max(values)

    def check(self):
        """Build a network for every value that could be refused, and raise one error that names all."""
        import keras_euler

        network = {"cifar10": keras_euler.EulerResNet, "ag_news": keras_euler.EulerVDCNN}[self.dataset]
        fine = {make.args[0] for make in keras_euler.list_models().values() if make.func is network}
        refused, seen = [], set()
        for point in self.points:
            for name, value in point.items():
                if name == "seed" or (name, value) in seen or (name == "depth" and value in fine):
                    continue
                seen.add((name, value))
                smallest = {"depth": self.recipe.QUICK["depth"]} if name != "depth" else {}
                args = self.arguments({**smallest, name: value})
                try:
                    keras_euler.MultiStepDecay(args.milestones, 0.1, args.learning_rate)
                    self.recipe.build_model(args)
                except (ValueError, TypeError) as error:
                    count = sum(other[name] == value for other in self.points)
                    refused.append(f"{count} trials with {name}={value}: {error}")
        if refused:
            raise ValueError(f"Nothing was run. Refused: {'; '.join(refused)}")

    def _role(self, role, words):
        name, *values = words
        name = name.replace("-", "_")
        if not values:
            self.parser.error(f"--{role} needs a setting and its values, such as --{role} batch_size 32 64")
        self._action(name)
        return name, values

    def _action(self, name):
        actions = {action.dest: action for action in self.parser._actions}
        if name not in actions or actions[name].nargs == 0:
            known = ", ".join(n for n, a in actions.items() if n != "help" and a.nargs is None)
            self.parser.error(f"unknown axis {name!r}. There are: {known}")
        return actions[name]

    def _typed(self, point):
        args = vars(_harness.parse(self.parser, self.recipe, [*self.flags, *_flags(point)]))
        point = {name: args[name] for name in point}
        if not isinstance(point.get("h", 0.0), float):
            self.parser.error(f"h must be a number in a study. Received: {point['h']!r}.")
        return point

    def _cuts(self, paper, settings, num_seeds):
        """What differs from the paper, in words."""
        parser = _harness.training_parser(self.recipe)  # --quick changes the defaults of the other
        full = _harness.settings(_harness.parse(parser, self.recipe, _flags(paper.fixed)))
        cuts = [
            f"{name} {_words(value)} ({_words(full[name])})"
            for name, value in settings.items()
            if name not in BESIDE and value != full[name]
        ]
        for role in ("panel", "line", "axis"):
            pair = getattr(paper, role)
            if pair and role in self.roles and self.roles[role][0] == pair[0]:
                values = {point[pair[0]] for point in self.points}
                if not values >= set(pair[1]):
                    cuts.append(f"{pair[0]} {_words(sorted(values))} ({_words(pair[1])})")
        if num_seeds < 5:
            cuts.append(f"seeds {num_seeds} (5)")
        return cuts


def _flags(settings):
    return [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def _words(value):
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else "all" if value is None else str(value)
