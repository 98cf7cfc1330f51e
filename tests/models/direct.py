"""What the tests of layers that are called directly share."""

import keras
import numpy as np

from tests.models.networks import inputs, resnet


def small(**arguments):
    return resnet(**{"input_shape": (8, 8, 3), **arguments})


def assert_same(one, other):
    for a, b in zip(keras.tree.flatten(one), keras.tree.flatten(other), strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))


def batch(model, n=4):
    rng = np.random.default_rng(0)
    if keras.backend.is_int_dtype(model.inputs[0].dtype):
        return keras.ops.convert_to_tensor(inputs(model, rng, n)), np.arange(n) % 4
    return keras.ops.convert_to_tensor(
        rng.normal(size=(n, *model.input_shape[1:])).astype("float32")
    ), np.arange(n) % 4


def compiled(model, optimizer=None):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"])
    return model
