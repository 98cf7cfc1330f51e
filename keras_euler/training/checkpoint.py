"""The checkpoint of a run: what it carries from step to step, in one file, and when it is written
and read."""

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from keras_euler._types import Config
from keras_euler.training.batches import ShuffledBatches
from keras_euler.training.callback_state import CallbackStates
from keras_euler.training.devices import random_states, restore_random_states
from keras_euler.training.interrupts import RaiseDropped
from keras_euler.training.run_folder import Row, RunFolder

# Logs that are not metrics of the training data.
OTHER_LOGS = ("learning_rate", "gradient_norm", "gradient_norm_max", "weight_norm")


@dataclass(eq=False, repr=False)
class ResumableCallbacks(keras.callbacks.CallbackList):
    """The callbacks of a training that is saved every few steps and after each epoch, and resumed.

    The order of the data and every random layer are functions of `(seed, epoch)`: Keras does not
    save the state of random layers, and its `fit` shuffles by a global generator. A step is saved
    before the callbacks begin it, and an epoch after they have ended it.

    Args:
        own: The callbacks of the user.
        run: The run folder.
        saved: The checkpoint to resume from, assigned to the model, or None.
        batches: The training data.
        seed: Integer >= 0.
        every: Number of steps between checkpoints within an epoch, or None.
        after_epoch: Function of the history, called when an epoch has been saved, or None.
        monitor: Column that every row must have, or None.
        settings: Arguments of Keras' list.

    Attributes:
        rows: The history, a list of dicts.
        ended: Whether the callbacks have done what they do at the end.
    """

    own: Sequence[keras.callbacks.Callback]
    run: RunFolder
    saved: Config | None
    batches: ShuffledBatches
    seed: int
    every: int | None
    after_epoch: Callable[[list[Row]], object] | None
    monitor: str | None
    settings: Config

    def __post_init__(self) -> None:
        self.last, self.ended = _LastLogs(), False
        callbacks, has_bar = [RaiseDropped(), *self.own, self.last], self.settings["verbose"] != 0
        super().__init__(callbacks, add_history=True, add_progbar=has_bar, **self.settings)
        self.states = CallbackStates(self.own)
        self.rows: list[Row] = list(self.saved["history"]) if self.saved else []
        self.start = time.perf_counter()

    def on_train_begin(self, logs: Config | None = None) -> None:
        super().on_train_begin(logs)
        self.states.begin()  # callbacks such as EarlyStopping have reset themselves
        if self.saved:
            self.states.restore(self.saved, within_epoch=False)
        else:
            self.save()  # a call after an interrupt in the first epoch begins with these weights

    def on_epoch_begin(self, epoch: int, logs: Config | None = None) -> None:
        self.epoch, self.batches.start = epoch, 0
        self.batches.shuffle(np.random.default_rng([self.seed, epoch]))
        _seed_random_layers(self.model, self.seed, epoch)
        self.start = time.perf_counter()
        # The rest of an epoch: the other callbacks begin it as always.
        self.resumed = self.saved if self.saved and self.saved["step"] else None
        self.saved = None
        if self.resumed:
            self.batches.start = self.resumed["step"]
            self.start -= self.resumed["seconds"]
        super().on_epoch_begin(epoch, logs)
        if self.resumed:
            restore(self.resumed, self.model)
            self.states.restore(self.resumed, within_epoch=True)
        self.step_saved = self.batches.start

    def on_train_batch_begin(self, batch: int, logs: Config | None = None) -> None:
        # The rest of an epoch is shorter than Keras knows. This is how its iterators end an epoch.
        # Otherwise Keras would call the training function without data, which on TensorFlow counts
        # as an iteration.
        if batch >= len(self.batches):
            raise StopIteration
        batch += self.batches.start
        if self.resumed and batch == self.batches.start:
            # Not earlier: torch draws a number when it begins to read the data.
            restore_random_states(self.resumed["random"])
        if self.every and batch // self.every > self.step_saved // self.every:
            self.step_saved = batch
            self.save(batch)
        super().on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Config | None = None) -> None:
        super().on_train_batch_end(self.batches.start + batch, logs)

    def on_epoch_end(self, epoch: int, logs: Config | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        seconds = time.perf_counter() - self.start
        row = {"epoch": epoch, **_measurements(self.last.logs, self.model), "seconds": seconds}
        if "train_loss" not in row:
            raise ValueError(
                f"`model` must report a loss. Received the logs: {', '.join(self.last.logs)}. "
                "Return `loss` from its train_step."
            )
        measured = [name for name in row if name.startswith(("train_", "test_"))]
        if (self.monitor or "train_loss") not in measured:
            raise ValueError(
                f"`monitor` must be a column of the history: {', '.join(measured)}. Received: "
                f"{self.monitor!r}."
            )
        self.rows.append(row)
        if has_diverged(self.rows):
            self.model.stop_training = True
        self.save()
        self.run.write_history(self.rows)
        if self.after_epoch:
            self.after_epoch(self.rows)

    def __del__(self) -> None:
        # The last reference may be that of the list's own thread, which cannot wait for itself.
        with contextlib.suppress(AttributeError, RuntimeError):
            super().__del__()

    def save(self, step: int = 0) -> None:
        """Write everything: after `step` steps of this epoch, or with 0 before the next epoch."""
        model = self.model  # on JAX this copies the training state back to the variables
        metrics = model.metrics_variables if step else []
        self.run.save(
            {
                "history": self.rows,
                "step": step,
                "seconds": time.perf_counter() - self.start,
                "stopped": bool(model.stop_training),
                "ended": self.ended,
                "random": random_states(),
                "variables": list(map(keras.ops.convert_to_numpy, variables(model))),
                "metrics": list(map(keras.ops.convert_to_numpy, metrics)),
                **self.states.save(within_epoch=bool(step)),
            }
        )


class _LastLogs(keras.callbacks.Callback):
    """The logs of an epoch with what the callbacks before have added."""

    def on_epoch_end(self, epoch: int, logs: Config | None = None) -> None:
        self.logs = dict(logs or {})


def restore(saved: Config, model: keras.Model) -> None:
    """Assign the values of a checkpoint to the variables of a model, optimizer and metrics."""
    targets, arrays = variables(model), saved["variables"]
    if saved["step"]:
        targets, arrays = targets + model.metrics_variables, arrays + saved["metrics"]
    if [tuple(target.shape) for target in targets] != [array.shape for array in arrays]:
        raise ValueError(
            "The checkpoint does not fit this model, optimizer and metrics. Pass those of the run, "
            "or another folder."
        )
    for target, array in zip(targets, arrays, strict=True):
        target.assign(array)


def variables(model: keras.Model) -> list[keras.Variable]:
    """Return all variables of a model and its optimizers, also those of a custom `train_step`."""
    values = vars(model).values()
    own = {id(o): o for o in values if isinstance(o, keras.optimizers.Optimizer)}
    return [*model.variables, *(v for optimizer in own.values() for v in optimizer.variables)]


def has_diverged(rows: list[Row]) -> bool:
    """Return whether the last loss is not finite."""
    return not math.isfinite(rows[-1]["train_loss"])


def _seed_random_layers(model: keras.Model, seed: int, epoch: int) -> None:
    # SeedSequence mixes the numbers: torch adds seed and counter, so that similar seeds would draw
    # the same numbers. On torch, Keras' dropout draws from the global generator.
    keras.utils.set_random_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
    seeds = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    for i, variable in enumerate(seeds):
        layer_seed = np.random.SeedSequence([seed, epoch, i + 1]).generate_state(1)[0] >> 1
        variable.assign(np.array([layer_seed, 0]))


def _measurements(logs: Config, model: keras.Model) -> Row:
    """Return the measurements of an epoch: Keras' `loss` and `val_loss` become `train_loss` and
    `test_loss`. Vectors, such as an accuracy by class, are left out."""
    row: Row = {"learning_rate": None}
    with contextlib.suppress(AttributeError):  # a MultiOptimizer has several
        row["learning_rate"] = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    for name, value in logs.items():
        if np.size(value) == 1:
            kind = "" if name in OTHER_LOGS else "test_" if name.startswith("val_") else "train_"
            row[kind + name.removeprefix("val_")] = np.asarray(value).item()
    return row
