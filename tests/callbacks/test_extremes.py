"""Warnings about gradients that explode or vanish."""

import warnings

import keras
import numpy as np
import pytest

from keras_euler import GradientLogger, GradientRecorder
from keras_euler.callbacks._extremes import Extremes
from tests import dense
from tests.callbacks.test_norm_loggers import train

NAMES, ITERATIONS = ["a", "b", "c"], np.array([5, 6])


def warned(extremes, norms):
    """Return the texts of the warnings about two iterations of three layers."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        extremes.check(NAMES, ITERATIONS, np.array(norms, "float64"))
    return [str(warning.message) for warning in caught]


@pytest.mark.once
def test_layer_is_named_once_with_norm_and_iteration():
    extremes = Extremes(10, 1e-7)
    expected = (
        "The gradients of b explode: norm 12 at iteration 6, above explode=10. Pass explode=None "
        "to GradientLogger"
    )
    assert warned(extremes, [[1, 2, 3], [1, 12, 3]])[0].startswith(expected)
    assert not warned(extremes, [[1, 20, 3], [1, 30, 3]])
    assert "of a and 1 other layer explode" in warned(extremes, [[11, 20, 3], [1, 30, 13]])[0]
    extremes.begin()
    assert warned(extremes, [[1, 12, 3], [1, 2, 3]])


def test_bounds_belong_to_the_range_and_zeros_do_not_vanish():
    assert not warned(Extremes(10, 0.1), [[10, 0.1, 0], [1, 1, 1]])
    assert (
        "of c vanish: norm 0.05 at iteration 5, below vanish=0.1"
        in warned(Extremes(10, 0.1), [[1, 1, 0.05], [1, 1, 1]])[0]
    )


def test_what_is_not_finite_explodes():
    messages = warned(Extremes(10, 0.1), [[1, np.nan, 1], [np.inf, 1, 1]])
    assert len(messages) == 1
    assert (
        "of a and 1 other layer explode: norm inf at iteration 6, which is not finite"
        in messages[0]
    )


def test_none_switches_off():
    assert not warned(Extremes(None, None), [[np.nan, np.inf, 1e30], [1e-30, 0, 1]])


def test_training_warns_with_the_name_of_the_layer(tmp_path):
    model = dense.network(GradientRecorder(keras.optimizers.SGD(0.1)))
    norm = dense.norms(dense.weights(model), dense.X[:8], dense.Y[:8])[0]
    with pytest.warns(
        UserWarning, match=rf"of block/a and 2 other layers explode: norm {norm:.3g} at iteration 1"
    ):
        train(model, GradientLogger(tmp_path / "g.csv", explode=1e-6))
    train(model, GradientLogger(tmp_path / "g.csv"))  # a warning would be an error in these tests


@pytest.mark.once
def test_bad_bounds_get_a_clear_error():
    for name in ("explode", "vanish"):
        with pytest.raises(
            ValueError, match=f"`{name}` must be a finite number >= 0. Received: {name}=-1"
        ):
            GradientLogger("g.csv", **{name: -1})
