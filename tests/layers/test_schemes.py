"""Runge-Kutta steps, damped shortcuts and stochastic depth: formulas in NumPy, and orders against
an exact solution."""

import contextlib

import keras
import numpy as np
import pytest

from keras_euler import EulerResidual

ARRAY = keras.ops.convert_to_numpy
ORDERS = {"euler": 1, "heun": 2, "rk4": 4}


def linear(matrix):
    """A layer that multiplies by a matrix, its weight."""
    layer = keras.layers.Dense(matrix.shape[1], use_bias=False)
    layer.build((None, len(matrix)))
    layer.kernel.assign(matrix)
    return layer


def heun(F, x, h):
    first = F(x)
    return x + h / 2 * (first + F(x + h * first))


def rk4(F, x, h):
    k1 = F(x)
    k2 = F(x + h / 2 * k1)
    k3 = F(x + h / 2 * k2)
    k4 = F(x + h * k3)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


STEPS = {"euler": lambda F, x, h: x + h * F(x), "heun": heun, "rk4": rk4}


@contextlib.contextmanager
def float64():
    """Let Keras compute in float64, and JAX keep it."""
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")
    try:
        yield
    finally:
        keras.config.set_floatx("float32")
        if keras.backend.backend() == "jax":
            jax.config.update("jax_enable_x64", False)


class Linear(keras.layers.Layer):
    """`F(x) = x A` in the precision of `x`; `keras.ops.matmul` gives float32 on torch."""

    def __init__(self, A, **kwargs):
        super().__init__(**kwargs)
        self.A = A

    def call(self, x):
        return x @ keras.ops.convert_to_tensor(self.A, x.dtype)


@pytest.mark.parametrize("scheme", ORDERS)
def test_steps_converge_to_the_exact_solution_with_the_order_of_the_method(scheme, rng):
    """x' = x A, x(0) = x_0: the error at T = 1 falls like h^order, where n blocks take h = T /
    n."""
    A, x0 = rng.normal(size=(3, 3)), rng.normal(size=(2, 3))
    values, vectors = np.linalg.eig(A)
    exact = (x0 @ vectors @ np.diag(np.exp(values)) @ np.linalg.inv(vectors)).real
    steps, errors = np.array([16, 32, 64]), []
    with float64():
        for n in steps:
            step = EulerResidual(
                Linear(A, dtype="float64"), h=1 / n, scheme=scheme, dtype="float64"
            )
            x = keras.ops.convert_to_tensor(x0, "float64")
            for _ in range(n):
                x = step(x)
            errors.append(np.abs(ARRAY(x) - exact).max())
    slope = np.polyfit(np.log(1 / steps), np.log(errors), 1)[0]
    assert abs(slope - ORDERS[scheme]) < 0.15


@pytest.mark.parametrize("trainable_h", [None, "scalar", "channel"])
@pytest.mark.parametrize("scheme", ORDERS)
def test_block_is_the_step_of_the_method_with_one_branch(scheme, trainable_h, rng):
    x, A = rng.normal(size=(5, 4)), rng.normal(size=(4, 4))
    branch = [linear(A), keras.layers.Activation("tanh")]
    block = EulerResidual(branch, 0.7, activation="relu", scheme=scheme, trainable_h=trainable_h)
    expected = np.maximum(STEPS[scheme](lambda x: np.tanh(x @ A), x, 0.7), 0)
    np.testing.assert_allclose(ARRAY(block(x.astype("float32"))), expected, atol=1e-5)
    assert len(block.weights) == 1 + (trainable_h is not None)


@pytest.mark.parametrize("scheme", ORDERS)
def test_a_block_with_a_shortcut_takes_eulers_step(scheme, rng):
    x, F, S = rng.normal(size=(5, 4)), rng.normal(size=(4, 6)), rng.normal(size=(4, 6))
    block = EulerResidual(linear(F), 0.3, shortcut=linear(S), scheme=scheme)
    np.testing.assert_allclose(ARRAY(block(x.astype("float32"))), x @ S + 0.3 * x @ F, atol=1e-5)


@pytest.mark.parametrize("scheme", ["heun", "rk4"])
def test_batch_norm_has_the_statistics_of_each_stage_and_shares_the_moving_ones_in_inference(
    scheme, rng
):
    x = rng.normal(2, size=(64, 3))
    norm = keras.layers.BatchNormalization(momentum=0.9)
    block = EulerResidual([norm, keras.layers.Activation("tanh")], 0.7, scheme=scheme)
    mean, variance = np.zeros(3), np.ones(3)

    def in_training(x):
        nonlocal mean, variance
        mean, variance = 0.9 * mean + 0.1 * x.mean(0), 0.9 * variance + 0.1 * x.var(0)
        return np.tanh((x - x.mean(0)) / np.sqrt(x.var(0) + norm.epsilon))

    expected = STEPS[scheme](in_training, x, 0.7)
    np.testing.assert_allclose(
        ARRAY(block(x.astype("float32"), training=True)), expected, atol=1e-4
    )
    np.testing.assert_allclose(ARRAY(norm.moving_mean), mean, atol=1e-5)
    np.testing.assert_allclose(ARRAY(norm.moving_variance), variance, atol=1e-5)
    expected = STEPS[scheme](
        lambda x: np.tanh((x - mean) / np.sqrt(variance + norm.epsilon)), x, 0.7
    )
    np.testing.assert_allclose(
        ARRAY(block(x.astype("float32"), training=False)), expected, atol=1e-4
    )


@pytest.mark.parametrize("scheme", ORDERS)
def test_drop_path_drops_whole_steps_of_examples_in_training_only(scheme, rng):
    x, A = rng.normal(size=(400, 2, 3)).astype("float32"), rng.normal(size=(3, 3))
    block = EulerResidual(linear(A), 0.5, scheme=scheme, drop_path=0.25, seed=1)
    step = STEPS[scheme](lambda x: x @ A, x, 0.5) - x
    np.testing.assert_allclose(ARRAY(block(x, training=False)), x + step, rtol=1e-4, atol=1e-4)
    y = ARRAY(block(x, training=True))
    kept = np.abs(y - x).max((1, 2)) > 1e-6
    np.testing.assert_allclose(y, x + kept[:, None, None] * step / 0.75, rtol=1e-4, atol=1e-4)
    assert 0.65 < kept.mean() < 0.85
    assert (ARRAY(block(x, training=True)) != y).any()
    again = EulerResidual(linear(A), 0.5, scheme=scheme, drop_path=0.25, seed=1)
    np.testing.assert_array_equal(ARRAY(again(x, training=True)), y)
