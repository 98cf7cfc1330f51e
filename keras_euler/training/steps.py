"""Checkpoints within an epoch."""

import time
from collections.abc import Sequence
from typing import Any

import keras

from keras_euler._types import Config
from keras_euler.callbacks import GradientLogger, WeightLogger
from keras_euler.training.batches import ShuffledBatches, ShuffledDataset
from keras_euler.training.devices import (
    generator_states,
    random_states,
    restore_generator_states,
    restore_random_states,
)
from keras_euler.training.epochs import Checkpoint
from keras_euler.training.memory import assign, state, values
from keras_euler.training.position import Position


class Callbacks(keras.callbacks.CallbackList):
    """The callbacks of a training, which also count the batches of an epoch that an earlier process
    did.

    Args:
        callbacks: The callbacks.
        batches: The training data.
        **settings: As for Keras' list.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        batches: ShuffledBatches | ShuffledDataset,
        **settings: Any,
    ) -> None:
        super().__init__(
            list(callbacks), add_history=True, add_progbar=settings["verbose"] != 0, **settings
        )
        self.batches = batches

    def on_train_batch_begin(self, batch: int, logs: Config | None = None) -> None:
        super().on_train_batch_begin(self.batches.start + batch, logs)

    def on_train_batch_end(self, batch: int, logs: Config | None = None) -> None:
        super().on_train_batch_end(self.batches.start + batch, logs)


class StepCheckpoint(keras.callbacks.Callback):
    """Write the whole state every few steps of an epoch.

    It comes before the other callbacks: what they do at the beginning of a step is done again when
    the run goes on at this step.

    Args:
        checkpoint: The checkpoint of epochs.
        batches: The training data.
        every: Number of steps, or None to write nothing.
        position: Where the first epoch goes on, or None.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        batches: ShuffledBatches | ShuffledDataset,
        every: int | None,
        position: Position | None,
    ) -> None:
        super().__init__()
        self.checkpoint, self.batches, self.every, self.position = (
            checkpoint,
            batches,
            every,
            position,
        )

    def on_epoch_begin(self, epoch: int, logs: Config | None = None) -> None:
        self.epoch, self.saved = epoch, self.batches.start

    def on_train_batch_begin(self, batch: int, logs: Config | None = None) -> None:
        if self.position and self.position.epoch == self.epoch and batch == self.batches.start:
            # Not earlier: torch draws a number when it begins to read the data.
            restore_random_states(self.position.random)
            restore_generator_states(self.position.generators)
        if self.every and batch // self.every > self.saved // self.every:
            self._save(batch)
            self.saved = batch

    def _save(self, step: int) -> None:
        seconds = time.perf_counter() - self.checkpoint.start
        saved = [logger.save_epoch() for logger in loggers(self.checkpoint)]
        model = self.model  # on JAX this copies the training state back to the variables
        arrays, metrics = values(state(model)), values(model.metrics_variables)
        memory: dict[str, Any] = {"epoch": self.epoch, "step": step, "seconds": seconds}
        memory |= {
            "callbacks": self.checkpoint.numbers.changes(),
            "loggers": saved,
            "generators": generator_states(),
        }
        memory["ends"] = [len(arrays), len(arrays) + len(metrics)]
        self.checkpoint.folder.save_step(memory, [*arrays, *metrics, *random_states()])


class ResumedEpoch(keras.callbacks.Callback):
    """Go on in the middle of the first epoch, which the other callbacks have begun as always.

    Args:
        checkpoint: The checkpoint of epochs.
        position: Where the first epoch goes on, or None.
    """

    def __init__(self, checkpoint: Checkpoint, position: Position | None) -> None:
        super().__init__()
        self.checkpoint, self.position = checkpoint, position

    def on_epoch_begin(self, epoch: int, logs: Config | None = None) -> None:
        position = self.position
        if not position or position.epoch != epoch:
            return
        position.assign_state(self.model)
        assign(self.model.metrics_variables, position.metrics, position.run.step_checkpoint)
        self.checkpoint.numbers.restore(position.callbacks)
        for logger, saved in zip(loggers(self.checkpoint), position.loggers, strict=False):
            logger.restore_epoch(saved)
        self.checkpoint.start -= position.seconds


def loggers(checkpoint: Checkpoint) -> list[GradientLogger | WeightLogger]:
    """Return the loggers of norms among the callbacks."""
    return [
        logger
        for logger in checkpoint.numbers.callbacks
        if isinstance(logger, (GradientLogger, WeightLogger))
    ]
