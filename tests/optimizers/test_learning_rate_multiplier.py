"""Multiplied learning rates compared with NumPy and with the bare optimizer, and the rule over
depth with its derivation."""

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler import GradientRecorder, LearningRateMultiplier
from tests import dense

BACKEND = keras.backend.backend()
SGD = keras.optimizers.SGD
OPTIMIZERS = {
    "momentum": lambda rate: SGD(rate, momentum=0.9),
    "clipnorm": lambda rate: SGD(rate, clipnorm=1e-3),
    "accumulation": lambda rate: SGD(rate, gradient_accumulation_steps=2),
    "averages": lambda rate: SGD(rate, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3),
    "schedule": lambda rate: SGD(keras.optimizers.schedules.ExponentialDecay(rate, 2, 0.5)),
    "adam": keras.optimizers.Adam,
    "rmsprop": keras.optimizers.RMSprop,
    "lion": keras.optimizers.Lion,
}


def train(model, epochs=2):
    return model.fit(dense.X, dense.Y, 8, epochs, verbose=0, shuffle=False)


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


def test_rate_is_the_inner_ones_and_callbacks_set_it():
    model = dense.network(LearningRateMultiplier(SGD(0.1), {"*/a/*": 0}))
    before = dense.weights(model)
    decay = keras_euler.MultiStepDecay((1,), 0.5, learning_rate=0.4)
    history = model.fit(dense.X, dense.Y, epochs=2, verbose=0, callbacks=[decay])
    np.testing.assert_allclose(history.history["learning_rate"], [0.4, 0.2])
    np.testing.assert_array_equal(before[0], dense.weights(model)[0])


@pytest.mark.once
def test_a_wrong_pattern_is_named_at_every_attempt():
    model = dense.network(LearningRateMultiplier("sgd", {"d": 1}))
    for _ in range(2):
        with pytest.raises(ValueError, match="'d', which matches none"):
            train(model)


TWO_DEVICES = """
for count in (1, 2):
    with scope(count):
        model = dense.network(LearningRateMultiplier(keras.optimizers.SGD(0.1), {"*/a/*": 3.0}))
        before = dense.weights(model)
        model.fit(dense.X[:8], dense.Y[:8], 8, verbose=0)
        gradients = dense.gradients(before, dense.X[:8], dense.Y[:8])
        rows = zip(before, dense.weights(model), gradients, (3, 1, 1), strict=True)
        for old, new, gradient, factor in rows:
            np.testing.assert_allclose(new - old, -0.1 * factor * gradient, rtol=1e-4, atol=1e-6)
"""


@pytest.mark.skipif(BACKEND == "torch", reason="Keras has no data parallelism on torch")
def test_each_variable_moves_by_its_own_rate_on_two_devices():
    dense.run_on_two_devices(TWO_DEVICES)


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
    (
        lambda: LearningRateMultiplier(LearningRateMultiplier("sgd", {}), {}),
        ValueError,
        "Received: LearningRateMultiplier",
    ),
    (
        lambda: LearningRateMultiplier(GradientRecorder("sgd"), {}),
        ValueError,
        "Received: GradientRecorder",
    ),
]


@pytest.mark.parametrize(
    "name",
    sorted(
        set(dir(keras.optimizers)) - {"LossScaleOptimizer", "Optimizer", "MultiOptimizer", "Nadam"}
    ),
)
def test_every_optimizer_of_keras_that_updates_each_variable_by_itself_is_taken(name):
    cls = getattr(keras.optimizers, name)
    if isinstance(cls, type) and issubclass(cls, keras.optimizers.Optimizer):
        LearningRateMultiplier(cls(0.1), {})


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
