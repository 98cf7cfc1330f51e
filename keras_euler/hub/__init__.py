"""EulerResNet and EulerVDCNN as KerasHub models: backbones, tasks and preprocessors.

Importing this module registers them, so that `keras_hub.models.ImageClassifier.from_preset(folder)`
and the like find them.
"""

try:
    import keras_hub  # noqa: F401
except ImportError as error:
    raise ImportError(
        'keras_euler.hub needs KerasHub. Install it: pip install "keras-euler[hub]"'
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
