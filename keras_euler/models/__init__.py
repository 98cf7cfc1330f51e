"""EulerResNet and EulerVDCNN, the classifiers of raw images and of strings, prebuilt networks and
presets."""

from keras_euler.models.character_classifier import CharacterClassifier
from keras_euler.models.euler_resnet import EulerResNet
from keras_euler.models.euler_vdcnn import EulerVDCNN
from keras_euler.models.image_classifier import ImageClassifier
from keras_euler.models.prebuilt import list_models
from keras_euler.models.presets import Preset, list_presets

__all__ = [
    "CharacterClassifier",
    "EulerResNet",
    "EulerVDCNN",
    "ImageClassifier",
    "Preset",
    "list_models",
    "list_presets",
]
