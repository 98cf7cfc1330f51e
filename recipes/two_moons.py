"""Draw the features of two noisy moons in the blocks of a residual network, for h = 1 and h = 0.1
(figure 7 of the paper).

    python recipes/two_moons.py                    # about a minute on two CPU cores, no download
    python recipes/two_moons.py --quick            # 40 epochs instead of 200

The network is a chain of residual blocks and a linear classifier. A block has 2 features, two
affine maps with a ReLU in between, no norm, and the identity as I. It is trained on moons with
Gaussian noise. The number below each plot is the accuracy of the best straight line for the
features of a block. The recipe prints the accuracies on noisy and clean test points and writes them
to a JSON file beside the figure. The paper gives no sizes: 20 blocks, 16 hidden units, 400 points,
noise 0.25, Adam at 0.01 and 200 epochs are our choice.
"""

from dataclasses import dataclass
from pathlib import Path

import _cli
import numpy as np
from _settings import Options, setting

STEP_FACTORS, BLOCKS, NOISE = (1.0, 0.1), 20, 0.25
SHOWN = (0, 5, 10, 14, 19)  # blocks


@dataclass(frozen=True)
class MoonsOptions(Options):
    """The options of this recipe."""

    epochs: int = setting(200, "epochs (with --quick 40)")
    out: Path = setting(Path("runs/two_moons.json"), "file of the results, beside the figure")


def main(argv=None):
    """Train a network for each h, print the accuracies, draw the figure."""
    _cli.run_example(__doc__, MoonsOptions, measure, argv, {"epochs": 40})


def measure(options):
    """Yield the accuracies with each h, and draw the figure."""
    import keras

    noisy, clean = moons(NOISE, options.seed + 1), moons(0.0, options.seed + 2)
    pictures = {}
    for h in STEP_FACTORS:
        keras.utils.set_random_seed(options.seed)
        model = train(h, options)
        noisy_accuracy, accuracy = (model.evaluate(*data, verbose=0)[1] for data in (noisy, clean))
        result = {"noisy": noisy_accuracy, "clean": accuracy}
        print(f"h = {h:g}: {result}", flush=True)
        pictures[f"h = {h:g}"] = features(model, noisy[0])
        yield f"h = {h:g}", result
    options.out.parent.mkdir(parents=True, exist_ok=True)
    draw(pictures, noisy[1]).savefig(options.out.with_suffix(".png"))


def moons(noise, seed):
    """Make 400 points on two interleaved half circles, and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 400)
    angles = rng.uniform(0, np.pi, 400)
    upper = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.where(labels[:, None] == 0, upper, [1.0, 0.5] - upper)
    return (points + rng.normal(0, noise, points.shape)).astype("float32"), labels


def train(h, options):
    """Train a network with this h on noisy moons."""
    import keras

    import keras_euler

    layers = [keras.Input((2,))]
    for n in range(BLOCKS):
        branch = [keras.layers.Dense(16, "relu"), keras.layers.Dense(2)]
        layers.append(keras_euler.EulerResidual(branch, h=h, name=f"block{n + 1}"))
    model = keras.Sequential([*layers, keras.layers.Dense(2, name="logits")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    x, y = moons(NOISE, options.seed)
    model.fit(x, y, batch_size=100, epochs=options.epochs, verbose=0)
    return model


def features(model, x):
    """Return a dict of title -> points `(n, 2)`: the input, and the outputs of some blocks."""
    import keras_euler

    outputs = list(keras_euler.block_features(model).predict(x, verbose=0).items())
    return {"input": x, **dict(outputs[i] for i in SHOWN)}


def separable(points, labels):
    """Return the accuracy of the best straight line, over all thresholds along 360
    directions."""
    points = np.where(np.isfinite(points), points, 0).astype("float64")
    points = (points - points.mean(0)) / np.maximum(points.std(0), 1e-12)
    best = 0
    for angle in np.linspace(0, np.pi, 360, endpoint=False):
        along = points @ [np.cos(angle), np.sin(angle)]
        # Class 1 from each point on, or class 0.
        correct = ((along >= along[:, None]) == labels).sum(axis=1)
        best = max(best, correct.max(), len(labels) - correct.min())
    return best / len(labels)


def draw(pictures, labels):
    """Draw one row per h, one column per block and one colour per class."""
    from keras_euler.plots import COLOURS, new_figure

    figure = new_figure(figsize=(12.6, 5.2))
    grid = figure.subplots(len(STEP_FACTORS), 1 + len(SHOWN))
    for row, (label, blocks) in zip(grid, pictures.items(), strict=True):
        for axes, (title, points) in zip(row, blocks.items(), strict=True):
            for kind in (0, 1):
                axes.scatter(
                    *points[labels == kind].T, s=3, c=COLOURS[3 + kind], label=f"class {kind}"
                )
            axes.set_title(title, fontsize="small")
            axes.set_xlabel(f"{separable(points, labels):.2f}", fontsize="small")
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(label)
    figure.suptitle(
        "Features after some blocks. Below: accuracy of the best straight line", fontsize="medium"
    )
    figure.legend(
        *grid[0][0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        frameon=False,
        markerscale=4,
    )
    return figure


if __name__ == "__main__":
    main()
