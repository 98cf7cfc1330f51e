"""Figures from recorded numbers (extra: plots)."""

from keras_euler.plots.evaluation import evaluation
from keras_euler.plots.growth import growths, suggestions
from keras_euler.plots.studies import accuracies, accuracy_curves, noisy_images
from keras_euler.plots.training import gradient_dynamics, training_curves

__all__ = [
    "accuracies",
    "accuracy_curves",
    "evaluation",
    "gradient_dynamics",
    "growths",
    "noisy_images",
    "suggestions",
    "training_curves",
]
