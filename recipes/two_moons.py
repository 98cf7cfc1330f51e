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
from _settings import BACKENDS, COUNT, NOT_NEGATIVE, SEED, Execution, new_file, setting

SHOWN = 5  # plots of blocks, in addition to the input


@dataclass(frozen=True)
class MoonsOptions:
    """The options of this recipe."""

    h: tuple = setting((1.0, 0.1), "step factors", parse=NOT_NEGATIVE, many="+")
    blocks: int = setting(20, "residual blocks", parse=COUNT)
    noise: float = setting(0.25, "standard deviation of the noise", parse=NOT_NEGATIVE)
    epochs: int = setting(200, "epochs (with --quick 40)", parse=COUNT)
    seed: int = setting(7, "seed", parse=SEED)
    backend: str | None = setting(None, "Keras backend", parse=str, choices=BACKENDS)
    out: Path = setting(
        Path("runs/two_moons.png"), "file of the figure", parse=new_file(".png"), metavar="FILE"
    )


def main(argv=None):
    """Train a network for each h, print the accuracies, draw the figure."""
    parser = _cli.command(__doc__)
    _, options = _cli.parse(parser, [MoonsOptions], argv, quick={"epochs": 40})
    backend = _cli.choose_backend(parser, Execution(backend=options.backend)).backend
    with _cli.errors_in_one_line(parser):
        import keras

        file = options.out.with_suffix(".json")
        _cli.refuse_to_replace(file, _cli.results_settings(options), options.out)
        noisy, clean = (
            moons(400, options.noise, options.seed + 1),
            moons(400, 0.0, options.seed + 2),
        )
        conditions = f"{backend}, {options.blocks} blocks, noise {options.noise:g}"
        print(f"{'h':>6} {'noisy test':>11} {'clean test':>11}   ({conditions})")
        pictures, results = {}, {}
        for h in options.h:
            keras.utils.set_random_seed(options.seed)
            model = train(h, options)
            accuracy = [model.evaluate(x, y, verbose=0)[1] for x, y in (noisy, clean)]
            print(f"{h:6g} {accuracy[0]:11.4f} {accuracy[1]:11.4f}", flush=True)
            pictures[f"h = {h:g}"] = features(model, noisy[0])
            results[f"h = {h:g}"] = {"noisy": accuracy[0], "clean": accuracy[1]}
        draw(pictures, noisy[1]).savefig(options.out)
        _cli.write_results(file, options, results)
        print(f"wrote {options.out} and {file}")


def moons(num_points, noise, seed):
    """Make points on two interleaved half circles, and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, num_points)
    angles = rng.uniform(0, np.pi, num_points)
    upper = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.where(labels[:, None] == 0, upper, [1.0, 0.5] - upper)
    return (points + rng.normal(0, noise, points.shape)).astype("float32"), labels


def train(h, options):
    """Train a network with this h on noisy moons."""
    import keras

    import keras_euler
    from keras_euler.training import RaiseDropped

    layers = [keras.Input((2,))]
    for n in range(options.blocks):
        branch = [keras.layers.Dense(16, "relu"), keras.layers.Dense(2)]
        layers.append(keras_euler.EulerResidual(branch, h=h, name=f"block{n + 1}"))
    model = keras.Sequential([*layers, keras.layers.Dense(2, name="logits")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    model.fit(
        *moons(400, options.noise, options.seed),
        batch_size=100,
        epochs=options.epochs,
        verbose=0,
        callbacks=[RaiseDropped()],
    )
    return model


def features(model, x):
    """Return a dict of title -> points `(n, 2)`: the input, and the outputs of some blocks."""
    import keras_euler

    outputs = keras_euler.block_features(model).predict(x, verbose=0)
    names = list(outputs)
    shown = [names[i] for i in sorted({round(i) for i in np.linspace(0, len(names) - 1, SHOWN)})]
    return {"input": x, **{name: outputs[name] for name in shown}}


def separable(points, labels, num_directions=360):
    """Return the accuracy of the best straight line, over all thresholds along a number of
    directions."""
    points = np.where(np.isfinite(points), points, 0).astype("float64")
    points = (points - points.mean(0)) / np.maximum(points.std(0), 1e-12)
    best = 0
    for angle in np.linspace(0, np.pi, num_directions, endpoint=False):
        along = points @ [np.cos(angle), np.sin(angle)]
        order = np.argsort(along)
        ones_below = np.append(0, np.cumsum(labels[order]))
        # class 0 below a threshold and class 1 above it, or the reverse
        correct = np.arange(len(labels) + 1) - ones_below + labels.sum() - ones_below
        between = np.concatenate(
            [[True], np.diff(along[order]) > 0, [True]]
        )  # a threshold cannot separate equal points
        best = max(best, correct[between].max(), (len(labels) - correct[between]).max())
    return best / len(labels)


def draw(pictures, labels):
    """Draw one row per h, one column per block and one colour per class."""
    from keras_euler.plots import COLOURS, new_figure

    columns = max(map(len, pictures.values()))
    figure = new_figure(figsize=(2.1 * columns, 2.3 * len(pictures) + 0.6))
    grid = figure.subplots(len(pictures), columns, squeeze=False)
    for row, (label, blocks) in zip(grid, pictures.items(), strict=True):
        for axes, (title, points) in zip(row, blocks.items(), strict=False):
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
