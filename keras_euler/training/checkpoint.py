"""The checkpoint of a run: what it carries from step to step, in one file, and when it is written
and read."""

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_euler._types import Array, Config
from keras_euler.training.batches import ShuffledBatches, ShuffledDataset
from keras_euler.training.callback_state import CallbackStates
from keras_euler.training.devices import (
    generator_states,
    random_states,
    restore_generator_states,
    restore_random_states,
)
from keras_euler.training.interrupts import raise_pending_interrupt
from keras_euler.training.run_folder import Row, RunFolder, Saved

# Logs that are not metrics of the training data.
OTHER_LOGS = ("learning_rate", "gradient_norm", "gradient_norm_max", "weight_norm")


class ResumableCallbacks(keras.callbacks.CallbackList):
    """The callbacks of a training that is saved every few steps and after each epoch, and resumed.

    The order of the data and every random layer are functions of `(seed, epoch)`: Keras does not
    save the state of random layers, and its `fit` shuffles by a global generator. A step is saved
    before the callbacks begin it, and an epoch after they have ended it.

    Args:
        callbacks: The callbacks.
        run: The run folder.
        saved: The checkpoint to resume from, assigned to the model, or None.
        batches: The training data.
        seed: Integer >= 0.
        every: Number of steps between checkpoints within an epoch, or None.
        after_epoch: Function of the history, called when an epoch has been saved, or None.
        monitor: Column that every row must have, or None.
        **settings: As for Keras' list.

    Attributes:
        rows: The history, a list of dicts.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        run: RunFolder,
        saved: Saved | None,
        batches: ShuffledBatches | ShuffledDataset,
        seed: int,
        every: int | None,
        after_epoch: Callable[[list[Row]], object] | None,
        monitor: str | None,
        **settings: Any,
    ) -> None:
        self.last = _LastLogs()
        has_bar = settings["verbose"] != 0
        super().__init__([*callbacks, self.last], add_history=True, add_progbar=has_bar, **settings)
        self.states = CallbackStates(callbacks)
        self.run, self.saved, self.batches, self.seed, self.every = run, saved, batches, seed, every
        self.after_epoch, self.monitor = after_epoch, monitor
        self.rows: list[Row] = list(saved.state["history"]) if saved else []

    def on_train_begin(self, logs: Config | None = None) -> None:
        super().on_train_begin(logs)
        self.states.begin()  # callbacks such as EarlyStopping have reset themselves
        if self.saved:
            self.states.restore(self.saved.state, self.saved.of_callbacks, within_epoch=False)

    def on_epoch_begin(self, epoch: int, logs: Config | None = None) -> None:
        raise_pending_interrupt()
        self.epoch, self.batches.start = epoch, 0
        self.batches.shuffle(np.random.default_rng([self.seed, epoch]))
        _seed_random_layers(self.model, self.seed, epoch)
        self.start = time.perf_counter()
        # The rest of an epoch: the other callbacks begin it as always.
        self.resumed = self.saved if self.saved and self.saved.is_within(epoch) else None
        if self.resumed:
            self.batches.start = self.resumed.state["step"]
            self.start -= self.resumed.state["seconds"]
        super().on_epoch_begin(epoch, logs)
        if self.resumed:
            restore(self.resumed, self.model)
            self.states.restore(self.resumed.state, self.resumed.of_callbacks, within_epoch=True)
        self.step_saved = self.batches.start

    def on_train_batch_begin(self, batch: int, logs: Config | None = None) -> None:
        raise_pending_interrupt()
        # The rest of an epoch is shorter than Keras knows. This is how its iterators end an epoch.
        # Otherwise Keras would call the training function without data, which on TensorFlow counts
        # as an iteration.
        if batch >= len(self.batches):
            raise StopIteration
        batch += self.batches.start
        if self.resumed and batch == self.batches.start:
            # Not earlier: torch draws a number when it begins to read the data.
            restore_random_states(self.resumed.random)
            restore_generator_states(self.resumed.state["generators"])
        if self.every and batch // self.every > self.step_saved // self.every:
            self.step_saved = batch
            self._save(batch)
        super().on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Config | None = None) -> None:
        super().on_train_batch_end(self.batches.start + batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Config | None = None) -> None:
        raise_pending_interrupt()
        super().on_test_batch_begin(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Config | None = None) -> None:
        raise_pending_interrupt()
        super().on_epoch_end(epoch, logs)
        seconds = time.perf_counter() - self.start
        logs = self.last.logs
        row = {"epoch": epoch, **_measurements(logs, self.model), "seconds": seconds}
        if "train_loss" not in row:
            raise ValueError(
                f"`model` must report a loss. Received the logs: {', '.join(logs)}. "
                "Return `loss` from its train_step."
            )
        if self.monitor and self.monitor not in row:
            raise ValueError(
                f"`monitor` must be a column of the history: {', '.join(row)}. "
                f"Received: {self.monitor!r}."
            )
        self.rows.append(row)
        if has_diverged(self.rows):
            self.model.stop_training = True
        self._save(0)
        self.run.write_history(self.rows)
        if self.after_epoch:
            self.after_epoch(self.rows)

    def __del__(self) -> None:
        # The last reference may be that of the list's own thread, which cannot wait for itself.
        with contextlib.suppress(AttributeError, RuntimeError):
            super().__del__()

    def _save(self, step: int) -> None:
        """Write everything: after `step` steps of this epoch, or with 0 before the next epoch."""
        model = self.model  # on JAX this copies the training state back to the variables
        of_callbacks: list[Array] = []
        state = {
            "history": self.rows,
            "step": step,
            "seconds": time.perf_counter() - self.start,
            "stopped": bool(model.stop_training),
            "generators": generator_states(),
            **self.states.save(of_callbacks, within_epoch=bool(step)),
        }
        metrics = model.metrics_variables if step else []
        saved = Saved(
            state, _values(variables(model)), _values(metrics), random_states(), of_callbacks
        )
        self.run.save(saved)


class _LastLogs(keras.callbacks.Callback):
    """The logs of an epoch with what the callbacks before have added."""

    def on_epoch_end(self, epoch: int, logs: Config | None = None) -> None:
        self.logs = dict(logs or {})


def restore(saved: Saved, model: keras.Model) -> None:
    """Assign the values of a checkpoint to the variables of a model, optimizer and metrics."""
    pairs = [(variables(model), saved.variables)]
    if saved.state["step"]:
        pairs.append((model.metrics_variables, saved.metrics))
    for targets, arrays in pairs:
        if [tuple(target.shape) for target in targets] != [array.shape for array in arrays]:
            raise ValueError(
                "The checkpoint does not fit this model, optimizer and metrics. Pass those of the "
                "run, or another folder."
            )
        for target, array in zip(targets, arrays, strict=True):
            target.assign(array)


def variables(model: keras.Model) -> list[keras.Variable]:
    """Return all variables of a model and its optimizers, also those of a custom `train_step`."""
    own = [value for value in vars(model).values() if isinstance(value, keras.optimizers.Optimizer)]
    optimizers = {id(optimizer): optimizer for optimizer in (model.optimizer, *own)}
    return [
        *model.variables,
        *(v for optimizer in optimizers.values() for v in optimizer.variables),
    ]


def has_diverged(rows: list[Row]) -> bool:
    """Return whether the last loss is not finite."""
    return bool(rows) and not math.isfinite(rows[-1]["train_loss"])


def _values(targets: Sequence[keras.Variable]) -> list[Array]:
    """Return the values of variables as arrays that an .npz file can hold: it lacks bfloat16."""
    arrays = [keras.ops.convert_to_numpy(target) for target in targets]
    low = ("bfloat16",)
    return [
        a.astype("float32") if a.dtype.kind == "V" or a.dtype.name in low else a for a in arrays
    ]


def _seed_random_layers(model: keras.Model, seed: int, epoch: int) -> None:
    # SeedSequence mixes the numbers: torch adds seed and counter, so that similar seeds would draw
    # the same numbers. On torch, Keras' dropout draws from the global generator.
    keras.utils.set_random_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
    seeds = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    for i, variable in enumerate(seeds):
        layer_seed = np.random.SeedSequence([seed, epoch, i + 1]).generate_state(1)[0] >> 1
        dtype = keras.backend.standardize_dtype(variable.dtype)
        variable.assign(np.array([layer_seed, 0]).astype(dtype))


def _measurements(logs: Config, model: keras.Model) -> Row:
    """Return the measurements of an epoch: Keras' `loss` and `val_loss` become `train_loss` and
    `test_loss`. Vectors, such as an accuracy by class, are left out."""
    logs = {n: np.asarray(value).item() for n, value in logs.items() if np.size(value) == 1}
    row = {"learning_rate": logs.pop("learning_rate", None)}
    if row["learning_rate"] is None:
        with contextlib.suppress(AttributeError):  # a MultiOptimizer has several
            row["learning_rate"] = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    tested = {f"test_{name[4:]}": value for name, value in logs.items() if name.startswith("val_")}
    logged = {name: value for name, value in logs.items() if name in OTHER_LOGS}
    trained = {
        f"train_{name}": value
        for name, value in logs.items()
        if name not in logged and not name.startswith("val_")
    }
    return {**row, **trained, **tested, **logged}
