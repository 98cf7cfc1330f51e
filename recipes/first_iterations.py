"""The first iterations of a very deep network, h = 1 beside h = 0.1 (what figure 2 of the paper begins with).

    python recipes/first_iterations.py --data-dir DATA                 # depth 110, 60 iterations
    python recipes/first_iterations.py --depth 56 --iterations 20      # something shorter

Same seed, same batches, no augmentation; SGD with momentum 0.9 and learning rate 0.1, as in the paper. "Layer 2" is the first
convolution of the first block. On one CPU core (AMD EPYC) an iteration at depth 110 takes 4.3 s on torch.
The paper's claim: with h = 1 the gradients of layer 2 explode at once and its weights jump; with h = 0.1 both stay small.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import _harness

LEARNING_RATE = 0.1
LAYER_2 = "stage1_block1/conv1/kernel"


def main(argv=None):
    """Print a table with one row for each h, and write the numbers of every iteration."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=110, help="number of layers (default: %(default)s)")
    parser.add_argument("--h", type=float, nargs="+", default=[1.0, 0.1], help="step factors (default: 1.0 0.1)")
    parser.add_argument("--iterations", type=int, default=60, help="iterations (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=128, help="images per iteration (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="of weights and batches (default: %(default)s)")
    parser.add_argument("--data-dir", type=Path, metavar="PATH", help="CIFAR-10; without it synthetic images")
    parser.add_argument("--backend", choices=_harness.BACKENDS, help="Keras backend")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE.json",
        help="write the numbers of every iteration here, and the figure beside (needs matplotlib)",
    )
    args = parser.parse_args(argv)
    if args.iterations < 1 or args.batch_size < 1:
        parser.error("--iterations and --batch-size must be at least 1")
    if args.out and args.out.suffix != ".json":
        parser.error(f"--out: a name that ends in .json is needed. Received: {args.out}")
    if args.out and not os.access(args.out.parent, os.W_OK):
        parser.error(f"--out: the folder {args.out.parent} is not there or cannot be written")
    args.backend = _harness.choose_backend(parser, args.backend)
    try:
        runs = {h: measure(args, h) for h in args.h}
        report(runs)
        if args.out:
            import _training

            numbers = {
                "settings": {name: value for name, value in vars(args).items() if name not in ("data_dir", "out")},
                "data": _training.fingerprint(load_data(args)),
                "versions": _training.versions(),
                "device": _training.device_name(args.backend),
                "runs": runs,
            }
            args.out.write_text(json.dumps(numbers, indent=1) + "\n")
            from keras_euler import plots

            plots.first_iterations({f"h = {h:g}": run for h, run in runs.items()}).savefig(args.out.with_suffix(".png"))
    except (ValueError, TypeError, OSError, ImportError) as error:
        parser.exit(2, f"{parser.prog}: error: {' '.join(str(error).split())}\n")
    except KeyboardInterrupt:
        parser.exit(130, "\nInterrupted; nothing was written.\n")


def report(runs):
    """Print a row for each h."""
    print(f"\n{'h':>6} {'first gradient':>15} {'last weight norm':>17} {'last loss':>10} {'seconds':>8}")
    for h, run in runs.items():
        print(
            f"{h:6g} {run['first_gradient_norm']:15.4g} {run['weight_norm'][-1]:17.4g} {run['loss'][-1]:10.4f} "
            f"{run['seconds']:8.0f}"
        )


def measure(args, h):
    """Train for the iterations and return the norms of layer 2 and the losses."""
    import cifar10
    import keras
    import numpy as np

    import keras_euler

    x, y = load_data(args)
    keras.utils.set_random_seed(args.seed)
    network = keras_euler.EulerResNet(args.depth, h, input_shape=(32, 32, 3), data_format="channels_last")
    pixels = keras.layers.Normalization(mean=cifar10.PIXEL_MEAN, variance=[s**2 for s in cifar10.PIXEL_STDDEV])
    model = keras.Sequential([keras.Input((32, 32, 3), dtype="uint8"), pixels, network])
    model.compile(
        keras.optimizers.SGD(LEARNING_RATE, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    (index,) = (i for i, variable in enumerate(model.trainable_variables) if variable.path == LAYER_2)
    rows = np.random.default_rng(args.seed).permutation(len(y))
    run = {"loss": [], "weight_norm": []}
    start = time.perf_counter()
    for iteration in range(args.iterations):
        batch = np.take(rows, range(iteration * args.batch_size, (iteration + 1) * args.batch_size), mode="wrap")
        loss = float(model.train_on_batch(x[batch], y[batch]))
        if iteration == 0:  # the velocity was zero, so now it is -learning_rate * gradient
            velocity = keras.ops.convert_to_numpy(model.optimizer.momentums[index])
            run["first_gradient_norm"] = float(np.linalg.norm(velocity) / LEARNING_RATE)
        run["loss"].append(loss)
        run["weight_norm"].append(float(np.linalg.norm(keras.ops.convert_to_numpy(model.trainable_variables[index]))))
        print(
            f"\rh = {h:g}, iteration {iteration + 1} of {args.iterations}, loss {loss:.4f}  ", end="", file=sys.stderr
        )
    print(file=sys.stderr)
    run["seconds"] = time.perf_counter() - start
    return run


def load_data(args):
    """Training images and labels."""
    from keras_euler import datasets

    if args.data_dir:
        return datasets.cifar10.load_data(args.data_dir)[0]
    return datasets.synthetic.images(args.iterations * args.batch_size, 1)[0]


if __name__ == "__main__":
    main()
