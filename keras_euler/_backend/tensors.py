"""Which tensor this is."""

import keras
import numpy as np


def has_value(x):
    """Whether a tensor of the backend has a value that can be read: false while a function is traced."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return not tf.is_symbolic_tensor(x)
    if backend == "jax":
        import jax

        return not isinstance(x, jax.core.Tracer)
    import torch

    return not torch.compiler.is_compiling()


def is_tensorflow_tensor(x):
    """Whether this is a tensor of TensorFlow's, whatever the backend: data sets hand them to a preprocessor."""
    return type(x).__module__.startswith("tensorflow.")


def is_tensorflow_graph_tensor(x):
    """Whether this is a symbolic tensor of TensorFlow's, without a value, such as `tf.data.Dataset.map` hands out."""
    return is_tensorflow_tensor(x) and not hasattr(x, "numpy")


def is_string_tensor(x):
    """Whether this is a tensor of strings with a value; only TensorFlow has such."""
    return is_tensorflow_tensor(x) and hasattr(x, "numpy") and getattr(x.dtype, "name", None) == "string"


def decode_strings(x):
    """A tensor of strings, which are bytes there, as an array of Python's."""
    strings = [text.decode("utf-8", "replace") for text in np.ravel(x.numpy())]
    return np.array(strings, object).reshape(x.shape)
