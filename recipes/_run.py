"""Train one run of a recipe, or two to compare: settings, data and model, then
`keras_euler.training.fit`."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import _cli
from _rules import initialize_fixup
from _settings import Execution, Settings, flag, identity, run_folder


@dataclass(frozen=True)
class Recipe:
    """The parts in which images and texts differ.

    Attributes:
        settings: Subclass of `Settings`.
        quick: Dict of settings under `--quick`.
        standard: Dict of settings under `--standard`, today's usual training.
        load_data: Function of settings and data folder that returns `(x_train, y_train), (x_test,
            y_test)`.
        network: Function of settings that returns the name and the arguments of the network.
        build_model: Function of settings that returns a model from raw inputs to logits.
        next_steps: Dict of data set -> what to do after a run, with `{folder}` for its folder.
    """

    settings: type[Settings]
    quick: dict
    standard: dict
    load_data: Callable
    network: Callable
    build_model: Callable
    next_steps: dict


def main(recipe, doc, argv=None):
    """Train according to the command line and print the result."""
    parser = _cli.command(doc)
    parser.add_argument(
        "--compare",
        action="store_true",
        help="train the ordinary network (h = 1) too, and print both results",
    )
    parser.add_argument(
        "--standard",
        action="store_true",
        help=f"today's usual training instead of the paper's: {shown_flags(recipe.standard)}",
    )
    own, settings, execution = _cli.parse(
        parser, [recipe.settings, Execution], argv, quick=recipe.quick, standard=recipe.standard
    )
    check_together(parser, settings, execution)
    if own.compare and settings.h == 1:
        parser.error("--compare needs another --h than 1, such as 0.1. Received: --h 1.")
    execution = _cli.choose_backend(parser, execution)
    with _cli.errors_in_one_line(parser, resumes=True):
        if own.compare:
            result = compare(recipe, settings, execution)
        else:
            result = train(recipe, settings, execution)
            report(result)
        print(f"next: {recipe.next_steps[settings.dataset].format(folder=result.folder)}")


def shown_flags(settings):
    """Return settings as the flags that make them."""
    values = {name: "" if value is True else f" {value}" for name, value in settings.items()}
    return " ".join(f"{flag(name)}{value}" for name, value in values.items())


def check_together(parser, settings, execution):
    """End the process with a sentence if a flag would have no effect."""
    if settings.dataset == "synthetic" and execution.data_dir is not None:
        parser.error("--dataset synthetic takes no --data-dir: its examples are generated")
    if settings.warmup and settings.schedule != "cosine":
        parser.error("--warmup needs --schedule cosine")
    if settings.log_per == "epoch" and settings.log_gradients is settings.log_weights is None:
        parser.error("--log-per epoch needs --log-gradients or --log-weights")


def compare(recipe, settings, execution):
    """Train the ordinary network, with one learning rate, and that of the settings; draw both and
    return the second result."""
    import keras

    from keras_euler import plots

    results = {}
    for each in (dataclasses.replace(settings, h=1.0), settings):
        label = f"h = {shown(each.h)}"
        print(f"\n=== {label}")
        folder = execution.out and execution.out / label.replace(" = ", "").replace("/", "_")
        results[label] = train(recipe, each, dataclasses.replace(execution, out=folder))
        keras.backend.clear_session()
    print(f"\n{'':20}" + "".join(f"{label:>12}" for label in results))
    for name in ("best_test_accuracy", "last_test_accuracy"):
        print(
            f"{name.replace('_', ' '):20}"
            + "".join(f"{result.summary[name]:12.4f}" for result in results.values())
        )
    title = f"{settings.dataset}, depth {settings.depth}, seed {settings.seed}"
    histories = {label: result.history for label, result in results.items()}
    _cli.save_figure(
        results[label].folder / "comparison.png",
        lambda: plots.training_curves(histories, title=title),
    )
    for result in results.values():
        print_files(result.folder)
    return results[label]


def shown(h):
    """Return h as it is printed."""
    return f"{h:g}" if isinstance(h, (int, float)) else h if isinstance(h, str) else "list"


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
    scope = training.data_parallel(
        execution.devices
    )  # before TensorFlow starts, which also reads data
    folder = run_folder(settings, execution)
    callbacks = (
        [MultiStepDecay(settings.milestones, 0.1, settings.learning_rate)]
        if settings.schedule == "steps"
        else []
    )
    if settings.ema:
        callbacks.append(keras.callbacks.SwapEMAWeights())  # tests the averaged weights
    loggers = _loggers(settings, folder)
    with scope():
        model = build(recipe, settings)  # before the data: it checks its arguments
    train, test = prepare_data(recipe, settings, execution, data)
    with scope():
        model = compile_model(model, settings, execution.jit, len(train[1]))
    for name, logger in loggers.items():
        try:
            logger.check(model)
        except ValueError as error:
            raise ValueError(str(error).replace("`layers`", name)) from error
    if execution.verbose:
        parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
        print(
            f"training on {len(train[1]):,} examples of {settings.dataset} with "
            f"{model.output_shape[-1]} classes "
            f"(chance: {1 / model.output_shape[-1]:.2f}), depth {settings.depth}, h = "
            f"{shown(settings.h)}, "
            f"{parameters:,} parameters, {_cli.counted(settings.epochs, 'epoch')}"
            f"{'. The first step compiles.' if keras.backend.backend() != 'torch' else ''}",
            flush=True,
        )
    with scope():
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
            callbacks=[*callbacks, *loggers.values()],
            after_epoch=after_epoch,
            checkpoint_steps=execution.checkpoint_steps,
            verbose=execution.verbose,
        )


def build(recipe, settings):
    """Return the model of a run with its initial weights, after the global seed was set."""
    model = recipe.build_model(settings)
    if settings.h == "fixup":
        initialize_fixup(model, settings.seed)
    return model


def prepare_data(recipe, settings, execution, data=None):
    """Return the training and test data of a run: subsets of the right sizes, with label noise."""
    import keras

    from keras_euler import datasets

    train, test = data or recipe.load_data(settings, execution.data_dir)
    num_classes = max(2, int(max(train[1].max(), test[1].max())) + 1)
    train, test = (
        subset(train, settings.train_size, "--train-size"),
        subset(test, settings.test_size, "--test-size"),
    )
    train = (
        train[0],
        datasets.flip_labels(train[1], settings.label_noise, num_classes, settings.seed),
    )
    if not settings.label_smoothing:
        return train, test
    # Only Keras' loss of one-hot labels smooths them.
    return tuple((x, keras.utils.to_categorical(y, num_classes)) for x, y in (train, test))


def compile_model(model, settings, jit="auto", num_train=0):
    """Compile a model for classification by logits, and return it."""
    import keras

    import keras_euler

    rate, decay = settings.learning_rate, settings.weight_decay or None
    if settings.schedule == "cosine":
        steps = -(-num_train // settings.batch_size)
        warmup = settings.warmup * steps
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else rate,
            settings.epochs * steps - warmup,
            warmup_target=rate if warmup else None,
            warmup_steps=warmup,
        )
    shared = dict(weight_decay=decay, use_ema=settings.ema > 0, ema_momentum=settings.ema or 0.99)
    if settings.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(rate, settings.momentum, settings.nesterov, **shared)
    else:
        optimizer = keras.optimizers.Adam(rate, **shared)
    if decay:
        optimizer.exclude_from_weight_decay(
            [variable for variable in model.trainable_variables if len(variable.shape) < 2]
        )
    if settings.log_gradients is not None:
        optimizer = keras_euler.GradientRecorder(optimizer)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if settings.label_smoothing:
        loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=settings.label_smoothing
        )
    model.compile(
        optimizer,
        loss,
        metrics=["accuracy"],
        jit_compile={"auto": "auto", "on": True, "off": False}[jit],
    )
    model.optimizer.build(model.trainable_variables)
    return model


def report(result):
    """Print the result of a run."""
    summary = result.summary
    print()
    if result.resumed:
        print("This run was trained before, in part or completely. Its results:")
    if result.diverged:
        print(f"diverged             in epoch {summary['epochs']}: the loss is not finite")
    print(
        f"best test accuracy   {summary['best_test_accuracy']:.4f} (epoch "
        f"{summary['best_epoch'] + 1})"
    )
    print(f"last test accuracy   {summary['last_test_accuracy']:.4f}")
    if not result.diverged:
        print(f"last training loss   {summary['last_train_loss']:.4f}")
    print(
        f"time                 {summary['seconds']:.0f} s for "
        f"{_cli.counted(summary['epochs'], 'epoch')}"
    )
    print_files(result.folder)


def print_files(folder):
    """Print the files of a run."""
    print(f"wrote {folder}: {', '.join(file.name for file in sorted(folder.glob('[!.]*')))}")


def subset(data, size, name):
    """Return `size` rows of `(x, y)`, the same for every seed of a run; None returns all rows."""
    import numpy as np

    if size is None:
        return data
    if size > len(data[1]):
        raise ValueError(
            f"{name} must be at most {len(data[1])}, the number of examples. Received: {size}."
        )
    rows = np.random.default_rng(0).permutation(len(data[1]))[:size]
    return tuple(array[rows] for array in data)


def _loggers(settings, folder):
    """Return a dict of flag -> callback."""
    from keras_euler import GradientLogger, WeightLogger

    wanted = (
        ("--log-gradients", GradientLogger, "gradients.csv", settings.log_gradients),
        ("--log-weights", WeightLogger, "weights.csv", settings.log_weights),
    )
    found = (
        (flag, logger(folder / file, list(names) or None, settings.log_per))
        for flag, logger, file, names in wanted
        if names is not None
    )
    return dict(found)
