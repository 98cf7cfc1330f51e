"""A small Euler network of dense layers, with its gradients in NumPy."""

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
    branch = [keras.layers.Dense(5, "relu", use_bias=False, name="a"), keras.layers.Dense(6, use_bias=False, name="b")]
    logits_dtype = keras.dtype_policies.get(dtype).variable_dtype
    layers = [
        keras_euler.EulerResidual(branch, h=H, name="block"),
        keras.layers.Dense(3, use_bias=False, name="c", dtype=logits_dtype),
    ]
    model = keras.Sequential([keras.Input((6,)), *layers] if inputs else layers, name="dense")
    keras.config.set_dtype_policy(before)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), **compile_arguments)
    return model


def weights(model):
    """The kernels A, B and C."""
    return [keras.ops.convert_to_numpy(variable) for variable in model.weights]


def gradients(kernels, x, y):
    """The gradients of the mean cross entropy with respect to A, B and C, from the chain rule, in float64."""
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
