"""Callbacks for `model.fit`."""

from keras_euler.callbacks.multi_step_decay import MultiStepDecay

__all__ = ["MultiStepDecay"]
