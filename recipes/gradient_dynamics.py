"""Compare weights and gradients of chosen layers over the iterations for several h (figures 2, 10
and 11 of the paper).

    # depth 110, about two minutes on two CPU cores, no download
    python recipes/gradient_dynamics.py --quick
    # the first 200 iterations with two seeds
    python recipes/gradient_dynamics.py --depth 110 --data-dir DATA
    python recipes/gradient_dynamics.py --depth 218 --epochs 80       # the paper's figure 2

Each h and seed is a training run of cifar10.py; runs of the same seed have the same batches and
initial weights. The folder gets a run folder for each, with weights.csv and gradients.csv, then
gradient_dynamics.png and summary.json. Repeating the command resumes after the last finished epoch;
--iterations make one epoch. It does not train finished runs again. In the paper (depth 218, 80
epochs) the mean weight norm of layer 2 is 51.12 and 105.63 with h = 1, 4.54 and 4.10 with h = 0.1.
"""

import dataclasses
import math
from dataclasses import dataclass

import _cli
import cifar10
from _run import train
from _settings import Execution, ImageSettings, run_folder, setting, step_factor

LAYER_2 = "stage1_block1/conv1"


@dataclass(frozen=True)
class DynamicsOptions:
    """The options of this recipe in addition to the flags of a training."""

    h: tuple = setting((1.0, 0.1), "step factors", step_factor, nargs="+")
    seeds: tuple = setting((7, 8), "seeds (with --quick 7)", int, nargs="+")
    iterations: int = setting(200, "number of batches, in one epoch (with --quick 40)")
    epochs: int | None = setting(None, "epochs of all batches instead", int)
    layers: tuple = setting(
        (), "layers in addition to layer 2 (default: one of stage 2 and one of stage 3)", nargs="+"
    )


def main(argv=None):
    """Train with every h and seed, print the table, draw the figure."""
    parser = _cli.command(
        __doc__,
        "The flags of cifar10.py apply too, such as --depth, --norm, --data-dir and --backend.",
    )
    _, options, settings, execution = _cli.parse(
        parser,
        [DynamicsOptions, ImageSettings, Execution],
        argv,
        ("seed", "train_size", "log_gradients", "log_weights", "log_per"),
        quick={"batch_size": 16, "test_size": 100, "iterations": 40, "seeds": (7,)},
    )
    last = f"stage3_block{(settings.depth - 2) // 6}/conv2"
    layers = (LAYER_2, *(options.layers or ("stage2_block1/conv1", last)))
    settings = dataclasses.replace(settings, log_gradients=layers, log_weights=layers)
    if options.epochs is None:
        size = options.iterations * settings.batch_size
        settings = dataclasses.replace(settings, epochs=1, train_size=size)
    folder = run_folder(settings, execution)
    with _cli.errors_in_one_line(parser):
        import keras

        runs = {}
        for h in options.h:
            for seed in options.seeds:
                print(f"\n=== h = {h}, seed {seed}")
                path = folder / f"h{h}-seed{seed}".replace("/", "_")
                here = dataclasses.replace(execution, out=path)
                train(cifar10.RECIPE, dataclasses.replace(settings, h=h, seed=seed), here)
                keras.backend.clear_session()
                runs[str(h), seed] = path
        summarize(runs, folder)


def summarize(runs, folder):
    """Print one row per run, and write `summary.json` and the figure."""
    from keras_euler import plots, training

    summary = training.RunFolder(next(iter(runs.values()))).config()
    settings = summary["settings"]
    where = f"depth {settings['depth']}, {settings['dataset']}, {settings['backend']}"
    title = f"Weights and gradients in the first iterations: {where}"
    del settings["h"], settings["seed"]  # they differ between runs
    summary["runs"], logs = [], {}
    print(f"\nlayer 2 ({LAYER_2})")
    for (h, seed), path in runs.items():
        row = {"h": h, "seed": seed, **measurements(path)}
        print(", ".join(f"{name} {value}" for name, value in row.items()))
        summary["runs"].append(row)
        files = (path / "weights.csv", path / "gradients.csv")
        logs.setdefault(f"h = {h}", []).append(files)
    training.RunFolder(folder).write_json("summary.json", summary)
    plots.gradient_dynamics(logs, title=title).savefig(folder / "gradient_dynamics.png")
    print(f"wrote {folder}")


def measurements(path):
    """Return the measurements of a run: norms of layer 2, and the results of the last epoch."""
    import numpy as np

    from keras_euler import callbacks, training

    row = {}
    for name in ("weight", "gradient"):
        norms = callbacks.read_log(path / f"{name}s.csv")[LAYER_2]
        row |= {
            "iterations": len(norms),
            f"first_{name}": norms[0],
            f"last_{name}": norms[-1],
            f"largest_{name}": np.max(norms),
            f"mean_{name}": np.mean(norms),
        }
    row = {name: value if math.isfinite(value) else None for name, value in row.items()}
    result = training.RunFolder(path).result()
    for name in ("last_train_loss", "last_test_accuracy", "seconds"):
        row[name.removeprefix("last_")] = result[name]
    return row


if __name__ == "__main__":
    main()
