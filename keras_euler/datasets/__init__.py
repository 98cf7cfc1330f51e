"""Data sets as NumPy arrays; only a call such as `load_data` reads or downloads."""

from keras_euler.datasets import ag_news, cifar10, synthetic, text

__all__ = ["ag_news", "cifar10", "synthetic", "text"]
