"""Mean squares of the signal and of its gradient, against NumPy and the closed form."""

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler.analysis import signal


def test_signal_and_gradient_of_linear_blocks_by_hand(rng):
    """x_1 = x_0 + h W x_0, so that the gradient at x_0 is (I + h W)^T u."""
    model = keras.Sequential([keras.Input((5,))])
    for _ in range(2):
        branch = [keras.layers.Dense(5, use_bias=False, kernel_initializer="orthogonal")]
        model.add(keras_euler.EulerResidual(branch, h=0.3))
    x = rng.normal(size=(4, 5)).astype("float32")
    steps = [
        np.eye(5) + 0.3 * keras.ops.convert_to_numpy(block.branch[0].kernel).astype("float64")
        for block in model.layers
    ]
    u = np.random.default_rng(3).normal(size=(4, 5)).astype("float32")
    signals = [x, x @ steps[0], x @ steps[0] @ steps[1]]
    gradients = [u @ steps[1].T @ steps[0].T, u @ steps[1].T, u]
    found = signal(model, x, seed=3)
    np.testing.assert_allclose(found.signal, [np.mean(s**2) for s in signals], rtol=1e-5)
    np.testing.assert_allclose(found.gradient, [np.mean(g**2) for g in gradients], rtol=1e-5)
    assert found.names[-1] == "output" and np.isnan(found.expected[1:]).all()


@pytest.mark.once
@pytest.mark.parametrize("norm", ["batch", None])
def test_closed_form_of_networks_with_preactivation(norm, rng):
    """Mean of five networks: one alone varies with its weights."""
    x = rng.normal(size=(8, 16, 16, 3)).astype("float32")
    ratios = []
    for seed in range(5):
        keras.utils.set_random_seed(seed)
        shared = dict(input_shape=(16, 16, 3), widths=(32, 48, 64), data_format="channels_last")
        model = keras_euler.EulerResNet(38, 0.5, norm=norm, preactivation=True, **shared)
        found = signal(model, x)
        ratios.append(found.signal / found.expected)
    np.testing.assert_allclose(np.mean(ratios, 0), 1, atol=0.12)


@pytest.mark.once
def test_any_residual_network_is_measured_and_left_as_it_is(rng):
    resnet = keras.applications.ResNet50V2(weights=None, input_shape=(32, 32, 3), classes=3)
    before = [np.array(weight) for weight in resnet.get_weights()]
    found = signal(resnet, rng.normal(size=(2, 32, 32, 3)).astype("float32"))
    assert len(found.names) == 16 and found.signal.min() > 0 and found.gradient.min() > 0
    assert "conv2_block1_out" in str(found)
    for old, new in zip(before, resnet.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    texts = keras_euler.EulerVDCNN(17, sequence_length=128, preactivation=True)
    expected = signal(texts, rng.integers(1, 60, (2, 128))).expected
    assert np.isfinite(expected[:2]).all() and np.isnan(expected[2:]).all()  # a pooling follows
    x = keras.Input((3,))
    y = keras_euler.EulerResidual([keras.layers.Dense(3)])(x)
    with pytest.raises(ValueError, match="one input and one output. Received: 1 inputs and 2"):
        signal(keras.Model(x, [y, y]), np.ones((1, 3)))
    with pytest.raises(ValueError, match="no residual connection"):
        signal(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), np.ones((1, 3)))
