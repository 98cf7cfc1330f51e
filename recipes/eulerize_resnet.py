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
import cifar10
from _settings import Options, existing, setting

LAYER = "conv1_conv"
BATCH = 32


@dataclass(frozen=True)
class EulerizeOptions(Options):
    """The options of this recipe."""

    iterations: int = setting(30, "number of iterations (with --quick 8)")
    dataset: str = setting("cifar10", "data set", choices=("cifar10", "synthetic"))
    data_dir: Path | None = setting(None, "CIFAR-10 (default: download it)", existing)
    out: Path = setting(Path("runs/eulerize_resnet.json"), "file of the results")


def main(argv=None):
    """Convert the network with each h, train it for some iterations, print a table."""
    _cli.run_example(__doc__, EulerizeOptions, measure, argv, {"iterations": 8})


def measure(options):
    """Yield the norms and losses with each h."""
    import keras

    from keras_euler import eulerize
    from keras_euler.datasets.cifar10 import MEAN, STDDEV

    size = options.iterations * BATCH
    x, y = (array[:size] for array in cifar10.read(options.dataset, options.data_dir)[0])
    x = ((x - MEAN) / STDDEV).astype("float32")
    keras.utils.set_random_seed(options.seed)
    resnet = keras.applications.ResNet50(
        weights=None, input_shape=(32, 32, 3), classes=10, classifier_activation=None
    )
    for h in (1.0, 0.1):
        start = time.perf_counter()
        network = eulerize(resnet, h)
        seconds = time.perf_counter() - start
        norms, losses = train(network, x, y)
        print(
            f"h {h:g} (in {seconds:.1f} s): gradient norm of {LAYER} {norms[0]:.4g}, then "
            f"{norms[-1]:.4g}; loss {losses[0]:.4g}, then {losses[-1]:.4g}",
            flush=True,
        )
        yield f"h = {h:g}", {"seconds": seconds, "gradient_norm": norms, "loss": losses}


def train(network, x, y):
    """Return the gradient norm of the first convolution and the loss for each batch."""
    import keras

    import keras_euler

    recorder = keras_euler.GradientRecorder(keras.optimizers.SGD(0.1, momentum=0.9))
    network.compile(recorder, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rows = [slice(start, start + BATCH) for start in range(0, len(y), BATCH)]
    losses = [float(network.train_on_batch(x[batch], y[batch])) for batch in rows]
    _, norms = recorder.recent()
    column = recorder.paths.index(network.get_layer(LAYER).kernel.path)
    return norms[:, column].tolist(), losses


if __name__ == "__main__":
    main()
