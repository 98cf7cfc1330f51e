"""Compare a network with the paper's two propositions, choose h, and measure a network's size."""

from keras_euler.analysis.bounds import gradient_bounds, noise_bounds
from keras_euler.analysis.gradients import gradient_norms
from keras_euler.analysis.growth import Growth, calibrate_batch_norm, gradient_growth, noise_growth
from keras_euler.analysis.signal import Signal, signal
from keras_euler.analysis.spectral import spectral_norm
from keras_euler.analysis.suggest import Suggestion, suggest_h
from keras_euler.surgery.size import multiply_adds

__all__ = [
    "Growth",
    "Signal",
    "Suggestion",
    "calibrate_batch_norm",
    "gradient_bounds",
    "gradient_growth",
    "gradient_norms",
    "multiply_adds",
    "noise_bounds",
    "noise_growth",
    "signal",
    "spectral_norm",
    "suggest_h",
]
