"""The learning rate schedule of the paper."""

from collections.abc import Sequence

import keras

from keras_euler._checks import check_integer, check_number
from keras_euler._types import Config


class MultiStepDecay(keras.callbacks.LearningRateScheduler):
    """Multiply the learning rate by `factor` at each milestone.

    `rate(epoch) = base * factor ** #{m in milestones: m <= epoch}`, with epochs counted from 0.
    Milestones 40 and 60 with factor 0.1 are the paper's schedule for 80 epochs: the base rate in
    epochs 0 to 39, a tenth of it in 40 to 59, then a hundredth. The rate depends only on the epoch,
    so that it is right after resuming from any checkpoint.

    The logs of each epoch get `learning_rate`. CSVLogger and other callbacks that report logs see
    it if they come after this one in the list.

    Args:
        milestones: Increasing epoch numbers, integers >= 0.
        factor: What each milestone multiplies the rate by, a finite number >= 0.
        learning_rate: The base rate. None takes the optimizer's rate when `fit` begins, before
            another callback restores a checkpoint. For an optimizer that has already trained, this
            is assumed to be the rate of the preceding epoch, unless `training.fit` resumes and
            knows the base rate.

    Attributes:
        base: The base rate of this training, or None before it.

    Raises:
        ValueError: Milestones do not increase or are negative, or the factor or rate is invalid.
        TypeError: An argument is not a number; at `fit`, the optimizer has a
            `LearningRateSchedule`.

    Example:

    >>> decay = MultiStepDecay(milestones=(2, 3), factor=0.1, learning_rate=1.0)
    >>> [round(decay.rate(epoch), 3) for epoch in range(5)]
    [1.0, 1.0, 0.1, 0.01, 0.01]
    """

    def __init__(
        self,
        milestones: Sequence[int] = (40, 60),
        factor: float = 0.1,
        learning_rate: float | None = None,
    ) -> None:
        super().__init__(self.rate)
        if not isinstance(milestones, (list, tuple)):
            raise TypeError(
                "`milestones` must be a list of epoch numbers. Received: "
                f"milestones={milestones!r}."
            )
        self.milestones = tuple(
            check_integer("milestones", milestone, 0) for milestone in milestones
        )
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"`milestones` must increase. Received: milestones={milestones!r}.")
        self.factor = check_number("factor", factor, 0)
        self.learning_rate = (
            None if learning_rate is None else check_number("learning_rate", learning_rate, 0)
        )
        self.base = self.learning_rate

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        if self.base is None:
            raise ValueError(
                "The base rate is unknown before `fit`. Pass `learning_rate` to MultiStepDecay."
            )
        return self.base * self._decay(epoch)

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self.base = self.learning_rate
        self._rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
        self._has_trained = bool(keras.ops.convert_to_numpy(model.optimizer.iterations))

    def on_epoch_begin(self, epoch: int, logs: Config | None = None) -> None:
        if self.base is None:
            self.base = self._rate / ((self._has_trained and self._decay(epoch - 1)) or 1.0)
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Config | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.rate(epoch)  # exactly; Keras' would be rounded to float32

    def _decay(self, epoch: int) -> float:
        return self.factor ** sum(milestone <= epoch for milestone in self.milestones)
