"""Data sets as NumPy arrays. Nothing is read or downloaded before `load_data` is called."""

from keras_euler.datasets import ag_news, characters, cifar10, shifted, synthetic
from keras_euler.datasets.labels import flip_labels

__all__ = ["ag_news", "characters", "cifar10", "flip_labels", "shifted", "synthetic"]
