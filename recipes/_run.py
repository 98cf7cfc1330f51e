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
    standard = " ".join(f"{flag(name)} {value}" for name, value in recipe.standard.items())
    parser.add_argument(
        "--standard",
        action="store_true",
        help=f"today's usual training instead of the paper's: {standard}",
    )
    own, settings, execution = _cli.parse(
        parser, [recipe.settings, Execution], argv, quick=recipe.quick, standard=recipe.standard
    )
    with _cli.errors_in_one_line(parser):
        if own.compare and settings.h == 1:
            raise ValueError("--compare needs another --h than 1, such as 0.1.")
        if own.compare:
            result = compare(recipe, settings, execution)
        else:
            result = train(recipe, settings, execution)
            report(result)
        print(f"next: {recipe.next_steps[settings.dataset].format(folder=result.folder)}")


def compare(recipe, settings, execution):
    """Train the ordinary network, with one learning rate, and that of the settings; draw both and
    return the second result."""
    import keras

    from keras_euler import plots

    results = {}
    for each in (dataclasses.replace(settings, h=1.0), settings):
        label = f"h = {str(each.h).removesuffix('.0')}"
        print(f"\n=== {label}")
        folder = execution.out and execution.out / label.replace(" = ", "").replace("/", "_")
        results[label] = train(recipe, each, dataclasses.replace(execution, out=folder))
        keras.backend.clear_session()
    print(f"\n{'':20}" + "".join(f"{label:>12}" for label in results))
    for name in ("best_test_accuracy", "last_test_accuracy"):
        accuracies = (f"{result.summary[name]:12.4f}" for result in results.values())
        print(f"{name.replace('_', ' '):20}", *accuracies, sep="")
    title = f"{settings.dataset}, depth {settings.depth}, seed {settings.seed}"
    histories = {label: result.history for label, result in results.items()}
    file = results[label].folder / "comparison.png"
    plots.training_curves(histories, title=title).savefig(file)
    print(f"wrote {file}")
    return results[label]


def train(recipe, settings, execution, after_epoch=None):
    """Train or resume a run, and return the `TrainingResult`.

    Args:
        recipe: A `Recipe`.
        settings: Settings of the run.
        execution: How to carry out the run, with a backend.
        after_epoch: As for `keras_euler.training.fit`.
    """
    import keras

    from keras_euler import GradientLogger, MultiStepDecay, WeightLogger, training

    limits = {
        "batch_size": (1, math.inf),
        "weight_decay": (0, math.inf),
        "label_smoothing": (0, 1),
        "warmup": (0, settings.epochs),
    }
    for name, (least, most) in limits.items():
        if not least <= (value := getattr(settings, name)) <= most:
            raise ValueError(f"{flag(name)} must be from {least} to {most}. Received: {value}.")
    keras.utils.set_random_seed(settings.seed)
    keras.config.set_dtype_policy(settings.dtype)
    # Before TensorFlow starts, which also reads data.
    scope = training.data_parallel(execution.devices)
    folder = run_folder(settings, execution)
    callbacks = []
    if settings.schedule == "steps":
        if settings.warmup:
            raise ValueError("--warmup needs --schedule cosine.")
        callbacks.append(MultiStepDecay(settings.milestones, 0.1, settings.learning_rate))
    if settings.ema:
        callbacks.append(keras.callbacks.SwapEMAWeights())  # tests the averaged weights
    for logger, file, layers in (
        (GradientLogger, "gradients.csv", settings.log_gradients),
        (WeightLogger, "weights.csv", settings.log_weights),
    ):
        if layers is not None:
            callbacks.append(logger(folder / file, list(layers) or None, settings.log_per))
    with scope():
        model = build(recipe, settings)  # before the data: it checks its arguments
    train, test = prepare_data(recipe, settings, execution)
    with scope():
        model = compile_model(model, settings, execution.jit, len(train[1]))
    if execution.verbose:
        print(
            f"training on {len(train[1]):,} examples of {settings.dataset} with "
            f"{model.output_shape[-1]} classes (chance: {1 / model.output_shape[-1]:.2f}), depth "
            f"{settings.depth}, h = {str(settings.h).removesuffix('.0')}, "
            f"{sum(math.prod(w.shape) for w in model.trainable_weights):,} parameters, "
            f"{settings.epochs} epochs"
            + ". The first step compiles."
            * (execution.backend != "torch"),
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
            callbacks=callbacks,
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


def prepare_data(recipe, settings, execution):
    """Return the training and test data of a run: subsets of the right sizes."""
    import keras

    train, test = recipe.load_data(settings, execution.data_dir)
    num_classes = int(train[1].max()) + 1
    train = subset(train, settings.train_size, "--train-size")
    test = subset(test, settings.test_size, "--test-size")
    if not settings.label_smoothing:
        return train, test
    # Only Keras' loss of one-hot labels smooths them.
    return tuple((x, keras.utils.to_categorical(y, num_classes)) for x, y in (train, test))


def compile_model(model, settings, jit="auto", num_train=0):
    """Compile a model for classification by logits, and return it."""
    import keras

    import keras_euler

    rate, steps = settings.learning_rate, -(-num_train // settings.batch_size)
    if settings.schedule == "cosine":
        warmup = settings.warmup * steps
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, settings.epochs * steps - warmup, warmup_target=rate, warmup_steps=warmup
        )
    shared = dict(
        weight_decay=settings.weight_decay or None,
        use_ema=settings.ema > 0,
        ema_momentum=settings.ema or 0.99,
    )
    if settings.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(rate, settings.momentum, settings.nesterov, **shared)
    else:
        optimizer = keras.optimizers.Adam(rate, **shared)
    if settings.weight_decay:
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
    jit = jit if jit == "auto" else jit == "on"
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=jit)
    model.optimizer.build(model.trainable_variables)
    return model


def report(result):
    """Print the result of a run."""
    print()
    if result.resumed:
        print("This run was trained before, in part or completely. Its results:")
    summary = result.summary
    if result.diverged:
        print(f"diverged             in epoch {summary['epochs']}: the loss is not finite")
    best, epoch = summary["best_test_accuracy"], summary["best_epoch"] + 1
    print(f"best test accuracy   {best:.4f} (epoch {epoch} of {summary['epochs']})")
    print(f"last test accuracy   {summary['last_test_accuracy']:.4f}")
    print(f"time                 {summary['seconds']:.0f} s")
    print(
        f"wrote {result.folder}: {', '.join(f.name for f in sorted(result.folder.glob('[!.]*')))}"
    )


def subset(data, size, name):
    """Return `size` rows of `(x, y)`, the same for every seed of a run; None returns all rows."""
    import numpy as np

    if size is None:
        return data
    if not 0 < size <= len(data[1]):
        raise ValueError(
            f"{name} must be from 1 to {len(data[1])}, the number of examples. Received: {size}."
        )
    rows = np.random.default_rng(0).permutation(len(data[1]))[:size]
    return tuple(array[rows] for array in data)
