"""Compare the first iterations of a Keras ResNet50 before and after `eulerize`, from the same
weights and batches.

    python recipes/eulerize_resnet.py --quick  # 8 synthetic batches, a minute on two CPU cores
    python recipes/eulerize_resnet.py --data-dir DATA                 # 30 batches of CIFAR-10

`keras.applications.ResNet50(weights=None)` on images of 32 x 32 pixels, SGD with momentum 0.9. It
prints how long `eulerize` takes and what it changes, and for h = 1 and h = 0.1 the gradient norm of
the first convolution and the training loss. A JSON file gets all of it.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import _cli
from _settings import (
    BACKENDS,
    COUNT,
    EXISTING,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    Execution,
    new_file,
    setting,
)

LAYER = "conv1_conv"


@dataclass(frozen=True)
class EulerizeOptions:
    """The options of this recipe."""

    h: tuple = setting((1.0, 0.1), "step factors", parse=NOT_NEGATIVE, many="+")
    iterations: int = setting(30, "number of iterations (with --quick 8)", parse=COUNT)
    batch_size: int = setting(32, "examples per step", parse=COUNT)
    learning_rate: float = setting(0.1, "learning rate", parse=POSITIVE)
    seed: int = setting(7, "seed", parse=SEED)
    data_dir: Path | None = setting(
        None,
        "CIFAR-10 (default: download it, or with --quick synthetic images)",
        parse=EXISTING,
        metavar="PATH",
    )
    backend: str | None = setting(None, "Keras backend", parse=str, choices=BACKENDS)
    out: Path = setting(
        Path("runs/eulerize_resnet.json"),
        "file of the results",
        parse=new_file(".json"),
        metavar="FILE",
    )


def main(argv=None):
    """Convert the network with each h, train it for some iterations, print a table."""
    parser = _cli.command(__doc__)
    own, options = _cli.parse(parser, [EulerizeOptions], argv, quick={"iterations": 8})
    _cli.choose_backend(parser, Execution(backend=options.backend))
    with _cli.errors_in_one_line(parser):
        import keras

        from keras_euler import datasets, eulerize
        from keras_euler.training import raise_pending_interrupt

        _cli.refuse_to_replace(options.out, _cli.results_settings(options))
        synthetic = own.quick and options.data_dir is None
        (images, labels), _ = (
            datasets.synthetic.images()
            if synthetic
            else datasets.cifar10.load_data(options.data_dir)
        )
        size = options.iterations * options.batch_size
        x, y = (
            ((images[:size] - datasets.cifar10.MEAN) / datasets.cifar10.STDDEV).astype("float32"),
            labels[:size],
        )
        keras.utils.set_random_seed(options.seed)
        shape = dict(input_shape=(32, 32, 3), classes=10)
        resnet = keras.applications.ResNet50(weights=None, classifier_activation=None, **shape)
        results = {}
        for h in options.h:
            raise_pending_interrupt()
            start = time.perf_counter()
            network = eulerize(resnet, h)
            seconds = time.perf_counter() - start
            print(f"in {seconds:.1f} s")
            rows = train(network, x, y, options)
            for i in sorted({0, 1, len(rows) // 2, len(rows) - 1} & set(range(len(rows)))):
                norm, loss = rows[i]
                print(
                    f"h {h:g}, iteration {i + 1}: gradient norm of {LAYER} {norm:.4g}, loss "
                    f"{loss:.4g}",
                    flush=True,
                )
            norms, losses = zip(*rows, strict=True)
            results[f"h = {h:g}"] = {"seconds": seconds, "gradient_norm": norms, "loss": losses}
        _cli.write_results(options.out, options, results)
        print(f"wrote {options.out}")


def train(network, x, y, options):
    """Return the gradient norm of the first convolution and the loss for each batch."""
    import keras

    import keras_euler

    recorder = keras_euler.GradientRecorder(
        keras.optimizers.SGD(options.learning_rate, momentum=0.9)
    )
    network.compile(recorder, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    recorder.build(network.trainable_variables)
    column = recorder.paths.index(network.get_layer(LAYER).kernel.path)
    losses, norms = [], []
    for start in range(0, len(y), options.batch_size):
        rows = slice(start, start + options.batch_size)
        losses.append(float(network.train_on_batch(x[rows], y[rows])))
        _, recent = recorder.recent(len(norms))
        norms.append(float(recent[-1][column]))
    return list(zip(norms, losses, strict=True))


if __name__ == "__main__":
    main()
