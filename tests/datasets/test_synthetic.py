"""Tests of `keras_euler.datasets.synthetic`."""

import numpy as np
import pytest

from keras_euler.datasets import synthetic

pytestmark = pytest.mark.once


BOTH = pytest.mark.parametrize("make", [synthetic.images, synthetic.texts])


def arrays(data):
    return [np.asarray(array) for pair in data for array in pair]


@BOTH
def test_the_same_seed_gives_the_same_set_and_another_seed_another(make):
    one, same, other = (arrays(make(50, 50, seed=seed)) for seed in (3, 3, 4))
    assert all(map(np.array_equal, one, same)) and not any(map(np.array_equal, one, other))


@BOTH
def test_training_and_test_set_differ_and_the_test_split_ignores_num_train(make):
    x, _, *test = arrays(make(50, 50))
    assert not np.array_equal(x, test[0])
    assert all(map(np.array_equal, test, arrays(make(80, 50))[2:]))


# --- images


def test_a_linear_model_on_the_pixels_or_the_mean_colour_is_poor():
    (x, y), (x_test, y_test) = synthetic.images()
    for features in (lambda x: x.reshape(len(x), -1), lambda x: x.mean((1, 2))):
        assert _linear_accuracy(features(x), y, features(x_test), y_test) < 0.3


# --- texts


# --- both


@BOTH
@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (
            {"num_train": 0},
            ValueError,
            "`num_train` must be an integer >= 1. Received: num_train=0",
        ),
        ({"num_test": -1}, ValueError, "`num_test` must be an integer >= 1. Received: num_test=-1"),
        (
            {"num_train": 2.5},
            TypeError,
            "`num_train` must be an integer >= 1. Received: num_train=2.5",
        ),
        (
            {"num_classes": 1},
            ValueError,
            "`num_classes` must be an integer >= 2. Received: num_classes=1",
        ),
        (
            {"num_classes": 257},
            ValueError,
            "`num_classes` must be at most 256. Received: num_classes=257",
        ),
        ({"seed": -1}, ValueError, "`seed` must be an integer >= 0. Received: seed=-1"),
        ({"seed": None}, TypeError, "`seed` must be an integer >= 0. Received: seed=None"),
    ],
)
def test_a_bad_argument_is_named(make, wrong, error, words):
    with pytest.raises(error) as raised:
        make(**wrong)
    assert words in str(raised.value)


def _linear_accuracy(x, y, x_test, y_test, penalty=10.0):
    """Return the test accuracy of the better of two linear models: ridge regression to one-hot
    labels, and nearest class mean."""
    mean, std = x.mean(0), x.std(0)
    a, b = (np.c_[(z - mean) / std, np.ones(len(z))] for z in (x, x_test))
    kernel = a @ a.T + penalty * a.shape[1] / 100 * np.eye(len(a))
    ridge = b @ (a.T @ np.linalg.solve(kernel, np.eye(10)[y]))
    means = np.stack([a[y == label].mean(0) for label in range(10)])
    nearest = b @ means.T - (means**2).sum(1) / 2
    return max((scores.argmax(1) == y_test).mean() for scores in (ridge, nearest))
