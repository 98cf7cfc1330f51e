"""Which h for which depth: how much the gradients of untrained networks grow over the blocks, h by h.

    python recipes/choose_h.py --quick                                          # under a minute on two CPU cores, no download
    python recipes/choose_h.py --depths 20 56 110 --data-dir DATA     # images; depth 20 in 10 s, 110 in 51 s, on one core
    python recipes/choose_h.py --dataset ag_news --depths 17 49 --sequence-length 256 --data-dir DATA

Nothing is trained: `keras_euler.suggest_h` builds each network with the same first weights and takes the gradients of one batch.
Beside the flags below it takes those of cifar10.py and ag_news.py: --data-dir, --backend, --seed, --norm, --initializer, ... The
folder gets suggestions.json and suggestions.png. Measured (CIFAR-10 (JPEG q75), torch, seed 7): gradients do not explode up to
h = 0.5, 0.3 and 0.2 at depth 20, 56 and 110, where 1/sqrt(L) is 0.33, 0.19 and 0.14.
"""

import argparse
import math
import sys
from pathlib import Path

import _harness
import ag_news
import cifar10

RECIPES = {"cifar10": cifar10, "ag_news": ag_news}
DEPTHS = {"cifar10": [20, 56, 110], "ag_news": [9, 17, 29, 49]}
QUICK = {"cifar10": [8, 14, 20], "ag_news": [9]}


def main(argv=None):
    """Suggest an h for each depth, print the tables, draw the figure."""
    own, rest = parse(argv)
    recipe = RECIPES[own.dataset]
    parser = _harness.training_parser(recipe)
    parser.prog = "choose_h.py"
    settings = _harness.parse(parser, recipe, rest)
    backend = _harness.choose_backend(parser, settings.backend)
    with _harness.errors_in_one_line(parser, resumes=False):
        import _run_folder
        import _training
        from _interrupts import raise_again

        import keras_euler

        train, _ = recipe.load_data(settings)
        x, y = _training._subset(train, own.examples, "--examples")
        found = {}
        for depth in own.depths:
            raise_again()

            def build(h, depth=depth):
                return recipe.build_model(_harness.parse(parser, recipe, [*rest, "--depth", str(depth), "--h", str(h)]))

            found[f"depth {depth}"] = keras_euler.suggest_h(build, x, y, own.candidates, own.limit, seed=settings.seed)
            print(f"\n=== depth {depth}\n{found[f'depth {depth}']}", flush=True)
        folder = _run_folder.RunFolder(own.out)
        folder.path.mkdir(parents=True, exist_ok=True)
        summary = {
            "settings": _harness.settings(settings) | {"backend": backend, "examples": own.examples},
            "data": _training.fingerprint((x, y)),
            "versions": _training.versions(),
            "suggestions": {label: as_json(one) for label, one in found.items()},
        }
        folder.write_json("suggestions.json", summary)
        try:
            from keras_euler import plots

            folder.write("suggestions.png", plots.suggestions(found).savefig)
        except ImportError as error:
            print(f"note: no figure. {error}")
        print(f"wrote {own.out}")


def as_json(suggestion):
    """A `Suggestion` as a dict that JSON can hold: it knows no infinity."""
    growths = {h: growth if math.isfinite(growth) else None for h, growth in suggestion.growths.items()}
    return {**vars(suggestion), "growths": growths}


def parse(argv):
    """The recipe's own flags, and a list of those of the training recipe."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--dataset", choices=RECIPES, default="cifar10", help="default: %(default)s")
    add("--depths", type=int, nargs="+", help="default: 20 56 110, or 9 17 29 49 for texts")
    candidates = (0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 2.0)
    add("--candidates", type=float, nargs="+", default=candidates, help="values of h (default: 0.01 to 2)")
    add("--limit", type=float, default=10.0, help="growth up to which an h is taken (default: %(default)s)")
    add("--examples", type=int, default=64, help="in the batch (default: %(default)s)")
    add("--out", type=Path, metavar="FOLDER", help="default: runs/choose_h-DATASET")
    add("--quick", action="store_true", help="small, and on synthetic data unless a folder is given")
    own, rest = parser.parse_known_args(argv)
    for flag, instead in (("--h", "--candidates"), ("--depth", "--depths")):
        if any(word.partition("=")[0] == flag for word in rest):
            parser.error(f"there is no {flag} here: use {instead}")
    _harness.check_positive(parser, own, "candidates", "examples")
    if own.quick:
        rest.append("--quick")
    own.depths = own.depths or (QUICK if own.quick else DEPTHS)[own.dataset]
    own.out = own.out or Path("runs") / f"choose_h-{own.dataset}"
    return own, rest


if __name__ == "__main__":
    sys.exit(main())
