"""The callbacks of `fit`: what an epoch depends on, the checkpoint behind it, and interrupts that were dropped within it."""

import math
import time
from collections.abc import Callable

import keras
import numpy as np

from keras_euler._types import Array, Config
from keras_euler.training.batches import ShuffledBatches, ShuffledDataset
from keras_euler.training.interrupts import raise_pending_interrupt
from keras_euler.training.run_folder import Memory, Row, RunFolder

# Logs that are no metrics of the training data.
NO_METRICS = ("learning_rate", "gradient_norm", "gradient_norm_max", "weight_norm")


class SeededEpochs(keras.callbacks.Callback):
    """Make the order of the data and every random layer a function of (seed, epoch), so that a resumed run equals any other.

    Keras saves no state of random layers, and `fit` shuffles by a global generator.
    """

    def __init__(self, batches: ShuffledBatches | ShuffledDataset, seed: int) -> None:
        super().__init__()
        self.batches, self.seed = batches, seed

    def on_epoch_begin(self, epoch: int, logs: Config | None = None) -> None:
        # SeedSequence mixes the numbers: torch adds seed and counter, so that neighbouring seeds would draw the same.
        self.batches.shuffle(np.random.default_rng([self.seed, epoch]))
        # On torch Keras' dropout draws from the global generator.
        keras.utils.set_random_seed(int(np.random.SeedSequence([self.seed, epoch]).generate_state(1)[0]))
        states = [variable for variable in self.model.variables if variable.name == "seed_generator_state"]
        for i, state in enumerate(states):
            layer_seed = np.random.SeedSequence([self.seed, epoch, i + 1]).generate_state(1)[0] >> 1
            state.assign(np.array([layer_seed, 0]).astype(keras.backend.standardize_dtype(state.dtype)))


class Checkpoint(keras.callbacks.Callback):
    """After each epoch: a row of history, the whole state to disk, and an end where the loss is no number any more.

    Args:
        folder: A `RunFolder`.
        rows: The history so far, a list of dicts; it grows.
        memory: State of the callbacks at the last checkpoint, or None.
        others: The other callbacks.
        after_epoch: Function of the history, called when the epoch is saved.
        monitor: Column that every row must have, or None.
    """

    def __init__(
        self,
        folder: RunFolder,
        rows: list[Row],
        memory: Memory,
        others: list[keras.callbacks.Callback],
        after_epoch: Callable[[list[Row]], object],
        monitor: str | None = None,
    ) -> None:
        super().__init__()
        self.folder, self.rows, self.memory, self.others, self.after_epoch = folder, rows, memory, others, after_epoch
        self.monitor = monitor

    def on_train_begin(self, logs: Config | None = None) -> None:
        # Callbacks such as EarlyStopping begin anew when training begins; this one stands behind them.
        self.at_start = [_numbers(callback) for callback in self.others]
        for callback, numbers in zip(self.others, (self.memory or {}).get("callbacks", []), strict=False):
            vars(callback).update(numbers)

    def on_epoch_begin(self, epoch: int, logs: Config | None = None) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Config | None = None) -> None:
        seconds = time.perf_counter() - self.start
        row = {"epoch": epoch, **_row(logs, self.model), "seconds": seconds}
        if "train_loss" not in row:
            raise ValueError(
                f"`model` must report a loss. Received the logs: {', '.join(logs or {})}. Return `loss` from its train_step."
            )
        if self.monitor and self.monitor not in row:
            raise ValueError(f"`monitor` must be a column of the history: {', '.join(row)}. Received: {self.monitor!r}.")
        self.rows.append(row)
        if has_diverged(self.rows):
            self.model.stop_training = True
        arrays = [_savable(keras.ops.convert_to_numpy(variable)) for variable in state(self.model)]
        changed = [
            {name: value for name, value in _numbers(callback).items() if value != before.get(name)}
            for callback, before in zip(self.others, self.at_start, strict=True)
        ]
        memory = {"callbacks": changed, "stopped": bool(self.model.stop_training)}
        self.folder.save_checkpoint(self.rows, arrays, memory)
        self.after_epoch(self.rows)


class RaiseDropped(keras.callbacks.Callback):
    """Raise at the next step the interrupt that was dropped within the last one.

    Example:

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> with keras_euler.training.Interruptible():
    ...     history = model.fit(np.ones((4, 1)), np.ones((4, 1)), verbose=0, callbacks=[RaiseDropped()])
    """

    def _raise(self, *_: object, logs: Config | None = None) -> None:
        raise_pending_interrupt()

    # Not at the end of a batch: a hook there makes Keras wait for the device.
    on_epoch_begin = on_train_batch_begin = on_test_batch_begin = on_epoch_end = _raise


def state(model: keras.Model) -> list[keras.Variable]:
    """All variables that a run carries from one step to the next."""
    others = [value for value in vars(model).values() if isinstance(value, keras.optimizers.Optimizer)]  # of a custom train_step
    optimizers = {id(optimizer): optimizer for optimizer in (model.optimizer, *others)}
    return [*model.variables, *(variable for optimizer in optimizers.values() for variable in optimizer.variables)]


def has_diverged(rows: list[Row]) -> bool:
    return bool(rows) and not math.isfinite(rows[-1]["train_loss"])


def _row(logs: Config | None, model: keras.Model) -> Row:
    """The measurements of an epoch: Keras' `loss` and `val_loss` become `train_loss` and `test_loss`."""
    logs = {name: np.asarray(value).item() for name, value in (logs or {}).items() if np.size(value) == 1}  # no vectors by class
    row = {"learning_rate": logs.pop("learning_rate", None)}
    if row["learning_rate"] is None:
        row["learning_rate"] = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    tested = {f"test_{name[4:]}": value for name, value in logs.items() if name.startswith("val_")}
    logged = {name: value for name, value in logs.items() if name in NO_METRICS}
    trained = {f"train_{n}": v for n, v in logs.items() if n not in logged and not n.startswith("val_")}
    return {**row, **trained, **tested, **logged}


def _numbers(callback: keras.callbacks.Callback) -> dict[str, float]:
    """The public numbers among a callback's attributes: what EarlyStopping and the like remember is what changes of them."""
    found = {name: value for name, value in vars(callback).items() if not name.startswith("_")}
    found = {name: value.item() if isinstance(value, np.generic) else value for name, value in found.items()}
    # Keras turns the sign of `min_delta` when it learns the direction of the metric, at every start.
    return {name: value for name, value in found.items() if isinstance(value, (int, float)) and name != "min_delta"}


def _savable(array: Array) -> Array:
    # .npz files know none of the low-precision floats that NumPy itself lacks.
    return array.astype("float32") if array.dtype.kind == "V" or array.dtype.name == "bfloat16" else array
