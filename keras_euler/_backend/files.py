"""Reading files of a framework, and using TensorFlow only to read data."""

import contextlib

import keras
import numpy as np


def leave_gpu_to_keras():
    """Keep TensorFlow from taking the GPU's memory if Keras runs on another backend."""
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        with contextlib.suppress(RuntimeError):  # it has already started
            tf.config.set_visible_devices([], "GPU")


def read_torch_file(path):
    """Load a file of `torch.save` on the CPU: only tensors and plain containers, without running
    code."""
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def is_tensorflow_tensor(x):
    """Return whether this is a TensorFlow tensor, which data sets pass to a preprocessor on every
    backend."""
    return type(x).__module__.startswith("tensorflow.")


def is_tensorflow_graph_tensor(x):
    """Return whether this is a symbolic TensorFlow tensor, such as those inside
    `tf.data.Dataset.map`."""
    return is_tensorflow_tensor(x) and not hasattr(x, "numpy")


def on_strings_of_tensorflow(function, strings, length):
    """Apply a function of a list of strings to a string tensor in a TensorFlow graph; return int32
    `(*shape, length)`."""
    import tensorflow as tf

    if strings.dtype != tf.string:
        raise TypeError(f"Texts must be strings. Received: a tensor of {strings.dtype.name}.")

    def decoded(array):
        return function([text.decode("utf-8", "replace") for text in np.ravel(array)]).astype(
            "int32"
        )

    ids = tf.numpy_function(decoded, [strings], tf.int32)
    return tf.ensure_shape(
        tf.reshape(ids, tf.concat([tf.shape(strings), [length]], 0)), (*strings.shape, length)
    )
