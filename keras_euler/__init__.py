"""Residual networks as explicit Euler steps, for Keras 3 on TensorFlow, JAX and PyTorch."""

from keras_euler import analysis, datasets
from keras_euler.analysis import suggest_h
from keras_euler.callbacks import GradientLogger, MultiStepDecay, WeightLogger
from keras_euler.convert import load_torch_state_dict
from keras_euler.datasets.characters import corrupt_characters
from keras_euler.layers import (
    AdditiveGaussianNoise,
    EulerAdd,
    EulerResidual,
    RandomCharacters,
    RandomPadCrop,
    add_gaussian_noise,
)
from keras_euler.models import (
    CharacterClassifier,
    EulerResNet,
    EulerVDCNN,
    ImageClassifier,
    list_models,
    list_presets,
)
from keras_euler.optimizers import GradientRecorder
from keras_euler.surgery import block_features, eulerize, fold, residual_connections

__version__ = "0.1.0"

__all__ = [
    "AdditiveGaussianNoise",
    "CharacterClassifier",
    "EulerAdd",
    "EulerResNet",
    "EulerResidual",
    "EulerVDCNN",
    "GradientLogger",
    "GradientRecorder",
    "ImageClassifier",
    "MultiStepDecay",
    "RandomCharacters",
    "RandomPadCrop",
    "WeightLogger",
    "add_gaussian_noise",
    "analysis",
    "block_features",
    "corrupt_characters",
    "datasets",
    "eulerize",
    "fold",
    "list_models",
    "list_presets",
    "load_torch_state_dict",
    "residual_connections",
    "suggest_h",
]
