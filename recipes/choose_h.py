"""Choose h for a depth: measure how much the gradients of untrained networks grow over the blocks.

    python recipes/choose_h.py --quick  # under a minute on two CPU cores, no download
    # images; depth 20 in 10 s, 110 in 51 s, on one core
    python recipes/choose_h.py --depths 20 56 110 --data-dir DATA
    python recipes/choose_h.py --dataset ag_news --depths 17 49 --data-dir DATA

    # the rules of the literature beside each other: growth of signal and gradient
    python recipes/choose_h.py --rules --depths 110 --norm none --data-dir DATA

Nothing is trained: `keras_euler.suggest_h` builds each network with the same initial weights and
takes the gradients of one batch. The flags of cifar10.py and ag_news.py apply too: --data-dir,
--backend, --seed, --norm, --initializer, ... The folder gets suggestions.json and suggestions.png.
Measured (CIFAR-10 (JPEG q75), torch, seed 7): gradients do not explode up to h = 0.5, 0.3 and 0.2
at depth 20, 56 and 110, where 1/sqrt(L) is 0.33, 0.19 and 0.14.
"""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import _cli
from _paper import STEP_RULES
from _plan import RECIPES, family_of
from _rules import RULES
from _run import build, subset
from _settings import Execution, identity, setting

DEPTHS = {"cifar10": (20, 56, 110), "ag_news": (9, 17, 29, 49)}
QUICK_DEPTHS = {"cifar10": (8, 14, 20), "ag_news": (9,)}


@dataclass(frozen=True)
class ChoiceOptions:
    """The options of this recipe in addition to the flags of a training."""

    depths: tuple = setting((), "depths (default: 20 56 110, for texts 9 17 29 49)", int, nargs="+")
    candidates: tuple = setting(
        (0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 2.0), "values of h", float, nargs="+"
    )
    limit: float = setting(10.0, "largest accepted growth of the gradients")
    examples: int = setting(64, "number of examples in the batch")
    rules: bool = setting(False, "compare the rules of the literature, and suggest nothing")


def main(argv=None):
    """Suggest an h for each depth, print the tables, draw the figure."""
    parser = _cli.command(__doc__)
    family = family_of(parser, argv)
    recipe = RECIPES[family]
    _, options, settings, execution = _cli.parse(
        parser,
        [ChoiceOptions, recipe.settings, Execution],
        argv,
        ("h", "depth", "dataset"),
        family={"depths": DEPTHS[family]},
        quick={**recipe.quick, "depths": QUICK_DEPTHS[family]},
    )
    folder = execution.out or Path("runs") / f"choose_h-{settings.dataset}"
    with _cli.errors_in_one_line(parser):
        import keras_euler
        from keras_euler import plots, training

        used = identity(settings, execution) | vars(options)
        file = folder / ("rules.json" if options.rules else "suggestions.json")
        _cli.refuse_to_replace(file, used)
        data, _ = recipe.load_data(settings, execution.data_dir)
        x, y = subset(data, options.examples, "--examples")
        found = {}
        for depth in options.depths:
            network = dataclasses.replace(settings, depth=depth)
            found[f"depth {depth}"] = (
                rule_growths(recipe, network, x)
                if options.rules
                else keras_euler.suggest_h(
                    lambda h, network=network: build(recipe, dataclasses.replace(network, h=h)),
                    x,
                    y,
                    options.candidates,
                    options.limit,
                    seed=settings.seed,
                )
            )
            print(f"\n=== depth {depth}\n{found[f'depth {depth}']}", flush=True)
        data = training.fingerprint((x, y))
        if options.rules:
            _cli.write_results(file, used, data=data, growths=found)
        else:
            suggestions = {label: vars(suggestion) for label, suggestion in found.items()}
            _cli.write_results(file, used, data=data, suggestions=suggestions)
            plots.suggestions(found).savefig(folder / "suggestions.png")
        print(f"wrote {folder}")


def rule_growths(recipe, network, x):
    """Return how much the signal and its gradient grow over the blocks with each rule, as ratios of
    root mean squares."""
    import keras

    from keras_euler import analysis

    growths = {}
    for rule in (*STEP_RULES, *RULES):
        keras.utils.set_random_seed(network.seed)
        found = analysis.signal(build(recipe, dataclasses.replace(network, h=rule)), x)
        first, last = found.gradient[[0, -1]]
        growths[str(rule)] = {
            "signal": math.sqrt(found.signal[-1] / found.signal[0]),
            # None: the last layer starts at zero, and so do all gradients before it.
            "gradient": math.sqrt(first / last) if last else None,
        }
    return growths


if __name__ == "__main__":
    main()
