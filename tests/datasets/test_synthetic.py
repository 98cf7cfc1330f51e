"""Tests of `keras_euler.datasets.synthetic`."""

import numpy as np
import pytest

from keras_euler.datasets import synthetic

pytestmark = pytest.mark.once


# --- images


def test_the_same_seed_gives_the_same_set_and_another_seed_another():
    (x, y), (x_test, y_test) = synthetic.images(50, 50, seed=3)
    (same_x, same_y), (same_x_test, same_y_test) = synthetic.images(50, 50, seed=3)
    assert all(
        map(np.array_equal, (x, y, x_test, y_test), (same_x, same_y, same_x_test, same_y_test))
    )
    (other_x, other_y), _ = synthetic.images(50, 50, seed=4)
    assert not np.array_equal(x, other_x)
    assert not np.array_equal(y, other_y)


def test_training_and_test_images_differ_and_the_test_split_ignores_num_train():
    (x, _), (x_test, y_test) = synthetic.images(50, 50)
    _, (same_x_test, same_y_test) = synthetic.images(80, 50)
    assert not np.array_equal(x, x_test)
    assert np.array_equal(x_test, same_x_test)
    assert np.array_equal(y_test, same_y_test)


def test_a_linear_model_on_the_pixels_or_the_mean_colour_is_poor():
    (x, y), (x_test, y_test) = synthetic.images()
    for features in (lambda x: x.reshape(len(x), -1), lambda x: x.mean((1, 2))):
        assert _linear_accuracy(features(x), y, features(x_test), y_test) < 0.3


# --- texts


def test_the_same_seed_gives_the_same_texts_and_another_seed_others():
    (x, y), (x_test, y_test) = synthetic.texts(50, 50, seed=3)
    (same_x, same_y), (same_x_test, same_y_test) = synthetic.texts(50, 50, seed=3)
    assert all(
        map(np.array_equal, (x, y, x_test, y_test), (same_x, same_y, same_x_test, same_y_test))
    )
    (other_x, other_y), _ = synthetic.texts(50, 50, seed=4)
    assert not set(x) & set(other_x)
    assert not np.array_equal(y, other_y)


def test_training_and_test_texts_differ_and_the_test_split_ignores_num_train():
    (x, _), (x_test, y_test) = synthetic.texts(50, 50)
    _, (same_x_test, same_y_test) = synthetic.texts(80, 50)
    assert not set(x) & set(x_test)
    assert np.array_equal(x_test, same_x_test)
    assert np.array_equal(y_test, same_y_test)


# --- both


@pytest.mark.parametrize("make", [synthetic.images, synthetic.texts])
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
