"""Residual networks as explicit Euler steps, for Keras 3 on TensorFlow, JAX and PyTorch.

A residual block is one explicit Euler step of size h:

    x_{n+1} = I(x_n + h * F(x_n))

Here x_n is the input of block n, F its residual branch and I its activation. The ordinary
ResNet has h = 1. With a small step factor such as h = 0.1, a network of a hundred layers learns
at once where the ordinary one is stuck.

>>> model = keras_euler.EulerResNet(depth=20, h=0.1)  # an image network
>>> model.output_shape
(None, 10)
>>> resnet = keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3))
>>> euler = keras_euler.eulerize(resnet, h=0.1)  # your own network, converted
resnet50: scaled 16 branches by h = 0.1: conv2_block1_add, ..., conv5_block3_add.

The subpackages `hub`, `plots`, `studies` and `training` are imported at their first use, such as
`keras_euler.plots.growths`.
"""

import typing as _typing
from importlib import import_module as _import_module

from keras_euler import analysis, datasets
from keras_euler._version import __version__ as __version__
from keras_euler.analysis import suggest_h
from keras_euler.callbacks import GradientLogger, MultiStepDecay, WeightLogger
from keras_euler.convert import load_torch_state_dict
from keras_euler.datasets.text import corrupt_characters
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
from keras_euler.optimizers import GradientRecorder, LearningRateMultiplier
from keras_euler.surgery import block_features, eulerize, fold, residual_connections

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
    "LearningRateMultiplier",
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

if _typing.TYPE_CHECKING:
    from keras_euler import hub as hub
    from keras_euler import plots as plots
    from keras_euler import studies as studies
    from keras_euler import training as training
else:
    _LAZY = ("hub", "plots", "studies", "training")

    def __getattr__(name):
        if name not in _LAZY:
            raise AttributeError(f"module 'keras_euler' has no attribute {name!r}")
        try:
            return _import_module(f"keras_euler.{name}")
        except ImportError as error:  # as an AttributeError it leaves `hasattr` and `help` working
            raise AttributeError(f"keras_euler.{name} is unavailable: {error}") from error

    def __dir__():
        return sorted({*globals(), *_LAZY})
