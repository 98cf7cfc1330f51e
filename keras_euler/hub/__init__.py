"""EulerResNet and EulerVDCNN as KerasHub models: backbones, tasks and preprocessors.

Importing this module registers them, so that `keras_hub.models.ImageClassifier.from_preset(folder)`
and the like find them.
"""

from keras_euler._checks import install_command

try:
    import keras_hub  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"keras_euler.hub needs KerasHub. Install it: {install_command('hub')}"
    ) from error

from keras_euler.hub.images import (
    EulerResNetBackbone,
    EulerResNetImageClassifier,
    EulerResNetImageClassifierPreprocessor,
    EulerResNetImageConverter,
)
from keras_euler.hub.texts import (
    EulerVDCNNBackbone,
    EulerVDCNNTextClassifier,
    EulerVDCNNTextClassifierPreprocessor,
)

__all__ = [
    "EulerResNetBackbone",
    "EulerResNetImageClassifier",
    "EulerResNetImageClassifierPreprocessor",
    "EulerResNetImageConverter",
    "EulerVDCNNBackbone",
    "EulerVDCNNTextClassifier",
    "EulerVDCNNTextClassifierPreprocessor",
]
