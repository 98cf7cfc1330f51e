"""Checkpoints within an epoch."""

import time
from typing import Any

import keras

from keras_euler._types import Config
from keras_euler.callbacks import GradientLogger, WeightLogger
from keras_euler.training.batches import ShuffledBatches, ShuffledDataset
from keras_euler.training.devices import random_states, restore_random_states
from keras_euler.training.epochs import Checkpoint
from keras_euler.training.memory import assign, state, values
from keras_euler.training.position import Position


class StepCheckpoint(keras.callbacks.Callback):
    """Write the whole state every few steps of an epoch; go on in the middle of the first epoch.

    It comes after the other callbacks, which begin the epoch as always. Then the numbers of the position replace theirs.

    Args:
        checkpoint: The checkpoint of epochs.
        batches: The training data.
        every: Number of steps, or None to write nothing.
        position: Where the first epoch goes on, or None.
    """

    def __init__(
        self, checkpoint: Checkpoint, batches: ShuffledBatches | ShuffledDataset, every: int | None, position: Position | None
    ) -> None:
        super().__init__()
        self.checkpoint, self.batches, self.every, self.position = checkpoint, batches, every, position
        self.loggers = [logger for logger in checkpoint.numbers.callbacks if isinstance(logger, (GradientLogger, WeightLogger))]

    def on_epoch_begin(self, epoch: int, logs: Config | None = None) -> None:
        self.epoch, self.saved = epoch, self.batches.start
        if self.position and self.position.epoch == epoch:
            self._restore(self.position)

    def on_train_batch_begin(self, batch: int, logs: Config | None = None) -> None:
        if self.position and self.position.epoch == self.epoch and batch == 0:
            restore_random_states(self.position.random)  # not earlier: torch draws a number when it begins to read the data
        step = self.batches.start + batch
        if self.every and step // self.every > self.saved // self.every:
            self._save(step)
            self.saved = step

    def _save(self, step: int) -> None:
        seconds = time.perf_counter() - self.checkpoint.start
        loggers = [logger.save_epoch() for logger in self.loggers]
        model = self.model  # on JAX this copies the training state back to the variables
        arrays, metrics = values(state(model)), values(model.metrics_variables)
        memory: dict[str, Any] = {"epoch": self.epoch, "step": step, "seconds": seconds}
        memory |= {"callbacks": self.checkpoint.numbers.changes(), "loggers": loggers}
        memory["ends"] = [len(arrays), len(arrays) + len(metrics)]
        self.checkpoint.folder.save_step(memory, [*arrays, *metrics, *random_states()])

    def _restore(self, position: Position) -> None:
        position.assign_state(self.model)
        assign(self.model.metrics_variables, position.metrics, position.run.step_checkpoint)
        self.checkpoint.numbers.restore(position.callbacks)
        for logger, saved in zip(self.loggers, position.loggers, strict=False):
            logger.restore_epoch(saved)
        self.checkpoint.start -= position.seconds
