"""Convert, fold, inspect and measure any functional Keras model through its graph."""

from keras_euler.surgery.eulerize import eulerize
from keras_euler.surgery.features import block_features
from keras_euler.surgery.fold import fold
from keras_euler.surgery.residual_connections import Residual, residual_connections
from keras_euler.surgery.size import multiply_adds

__all__ = [
    "Residual",
    "block_features",
    "eulerize",
    "fold",
    "multiply_adds",
    "residual_connections",
]
