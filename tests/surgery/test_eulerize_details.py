"""What a copy keeps besides weights: masks, statistics, sharing, precision, names; and what it
leaves unchanged."""

import gc
import weakref

import keras
import numpy as np
import pytest
from keras import layers

from keras_euler import EulerAdd, eulerize, fold, residual_connections
from keras_euler.surgery.eulerized_add import EulerizedAdd
from tests.surgery.test_eulerize import numpy_of


def assert_identity(model, x):
    euler = eulerize(model, 1.0, verbose=False)
    np.testing.assert_array_equal(numpy_of(euler(x)), numpy_of(model(x)))
    return euler


@pytest.mark.parametrize(
    "add", [lambda x, y: x + y, lambda x, y: layers.Add()([x, y]), keras.ops.add]
)
@pytest.mark.parametrize("keeps_mask", [True, False])
def test_masks_are_those_of_the_addition_in_files_too(add, keeps_mask, tmp_path):
    inputs = keras.Input((6,))
    x = layers.Embedding(10, 4, mask_zero=True)(inputs)
    z = x if keeps_mask else 1.0 * x
    y = layers.MultiHeadAttention(1, 4)(z, z)
    model = keras.Model(inputs, layers.GlobalAveragePooling1D()(add(x, y)))
    ids = np.array([[1, 2, 0, 0, 0, 0], [3, 4, 5, 6, 7, 8]])
    assert_identity(model, ids).save(tmp_path / "euler.keras")
    np.testing.assert_array_equal(
        numpy_of(keras.models.load_model(tmp_path / "euler.keras")(ids)), numpy_of(model(ids))
    )


@pytest.mark.parametrize("order", [1, -1])
def test_weights_of_the_model_fit_in_files_and_in_order(order, tmp_path, rng):
    x = layers.Dense(8, name="stem")(inputs := keras.Input((8,)))
    branch = layers.Dense(8, name="second")(layers.Dense(8, "relu", name="first")(x))
    pair = [branch, layers.Dense(8, name="shortcut")(x)][::order]
    model = keras.Model(inputs, layers.Dense(8, name="last")(layers.Add()(pair)))
    euler = eulerize(model, 1.0, verbose=False)
    for variable in model.weights:
        variable.assign(rng.normal(size=variable.shape))
    x = rng.normal(size=(2, 8)).astype("float32")
    model.save_weights(tmp_path / "model.weights.h5")
    euler.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(numpy_of(euler(x)), numpy_of(model(x)))
    euler = eulerize(model, 1.0, verbose=False)
    euler.set_weights(model.get_weights())
    np.testing.assert_array_equal(numpy_of(euler(x)), numpy_of(model(x)))
    halved = numpy_of(eulerize(model, 0.5, verbose=False)(x))
    f, s = (keras.Model(inputs, tensor)(x) for tensor in pair[::order])
    np.testing.assert_allclose(
        halved, numpy_of(model.get_layer("last")(s + 0.5 * f)), rtol=1e-4, atol=1e-5
    )


def test_an_addition_that_was_replaced_keeps_its_order_and_says_so_in_its_config(rng):
    x, f = rng.normal(size=(2, 5, 3)).astype("float32")
    add = EulerizedAdd(0.25, branch_index=0, keep_mask=False, trainable_h="channel", name="sum")
    np.testing.assert_allclose(numpy_of(add([f, x])), x + 0.25 * f, rtol=1e-6)
    config = add.get_config()
    assert (config["branch_index"], config["keep_mask"], config["trainable_h"]) == (
        0,
        False,
        "channel",
    )
    assert EulerizedAdd.from_config(config).get_config() == config
    with pytest.raises(ValueError, match="shortcut \\(2, 4\\), branch \\(2, 3\\)"):
        EulerizedAdd(branch_index=0).build([(2, 3), (2, 4)])
    with pytest.raises(ValueError, match="`branch_index` must be 0 or 1. Received: branch_index=2"):
        EulerizedAdd(branch_index=2)


@pytest.mark.once
@pytest.mark.parametrize("shortcuts", [{"add#2": None}, {"add": None}, None])
def test_a_shared_addition_of_which_one_call_may_be_left_alone(shortcuts, rng):
    x = y = keras.Input((3,))
    shared = layers.Add(name="add")
    for _ in range(2):
        y = shared([y, layers.Dense(3)(y)])
    model = keras.Model(x, layers.Dense(3, name="add_call2")(y))
    inputs = rng.normal(size=(4, 3)).astype("float32")
    for _ in range(2):  # the same names every time
        euler = eulerize(model, 1.0, shortcuts, verbose=False)
        assert {"add", "add_call3"} < {layer.name for layer in euler.layers}
        np.testing.assert_array_equal(numpy_of(euler(inputs)), numpy_of(model(inputs)))


def test_what_the_graph_fixes_in_inference_stays_so(rng):
    inner_input = keras.Input((4,))
    normalized = keras.layers.BatchNormalization()(inner_input, training=True)
    inner = keras.Model(inner_input, normalized)
    x = keras.Input((4,))
    z = inner(x, training=False)
    model = keras.Model(x, keras.layers.Add()([keras.layers.Dense(4)(z), x]))
    inputs = rng.normal(size=(5, 4)).astype("float32")
    euler = eulerize(model, 1.0, verbose=False)
    np.testing.assert_allclose(numpy_of(euler(inputs)), numpy_of(model(inputs)), atol=1e-6)


@pytest.mark.once
def test_euler_steps_are_not_mentioned_and_found_within_models(capsys):
    x = keras.Input((3,))
    y = keras.layers.Add(name="one")([x, keras.layers.Dense(3)(x)])
    step = EulerAdd(name="step")([y, keras.layers.Dense(3)(y)])
    eulerize(keras.Model(x, step))
    assert "left alone" not in capsys.readouterr().out
    inner = keras.Model(x, EulerAdd()([x, keras.layers.Dense(3)(x)]))
    with pytest.raises(ValueError, match="already consists of Euler steps"):
        eulerize(keras.Model(x, inner(x)))


def tiny_resnet(dtype="float32"):
    """A projection, an identity with dropout, a block whose inside is also an output, and one that
    shares a layer with others; a ReLU and a loss are in each."""
    inputs = x = inside = keras.Input((8, 8, 3))
    relu, shared = layers.ReLU(dtype=dtype), layers.Dense(4, dtype=dtype)
    loss = "l2" if dtype == "float32" else None  # TensorFlow cannot add one in half precision
    x = shared(layers.Conv2D(4, 1, dtype=dtype)(x))
    for i in range(4):
        f = layers.Conv2D(
            4, 3, padding="same", activity_regularizer=loss, dtype=dtype, name=f"conv{i}"
        )(relu(x))
        f = layers.BatchNormalization(dtype=dtype, name=f"norm{i}")(f)
        inside = f if i == 2 else inside
        f = shared(f) if i == 3 else layers.Dropout(0.5, seed=i, dtype=dtype)(f)
        x = x if i else layers.Conv2D(4, 1, dtype=dtype, name="projection")(x)
        x = relu(layers.Add(dtype=dtype, name=f"sum{i}")([x, f]))
    pooled = layers.GlobalAveragePooling2D(dtype="float32")
    return keras.Model(inputs, [pooled(x), pooled(inside)])


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_remat_trains_the_same_network(dtype, rng, tmp_path):
    """Statistics and random numbers included; a block whose inside is used elsewhere stays."""
    resnet, x = tiny_resnet(dtype), rng.normal(size=(8, 8, 8, 3)).astype("float32")
    targets = [np.ones((8, 4)), np.zeros((8, 4))]

    def trained(remat):
        euler = eulerize(resnet, 0.5, verbose=False, remat=remat)
        euler.compile(keras.optimizers.SGD(0.1), "mse")
        euler.fit(x, targets, batch_size=4, epochs=2, shuffle=False, verbose=0)
        return euler

    plain, again = trained(False), trained(True)
    for expected, found in zip(plain.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert [layer.name for layer in again.layers if "_block" in layer.name] == [
        "sum0_block",
        "sum1_block",
    ]
    again.save(tmp_path / "euler.keras")
    loaded = keras.models.load_model(tmp_path / "euler.keras")
    for expected, found in zip(again.predict(x), loaded.predict(x), strict=True):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="`remat` must be one of True, False"):
        eulerize(resnet, remat=1)


@pytest.mark.once
def test_an_input_that_only_a_branch_takes_is_no_layer():
    a, b = keras.Input((4,)), keras.Input((4,))
    dense = layers.Dense
    branch = dense(4)(dense(4)(layers.Concatenate()([a, b])))
    model = keras.Model([a, b], layers.Add()([dense(4)(a), branch]))
    assert [found.shortcut for found in residual_connections(model)] == [0]


@pytest.mark.once
@pytest.mark.parametrize("copy", [lambda model: eulerize(model, 0.1, verbose=False), fold])
def test_a_copy_and_its_model_do_not_keep_each_other_alive(copy):
    def make():
        x = keras.Input((3,))
        model = keras.Model(x, layers.Add()([x, layers.Dense(3)(x)]))
        return model, copy(model)

    for kept in (0, 1):
        pair = make()
        dropped = weakref.ref(next(x for x in pair[1 - kept].layers if x.weights))
        pair = pair[kept]
        gc.collect()
        assert dropped() is None, pair
