"""EulerResidual and EulerAdd: the formula, every way to use a layer."""

import inspect

import keras
import numpy as np
import pytest

from keras_euler import EulerAdd, EulerResidual

ARRAY = keras.ops.convert_to_numpy


def dense(units=3, **kwargs):
    return keras.layers.Dense(units, use_bias=False, **kwargs)


def linear(matrix):
    """A layer that multiplies by a fixed matrix."""
    return dense(
        matrix.shape[1],
        kernel_initializer=lambda shape, dtype=None: keras.ops.convert_to_tensor(matrix, dtype),
    )


def test_block_is_equation_3(rng):
    x, F, S = rng.normal(size=(5, 4)), rng.normal(size=(4, 6)), rng.normal(size=(4, 6))
    block = EulerResidual(
        [linear(F), keras.layers.Activation("tanh")], h=0.3, shortcut=linear(S), activation="relu"
    )
    expected = np.maximum(x @ S + 0.3 * np.tanh(x @ F), 0)
    np.testing.assert_allclose(ARRAY(block(x.astype("float32"))), expected, atol=1e-5)


@pytest.mark.parametrize("h", [0, 0.5, 1])
def test_the_input_is_left_as_it_was_where_the_activation_takes_its_memory(h, rng):
    """The branch may return its input, and torch could then compute in place."""
    x = rng.normal(size=(5, 4)).astype("float32")
    tensor = keras.ops.convert_to_tensor(x)
    features = keras.Input((4,))
    y = EulerResidual(keras.layers.Dropout(0.5), h=h, activation="relu")(features)
    outputs = keras.Model(features, [y, features]).predict(tensor, verbose=0)
    np.testing.assert_allclose(outputs[0], np.maximum((1 + h) * x, 0), rtol=1e-6)
    for untouched in (outputs[1], ARRAY(tensor)):
        np.testing.assert_array_equal(untouched, x)


def test_h_zero_returns_the_shortcut(rng):
    x = rng.normal(size=(5, 3)).astype("float32")
    np.testing.assert_array_equal(ARRAY(EulerResidual(dense(), h=0)(x)), x)


@pytest.mark.parametrize(("trainable_h", "data_format", "shape"), [
    ("scalar", "channels_last", ()),
    ("channel", "channels_last", (3,)),
    ("channel", "channels_first", (4,)),
])  # fmt: skip
def test_trainable_h_starts_at_h_and_is_used(trainable_h, data_format, shape, rng):
    x, f = rng.normal(size=(2, 2, 4, 5, 3)).astype("float32")
    add = EulerAdd(0.25, trainable_h=trainable_h, data_format=data_format)
    np.testing.assert_allclose(ARRAY(add([x, f])), x + 0.25 * f, rtol=1e-6)
    assert tuple(add.step_factor.shape) == shape
    h = rng.normal(size=shape)
    add.step_factor.assign(h)
    h = h[:, None, None] if data_format == "channels_first" else h
    np.testing.assert_allclose(ARRAY(add([x, f])), x + h * f, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("trainable_h", ["scalar", "channel"])
def test_trainable_h_learns_and_a_constant_h_does_not(trainable_h, rng):
    x = rng.normal(size=(64, 3)).astype("float32")
    block = EulerResidual(linear(np.eye(3)), h=0.0, trainable_h=trainable_h, name="block")
    block.branch[0].trainable = False
    model = keras.Sequential([keras.Input((3,)), block])
    model.compile(keras.optimizers.SGD(0.3), "mse")
    model.fit(x, 1.5 * x, epochs=30, batch_size=64, verbose=0)
    np.testing.assert_allclose(ARRAY(block.add.step_factor), 0.5, atol=0.05)
    assert EulerResidual(dense(), h=0.1).add.step_factor is None


def test_training_reaches_the_layers_inside(rng):
    x = rng.normal(size=(64, 3)).astype("float32")
    for block in (
        EulerResidual(keras.layers.Dropout(0.5)),
        EulerResidual(dense(), shortcut=keras.layers.Dropout(0.5)),
    ):
        inference = [ARRAY(block(x, training=False)) for _ in range(2)]
        np.testing.assert_array_equal(*inference)
        assert np.abs(ARRAY(block(x, training=True)) - inference[0]).max() > 0.01


def test_config_holds_every_argument():
    block = EulerResidual(
        [dense()],
        0.2,
        dense(),
        "relu",
        "channel",
        "channels_first",
        name="b",
        dtype="mixed_bfloat16",
    )
    config = block.get_config()
    assert set(inspect.signature(EulerResidual).parameters) - {"kwargs"} <= set(config)
    assert EulerResidual.from_config(config).get_config() == config
    assert EulerAdd.from_config(block.add.get_config()).get_config() == block.add.get_config()
    assert set(inspect.signature(EulerAdd).parameters) - {"kwargs"} <= set(block.add.get_config())
    assert config["h"] == 0.2 and config["dtype"]["config"]["name"] == "mixed_bfloat16"


def test_loaded_and_cloned_blocks_keep_their_inner_layers_settings_and_names(tmp_path):
    """This includes changes of the addition in a block; and variables are named after their
    block."""
    inputs = keras.Input((3,))
    blocks = [
        EulerResidual(dense(name="F"), 0.2, dense(name="S"), None, "scalar", name=name)
        for name in ("a", "b")
    ]
    model = keras.Model(inputs, blocks[1](blocks[0](inputs)))
    blocks[0].add.trainable = False
    blocks[0].add.dtype_policy = "mixed_bfloat16"
    blocks[1].branch[0].trainable = False
    paths = ["a/F/kernel", "a/S/kernel", "a/add/h", "b/F/kernel", "b/S/kernel", "b/add/h"]
    assert sorted(variable.path for variable in model.weights) == paths
    model.save(tmp_path / "model.keras")
    for copy in (
        keras.models.load_model(tmp_path / "model.keras"),
        keras.models.clone_model(model),
    ):
        assert sorted(variable.path for variable in copy.weights) == paths
        frozen = ["a/add/h", "b/F/kernel"]
        assert [variable.path for variable in copy.weights if not variable.trainable] == frozen
        assert copy.get_layer("a").add.dtype_policy.name == "mixed_bfloat16"
    assert "add" not in EulerResidual(dense(), 0.2).get_config()


def test_paths_of_different_shapes_fail_with_both_shapes_and_the_fix():
    with pytest.raises(
        ValueError, match=r"shortcut \(None, 3\), branch \(None, 5\).*1x1 convolution"
    ):
        EulerResidual(dense(5))(keras.Input((3,)))


BAD = [
    (
        dict(branch=dense(), h=-0.1),
        ValueError,
        "`h` must be a finite number >= 0. Received: h=-0.1. Use h=1.0",
    ),
    (dict(branch=dense(), h=True), TypeError, "Received: h=True"),
    (dict(branch=[]), TypeError, "`branch` must be a Keras layer or a non-empty list"),
    (dict(branch=dense(), shortcut=[1]), TypeError, "`shortcut` must be a Keras layer"),
]


@pytest.mark.once
@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_arguments_get_a_clear_error(arguments, error, message):
    with pytest.raises(error, match=message):
        EulerResidual(**arguments)


def test_euler_add_takes_a_pair(rng):
    with pytest.raises(ValueError, match="takes the pair"):
        EulerAdd()(np.ones((2, 3), "float32"))
