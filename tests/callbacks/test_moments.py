"""Mean, standard deviation and share of zeros of each layer, compared with NumPy."""

import keras
import numpy as np
import pytest

from keras_euler import GradientLogger, GradientRecorder, WeightLogger
from keras_euler.callbacks import read_log
from tests import dense
from tests.callbacks.test_norm_loggers import train

NAMES = ("mean", "stddev", "zeros")


def of_layers(arrays):
    """The moments of each layer's numbers and of all numbers, as columns of a log."""
    flat = [array.ravel().astype("float64") for array in arrays]
    flat.append(np.concatenate(flat))
    return [
        [numbers.mean() for numbers in flat],
        [numbers.std() for numbers in flat],
        [(n == 0).mean() for n in flat],
    ]


def steps(epochs, rate=0.1):
    """Yield the gradients and the new kernels of each step of `train`, in float64; some inputs
    never reach the first layer."""
    kernels = [kernel.astype("float64") for kernel in dense.weights(dense.network())]
    for _ in range(epochs):
        for i in range(0, 32, 8):
            step = dense.gradients(kernels, dense.X[i : i + 8], dense.Y[i : i + 8])
            kernels = [
                kernel - rate * gradient for kernel, gradient in zip(kernels, step, strict=True)
            ]
            yield step, kernels


def test_columns_are_the_moments_of_numpy(tmp_path):
    model = dense.network(GradientRecorder(keras.optimizers.SGD(0.1), capacity=3, moments=True))
    train(
        model,
        GradientLogger(tmp_path / "g.csv"),
        WeightLogger(tmp_path / "w.csv", moments=True),
        epochs=1,
    )
    gradients, weights = (
        np.array([of_layers(arrays) for arrays in kind]) for kind in zip(*steps(1), strict=True)
    )
    for file, expected, first in (("g.csv", gradients, 0), ("w.csv", weights, 1)):
        log = read_log(tmp_path / file)
        layers = [*dense.LAYERS, "total"]
        assert list(log) == [
            "iteration",
            *layers,
            *(f"{layer}/{name}" for name in NAMES for layer in layers),
        ]
        for i, name in enumerate(NAMES):
            found = np.array([log[f"{layer}/{name}"][first:] for layer in layers]).T
            np.testing.assert_allclose(found, expected[:, i], rtol=1e-3, atol=1e-7)
    recorded = model.optimizer.recent_moments(after=2)
    assert recorded[0].tolist() == [3, 4] and recorded[1].shape == (2, 3, 3)
    np.testing.assert_allclose(recorded[1], gradients[2:, :, :3], rtol=1e-3, atol=1e-7)


@pytest.mark.once
def test_bad_arguments_get_a_clear_error():
    with pytest.raises(
        ValueError, match="`moments` must be one of False, True. Received: moments='mean'"
    ):
        GradientRecorder("sgd", moments="mean")
    with pytest.raises(ValueError, match="`moments` must be one of False, True"):
        WeightLogger("w.csv", moments=3)
    with pytest.raises(ValueError, match=r"Use GradientRecorder\(optimizer, moments=True\)"):
        GradientRecorder("sgd").recent_moments()
