"""Conversion of Keras ResNets: real networks, the same numbers with h = 1, and difficult graphs."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_euler
from keras_euler import EulerAdd, eulerize, residual_connections

A = keras.applications
SMALL = dict(weights=None, input_shape=(32, 32, 3), classes=10)


# Graphs are Keras' own on every backend, and these take JAX minutes to build.
once = pytest.mark.once


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


def dense_block(x, name, order=(0, 1), units=4):
    """Add x and Dense(relu(Dense(x))), in the given order."""
    f = layers.Dense(units, name=f"{name}_b")(layers.Dense(units, "relu", name=f"{name}_a")(x))
    return layers.Add(name=name)([(x, f)[i] for i in order])


def by_hand(model, x, h):
    """Two blocks of `dense_block` in NumPy."""
    for name in ("one", "two"):
        first, second = model.get_layer(f"{name}_a"), model.get_layer(f"{name}_b")
        hidden = np.maximum(x @ numpy_of(first.kernel) + numpy_of(first.bias), 0)
        x = x + h * (hidden @ numpy_of(second.kernel) + numpy_of(second.bias))
    return x


@pytest.fixture
def two_blocks():
    x = keras.Input((4,))
    return keras.Model(x, dense_block(dense_block(x, "one"), "two", order=(1, 0)))


def test_every_branch_is_scaled_whatever_the_order_of_its_addition(two_blocks, rng):
    x = rng.normal(size=(3, 4)).astype("float32")
    euler = eulerize(two_blocks, 0.25, verbose=False)
    np.testing.assert_allclose(
        numpy_of(euler(x)), by_hand(two_blocks, x, 0.25), rtol=1e-5, atol=1e-6
    )
    assert [layer.h for layer in euler.layers if isinstance(layer, EulerAdd)] == [0.25, 0.25]
    assert (
        numpy_of(eulerize(two_blocks, 1.0, verbose=False)(x)).tolist()
        == numpy_of(two_blocks(x)).tolist()
    )


def test_the_copy_has_weights_of_its_own_and_is_saved(two_blocks, tmp_path, rng):
    x = rng.normal(size=(3, 4)).astype("float32")
    euler = eulerize(two_blocks, [0.5, 0.1], verbose=False)
    before = numpy_of(euler(x))
    two_blocks.get_layer("one_a").kernel.assign(np.zeros((4, 4)))
    assert numpy_of(euler(x)).tolist() == before.tolist()
    euler.save(tmp_path / "euler.keras")
    loaded = keras.models.load_model(tmp_path / "euler.keras")
    np.testing.assert_allclose(numpy_of(loaded(x)), before, rtol=1e-6)


# Builder, residual connections, positions of the shortcut.
NETWORKS = {
    "ResNet50": (lambda: A.ResNet50(**SMALL), 16, {0}),
    "ResNet50V2": (lambda: A.ResNet50V2(**SMALL), 16, {0}),
    "EfficientNetB0": (lambda: A.EfficientNetB0(**SMALL), 9, {1}),
    "ConvNeXtTiny": (lambda: A.ConvNeXtTiny(**SMALL), 18, {0}),
}


@once
@pytest.mark.parametrize("name", NETWORKS)
def test_residual_connections_of_real_networks(name):
    make, count, positions = NETWORKS[name]
    found = residual_connections(make())
    assert len(found) == count and {residual.shortcut for residual in found} == positions


@once
def test_resnet50_is_itself_with_h_one_and_its_shortcuts_alone_with_zero(rng, capsys):
    model = A.ResNet50(**SMALL)
    x = rng.normal(size=(2, 32, 32, 3)).astype("float32")
    euler = eulerize(model, 1.0)
    assert (
        capsys.readouterr().out
        == "resnet50: scaled 16 branches by h = 1: conv2_block1_add, ..., conv5_block3_add.\n"
    )
    np.testing.assert_array_equal(numpy_of(euler(x)), numpy_of(model(x)))
    # Branches that are nothing leave the same outputs with any weights in them.
    silent = eulerize(model, 0.0, verbose=False)
    before = numpy_of(silent(x))
    for layer in silent.layers:
        if layer.name.startswith("conv3_block2_") and layer.name.endswith("_conv"):
            layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    np.testing.assert_array_equal(numpy_of(silent(x)), before)


@once
def test_backbone_of_keras_hub(rng):
    import keras_hub

    model = keras_hub.models.ResNetBackbone(
        input_conv_filters=[8],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[2, 2],
        stackwise_num_strides=[1, 2],
        block_type="bottleneck_block",
        image_shape=(16, 16, 3),
    )
    x = rng.normal(size=(2, 16, 16, 3)).astype("float32")
    euler = eulerize(model, 1.0, verbose=False)
    np.testing.assert_array_equal(numpy_of(euler(x)), numpy_of(model(x)))
    assert sum(isinstance(layer, EulerAdd) for layer in euler.layers) == 4
    transformer = keras_hub.models.BertBackbone(
        vocabulary_size=10,
        num_layers=1,
        num_heads=1,
        hidden_dim=4,
        intermediate_dim=4,
        max_sequence_length=4,
    )
    with pytest.raises(
        ValueError,
        match=r"composite layers, which may hide residual connections: .*TransformerEncoder",
    ):
        eulerize(transformer)


def test_functional_transformer(rng):
    x = inputs = keras.Input((5, 8))
    positions = layers.Embedding(5, 8)(np.arange(5)[None])
    x = layers.Add(name="embed")([x, x + 0.0 * positions, x])
    for i in range(2):
        y = layers.LayerNormalization()(x)
        x = keras.ops.add(layers.MultiHeadAttention(2, 4, name=f"attention{i}")(y, y), x)
        x = x + layers.Dense(8)(layers.Dense(16, "gelu")(layers.LayerNormalization()(x)))
    model = keras.Model(inputs, x)
    found = residual_connections(model)
    scaled = [residual.shortcut for residual in found if residual.shortcut is not None]
    assert scaled == [1, 0, 1, 0]
    assert "adds 3 tensors, not two" in {residual.reason for residual in found}
    x = rng.normal(size=(2, 5, 8)).astype("float32")
    np.testing.assert_array_equal(
        numpy_of(eulerize(model, 1, verbose=False)(x)), numpy_of(model(x))
    )


def test_models_within_models_and_layers_that_are_called_twice(two_blocks, rng, capsys):
    inputs = keras.Input((4,))
    add, dense = layers.Add(name="shared_add"), layers.Dense(4, name="shared_dense")
    x = two_blocks(two_blocks(inputs))
    x = add([x, dense(x)])
    x = add([dense(x), x])
    model = keras.Sequential([keras.Input((4,)), keras.Model(inputs, x, name="outer")])
    names = [residual.name for residual in residual_connections(model)]
    inner = f"outer/{two_blocks.name}"
    assert names == [f"{inner}/one", f"{inner}/two", "outer/shared_add", "outer/shared_add#2"]
    x = rng.normal(size=(2, 4)).astype("float32")
    np.testing.assert_array_equal(
        numpy_of(eulerize(model, 1, verbose=False)(x)), numpy_of(model(x))
    )
    euler = eulerize(
        model, 0.5, shortcuts={f"{inner}/one": None, f"{inner}/two": None, "outer/shared_add#2": 0}
    )
    assert "left alone" in capsys.readouterr().out
    y = by_hand(two_blocks, by_hand(two_blocks, x, 1), 1)
    kernel, bias = map(numpy_of, dense.weights)
    y = y + 0.5 * (y @ kernel + bias)
    y = (y @ kernel + bias) + 0.5 * y  # as `shortcuts` says
    np.testing.assert_allclose(numpy_of(euler(x)), y, rtol=1e-5, atol=1e-6)


def tie():
    x = keras.Input((4,))
    return keras.Model(x, layers.Add(name="sum")([layers.Dense(4)(x), layers.Dense(4)(x)]))


def test_a_parallel_branch_is_a_branch_whatever_its_layers():
    x = keras.Input((4, 8))
    attended = x + layers.MultiHeadAttention(2, 4)(x, x)  # more layers than the dense branch
    model = keras.Model(x, attended + layers.Dense(8)(layers.Dense(8)(x)))
    assert [residual.shortcut for residual in residual_connections(model)] == [0, 0]


def test_tie_is_an_error_that_names_the_layer_and_the_argument():
    with pytest.raises(
        ValueError,
        match=r"The shortcut of 'sum' is ambiguous.*Pass shortcuts=\{'sum': 0\} or 1, or None",
    ):
        eulerize(tie())
    assert eulerize(tie(), 0.5, {"sum": 1}, verbose=False).get_layer("sum").h == 0.5


def test_mixed_precision_is_kept(rng):
    keras.config.set_dtype_policy("mixed_float16")
    x = keras.Input((4,))
    model = keras.Model(x, dense_block(x, "one"))
    keras.config.set_dtype_policy("float32")
    assert eulerize(model, verbose=False).get_layer("one").compute_dtype == "float16"


class Subclassed(keras.Model):
    def call(self, x):
        return x


class Hidden(layers.Layer):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(4)

    def call(self, x):
        return x + self.dense(x)


def plain(layer):
    return keras.Sequential([keras.Input((4,)), layer])


BAD = [
    (lambda: eulerize(3), TypeError, "`model` must be a Keras model. Received: int"),
    (
        lambda: eulerize(Subclassed()),
        ValueError,
        "must be functional or Sequential.*Pass the functional part",
    ),
    (
        lambda: eulerize(plain(layers.Dense(4))),
        ValueError,
        "no residual connection in its graph: no addition of two",
    ),
    (
        lambda: eulerize(plain(Hidden())),
        ValueError,
        r"may hide residual connections: hidden.* \(Hidden\).*Write these blocks with",
    ),
    (
        lambda: eulerize(keras_euler.EulerResNet(8)),
        ValueError,
        "already consists of Euler steps.*Pass h to its constructor",
    ),
    (lambda: eulerize(tie(), shortcuts={"all": 0}), ValueError, "The shortcut of 'sum'"),
    (lambda: eulerize(tie(), shortcuts="sum"), TypeError, "`shortcuts` must be a dict"),
    (
        lambda: eulerize(tie(), shortcuts={"sum": 2}),
        ValueError,
        "must say 0, 1 or None.*Received: {'sum': 2}",
    ),
    (
        lambda: eulerize(tie(), shortcuts={"sum": 0, "all": 0}),
        ValueError,
        r"do not exist: \['all'\]. The additions are: sum",
    ),
    (lambda: eulerize(tie(), -1, {"sum": 0}), ValueError, "`h` must be a finite number >= 0"),
    (lambda: eulerize(tie(), [1, 1], {"sum": 0}), ValueError, "Received: 2 numbers"),
]


@pytest.mark.once
@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_models_that_cannot_be_made_euler_get_a_clear_error(call, error, message):
    with pytest.raises(error, match=message):
        call()
