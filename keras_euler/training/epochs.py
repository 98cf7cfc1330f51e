"""The callbacks of `fit`: seeds of an epoch, checkpoints, and interrupts that were dropped."""

import math
import time
from collections.abc import Callable

import keras
import numpy as np

from keras_euler._types import Config
from keras_euler.training.batches import ShuffledBatches, ShuffledDataset
from keras_euler.training.interrupts import raise_pending_interrupt
from keras_euler.training.memory import CallbackNumbers, state, values
from keras_euler.training.position import Position
from keras_euler.training.run_folder import Row, RunFolder

# Logs that are not metrics of the training data.
OTHER_LOGS = ("learning_rate", "gradient_norm", "gradient_norm_max", "weight_norm")


class SeededEpochs(keras.callbacks.Callback):
    """Make the order of the data and every random layer a function of (seed, epoch), so that runs
    can be resumed exactly.

    Keras does not save the state of random layers, and its `fit` shuffles by a global generator.

    Args:
        batches: The training data.
        seed: Integer >= 0.
        position: Where the first epoch goes on, or None for its beginning.
    """

    def __init__(
        self,
        batches: ShuffledBatches | ShuffledDataset,
        seed: int,
        position: Position | None = None,
    ) -> None:
        super().__init__()
        self.batches, self.seed, self.position = batches, seed, position

    def on_epoch_begin(self, epoch: int, logs: Config | None = None) -> None:
        # SeedSequence mixes the numbers: torch adds seed and counter, so that similar seeds would
        # draw the same numbers.
        self.batches.shuffle(np.random.default_rng([self.seed, epoch]))
        # On torch, Keras' dropout draws from the global generator.
        keras.utils.set_random_seed(
            int(np.random.SeedSequence([self.seed, epoch]).generate_state(1)[0])
        )
        seeds = [
            variable for variable in self.model.variables if variable.name == "seed_generator_state"
        ]
        for i, variable in enumerate(seeds):
            layer_seed = np.random.SeedSequence([self.seed, epoch, i + 1]).generate_state(1)[0] >> 1
            variable.assign(
                np.array([layer_seed, 0]).astype(keras.backend.standardize_dtype(variable.dtype))
            )
        self.batches.start = 0
        if self.position and self.position.epoch == epoch:
            self.batches.start = self.position.step
            self.position.assign_state(
                self.model
            )  # loggers look for the number of iterations when the epoch begins

    def on_train_batch_begin(self, batch: int, logs: Config | None = None) -> None:
        # An epoch that goes on in the middle is shorter than Keras knows. This is how its iterators
        # end an epoch. Otherwise Keras would call the training function without data, which on
        # TensorFlow counts as an iteration.
        if batch >= self.batches.start + len(self.batches):
            raise StopIteration


class Checkpoint(keras.callbacks.Callback):
    """After each epoch, extend the history, write the whole state to disk, and stop if the loss is
    not finite.

    Args:
        folder: A `RunFolder`.
        rows: The history so far, a list of dicts, which is extended.
        numbers: The numbers of the other callbacks.
        after_epoch: Function of the history, called when an epoch has been saved.
        monitor: Column that every row must have, or None.
    """

    def __init__(
        self,
        folder: RunFolder,
        rows: list[Row],
        numbers: CallbackNumbers,
        after_epoch: Callable[[list[Row]], object],
        monitor: str | None = None,
    ) -> None:
        super().__init__()
        self.folder, self.rows, self.numbers, self.after_epoch, self.monitor = (
            folder,
            rows,
            numbers,
            after_epoch,
            monitor,
        )

    def on_train_begin(self, logs: Config | None = None) -> None:
        # Callbacks such as EarlyStopping reset themselves when training starts. This callback comes
        # after them.
        self.numbers.begin()

    def on_epoch_begin(self, epoch: int, logs: Config | None = None) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Config | None = None) -> None:
        seconds = time.perf_counter() - self.start
        row = {"epoch": epoch, **_measurements(logs, self.model), "seconds": seconds}
        if "train_loss" not in row:
            raise ValueError(
                f"`model` must report a loss. Received the logs: {', '.join(logs or {})}. Return "
                f"`loss` from its train_step."
            )
        if self.monitor and self.monitor not in row:
            raise ValueError(
                f"`monitor` must be a column of the history: {', '.join(row)}. Received: "
                f"{self.monitor!r}."
            )
        self.rows.append(row)
        if has_diverged(self.rows):
            self.model.stop_training = True
        memory = {"callbacks": self.numbers.changes(), "stopped": bool(self.model.stop_training)}
        self.folder.save_checkpoint(self.rows, values(state(self.model)), memory)
        self.after_epoch(self.rows)


class RaiseDropped(keras.callbacks.Callback):
    """Raise an interrupt that was dropped during a step at the next step.

    Example:

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> with keras_euler.training.Interruptible():
    ...     history = model.fit(
    ...         np.ones((4, 1)), np.ones((4, 1)), verbose=0, callbacks=[RaiseDropped()]
    ...     )
    """

    def _raise(self, *_: object, logs: Config | None = None) -> None:
        raise_pending_interrupt()

    # Not at the end of a batch: that hook would make Keras wait for the device.
    on_epoch_begin = on_train_batch_begin = on_test_batch_begin = on_epoch_end = _raise


def has_diverged(rows: list[Row]) -> bool:
    return bool(rows) and not math.isfinite(rows[-1]["train_loss"])


def _measurements(logs: Config | None, model: keras.Model) -> Row:
    """Return the measurements of an epoch: Keras' `loss` and `val_loss` become `train_loss` and
    `test_loss`."""
    logs = {
        name: np.asarray(value).item()
        for name, value in (logs or {}).items()
        if np.size(value) == 1
    }  # no vectors by class
    row = {"learning_rate": logs.pop("learning_rate", None)}
    if row["learning_rate"] is None:
        row["learning_rate"] = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    tested = {f"test_{name[4:]}": value for name, value in logs.items() if name.startswith("val_")}
    logged = {name: value for name, value in logs.items() if name in OTHER_LOGS}
    trained = {
        f"train_{n}": v for n, v in logs.items() if n not in logged and not n.startswith("val_")
    }
    return {**row, **trained, **tested, **logged}
