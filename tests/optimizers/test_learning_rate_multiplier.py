"""Multiplied learning rates compared with NumPy and with the bare optimizer, and the rule over
depth with its derivation."""

import copy

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler import GradientRecorder, LearningRateMultiplier, depth_multipliers
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


def assert_same_weights(model, other):
    for one, two in zip(dense.weights(model), dense.weights(other), strict=True):
        np.testing.assert_array_equal(one, two)


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


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_multiplier_for_all_is_the_bare_optimizer_with_that_rate(optimizer):
    make = OPTIMIZERS[optimizer]
    multiplied, bare = (
        dense.network(LearningRateMultiplier(make(0.25), {"*": 0.5})),
        dense.network(make(0.125)),
    )
    for model in (multiplied, bare):
        train(model)
    assert_same_weights(multiplied, bare)
    assert float(multiplied.optimizer.learning_rate) == 2 * float(bare.optimizer.learning_rate)


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_variables_in_groups_train_like_variables_together(optimizer):
    make = OPTIMIZERS[optimizer]
    grouped, bare = (
        dense.network(LearningRateMultiplier(make(0.1), {"*/a/*": 1.0000001, "*/b/*": 1})),
        dense.network(make(0.1)),
    )
    for model in (grouped, bare):
        train(model)
    for one, two in zip(dense.weights(grouped), dense.weights(bare), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def test_recorder_around_it_records_the_gradients_and_leaves_the_weights():
    multipliers = {"*/a/*": 3.0}
    recorded = dense.network(GradientRecorder(LearningRateMultiplier(SGD(0.1), multipliers)))
    bare = dense.network(LearningRateMultiplier(SGD(0.1), multipliers))
    expected = dense.norms(dense.weights(bare), dense.X[:8], dense.Y[:8])
    for model in (recorded, bare):
        train(model)
    np.testing.assert_allclose(recorded.optimizer.recent()[1][0], expected, rtol=1e-5)
    assert_same_weights(recorded, bare)


def test_rate_is_the_inner_ones_and_callbacks_set_it():
    model = dense.network(LearningRateMultiplier(SGD(0.1), {"*/a/*": 0}))
    before = dense.weights(model)
    decay = keras_euler.MultiStepDecay((1,), 0.5, learning_rate=0.4)
    history = model.fit(dense.X, dense.Y, epochs=2, verbose=0, callbacks=[decay])
    np.testing.assert_allclose(history.history["learning_rate"], [0.4, 0.2])
    np.testing.assert_array_equal(before[0], dense.weights(model)[0])


def test_weight_decay_takes_the_rate_without_the_multiplier():
    model = dense.network(LearningRateMultiplier(SGD(0.1, weight_decay=0.5), {"*": 0}))
    before = dense.weights(model)
    model.fit(dense.X[:8], dense.Y[:8], 8, verbose=0)
    for old, new in zip(before, dense.weights(model), strict=True):
        np.testing.assert_allclose(new, old * (1 - 0.1 * 0.5), rtol=1e-6)


def test_pairs_of_gradients_and_variables_are_applied_too():
    variable = keras.Variable(np.ones(2, "float32"), name="v")
    optimizer = LearningRateMultiplier(SGD(0.25), {"v": 2})
    assert int(optimizer.apply_gradients([(keras.ops.ones(2), variable)])) == 1
    assert keras.ops.convert_to_numpy(variable).tolist() == [0.5, 0.5]


def test_a_wrong_pattern_is_named_at_every_attempt():
    model = dense.network(LearningRateMultiplier("sgd", {"d": 1}))
    for _ in range(2):
        with pytest.raises(ValueError, match="'d', which matches none"):
            train(model)


def test_a_copy_trains_its_own_variables():
    model = dense.network(LearningRateMultiplier(SGD(0.1, momentum=0.9), {"*/a/*": 3.0}))
    copied = copy.deepcopy(model.optimizer)
    assert copied.inner_optimizer is not model.optimizer.inner_optimizer
    assert copied.inner_optimizer._backend_update_step.args[0] is copied.inner_optimizer


def test_saved_and_loaded_with_the_model(tmp_path):
    model = dense.network(LearningRateMultiplier(SGD(0.1, momentum=0.9), {"*/a/*": 3.0}))
    train(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for trained in (model, loaded):
        train(trained, 1)
    assert loaded.optimizer.multipliers == {"*/a/*": 3.0}
    assert_same_weights(loaded, model)


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


def dense_blocks(depth, width=256):
    """A network of `depth` blocks of two wide layers, with h = 1/sqrt(L)."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((width,))
    for i in range(depth):
        names = (f"first{i}", f"second{i}")
        branch = [
            keras.layers.Dense(width, "relu" if j == 0 else None, use_bias=False, name=name)
            for j, name in enumerate(names)
        ]
        x = keras_euler.EulerResidual(branch, h=depth**-0.5, name=f"block{i}")(x)
    return keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(x))


@pytest.mark.parametrize("rule", [False, True])
def test_first_layers_change_equally_at_any_depth_with_the_rule_and_less_without(rng, rule):
    """What the kernel's change makes of the inputs is proportional to h = 1/sqrt(L) without the
    rule, and to 1 with it."""
    x, y = rng.normal(size=(32, 256)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")
    changes = []
    for depth in (4, 64):
        model = dense_blocks(depth)
        model.compile(
            LearningRateMultiplier(SGD(1e-3), depth_multipliers(model) if rule else {}), "mse"
        )
        kernels = [w for w in model.trainable_variables if f"block{depth // 2}/first" in w.path]
        (before,) = map(keras.ops.convert_to_numpy, kernels)
        model.fit(x, y, 32, verbose=0)
        (after,) = map(keras.ops.convert_to_numpy, kernels)
        changes.append(np.linalg.norm(x @ (after - before)))
    ratio = changes[1] / changes[0]
    assert (
        0.5 < ratio < 2 if rule else 0.125 < ratio < 0.5
    )  # about 1, and about sqrt(4 / 64) = 0.25


def test_multipliers_are_those_of_the_first_layers():
    images = depth_multipliers(keras_euler.EulerResNet(20, h="1/sqrt(L)", shortcut="padding"))
    assert len(images) == 9 and set(images.values()) == {3.0}
    assert all(path.endswith("conv1/kernel") for path in images)
    texts = depth_multipliers(keras_euler.EulerVDCNN(9, h="1/sqrt(L)"))
    assert {path.rpartition("/")[2] for path in texts} == {"kernel", "bias"} and set(
        texts.values()
    ) == {2.0}


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
    (lambda: depth_multipliers("model"), TypeError, "`model` must be a Keras model. Received: str"),
    (
        lambda: depth_multipliers(keras_euler.EulerResNet(8, h=0.1)),
        ValueError,
        'pass h="1/sqrt\\(L\\)". Received: h=0.1',
    ),
    (
        lambda: depth_multipliers(keras_euler.EulerResNet(8, h="1/sqrt(L)", trainable_h="scalar")),
        ValueError,
        "a constant h",
    ),
    (
        lambda: depth_multipliers(
            keras.Sequential([keras_euler.EulerResidual(keras.layers.Dense(3))])
        ),
        ValueError,
        "be built",
    ),
    (
        lambda: depth_multipliers(keras.Sequential([keras.layers.Dense(1)])),
        ValueError,
        "must have EulerResidual blocks",
    ),
    (
        lambda: depth_multipliers(one_layer()),
        ValueError,
        "two layers with a kernel. Received: block with 1",
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


@pytest.mark.skipif(not hasattr(keras.optimizers, "MultiOptimizer"), reason="older than it")
def test_an_optimizer_of_several_is_refused():
    several = keras.optimizers.MultiOptimizer(lambda variable: SGD())
    with pytest.raises(ValueError, match="Received: MultiOptimizer"):
        LearningRateMultiplier(several, {})


def one_layer():
    return keras.Sequential(
        [keras.Input((3,)), keras_euler.EulerResidual(keras.layers.Dense(3), h=1.0, name="block")]
    )


@pytest.mark.parametrize(("make", "error", "message"), BAD)
def test_bad_arguments_get_a_clear_error(make, error, message):
    with pytest.raises(error, match=message):
        make()
