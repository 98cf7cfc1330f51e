"""What every optimizer that wraps another inherits. Add new ones to `WRAPPERS`."""

import keras
import numpy as np
import pytest

from keras_euler import GradientRecorder, LearningRateMultiplier, MultiStepDecay, optimizers
from tests import dense
from tests.optimizers.test_gradient_recorder import CASES, MODES, OPTIMIZERS, train

SGD = keras.optimizers.SGD
BACKEND = keras.backend.backend()
WRAPPERS = {
    "recorder": GradientRecorder,
    "multiplier": lambda optimizer: LearningRateMultiplier(optimizer, {"*": 1.0}),
}
OTHERS = {"LossScaleOptimizer", "MultiOptimizer", "Nadam", "Optimizer"}
TAKEN = [
    value
    for name, value in sorted(vars(keras.optimizers).items())
    if name not in OTHERS
    and isinstance(value, type)
    and issubclass(value, keras.optimizers.Optimizer)
]
EVERY = pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)


def test_every_public_optimizer_is_in_the_list():
    made = {type(wrap("sgd")).__name__ for wrap in WRAPPERS.values()}
    assert made == set(optimizers.__all__)


@pytest.mark.parametrize(("mode", "optimizer"), CASES)
def test_weights_are_bit_identical_to_those_of_the_bare_optimizer(mode, optimizer):
    bare, *wrapped = (
        dense.network(wrap(OPTIMIZERS[optimizer](0.1)), **MODES[mode])
        for wrap in (lambda inner: inner, *WRAPPERS.values())
    )
    train(bare)
    for model in wrapped:
        train(model)
        for one, other in zip(dense.weights(bare), dense.weights(model), strict=True):
            np.testing.assert_array_equal(one, other)
        assert float(model.optimizer.learning_rate) == float(bare.optimizer.learning_rate)
        assert int(model.optimizer.iterations) == int(bare.optimizer.iterations)


@EVERY
@pytest.mark.once
@pytest.mark.parametrize("inner", TAKEN)
def test_optimizers_of_keras_are_taken_and_given_back_by_the_configuration(wrap, inner):
    optimizer = wrap(inner(0.125))
    again = type(optimizer).from_config(optimizer.get_config())
    assert type(again.inner_optimizer) is type(optimizer.inner_optimizer)
    assert again.get_config() == optimizer.get_config()


@EVERY
def test_file_gives_the_optimizer_back(wrap, tmp_path):
    model = dense.network(wrap(SGD(0.1, momentum=0.9)))
    train(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        train(each, 1)
    for one, other in zip(dense.weights(model), dense.weights(loaded), strict=True):
        np.testing.assert_array_equal(one, other)


@EVERY
def test_learning_rate_is_the_inner_ones_and_callbacks_set_it(wrap):
    model = dense.network(wrap(SGD(0.1)))
    decay = MultiStepDecay((1,), 0.5, learning_rate=0.4)
    history = model.fit(dense.X, dense.Y, epochs=2, verbose=0, callbacks=[decay])
    np.testing.assert_allclose(history.history["learning_rate"], [0.4, 0.2])
    assert float(model.optimizer.inner_optimizer.learning_rate) == pytest.approx(0.2)
    before = dense.weights(model)
    model.optimizer.learning_rate = 0.0
    train(model)
    for one, other in zip(before, dense.weights(model), strict=True):
        np.testing.assert_array_equal(one, other)


@EVERY
def test_variables_excluded_from_weight_decay_stay_excluded(wrap):
    weights = []
    for wrapped in (lambda optimizer: optimizer, wrap):
        optimizer = wrapped(keras.optimizers.AdamW(0.01, weight_decay=0.5))
        model = dense.network(optimizer)
        optimizer.exclude_from_weight_decay(model.trainable_variables[:1])
        train(model)
        weights.append(dense.weights(model))
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


@EVERY
@pytest.mark.once
@pytest.mark.parametrize("inner", [None, "sdg", "itself"])
def test_other_things_than_optimizers_are_refused(wrap, inner):
    inner = wrap("sgd") if inner == "itself" else inner
    with pytest.raises((TypeError, ValueError), match="sdg|Received: "):
        wrap(inner)


@EVERY
def test_gradients_are_taken_as_keras_takes_them(wrap):
    """An iterator of them, pairs, none."""
    weights = [keras.Variable(np.ones(2)), keras.Variable(np.ones(3))]
    grads = [keras.ops.ones(2), keras.ops.ones(3)]
    optimizer = wrap(keras.optimizers.SGD(0.5))
    optimizer.apply(iter(grads), iter(weights))
    assert int(optimizer.apply_gradients(zip(grads, weights, strict=True))) == 2
    optimizer.apply([], [])
    assert int(optimizer.iterations) == 2
    assert [keras.ops.convert_to_numpy(w).tolist() for w in weights] == [[0, 0], [0, 0, 0]]


TWO_DEVICES = """
for count in (1, 2):
    with scope(count):
        optimizer = LearningRateMultiplier(keras.optimizers.SGD(0.1), {"*/a/*": 3.0})
        model = dense.network(GradientRecorder(optimizer))
        before = dense.weights(model)
        model.fit(dense.X[:8], dense.Y[:8], 8, verbose=0)
        gradients = dense.gradients(before, dense.X[:8], dense.Y[:8])
        rows = zip(before, dense.weights(model), gradients, (3, 1, 1), strict=True)
        for old, new, gradient, factor in rows:
            np.testing.assert_allclose(new - old, -0.1 * factor * gradient, rtol=1e-4, atol=1e-6)
        expected = dense.norms(before, dense.X[:8], dense.Y[:8])
        np.testing.assert_allclose(model.optimizer.recent()[1], [expected], rtol=1e-5)
"""


@pytest.mark.skipif(BACKEND == "torch", reason="Keras has no data parallelism on torch")
def test_two_devices_move_and_record_what_one_does():
    dense.run_on_two_devices(TWO_DEVICES)
