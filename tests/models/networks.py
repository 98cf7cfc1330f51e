"""Small versions of the two networks, their inputs and helpers for their tests. Add new networks to
`NETWORKS`."""

import math

import keras
import numpy as np
import pytest

import keras_euler
from tests import oracle

ARRAY = keras.ops.convert_to_numpy
# How a network can be built; each is compared with the formulas, saved and read back.
BUILDS = {
    "plain": {},
    "h=1": {"h": 1.0},
    "no norm": {"norm": None},
    "group": {"norm": "group"},
    "layer": {"norm": "layer"},
    "option A": {"shortcut": "padding"},
    "preactivation": {"preactivation": True},
    "preactivation without norm": {"preactivation": True, "norm": None},
    "preactivation, option A": {"preactivation": True, "shortcut": "padding"},
    "heun": {"scheme": "heun", "h": 0.5},
    "heun, damped": {"scheme": "heun", "skip": 0.9, "preactivation": True},
}
# On TensorFlow and JAX, which compile, those that have a layer or a step of their own.
ON_ALL_BACKENDS = ("plain", "no norm", "group", "option A", "preactivation", "heun")
EVERY_BUILD = pytest.mark.parametrize(
    "build",
    [pytest.param(n, marks=[] if n in ON_ALL_BACKENDS else pytest.mark.once) for n in BUILDS],
)


def resnet(**arguments):
    return keras_euler.EulerResNet(**{"depth": 8, **arguments})


def vdcnn(**arguments):
    small = dict(depth=9, sequence_length=64, widths=(8, 16, 24, 32), dense_units=16)
    return keras_euler.EulerVDCNN(**{**small, **arguments})


NETWORKS = {"resnet": resnet, "vdcnn": vdcnn}
BLOCKS = {"resnet": 3, "vdcnn": 4}  # in this size
ORACLES = {"resnet": oracle.ResNet, "vdcnn": oracle.VDCNN}


def inputs(model, rng, n=4):
    """Make inputs of `model`: normalized pixels, or ids that end with padding."""
    if len(model.input_shape) == 4:
        return rng.normal(size=(n, *model.input_shape[1:])).astype("float32")
    length = model.input_shape[1]
    ids = rng.integers(1, model.get_layer("embedding").input_dim, (n, length))
    return np.where(np.arange(length) < rng.integers(length // 2, length, (n, 1)), ids, 0)


def count(model):
    """Return the number of trainable parameters."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def arrays(model):
    """Return a dict of path -> value of every variable."""
    return {variable.path: ARRAY(variable) for variable in model.weights}


def scramble(model, rng):
    """Set random values everywhere, so that no gamma = 1 or beta = 0 hides a mistake."""
    for variable in model.weights:
        name = variable.path.rpartition("/")[2]
        if name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif name not in ("kernel", "embeddings"):
            variable.assign(rng.normal(size=variable.shape) * 0.1)
    return arrays(model)
