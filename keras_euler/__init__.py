"""Residual networks as explicit Euler steps, for Keras 3 on TensorFlow, JAX and PyTorch."""

from keras_euler import datasets
from keras_euler.callbacks import MultiStepDecay
from keras_euler.datasets.characters import corrupt_characters
from keras_euler.layers import (
    AdditiveGaussianNoise,
    EulerAdd,
    EulerResidual,
    RandomCharacters,
    RandomPadCrop,
    add_gaussian_noise,
)
from keras_euler.models import CharacterClassifier, EulerResNet, EulerVDCNN, list_models, load_torch_state_dict

__version__ = "0.1.0"

__all__ = [
    "AdditiveGaussianNoise",
    "CharacterClassifier",
    "EulerAdd",
    "EulerResNet",
    "EulerResidual",
    "EulerVDCNN",
    "MultiStepDecay",
    "RandomCharacters",
    "RandomPadCrop",
    "add_gaussian_noise",
    "corrupt_characters",
    "datasets",
    "list_models",
    "load_torch_state_dict",
]
