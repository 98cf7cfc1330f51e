"""Train one run of a recipe: settings, data and model, then `keras_euler.training.fit`."""

from collections.abc import Callable
from dataclasses import dataclass

import _cli
from _settings import Execution, Settings, identity, run_folder


@dataclass(frozen=True)
class Recipe:
    """The parts in which images and texts differ.

    Attributes:
        settings: Subclass of `Settings`.
        quick: Dict of settings under `--quick`.
        load_data: Function of settings and data folder that returns `(x_train, y_train), (x_test, y_test)`.
        build_model: Function of settings that returns a model from raw inputs to logits.
    """

    settings: type[Settings]
    quick: dict
    load_data: Callable
    build_model: Callable


def main(recipe, doc, argv=None):
    """Train according to the command line and print the result."""
    parser = _cli.command(doc)
    _, settings, execution = _cli.parse(parser, [recipe.settings, Execution], argv, quick=recipe.quick)
    check_together(parser, settings, execution)
    execution = _cli.choose_backend(parser, execution)
    with _cli.errors_in_one_line(parser, resumes=True):
        result = train(recipe, settings, execution)
        if result.resumed:
            print("This run was trained before, in part or completely. Its results:")
        report(result)


def check_together(parser, settings, execution):
    """End the process with a sentence if settings and execution do not fit each other."""
    if settings.dataset == "synthetic" and execution.data_dir is not None:
        parser.error("--dataset synthetic takes no --data-dir: its examples are generated")
    if settings.batch_size % execution.devices:
        parser.error(
            f"--batch-size must be a multiple of --devices {execution.devices}. Received: --batch-size {settings.batch_size}"
        )


def train(recipe, settings, execution, data=None, after_epoch=None):
    """Train or resume a run, and return the `TrainingResult`.

    Args:
        recipe: A `Recipe`.
        settings: Settings of the run.
        execution: How to carry out the run, with a backend.
        data: Result of `recipe.load_data`, if it is already loaded.
        after_epoch: As for `keras_euler.training.fit`.
    """
    import keras

    from keras_euler import MultiStepDecay, training

    keras.utils.set_random_seed(settings.seed)
    keras.config.set_dtype_policy(settings.dtype)
    scope = training.data_parallel(execution.devices)  # before TensorFlow starts, which also reads data
    train, test = prepare_data(recipe, settings, execution, data)
    _check_divisible(settings, execution, len(train[1]), len(test[1]))
    schedule = MultiStepDecay(settings.milestones, 0.1, settings.learning_rate)
    folder = run_folder(settings, execution)
    with scope():
        model = compile_model(recipe.build_model(settings), settings, execution.jit)
        return training.fit(
            model,
            train,
            test,
            folder,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            test_batch_size=max(settings.batch_size, 500 - 500 % execution.devices),
            seed=settings.seed,
            settings=identity(settings, execution),
            callbacks=[schedule, *_loggers(settings, folder)],
            after_epoch=after_epoch,
            checkpoint_steps=execution.checkpoint_steps,
            verbose=execution.verbose,
        )


def prepare_data(recipe, settings, execution, data=None):
    """Return the training and test data of a run: subsets of the right sizes, with label noise."""
    from keras_euler import datasets

    train, test = data or recipe.load_data(settings, execution.data_dir)
    num_classes = max(2, int(max(train[1].max(), test[1].max())) + 1)
    train, test = subset(train, settings.train_size, "--train-size"), subset(test, settings.test_size, "--test-size")
    return (train[0], datasets.flip_labels(train[1], settings.label_noise, num_classes, settings.seed)), test


def compile_model(model, settings, jit="auto"):
    """Compile a model for classification by logits, and return it."""
    import keras

    import keras_euler

    if settings.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(settings.learning_rate, momentum=settings.momentum)
    else:
        optimizer = keras.optimizers.Adam(settings.learning_rate)
    if settings.log_gradients is not None:
        optimizer = keras_euler.GradientRecorder(optimizer)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile={"auto": "auto", "on": True, "off": False}[jit])
    model.optimizer.build(model.trainable_variables)
    return model


def report(result):
    """Print the result of a run."""
    summary = result.summary
    print()
    if result.diverged:
        print(f"diverged             in epoch {summary['epochs']}: the loss is not finite")
    print(f"best test accuracy   {summary['best_test_accuracy']:.4f} (epoch {summary['best_epoch']}, counted from 0)")
    print(f"last test accuracy   {summary['last_test_accuracy']:.4f}")
    if not result.diverged:
        print(f"last training loss   {summary['last_train_loss']:.4f}")
    print(f"time                 {summary['seconds']:.0f} s for {summary['epochs']} epochs")
    for file in sorted(result.folder.glob("[!.]*")):
        print(f"wrote                {file}")


def subset(data, size, name):
    """Return `size` rows of `(x, y)`, the same for every seed of a run; None returns all rows."""
    import numpy as np

    available = len(data[1])
    if size is None:
        return data
    if not 1 <= size <= available:
        raise ValueError(f"{name} must be between 1 and {available}, the number of examples. Received: {size}.")
    rows = np.random.default_rng(0).permutation(available)[:size]
    return tuple(array[rows] for array in data)


def _loggers(settings, folder):
    from keras_euler import GradientLogger, WeightLogger

    wanted = (
        (GradientLogger, folder / "gradients.csv", settings.log_gradients),
        (WeightLogger, folder / "weights.csv", settings.log_weights),
    )
    return [logger(file, list(names) or None, settings.log_per) for logger, file, names in wanted if names is not None]


def _check_divisible(settings, execution, num_train, num_test):
    devices = execution.devices
    for what, number in (("last batch", num_train % settings.batch_size), ("test set", num_test)):
        if number % devices:
            raise ValueError(
                f"With --devices {devices}, the size of the {what} must be a multiple of {devices}. Received: {number} examples. "
                "Change --batch-size, --train-size or --test-size."
            )
