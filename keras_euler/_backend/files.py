"""Reading files of a framework's own, and TensorFlow where it only reads data."""

import contextlib

import keras
import numpy as np


def leave_gpu_to_keras():
    """Where Keras runs on another backend and TensorFlow only reads files, keep it from taking the GPU's memory."""
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        with contextlib.suppress(RuntimeError):  # it already runs
            tf.config.set_visible_devices([], "GPU")


def read_torch_file(path):
    """What `torch.save` wrote, on the CPU; tensors and plain containers only, no code is run."""
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def on_strings_of_tensorflow(function, strings, length):
    """`function` of a list of strings, on a tensor of strings in a TensorFlow graph: int32 `(*shape, length)`."""
    import tensorflow as tf

    if strings.dtype != tf.string:
        raise TypeError(f"Texts must be strings. Received: a tensor of {strings.dtype.name}.")

    def decoded(array):
        return function([text.decode("utf-8", "replace") for text in np.ravel(array)]).astype("int32")

    ids = tf.numpy_function(decoded, [strings], tf.int32)
    return tf.ensure_shape(tf.reshape(ids, tf.concat([tf.shape(strings), [length]], 0)), (*strings.shape, length))
