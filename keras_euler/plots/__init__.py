"""Figures from recorded numbers (extra: plots)."""

from keras_euler.plots._figure import COLOURS, colours_of, finished, new_figure
from keras_euler.plots.evaluation import evaluation
from keras_euler.plots.growth import growths, signals, suggestions
from keras_euler.plots.studies import accuracies, accuracy_curves, noisy_images
from keras_euler.plots.training import gradient_dynamics, training_curves

__all__ = [
    "COLOURS",
    "accuracies",
    "accuracy_curves",
    "colours_of",
    "evaluation",
    "finished",
    "gradient_dynamics",
    "growths",
    "new_figure",
    "noisy_images",
    "signals",
    "suggestions",
    "training_curves",
]
