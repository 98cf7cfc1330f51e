"""The Euler step, random layers that run inside the compiled step, and layers of the two networks
that Keras lacks."""

from keras_euler.layers.batch_normalization import BatchNormalization
from keras_euler.layers.character_embedding import CharacterEmbedding
from keras_euler.layers.character_noise import RandomCharacters
from keras_euler.layers.convolution import Conv1D, Conv2D
from keras_euler.layers.euler_add import EulerAdd
from keras_euler.layers.euler_residual import EulerResidual
from keras_euler.layers.gaussian_noise import AdditiveGaussianNoise, add_gaussian_noise
from keras_euler.layers.padding_shortcut import PaddingShortcut
from keras_euler.layers.pooling import HalvingMaxPooling1D, KMaxPooling1D
from keras_euler.layers.random_pad_crop import RandomPadCrop

__all__ = [
    "AdditiveGaussianNoise",
    "BatchNormalization",
    "CharacterEmbedding",
    "Conv1D",
    "Conv2D",
    "EulerAdd",
    "EulerResidual",
    "HalvingMaxPooling1D",
    "KMaxPooling1D",
    "PaddingShortcut",
    "RandomCharacters",
    "RandomPadCrop",
    "add_gaussian_noise",
]
