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
from _run import build, check_together, subset
from _settings import COUNT, POSITIVE, Execution, identity, setting

DEPTHS = {"cifar10": (20, 56, 110), "ag_news": (9, 17, 29, 49)}
QUICK_DEPTHS = {"cifar10": (8, 14, 20), "ag_news": (9,)}


@dataclass(frozen=True)
class ChoiceOptions:
    """The options of this recipe in addition to the flags of a training."""

    depths: tuple = setting(
        (), "depths (default: 20 56 110, for texts 9 17 29 49)", parse=int, many="+"
    )
    candidates: tuple = setting(
        (0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 2.0),
        "values of h",
        parse=POSITIVE,
        many="+",
    )
    limit: float = setting(10.0, "largest accepted growth of the gradients", parse=POSITIVE)
    examples: int = setting(64, "number of examples in the batch", parse=COUNT)
    rules: bool = setting(False, "compare the rules of the literature, and suggest nothing")


def main(argv=None):
    """Suggest an h for each depth, print the tables, draw the figure."""
    parser = _cli.command(__doc__)
    family = family_of(parser, argv)
    recipe = RECIPES[family]
    _cli.add_flags(parser, recipe.settings, ("h", "depth", "dataset"))
    own, options, execution = _cli.parse(parser, [ChoiceOptions, Execution], argv, quick={})
    quick = (
        {**recipe.quick, **({"dataset": "synthetic"} if execution.data_dir is None else {})}
        if own.quick
        else {}
    )
    settings = _cli.make(
        recipe.settings, {**quick, **vars(own), "dataset": quick.get("dataset", family)}
    )
    depths = options.depths or (QUICK_DEPTHS if own.quick else DEPTHS)[family]
    networks = {
        depth: _cli.make(recipe.settings, {**vars(settings), "depth": depth}) for depth in depths
    }
    check_together(parser, settings, execution)
    execution = _cli.choose_backend(parser, execution)
    folder = execution.out or Path("runs") / f"choose_h-{settings.dataset}"
    with _cli.errors_in_one_line(parser):
        import keras_euler
        from keras_euler import plots, training

        used = (
            identity(settings, execution)
            | _cli.results_settings(options)
            | {"backend": execution.backend}
        )
        if options.rules:
            _cli.refuse_to_replace(folder / "rules.json", used)
        else:
            _cli.refuse_to_replace(folder / "suggestions.json", used, folder / "suggestions.png")
        x, y = subset(
            recipe.load_data(settings, execution.data_dir)[0], options.examples, "--examples"
        )
        if options.rules:
            growths = {
                f"depth {depth}": rule_growths(recipe, network, x)
                for depth, network in networks.items()
            }
            folder.mkdir(parents=True, exist_ok=True)
            summary = {"settings": used, "growths": growths}
            training.RunFolder(folder).write_json("rules.json", summary)
            print(f"wrote {folder}")
            return
        suggestions = {}
        for depth, network in networks.items():
            training.raise_pending_interrupt()

            def network_of(h, network=network):
                return recipe.build_model(dataclasses.replace(network, h=h))

            suggestion = keras_euler.suggest_h(
                network_of, x, y, options.candidates, options.limit, seed=settings.seed
            )
            suggestions[f"depth {depth}"] = suggestion
            print(f"\n=== depth {depth}\n{suggestion}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        summary = {
            "settings": used,
            "data": training.fingerprint((x, y)),
            "versions": training.package_versions(),
            "suggestions": {
                label: as_json(suggestion) for label, suggestion in suggestions.items()
            },
        }
        training.RunFolder(folder).write_json("suggestions.json", summary)
        _cli.save_figure(folder / "suggestions.png", lambda: plots.suggestions(suggestions))
        print(f"wrote {folder}")


def rule_growths(recipe, network, x):
    """Return how much the signal and its gradient grow over the blocks with each rule, as ratios of
    root mean squares, and print it."""
    import keras

    from keras_euler import analysis

    growths = {}
    for rule in (*STEP_RULES, *RULES):
        keras.utils.set_random_seed(network.seed)
        found = analysis.signal(build(recipe, dataclasses.replace(network, h=rule)), x)
        forward, backward = found.signal[-1] / found.signal[0], found.gradient[[0, -1]]
        # None: the last layer starts at zero, and so do all gradients before it.
        back = math.sqrt(backward[0] / backward[1]) if backward[1] else None
        growths[str(rule)] = {"signal": math.sqrt(forward), "gradient": back}
        shown = "0" if back is None else f"{back:.3g}"
        print(
            f"depth {network.depth}, {rule}: signal {math.sqrt(forward):.3g}, gradient {shown}",
            flush=True,
        )
    return growths


def as_json(suggestion):
    """Return a `Suggestion` as a JSON-serializable dict, with None for infinity."""
    growths = {
        h: growth if math.isfinite(growth) else None for h, growth in suggestion.growths.items()
    }
    return {**vars(suggestion), "growths": growths}


if __name__ == "__main__":
    main()
