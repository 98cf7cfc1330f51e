"""The first iterations of a Keras ResNet50 and of the same network made Euler, from the same weights and batches.

    python recipes/eulerize_resnet.py --quick                         # 8 synthetic batches, a minute on two CPU cores
    python recipes/eulerize_resnet.py --data-dir DATA                 # 30 batches of CIFAR-10

`keras.applications.ResNet50(weights=None)` on images of 32 x 32 pixels, SGD with momentum 0.9. Prints how long `eulerize` took,
what it changed, and for h = 1 and h = 0.1 the gradient norm of the first convolution and the training loss over the iterations;
all go into a JSON file too.
"""

import argparse
import time
from pathlib import Path

import _harness
import cifar10

LAYER = "conv1_conv"


def main(argv=None):
    """Make the networks Euler, train them for some iterations, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--h", type=float, nargs="+", default=[1.0, 0.1], help="default: 1.0 0.1")
    add("--iterations", type=int, help="default: 30; with --quick 8")
    add("--batch-size", type=int, default=32, help="default: %(default)s")
    add("--learning-rate", type=float, default=0.1, help="default: %(default)s")
    add("--seed", type=int, default=7, help="default: %(default)s")
    add("--data-dir", type=Path, metavar="PATH", help="CIFAR-10; without it, and without --quick, it is downloaded")
    add("--backend", choices=_harness.BACKENDS, help="Keras backend")
    add("--quick", action="store_true", help="short, and on synthetic data unless a folder is given")
    add("--out", type=Path, default=Path("eulerize_resnet.json"), metavar="FILE", help="default: %(default)s")
    args = parser.parse_args(argv)
    args.iterations = (8 if args.quick else 30) if args.iterations is None else args.iterations
    _harness.check_positive(parser, args, "iterations", "batch_size", "learning_rate")
    _harness.check_file(parser, args.out, ".json")
    backend = _harness.choose_backend(parser, args.backend)
    with _harness.errors_in_one_line(parser, resumes=False):
        import keras
        from _interrupts import raise_again

        from keras_euler import datasets, eulerize

        synthetic = args.quick and args.data_dir is None
        (images, labels), _ = datasets.synthetic.images() if synthetic else datasets.cifar10.load_data(args.data_dir)
        size = args.iterations * args.batch_size
        x, y = ((images[:size] - cifar10.PIXEL_MEAN) / cifar10.PIXEL_STDDEV).astype("float32"), labels[:size]
        keras.utils.set_random_seed(args.seed)
        resnet = keras.applications.ResNet50(
            weights=None, input_shape=(32, 32, 3), classes=10, classifier_activation=None
        )
        found = {}
        for h in args.h:
            raise_again()
            start = time.perf_counter()
            network = eulerize(resnet, h)
            seconds = time.perf_counter() - start
            print(f"in {seconds:.1f} s")
            rows = train(network, x, y, args)
            shown = sorted({0, 1, len(rows) // 2, len(rows) - 1} & set(range(len(rows))))
            for i in shown:
                print(
                    f"h {h:g}, iteration {i + 1}: gradient norm of {LAYER} {rows[i][0]:.4g}, loss {rows[i][1]:.4g}",
                    flush=True,
                )
            norms, losses = zip(*rows, strict=True)
            found[f"h = {h:g}"] = {"seconds": seconds, "gradient_norm": norms, "loss": losses}
        _harness.write_results(args.out, args, backend, found)
        print(f"wrote {args.out}")


def train(network, x, y, args):
    """The gradient norm of the first convolution and the loss, batch by batch."""
    import keras

    import keras_euler

    recorder = keras_euler.GradientRecorder(keras.optimizers.SGD(args.learning_rate, momentum=0.9))
    network.compile(recorder, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    recorder.build(network.trainable_variables)
    column = recorder.paths.index(network.get_layer(LAYER).kernel.path)
    losses, norms = [], []
    for start in range(0, len(y), args.batch_size):
        rows = slice(start, start + args.batch_size)
        losses.append(float(network.train_on_batch(x[rows], y[rows])))
        _, recent = recorder.recent(len(norms))
        norms.append(float(recent[-1][column]))
    return list(zip(norms, losses, strict=True))


if __name__ == "__main__":
    main()
