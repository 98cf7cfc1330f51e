"""Weights and gradients of chosen layers over the iterations, h against h (figures 2, 10 and 11 of the paper).

    python recipes/gradient_dynamics.py --quick                       # depth 110, about two minutes on two CPU cores, no download
    python recipes/gradient_dynamics.py --depth 110 --data-dir DATA   # the first 200 iterations with two seeds
    python recipes/gradient_dynamics.py --depth 218 --epochs 80       # the paper's figure 2

Each h and seed is a training run of cifar10.py; the same seed means the same batches and first weights. The folder gets a run
folder for each, with weights.csv and gradients.csv, then gradient_dynamics.png and summary.json. The same command again goes
on from the last finished epoch, which --iterations are one of, and trains no finished run again.
The paper's mean weight norm of layer 2, depth 218 over 80 epochs: 51.12 and 105.63 with h = 1, 4.54 and 4.10 with h = 0.1.
"""

import argparse
import csv
import hashlib
import json
import math
import statistics
import sys
from pathlib import Path

import _harness
import cifar10
from cifar10 import add_arguments, build_model, load_data  # noqa: F401 (with these this file is a training recipe)

DEFAULTS = cifar10.DEFAULTS
QUICK = {"batch_size": 16, "test_size": 100}
MOST_NOISE = cifar10.MOST_NOISE
LAYER_2 = "stage1_block1/conv1"
# Columns of the table: norms of layer 2.
TABLE = {
    "first_gradient": "first grad.",
    "largest_gradient": "largest",
    "last_gradient": "last",
    "first_weight": "first weight",
    "largest_weight": "largest",
    "last_weight": "last",
    "mean_weight": "mean weight",
    "train_loss": "train loss",
}


def main(argv=None):
    """Train with every h and seed, print the table, draw the figure."""
    own, rest = parse(argv)
    recipe = sys.modules[__name__]
    parser = _harness.training_parser(recipe)
    settings = _harness.parse(parser, recipe, rest)
    if own.epochs is None:
        rest += ["--epochs", "1", "--train-size", str(own.iterations * settings.batch_size)]
    layers = [LAYER_2, *(own.layers or ["stage2_block1/conv1", f"stage3_block{(settings.depth - 2) // 6}/conv2"])]
    rest += ["--log-weights", *layers, "--log-gradients", *layers, "--log-per", "iteration"]
    rest += ["--backend", _harness.choose_backend(parser, settings.backend, settings.devices)]
    folder = own.out or default_folder(_harness.parse(parser, recipe, rest))
    with _harness.errors_in_one_line(parser):
        import _training  # imports keras, hence only after the backend is chosen
        import keras

        from keras_euler.models.step_factor import step_factors

        for h in own.h:  # before hours of training with the others
            step_factors(_harness.step_factor(h), (settings.depth - 2) // 6)
        runs = {}
        for h in own.h:
            for seed in own.seeds:
                print(f"\n=== h = {h}, seed {seed}")
                runs[h, seed] = folder / f"h{h.replace('/', '_')}-seed{seed}"
                flags = [*rest, "--h", h, "--seed", str(seed), "--out", str(runs[h, seed])]
                _training.run(recipe, _harness.parse(parser, recipe, flags))
                keras.backend.clear_session()
        summarize(runs, folder)


def parse(argv):
    """The flags that are not cifar10.py's, and a list of those that are."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Flags of cifar10.py hold too, such as --depth, --norm, --data-dir and --backend: see cifar10.py --help.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--h", nargs="+", default=["1.0", "0.1"], help="step factors (default: 1.0 0.1)")
    parser.add_argument("--seeds", type=int, nargs="+", help="default: 7 8; with --quick 7")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--iterations", type=int, help="batches, as one epoch (default: 200; with --quick 40)")
    length.add_argument("--epochs", help="epochs over all training images instead")
    parser.add_argument("--layers", nargs="+", help="beside layer 2 (default: one each of stages 2 and 3)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default: runs/ and a name made of the settings")
    parser.add_argument("--quick", action="store_true", help="short, and on synthetic data unless a folder is given")
    own, rest = parser.parse_known_args(argv)
    taken = {"--seed", "--train-size", "--log-weights", "--log-gradients", "--log-per"} & {
        w.split("=")[0] for w in rest
    }
    if taken:
        parser.error(f"{min(taken)} is set here by --seeds, --iterations or --layers")
    own.h = list(dict.fromkeys(str(_harness.step_factor(h)) if "," not in h else h for h in own.h))  # 1 is 1.0
    own.seeds = own.seeds or ([7] if own.quick else [7, 8])
    own.iterations = own.iterations if own.iterations is not None else 40 if own.quick else 200
    if own.iterations < 1:
        parser.error("--iterations must be at least 1")
    rest += ["--quick"] if own.quick else []
    rest += ["--epochs", own.epochs] if own.epochs else []
    return own, rest


def default_folder(settings):
    """A folder for these settings and all h and seeds."""
    text = json.dumps(_harness.settings(settings) | {"h": None, "seed": None}, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Path("runs") / f"gradient_dynamics-depth{settings.depth}-{settings.backend}-{digest}"


def summarize(runs, folder):
    """Print a row for each run, and write `summary.json` and the figure."""
    import _run_folder

    from keras_euler import plots

    summary = json.loads((next(iter(runs.values())) / "config.json").read_text())
    settings = summary["settings"]
    title = f"depth {settings['depth']}, {settings['dataset']}, {settings['backend']}"
    del settings["h"], settings["seed"]  # each run has its own
    summary["runs"], logs = [], {}
    print(f"\nlayer 2 ({LAYER_2})")
    print(f"{'h':>6} {'seed':>4} " + " ".join(f"{words:>11}" for words in TABLE.values()))
    for (h, seed), path in runs.items():
        row = {"h": h, "seed": seed, **figures(path)}
        numbers = {name: value for name, value in row.items() if not isinstance(value, float) or math.isfinite(value)}
        summary["runs"].append({**dict.fromkeys(row), **numbers})  # JSON knows no NaN
        logs.setdefault(f"h = {h}", []).append((path / "weights.csv", path / "gradients.csv"))
        print(f"{h:>6} {seed:4} " + " ".join(f"{row[name]:11.4g}" for name in TABLE))
    files = _run_folder.RunFolder(folder)
    files.write_json("summary.json", summary)
    try:
        files.write("gradient_dynamics.png", plots.gradient_dynamics(logs, title=title).savefig)
    except ImportError as error:
        print(f"note: no figure. {error}")
    print(f"wrote {folder}")


def figures(path):
    """The numbers of a run: norms of layer 2, and the training loss of the last epoch."""
    gradients, weights = (column(path / name, LAYER_2) for name in ("gradients.csv", "weights.csv"))
    result = json.loads((path / "result.json").read_text())
    return {
        "iterations": len(gradients),
        "first_gradient": gradients[0],
        "largest_gradient": max(gradients, key=lambda norm: (math.isnan(norm), norm)),
        "last_gradient": gradients[-1],
        "first_weight": weights[0],
        "largest_weight": max(weights, key=lambda norm: (math.isnan(norm), norm)),
        "mean_weight": statistics.fmean(weights),
        "last_weight": weights[-1],
        "train_loss": math.nan if result["last_train_loss"] is None else result["last_train_loss"],
        "test_accuracy": result["last_test_accuracy"],
        "seconds": result["seconds"],
    }


def column(file, name):
    """A column of a CSV file."""
    with open(file, newline="") as lines:
        return [float(row[name]) for row in csv.DictReader(lines)]


if __name__ == "__main__":
    main()
