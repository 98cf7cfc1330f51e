"""An optimizer that records gradient norms."""

from keras_euler.optimizers.gradient_recorder import GradientRecorder

__all__ = ["GradientRecorder"]
