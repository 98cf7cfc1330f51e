"""Train like Keras' `model.fit`, in a folder and with exact resume."""

import dataclasses
import json
import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import keras

from keras_euler._checks import check_integer
from keras_euler._types import Config, PathLike
from keras_euler.callbacks import GradientLogger, WeightLogger
from keras_euler.training.batches import ShuffledBatches, as_batches, fingerprint
from keras_euler.training.checkpoint import ResumableCallbacks, restore
from keras_euler.training.devices import (
    check_one_process,
    device_name,
    keep_compiled_programs,
    num_replicas,
    package_versions,
)
from keras_euler.training.interrupts import Interruptible
from keras_euler.training.result import TrainingResult, write_result
from keras_euler.training.run_folder import Row, RunFolder


def fit(
    model: keras.Model,
    train: Any,
    test: Any,
    folder: PathLike,
    *,
    epochs: int,
    batch_size: int | None = None,
    seed: int = 0,
    settings: Any = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    monitor: str | None = None,
    test_batch_size: int | None = None,
    after_epoch: Callable[[list[Row]], object] | None = None,
    checkpoint_steps: int | None = None,
    verbose: int | str = 1,
) -> TrainingResult:
    """Train a compiled model in a folder. After a kill, the same call resumes the run and ends with
    the same numbers.

    At the start and after every epoch, the whole state (weights, optimizer, history) is written
    atomically; with `checkpoint_steps` also within it. The order of the examples and the random
    layers, if they draw from a `keras.random.SeedGenerator` as those of Keras do, are functions of
    `(seed, epoch)`: on a CPU a resumed run equals an uninterrupted one exactly. With several
    devices on TensorFlow, each has moving statistics of batch normalization of its own, and those
    of the first are saved: training resumes exactly, the test metrics do not.

    The folder has one owner at a time. It gets `config.json` (settings, versions, a checksum of the
    data), `history.csv` and `checkpoint.npz`. At the end it gets `result.json`, `model.keras`
    (unless the run diverged) and, with matplotlib, `curves.png`. A finished run is not trained
    again: its state is loaded into the model, and its result is returned. On JAX compiled programs
    are kept for the next start, in `jax_compilation_cache` of Keras' folder, unless JAX has a cache
    already.

    Args:
        model: Any compiled Keras model.
        train: Tuple `(x, y)` or `(x, y, sample_weight)`, each an array or a list or dict of arrays;
            or a `keras.utils.PyDataset`, whose batches are shuffled and must not depend on earlier
            calls. If it has several workers, as many threads prepare the batches.
        test: Data of the same form, evaluated after every epoch, or None.
        folder: The run folder, which is created if missing.
        epochs: Integer >= 1.
        batch_size: Examples per batch; None for a `PyDataset`.
        seed: Seed of everything random in training, an integer >= 0.
        settings: A JSON-serializable dataclass or dict that identifies the run, in addition to
            epochs, batch size, seed and backend. None takes the optimizer's configuration. A folder
            with a run of other settings is rejected with the difference.
        callbacks: Keras callbacks. What they remember survives a kill: numbers, strings, arrays,
            and lists, tuples, sets and dicts of them. A warning names what does not.
        monitor: Column of the history that determines the best epoch, such as `"test_auc"`. A name
            that ends in `loss` or `error` is minimized, any other maximized. Default:
            `test_accuracy`, else `test_loss`, else `train_loss`.
        test_batch_size: Examples per batch of `test`, unless it is a `PyDataset`. Default:
            `batch_size`, else 256.
        after_epoch: Function of the history so far, called when an epoch has been saved. An
            exception from it ends the training.
        checkpoint_steps: Number of steps between checkpoints within an epoch, an integer >= 1. They
            do not change the result. None writes checkpoints after each epoch only.
        verbose: As for `keras.Model.fit`.

    Returns:
        A `TrainingResult`. Divergence is a result, not an error.

    Raises:
        TypeError: The data are not arrays, or `settings` are not JSON-serializable.
        ValueError: The model is not compiled, a number is out of range, the folder holds another
            run or a damaged file, or a launcher such as torchrun has started several processes.
        FolderInUse: Another process is training in the folder.
        OSError: The folder is not writable; finished epochs are kept.
        ImportError: filelock is missing.

    Example:

    >>> keras.utils.set_random_seed(0)
    >>> model = keras.Sequential(
    ...     [keras.Input((2,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    ... )
    >>> model.compile("sgd", "mse")
    >>> data = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")
    >>> folder = pathlib.Path(tempfile.mkdtemp(), "run")
    >>> result = keras_euler.training.fit(
    ...     model, data, None, folder, epochs=2, batch_size=4, verbose=0
    ... )
    >>> [row["epoch"] for row in result.history], result.diverged
    ([0, 1], False)
    """
    if not isinstance(model, keras.Model) or getattr(model, "optimizer", None) is None:
        raise ValueError(
            f"`model` must be a compiled Keras model. Received: {type(model).__name__}. Call "
            "model.compile first."
        )
    check_one_process()
    epochs, seed = check_integer("epochs", epochs, 1), check_integer("seed", seed, 0)
    callbacks = keras.tree.flatten(callbacks or ())
    if not all(isinstance(callback, keras.callbacks.Callback) for callback in callbacks):
        raise TypeError(f"`callbacks` must be Keras callbacks. Received: callbacks={callbacks!r}.")
    if any(isinstance(callback, keras.callbacks.BackupAndRestore) for callback in callbacks):
        raise ValueError(
            "`callbacks` must not restore weights, as the run does. Received: BackupAndRestore. "
            "Leave it out."
        )
    if after_epoch is not None and not callable(after_epoch):
        raise TypeError(
            "`after_epoch` must be a function of the history. Received: "
            f"after_epoch={after_epoch!r}."
        )
    if not isinstance(folder, (str, os.PathLike)):
        raise TypeError(f"`folder` must be the path of a folder. Received: folder={folder!r}.")
    if checkpoint_steps is not None:
        check_integer("checkpoint_steps", checkpoint_steps, 1)
    if isinstance(train, keras.utils.PyDataset) and batch_size is not None:
        raise ValueError(
            f"A PyDataset makes its own batches. Received: batch_size={batch_size!r}. Leave it out."
        )
    batches = as_batches("train", model, train, batch_size)
    if test_batch_size is None:
        test_batch_size = batch_size or 256
    check_integer("test_batch_size", test_batch_size, 1)
    tests = None if test is None else as_batches("test", model, test, test_batch_size)
    keep_compiled_programs()
    if not model.built:
        model(keras.tree.map_structure(keras.ops.convert_to_tensor, batches[0][0]))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    for callback in callbacks:
        if isinstance(callback, (GradientLogger, WeightLogger)):
            callback.check(model)
    run = RunFolder(folder)
    config = _config(model, batches, tests, epochs, seed, settings)
    run.check(config)
    if run.result() is None:
        with run.owned(config), Interruptible():
            if run.result() is None:  # another process may just have finished it
                saved = run.load()
                step, done = (saved["step"], len(saved["history"])) if saved else (0, 0)
                if saved:
                    # TensorFlow builds metrics in the first step.
                    if step and len(model.metrics_variables) != len(saved["metrics"]):
                        model.test_on_batch(*keras.utils.unpack_x_y_sample_weight(batches[0]))
                    restore(saved, model)
                    if verbose and (done or step):
                        within = f", step {step} of {batches.num_batches}" if step else ""
                        print(f"Resuming after epoch {done} of {epochs}{within}")
                else:  # the result of a run whose checkpoint was deleted
                    (run.path / "result.json").unlink(missing_ok=True)
                ours = ResumableCallbacks(
                    callbacks,
                    run,
                    saved,
                    batches,
                    seed,
                    checkpoint_steps,
                    after_epoch,
                    monitor,
                    dict(verbose=verbose, epochs=epochs, steps=batches.num_batches, model=model),
                )
                if not (saved and saved["ended"]):
                    _train(model, ours, batches, tests, epochs, verbose)
                result = write_result(model, run, ours.rows, monitor)
                return TrainingResult(run.path, ours.rows, result, bool(done or step))
    if verbose:
        print(f"The run in {run.path} is finished. Its result is returned.")
    finished = cast(Config, run.load())
    restore(finished, model)
    return TrainingResult(run.path, finished["history"], cast(Config, run.result()), True)


def _train(
    model: keras.Model,
    ours: ResumableCallbacks,
    batches: ShuffledBatches,
    tests: ShuffledBatches | None,
    epochs: int,
    verbose: int | str,
) -> None:
    """Train the epochs that are left, and save what callbacks have done at the end."""
    saved = ours.saved
    if saved and (len(ours.rows) >= epochs or saved["stopped"]):
        model.stop_training = saved["stopped"]
        ours.on_train_begin()
        # As at the end of Keras' `fit`: averages take the place of the weights.
        model.optimizer.finalize_variable_values(model.trainable_weights)
        ours.on_train_end()  # as EarlyStopping restores the best weights
    else:
        try:
            with warnings.catch_warnings():
                # Keras' words about the rest of an epoch, which is shorter.
                warnings.filterwarnings("ignore", "Your input ran out of data")
                model.fit(
                    batches,
                    # Keras would shuffle the batches again, by a global generator.
                    shuffle=False,
                    validation_data=tests,
                    epochs=epochs,
                    initial_epoch=len(ours.rows),
                    verbose=verbose,
                    callbacks=ours,
                )
        except BaseException:
            ours.states.reset()  # a repeated call may have the same callbacks
            raise
    ours.ended = True
    ours.save()


def _config(
    model: keras.Model,
    train: ShuffledBatches,
    test: ShuffledBatches | None,
    epochs: int,
    seed: int,
    settings: Any,
) -> Config:
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        settings = dataclasses.asdict(settings)
    if settings is None:
        # Objects by their class: their text has an address, which differs at every start. Without
        # names, which Keras numbers anew for each model.
        text = json.dumps(model.optimizer.get_config(), default=lambda value: type(value).__name__)
        names = ("name", "paths")
        optimizer = json.loads(
            text, object_hook=lambda part: {n: v for n, v in part.items() if n not in names}
        )
        settings = {"optimizer": type(model.optimizer).__name__, **optimizer}
    if not isinstance(settings, Mapping):
        raise TypeError(
            f"`settings` must be a dataclass or a dict. Received: {type(settings).__name__}."
        )
    config = {
        "settings": {
            **settings,
            "epochs": epochs,
            "seed": seed,
            "backend": keras.backend.backend(),
            "replicas": num_replicas(),
            **({"batch_size": train.batch_size} if isinstance(train.data, tuple) else {}),
        },
        "data": {
            "train": fingerprint(train.data),
            "test": None if test is None else fingerprint(test.data),
        },
        "versions": package_versions(),
        "device": device_name(),
        "parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
    }
    try:
        return json.loads(json.dumps(config))
    except TypeError as error:
        raise TypeError(
            f"`settings` must be JSON-serializable: {error}. Received: settings={settings!r}."
        ) from error
