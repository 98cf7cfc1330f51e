"""Optimizers around another Keras optimizer: one records gradient norms, one multiplies learning
rates."""

from keras_euler.optimizers.gradient_recorder import GradientRecorder
from keras_euler.optimizers.learning_rate_multiplier import LearningRateMultiplier

__all__ = ["GradientRecorder", "LearningRateMultiplier"]
