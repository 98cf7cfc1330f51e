"""Tests of the kind of a tensor."""


def is_tensorflow_tensor(x):
    """Return whether this is a TensorFlow tensor, which data sets pass to a preprocessor on every
    backend."""
    return type(x).__module__.startswith("tensorflow.")


def is_tensorflow_graph_tensor(x):
    """Return whether this is a symbolic TensorFlow tensor, such as those inside
    `tf.data.Dataset.map`."""
    return is_tensorflow_tensor(x) and not hasattr(x, "numpy")
