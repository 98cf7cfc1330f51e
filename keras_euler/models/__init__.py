"""Networks made of Euler steps, and what fills and describes them."""

from keras_euler.models.character_classifier import CharacterClassifier
from keras_euler.models.euler_resnet import EulerResNet
from keras_euler.models.euler_vdcnn import EulerVDCNN
from keras_euler.models.eulerize import eulerize
from keras_euler.models.features import block_features
from keras_euler.models.fold import fold
from keras_euler.models.prebuilt import list_models
from keras_euler.models.presets import Preset, list_presets
from keras_euler.models.residual_connections import Residual, residual_connections
from keras_euler.models.torch_weights import load_torch_state_dict

__all__ = [
    "CharacterClassifier",
    "EulerResNet",
    "EulerVDCNN",
    "Preset",
    "Residual",
    "block_features",
    "eulerize",
    "fold",
    "list_models",
    "list_presets",
    "load_torch_state_dict",
    "residual_connections",
]
