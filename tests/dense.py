"""A small Euler network of dense layers, with its gradients in NumPy."""

import os
import subprocess
import sys

import keras
import numpy as np

import keras_euler

H = 0.5
X = np.random.default_rng(1).normal(size=(32, 6)).astype("float32")
Y = np.random.default_rng(2).integers(0, 3, 32)
LAYERS = ["block/a", "block/b", "c"]


def network(optimizer="sgd", dtype="float32", inputs=True, **compile_arguments):
    """Build and compile `logits = (x + h relu(x A) B) C`."""
    keras.utils.set_random_seed(3)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    branch = [
        keras.layers.Dense(5, "relu", use_bias=False, name="a"),
        keras.layers.Dense(6, use_bias=False, name="b"),
    ]
    logits_dtype = keras.dtype_policies.get(dtype).variable_dtype
    layers = [
        keras_euler.EulerResidual(branch, h=H, name="block"),
        keras.layers.Dense(3, use_bias=False, name="c", dtype=logits_dtype),
    ]
    model = keras.Sequential([keras.Input((6,)), *layers] if inputs else layers, name="dense")
    keras.config.set_dtype_policy(before)
    model.compile(
        optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), **compile_arguments
    )
    return model


def weights(model):
    """The kernels A, B and C."""
    return [keras.ops.convert_to_numpy(variable) for variable in model.weights]


def gradients(kernels, x, y):
    """The gradients of the mean cross entropy with respect to A, B and C, from the chain rule, in
    float64."""
    a, b, c = (kernel.astype("float64") for kernel in kernels)
    hidden = np.maximum(x @ a, 0)
    features = x + H * hidden @ b
    exponentials = np.exp(features @ c)
    d_logits = (exponentials / exponentials.sum(1, keepdims=True) - np.eye(3)[y]) / len(y)
    d_features = d_logits @ c.T
    d_hidden = H * d_features @ b.T * (hidden > 0)
    return [x.T @ d_hidden, H * hidden.T @ d_features, features.T @ d_logits]


def norms_of(arrays):
    """The L2 norms of the arrays and of all arrays together."""
    each = [np.linalg.norm(array) for array in arrays]
    return [*each, np.linalg.norm(each)]


def norms(kernels, x, y):
    """The norms of the gradients."""
    return norms_of(gradients(kernels, x, y))


TWO_DEVICES = """
import keras, numpy as np
from tests import dense
from keras_euler import GradientRecorder, LearningRateMultiplier

def scope(count):
    if keras.backend.backend() == "jax":
        devices = keras.distribution.list_devices()[:count]
        return keras.distribution.DataParallel(devices=devices).scope()
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    return tf.distribute.MirroredStrategy(names[:count]).scope()

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    parts = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
"""


def run_on_two_devices(code):
    """Run code in a process with two virtual devices, where `scope(count)` makes models for so
    many; it must raise nothing."""
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    program = [sys.executable, "-c", TWO_DEVICES + code]
    result = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
