"""Features of two noisy moons through the blocks of a residual network, h = 1 above h = 0.1 (figure 7 of the paper).

    python recipes/two_moons.py                    # about a minute on two CPU cores, no download
    python recipes/two_moons.py --quick            # 40 epochs instead of 200

The network is a chain of residual blocks with two affine maps and a ReLU between them, 2 features wide at both ends, without
norm, and I the identity; a linear classifier stands on the last block. It is trained on moons with Gaussian noise. Below each
picture of a block stands which share of the points the best straight line puts on the right side. The accuracies on noisy and
on clean test points are printed, and written beside the picture as JSON. The paper gives no sizes: 20 blocks, 16 hidden units,
400 points, noise 0.25, Adam at 0.01 and 200 epochs are ours.
"""

import argparse
import math
from pathlib import Path

import _harness
import numpy as np

SHOWN = 5  # pictures of blocks, the input beside them


def main(argv=None):
    """Train a network for each h, print the accuracies, draw the figure."""
    args, parser = parse(argv)
    backend = _harness.choose_backend(parser, args.backend)
    with _harness.errors_in_one_line(parser, resumes=False):
        import keras
        from _callbacks import RaiseAgain

        noisy, clean = moons(400, args.noise, args.seed + 1), moons(400, 0.0, args.seed + 2)
        print(
            f"{'h':>6} {'noisy test':>11} {'clean test':>11}   ({backend}, {args.blocks} blocks, noise {args.noise:g})"
        )
        pictures, found = {}, {}
        for h in args.h:
            keras.utils.set_random_seed(args.seed)
            model = train(h, args, [RaiseAgain()])
            accuracy = [model.evaluate(x, y, verbose=0)[1] for x, y in (noisy, clean)]
            print(f"{h:6g} {accuracy[0]:11.4f} {accuracy[1]:11.4f}", flush=True)
            pictures[f"h = {h:g}"] = features(model, noisy[0])
            found[f"h = {h:g}"] = {"noisy": accuracy[0], "clean": accuracy[1]}
        draw(pictures, noisy[1]).savefig(args.out)
        _harness.write_results(args.out.with_suffix(".json"), args, backend, found)
        print(f"wrote {args.out}")


def parse(argv):
    """The arguments and their parser."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--h", type=float, nargs="+", default=[1.0, 0.1], help="default: 1.0 0.1")
    add("--blocks", type=int, default=20, help="residual blocks (default: %(default)s)")
    add("--noise", type=float, default=0.25, help="standard deviation (default: %(default)s)")
    add("--epochs", type=int, help="default: 200; with --quick 40")
    add("--seed", type=int, default=7, help="default: %(default)s")
    add("--backend", choices=_harness.BACKENDS, help="Keras backend")
    add("--out", type=Path, default=Path("two_moons.png"), metavar="FILE", help="default: %(default)s")
    add("--quick", action="store_true", help="few epochs")
    args = parser.parse_args(argv)
    args.epochs = (40 if args.quick else 200) if args.epochs is None else args.epochs
    if not 0 <= args.noise < math.inf:
        parser.error(f"--noise must be finite and at least 0. Received: {args.noise:g}.")
    _harness.check_positive(parser, args, "blocks", "epochs")
    _harness.check_file(parser, args.out, ".png")
    return args, parser


def moons(num_points, noise, seed):
    """Two half circles of points that lock into each other, and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, num_points)
    angles = rng.uniform(0, np.pi, num_points)
    upper = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.where(labels[:, None] == 0, upper, [1.0, 0.5] - upper)
    return (points + rng.normal(0, noise, points.shape)).astype("float32"), labels


def train(h, args, callbacks):
    """A network with this h, trained on noisy moons."""
    import keras

    import keras_euler

    layers = [keras.Input((2,))]
    for n in range(args.blocks):
        branch = [keras.layers.Dense(16, "relu"), keras.layers.Dense(2)]
        layers.append(keras_euler.EulerResidual(branch, h=h, name=f"block{n + 1}"))
    model = keras.Sequential([*layers, keras.layers.Dense(2, name="logits")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    model.fit(*moons(400, args.noise, args.seed), batch_size=100, epochs=args.epochs, verbose=0, callbacks=callbacks)
    return model


def features(model, x):
    """Dict of title -> points `(n, 2)`: the input, and some blocks up to the last."""
    import keras_euler

    found = keras_euler.block_features(model).predict(x, verbose=0)
    names = list(found)
    shown = [names[i] for i in sorted({round(i) for i in np.linspace(0, len(names) - 1, SHOWN)})]
    return {"input": x, **{name: found[name] for name in shown}}


def separable(points, labels, num_directions=360):
    """Accuracy of the best straight line: of all thresholds along each of some directions."""
    points = np.where(np.isfinite(points), points, 0).astype("float64")
    points = (points - points.mean(0)) / np.maximum(points.std(0), 1e-12)
    best = 0
    for angle in np.linspace(0, np.pi, num_directions, endpoint=False):
        along = points @ [np.cos(angle), np.sin(angle)]
        order = np.argsort(along)
        ones_below = np.append(0, np.cumsum(labels[order]))
        # below a threshold class 0, above it class 1, or the other way round
        correct = np.arange(len(labels) + 1) - ones_below + labels.sum() - ones_below
        between = np.concatenate([[True], np.diff(along[order]) > 0, [True]])  # not through equal points
        best = max(best, correct[between].max(), (len(labels) - correct[between]).max())
    return best / len(labels)


def draw(pictures, labels):
    """A row an h, a column a block, a colour a class."""
    from keras_euler.plots._figure import COLOURS, new_figure

    columns = max(map(len, pictures.values()))
    figure = new_figure(figsize=(2.1 * columns, 2.3 * len(pictures)))
    grid = figure.subplots(len(pictures), columns, squeeze=False)
    for row, (label, blocks) in zip(grid, pictures.items(), strict=True):
        for axes, (title, points) in zip(row, blocks.items(), strict=False):
            axes.scatter(*points.T, s=3, c=[COLOURS[label] for label in labels])
            axes.set_title(title, fontsize="small")
            axes.set_xlabel(f"line: {separable(points, labels):.2f}", fontsize="small")
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(label)
    return figure


if __name__ == "__main__":
    main()
