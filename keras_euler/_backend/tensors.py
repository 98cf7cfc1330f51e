"""Tests of the kind of a tensor."""

import keras
import numpy as np


def has_value(x):
    """Return whether a tensor of the backend has a value, which it lacks while a function is
    traced."""
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
    """Return whether this is a TensorFlow tensor, which data sets pass to a preprocessor on every
    backend."""
    return type(x).__module__.startswith("tensorflow.")


def is_tensorflow_graph_tensor(x):
    """Return whether this is a symbolic TensorFlow tensor, such as those inside
    `tf.data.Dataset.map`."""
    return is_tensorflow_tensor(x) and not hasattr(x, "numpy")


def is_string_tensor(x):
    """Return whether this is a string tensor with a value, which only TensorFlow has."""
    return (
        is_tensorflow_tensor(x)
        and hasattr(x, "numpy")
        and getattr(x.dtype, "name", None) == "string"
    )


def decode_strings(x):
    """Return an array of Python strings from a string tensor, which holds bytes."""
    strings = [text.decode("utf-8", "replace") for text in np.ravel(x.numpy())]
    return np.array(strings, object).reshape(x.shape)
