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
import hashlib
import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

import _cli
import cifar10
from _run import check_together, shown, train
from _settings import COUNT, SEED, Execution, ImageSettings, identity, setting, step_factor

LAYER_2 = "stage1_block1/conv1"
# Columns of the table, mostly norms of layer 2.
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


@dataclass(frozen=True)
class DynamicsOptions:
    """The options of this recipe in addition to the flags of a training."""

    h: tuple = setting((1.0, 0.1), "step factors", parse=step_factor, many="+")
    seeds: tuple = setting((), "seeds (default: 7 8; with --quick 7)", parse=SEED, many="+")
    iterations: int | None = setting(
        None, "number of batches, in one epoch (default: 200; with --quick 40)", parse=COUNT
    )
    layers: tuple = setting(
        (),
        "layers in addition to layer 2 (default: one of stage 2 and one of stage 3)",
        parse=str,
        many="+",
    )


def main(argv=None):
    """Train with every h and seed, print the table, draw the figure."""
    parser, options, settings, execution = parse(argv)
    with _cli.errors_in_one_line(parser, resumes=True):
        import keras

        from keras_euler.models.euler_resnet import blocks_per_stage
        from keras_euler.models.step_factor import step_factors

        for h in options.h:  # before hours of training with other values
            step_factors(h, 3 * blocks_per_stage(settings.depth))
        runs = {}
        for h in options.h:
            for seed in options.seeds:
                shown = str(h).replace("/", "_").replace(" ", "")
                print(f"\n=== h = {h}, seed {seed}")
                runs[str(h), seed] = execution.out / f"h{shown}-seed{seed}"
                here = dataclasses.replace(execution, out=runs[str(h), seed])
                train(cifar10.RECIPE, dataclasses.replace(settings, h=h, seed=seed), here)
                keras.backend.clear_session()
        summarize(runs, execution.out)


def parse(argv):
    """Return the parser, the options of this recipe, the settings of all runs, and the execution
    with its folder."""
    parser = _cli.command(
        __doc__,
        "The flags of cifar10.py apply too, such as --depth, --norm, --data-dir and --backend.",
    )
    _cli.add_flags(parser, DynamicsOptions)
    left_out = ("h", "seed", "train_size", "log_gradients", "log_weights", "log_per")
    _cli.add_flags(parser, ImageSettings, left_out)
    own, execution = _cli.parse(parser, [Execution], argv, quick={})
    given = vars(own)
    options = _cli.make(DynamicsOptions, given)
    iterations = options.iterations or (40 if own.quick else 200)
    options = dataclasses.replace(options, seeds=options.seeds or ((7,) if own.quick else (7, 8)))
    values = {"batch_size": 16, "test_size": 100} if own.quick else {}
    values |= {"dataset": "synthetic"} if own.quick and execution.data_dir is None else {}
    values |= {name: value for name, value in given.items() if name != "h"}
    if "epochs" in given and options.iterations:
        parser.error("--epochs and --iterations both set the length; pass one of them")
    if "epochs" not in given:
        values |= {"epochs": 1, "train_size": iterations * values.get("batch_size", 128)}
    settings = _cli.make(ImageSettings, values)
    others = options.layers or (
        "stage2_block1/conv1",
        f"stage3_block{(settings.depth - 2) // 6}/conv2",
    )
    layers = (LAYER_2, *others)
    check_together(parser, settings, execution)
    execution = _cli.choose_backend(parser, execution)
    text = json.dumps(
        [identity(settings, execution), options.h, options.seeds, layers, execution.backend],
        sort_keys=True,
    )
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    name = f"gradient_dynamics-depth{settings.depth}-{execution.backend}-{digest}"
    settings = dataclasses.replace(settings, log_gradients=layers, log_weights=layers)
    return (
        parser,
        options,
        settings,
        dataclasses.replace(execution, out=execution.out or Path("runs") / name),
    )


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
    print(f"{'h':>6} {'seed':>4} " + " ".join(f"{title:>11}" for title in TABLE.values()))
    for (h, seed), path in runs.items():
        row = {"h": h, "seed": seed, **measurements(path)}
        numbers = {
            name: value
            for name, value in row.items()
            if not isinstance(value, float) or math.isfinite(value)
        }
        summary["runs"].append({**dict.fromkeys(row), **numbers})  # JSON has no NaN
        logs.setdefault(f"h = {shown(h)}", []).append(
            (path / "weights.csv", path / "gradients.csv")
        )
        print(f"{h:>6} {seed:4} " + " ".join(f"{row[name]:11.4g}" for name in TABLE))
    training.RunFolder(folder).write_json("summary.json", summary)
    _cli.save_figure(
        folder / "gradient_dynamics.png", lambda: plots.gradient_dynamics(logs, title=title)
    )
    print(f"wrote {folder}")


def measurements(path):
    """Return the measurements of a run: norms of layer 2, and the results of the last epoch."""
    from keras_euler import callbacks, training

    gradients, weights = (
        callbacks.read_log(path / name)[LAYER_2] for name in ("gradients.csv", "weights.csv")
    )
    result = training.RunFolder(path).result()

    def largest(norms):
        return max(norms, key=lambda norm: (math.isnan(norm), norm))

    return {
        "iterations": len(gradients),
        **{
            "first_gradient": gradients[0],
            "largest_gradient": largest(gradients),
            "last_gradient": gradients[-1],
        },
        **{
            "first_weight": weights[0],
            "largest_weight": largest(weights),
            "last_weight": weights[-1],
        },
        "mean_weight": statistics.fmean(weights),
        "train_loss": math.nan if result["last_train_loss"] is None else result["last_train_loss"],
        "test_accuracy": result["last_test_accuracy"],
        "seconds": result["seconds"],
    }


if __name__ == "__main__":
    main()
