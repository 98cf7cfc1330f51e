"""Multiplied learning rates compared with NumPy."""

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler import LearningRateMultiplier
from tests import dense

SGD = keras.optimizers.SGD


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_each_variable_moves_by_its_own_rate(dtype):
    """One step of gradient descent, from NumPy's gradients; the first pattern that matches
    counts."""
    model = dense.network(
        LearningRateMultiplier(SGD(0.1), {"*/b/*": 4.0, "*block*": 0.5}), dtype=dtype
    )
    before = dense.weights(model)
    model.fit(dense.X[:8], dense.Y[:8], 8, verbose=0)
    tolerance = dict(rtol=1e-4, atol=1e-6) if dtype == "float32" else dict(rtol=5e-2, atol=1e-3)
    gradients = dense.gradients(before, dense.X[:8], dense.Y[:8])
    for old, new, gradient, factor in zip(
        before, dense.weights(model), gradients, (0.5, 4, 1), strict=True
    ):
        np.testing.assert_allclose(new - old, -0.1 * factor * gradient, **tolerance)


@pytest.mark.once
def test_a_wrong_pattern_is_named_at_every_attempt():
    model = dense.network(LearningRateMultiplier("sgd", {"d": 1}))
    for _ in range(2):
        with pytest.raises(ValueError, match="'d', which matches none"):
            model.fit(dense.X, dense.Y, 8, verbose=0)


BAD = [
    (
        lambda: LearningRateMultiplier("sgd", ["a"]),
        TypeError,
        "`multipliers` must be a dict of pattern -> number",
    ),
    (
        lambda: LearningRateMultiplier("sgd", {"a": -1}),
        ValueError,
        r"`multipliers\['a'\]` must be a finite number >= 0",
    ),
    (
        lambda: LearningRateMultiplier("nadam", {}),
        ValueError,
        "each variable by itself, .* Received: Nadam",
    ),
]


@pytest.mark.once
@pytest.mark.parametrize(("make", "error", "message"), BAD)
def test_bad_arguments_get_a_clear_error(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("multipliers", [{"*/*/kernel": 0.0}, {"net/a/kernel": 0.0}])
def test_a_loaded_model_has_the_multipliers_of_the_saved_one(multipliers, tmp_path):
    """Keras drops the name of a Sequential model from the paths of its variables."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(4, name="a"),
            keras_euler.EulerResidual([layers.Dense(4, name="b")]),
            layers.Dense(4, name="c"),
        ],
        name="net",
    )
    model.compile(LearningRateMultiplier(SGD(0.1), multipliers), "mse")
    x, y = np.ones((4, 4), "float32"), np.zeros((4, 4), "float32")
    moved = []
    for each in (model, None):
        if each is None:
            model.save(tmp_path / "model.keras")
            each = keras.models.load_model(tmp_path / "model.keras")
        before = each.get_weights()
        each.fit(x, y, verbose=0)
        pairs = zip(before, each.get_weights(), strict=True)
        moved.append([bool((one != other).any()) for one, other in pairs])
    assert moved[0] == moved[1] and not moved[0][0] and moved[0][1]
