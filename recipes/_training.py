"""One training run, from arrays and a model to a result: what every training recipe shares once keras is there."""

import contextlib
import math
import platform
import zlib
from pathlib import Path

import _harness
import keras
import numpy as np
from _benchmark_worker import device_name
from _callbacks import Batches, Checkpoint, RaiseAgain, SeededEpochs, has_diverged, state
from _interrupts import Interruptible
from _run_folder import RunFolder

import keras_euler
import keras_euler.plots


def run(recipe, args, after_epoch=lambda rows: None, report=True):
    """Train as `args` say, resume what a kill left, and return the result as a dict.

    Args:
        recipe: As for `_harness.main`.
        args: Its arguments.
        after_epoch: Function of the rows of the history so far; what it raises ends the training.
        report: Whether to print.
    """
    with Interruptible():
        return _run(recipe, args, after_epoch, report)


def _run(recipe, args, after_epoch, report):
    keras.utils.set_random_seed(args.seed)
    keras.config.set_dtype_policy(args.dtype)
    scope = _data_parallel(args.devices)  # before anything else starts TensorFlow, which reads data too
    train, test = recipe.load_data(args)
    train, test = _subset(train, args.train_size, "--train-size"), _subset(test, args.test_size, "--test-size")
    num_classes = int(max(train[1].max(), test[1].max())) + 1
    train = train[0], keras_euler.datasets.flip_labels(train[1], args.label_noise, max(2, num_classes), args.seed)
    _check_divisible(args, len(train[1]), len(test[1]))
    schedule = keras_euler.MultiStepDecay(args.milestones, 0.1, args.learning_rate)
    with scope():
        replicas = _num_replicas()
        model = recipe.build_model(args)
        compile_model(model, args)

    for logger in _loggers(args, "."):
        logger.check(model)
    folder = RunFolder(_harness.run_folder(recipe.DEFAULTS["dataset"], args))
    folder.open(
        {
            "settings": _harness.settings(args),
            "data": {"train": fingerprint(train), "test": fingerprint(test)},
            "versions": versions(),
            "device": device_name(args.backend),
            "replicas": replicas,
            "parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
        }
    )
    result = folder.result()
    if not result:
        result = _train(model, train, test, folder, args, schedule, scope, after_epoch)
    elif report:
        print(f"This run is finished; nothing was trained. Its results lie in {folder.path}")
    if report:
        _report(result, folder)
    return result


def compile_model(model, args):
    """Compile for classification by logits with the optimizer, the rate and the jit that `args` name."""
    if args.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(args.learning_rate, momentum=args.momentum)
    else:
        optimizer = keras.optimizers.Adam(args.learning_rate)
    if args.log_gradients is not None:
        optimizer = keras_euler.GradientRecorder(optimizer)
    model.compile(
        optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile={"auto": "auto", "on": True, "off": False}[args.jit],
    )
    model.optimizer.build(model.trainable_variables)


def _train(model, train, test, folder, args, schedule, scope, after_epoch):
    rows, arrays = folder.load_checkpoint()
    if rows:
        variables = state(model)
        if [tuple(variable.shape) for variable in variables] != [array.shape for array in arrays]:
            raise ValueError(f"The arrays in {folder.checkpoint} are not those of this model. Delete it to start anew.")
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)
        folder.write_history(rows)
        print(f"Resuming after epoch {len(rows)} of {args.epochs}")
    if len(rows) < args.epochs and not has_diverged(rows):
        batches = Batches(*train, args.batch_size)
        with scope():
            model.fit(
                batches,
                shuffle=False,  # it would shuffle the batches once more, by a global generator
                validation_data=Batches(*test, max(args.batch_size, 500 - 500 % args.devices)),
                epochs=args.epochs,
                initial_epoch=len(rows),
                verbose=args.verbose,
                callbacks=[
                    schedule,
                    SeededEpochs(batches, args.seed),
                    *_loggers(args, folder.path),
                    Checkpoint(folder, rows, after_epoch),
                    RaiseAgain(),
                ],
            )
    return _finish(model, folder, rows)


def _loggers(args, folder):
    wanted = {
        "gradients.csv": (keras_euler.GradientLogger, args.log_gradients),
        "weights.csv": (keras_euler.WeightLogger, args.log_weights),
    }
    return [
        logger(Path(folder) / name, layers or None, args.log_per)
        for name, (logger, layers) in wanted.items()
        if layers is not None
    ]


def _finish(model, folder, rows):
    diverged = has_diverged(rows)
    best = max(rows, key=lambda row: row["test_accuracy"])
    if not diverged:
        folder.write("model.keras", model.save)
    try:
        figure = keras_euler.plots.training_curves({"": rows})
        folder.write("curves.png", figure.savefig)
    except ImportError as error:
        print(f"note: no curves.png. {error}")
    result = {
        "diverged": diverged,
        "epochs": len(rows),
        "best_test_accuracy": best["test_accuracy"],
        "best_epoch": best["epoch"],
        "last_test_accuracy": rows[-1]["test_accuracy"],
        "last_train_loss": rows[-1]["train_loss"],
        "seconds": sum(row["seconds"] for row in rows),
    }
    result = {name: value if math.isfinite(value) else None for name, value in result.items()}  # JSON knows no NaN
    folder.write_json("result.json", result)
    return result


def _report(result, folder):
    print()
    if result["diverged"]:
        print(f"diverged             in epoch {result['epochs']}: the loss is no longer a number")
    print(f"best test accuracy   {result['best_test_accuracy']:.4f} (epoch {result['best_epoch']}, counted from 0)")
    print(f"last test accuracy   {result['last_test_accuracy']:.4f}")
    if not result["diverged"]:
        print(f"last training loss   {result['last_train_loss']:.4f}")
    print(f"time                 {result['seconds']:.0f} s for {result['epochs']} epochs")
    for file in sorted(folder.path.iterdir()):
        print(f"wrote                {file}")


def _subset(arrays, size, flag):
    check_size(flag, size, len(arrays[1]))
    if size is None:
        return arrays
    rows = np.random.default_rng(0).permutation(len(arrays[1]))[:size]  # the same rows for every seed of a run
    return tuple(array[rows] for array in arrays)


def check_size(flag, size, there):
    """Raise a ValueError where more examples are asked for than there are, or less than one."""
    if size is not None and not 1 <= size <= there:
        raise ValueError(f"{flag} must be between 1 and the {there} examples there are. Received: {size}.")


def _check_divisible(args, num_train, num_test):
    for what, number in (("batch size", args.batch_size), ("last batch", num_train % args.batch_size)):
        if number % args.devices:
            raise ValueError(
                f"With --devices {args.devices} the {what} must be a multiple of it. Received: {number} examples. "
                "Change --batch-size or --train-size."
            )
    if num_test % args.devices:
        raise ValueError(f"With --devices {args.devices} the {num_test} test examples must be a multiple of it.")


def _data_parallel(devices):
    """What makes the scope to build and train in, so that each step is spread over `devices`."""
    if devices == 1:
        return contextlib.nullcontext
    if keras.backend.backend() == "jax":
        names = keras.distribution.list_devices()
        _check_devices(devices, names)
        return keras.distribution.DataParallel(devices=names[:devices]).scope
    import tensorflow as tf

    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU":
        parts = [tf.config.LogicalDeviceConfiguration()] * devices
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    _check_devices(devices, names)
    return tf.distribute.MirroredStrategy(names[:devices]).scope


def _num_replicas():
    """Over how many devices a step is spread in the present scope."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.distribute.get_strategy().num_replicas_in_sync
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else int(distribution.device_mesh.devices.size)


def _check_devices(devices, names):
    if devices > len(names):
        raise ValueError(f"--devices {devices}, but there are {len(names)}: {', '.join(names)}.")


def fingerprint(arrays):
    """What tells one data set from another: the number of examples and a checksum of each array."""
    return {"examples": len(arrays[1]), "crc32": [zlib.crc32(np.ascontiguousarray(array)) for array in arrays]}


def versions():
    """Versions of Python and the packages that a number depends on."""
    backend = keras.backend.backend()
    module = __import__(backend)
    return {
        "python": platform.python_version(),
        "keras_euler": keras_euler.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        backend: module.__version__,
    }
