"""Callbacks for `model.fit`."""

from keras_euler.callbacks.gradient_logger import GradientLogger
from keras_euler.callbacks.multi_step_decay import MultiStepDecay
from keras_euler.callbacks.read_log import read_log
from keras_euler.callbacks.weight_logger import WeightLogger

__all__ = ["GradientLogger", "MultiStepDecay", "WeightLogger", "read_log"]
