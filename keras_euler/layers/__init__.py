"""Layers: the Euler step, and the random layers that run inside the compiled step."""

from keras_euler.layers.batch_normalization import BatchNormalization
from keras_euler.layers.convolution import Conv2D
from keras_euler.layers.euler_residual import EulerAdd, EulerResidual
from keras_euler.layers.gaussian_noise import AdditiveGaussianNoise, add_gaussian_noise
from keras_euler.layers.padding_shortcut import PaddingShortcut
from keras_euler.layers.random_pad_crop import RandomPadCrop

__all__ = [
    "AdditiveGaussianNoise",
    "BatchNormalization",
    "Conv2D",
    "EulerAdd",
    "EulerResidual",
    "PaddingShortcut",
    "RandomPadCrop",
    "add_gaussian_noise",
]
