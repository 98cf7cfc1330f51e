"""Train a Keras ResNet50 as it is and after `eulerize`, from the same weights.

    python recipes/eulerize_resnet.py --quick       # synthetic images, two minutes on two CPU cores
    python recipes/eulerize_resnet.py --data-dir DATA --seeds 3       # an hour on one CPU core

`keras.applications.ResNet50(weights=None)` on images of 32 x 32 pixels, SGD with momentum 0.9. For
each learning rate and h it reports the gradient norm of the first convolution in the first
iteration and the best test accuracy, also in a JSON file. After a kill the same command resumes.
"""

from dataclasses import dataclass
from pathlib import Path

import _cli
import cifar10
from _settings import Options, existing, setting

LAYER = "conv1_conv"
TEST_SIZE = 1000


@dataclass(frozen=True)
class EulerizeOptions(Options):
    """The options of this recipe."""

    h: tuple = setting((1.0, 0.1), "step factors", float, nargs="+")
    learning_rates: tuple = setting((0.1, 0.01), "rates (with --quick 0.1)", float, nargs="+")
    seeds: int = setting(1, "number of seeds")
    epochs: int = setting(2, "epochs (with --quick 1)")
    train_size: int = setting(4800, "training images (with --quick 128)")
    batch_size: int = setting(32, "images per batch")
    dataset: str = setting("cifar10", "data set", choices=("cifar10", "synthetic"))
    data_dir: Path | None = setting(None, "CIFAR-10 (default: download it)", existing)
    out: Path = setting(Path("runs/eulerize_resnet.json"), "file of the results")


def main(argv=None):
    """Train the network with each rate, h and seed, print the results."""
    quick = {"learning_rates": (0.1,), "epochs": 1, "train_size": 128}
    _cli.run_example(__doc__, EulerizeOptions, measure, argv, quick)


def measure(options):
    """Yield the results with each h: a row for each rate and seed."""
    import keras

    import keras_euler
    from keras_euler import studies, training
    from keras_euler.datasets.cifar10 import MEAN, STDDEV

    def normalized(images, size):
        return ((images[:size] - MEAN) / STDDEV).astype("float32")

    (x, y), (test_x, test_y) = cifar10.read(options.dataset, options.data_dir)
    data = normalized(x, options.train_size), y[: options.train_size]
    test = normalized(test_x, TEST_SIZE), test_y[:TEST_SIZE]

    def objective(point, folder):
        keras.backend.clear_session()
        keras.utils.set_random_seed(point["seed"])
        resnet = keras.applications.ResNet50(
            weights=None, input_shape=(32, 32, 3), classes=10, classifier_activation=None
        )
        network = keras_euler.eulerize(resnet, point["h"])
        optimizer = keras.optimizers.SGD(point["learning_rate"], momentum=0.9)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile(keras_euler.GradientRecorder(optimizer), loss, metrics=["accuracy"])
        log = folder / "gradients.csv"
        result = training.fit(
            network,
            data,
            test,
            folder,
            epochs=options.epochs,
            batch_size=options.batch_size,
            seed=point["seed"],
            callbacks=[keras_euler.GradientLogger(log, LAYER, explode=None, vanish=None)],
            verbose=2,
        )
        first = keras_euler.callbacks.read_log(log)[LAYER][0]
        best = result.summary["best_test_accuracy"]
        return {"value": best, "diverged": result.diverged, "first_gradient": first}

    points = studies.grid(
        learning_rate=options.learning_rates,
        seed=range(options.seed, options.seed + options.seeds),
        h=options.h,
    )
    shared = {name: getattr(options, name) for name in ("dataset", "epochs", "train_size")}
    table = studies.run(objective, points, options.out.with_suffix(""), settings=shared)
    for h, rows in table.groupby("h"):
        yield f"h = {h:g}", rows.drop(columns=["h", "state", "error"]).to_dict("records")


if __name__ == "__main__":
    main()
