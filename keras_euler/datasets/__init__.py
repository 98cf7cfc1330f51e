"""Data sets as NumPy arrays; only a call such as `load_data` reads or downloads."""

from keras_euler.datasets import ag_news, cifar10, shifted, synthetic, text
from keras_euler.datasets.labels import flip_labels

__all__ = ["ag_news", "cifar10", "flip_labels", "shifted", "synthetic", "text"]
