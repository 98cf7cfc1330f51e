"""Folded networks compared with the originals, with random values in every variable."""

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler import fold
from tests.models.networks import BUILDS, EVERY_BUILD, NETWORKS, inputs, scramble

NORMS = keras.layers.BatchNormalization


def layers(model):
    return list(model._flatten_layers(include_self=False))


def assert_same_outputs(model, folded, x, atol=1e-4):
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(folded.predict(x, verbose=0), expected, rtol=1e-4, atol=atol)
    assert np.abs(expected).max() > 0.01


@EVERY_BUILD
@pytest.mark.parametrize("network", NETWORKS)
def test_outputs_are_the_same(network, build, rng):
    model = NETWORKS[network](**BUILDS[build])
    scramble(model, rng)
    assert_same_outputs(model, fold(model), inputs(model, rng))


@pytest.mark.parametrize("trainable_h", ["scalar", "channel"])
@pytest.mark.parametrize("network", NETWORKS)
def test_trained_h_is_folded(network, trainable_h, rng):
    model = NETWORKS[network](trainable_h=trainable_h)
    scramble(model, rng)
    folded = fold(model)
    assert not any(weight.path.endswith("/h") for weight in folded.weights)
    assert_same_outputs(model, folded, inputs(model, rng))


@pytest.mark.parametrize("scheme", ["heun", "rk4"])
def test_h_is_folded_into_every_stage(scheme, rng):
    """With `h F` in place of `F`, every stage and the step have it."""
    model = NETWORKS["resnet"](scheme=scheme, h=0.7, trainable_h="channel", skip=0.8, drop_path=0.5)
    scramble(model, rng)
    folded = fold(model)
    assert not any(isinstance(layer, NORMS) for layer in layers(folded))
    assert {layer.h for layer in layers(folded) if isinstance(layer, keras_euler.EulerAdd)} == {1.0}
    assert_same_outputs(model, folded, inputs(model, rng))


@pytest.mark.parametrize("network", NETWORKS)
def test_no_norm_and_no_h_is_left(network, rng):
    model = NETWORKS[network]()
    folded = fold(model)
    assert any(isinstance(layer, NORMS) for layer in layers(model))
    assert not any(isinstance(layer, NORMS) for layer in layers(folded))
    assert {layer.h for layer in layers(folded) if isinstance(layer, keras_euler.EulerAdd)} == {1.0}
    assert folded.name == model.name and folded.input_shape == model.input_shape


@pytest.mark.parametrize("network", NETWORKS)
def test_relu_is_the_activation_of_the_convolution_before_it(network):
    block = fold(NETWORKS[network]()).get_layer("stage2_block1")
    assert [layer.name for layer in block.branch if layer.weights] == ["conv1", "conv2"]
    assert not any(isinstance(layer, keras.layers.Activation) for layer in block.branch)
    conv1, conv2 = (layer for layer in block.branch if layer.weights)
    assert (conv1.activation, conv2.activation) == (
        keras.activations.relu,
        keras.activations.linear,
    )


def test_what_cannot_be_folded_is_kept(rng):
    preactivation = fold(NETWORKS["resnet"](preactivation=True))
    names = [layer.name for layer in layers(preactivation) if isinstance(layer, NORMS)]
    assert names == ["norm1"] * 3 + ["final_norm"]
    group = fold(NETWORKS["resnet"](norm="group", h=0.3))
    assert {layer.h for layer in layers(group) if isinstance(layer, keras_euler.EulerAdd)} == {0.3}


def test_the_model_itself_is_not_changed(rng):
    model = NETWORKS["resnet"]()
    before = scramble(model, rng)
    fold(model)
    for variable in model.weights:
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), before[variable.path])


@pytest.mark.once
def test_resnet_made_euler(rng):
    """A model with convolutions, norms and `EulerAdd`s in its graph."""

    def unit(x, filters, strides=1, activation=None):
        x = keras.layers.Conv2D(filters, 3, strides, padding="same", use_bias=filters > 4)(x)
        x = keras.layers.BatchNormalization()(x)
        return keras.layers.Activation(activation)(x) if activation else x

    images = keras.Input((8, 8, 3))
    x = unit(images, 4, activation="relu")
    for filters in (4, 8):
        f = unit(unit(x, filters, activation="relu"), filters)
        pair = [unit(x, filters) if filters > 4 else x, f]
        x = keras.layers.Add()(pair if filters > 4 else pair[::-1])
        x = keras.layers.ReLU()(x)
    model = keras_euler.eulerize(keras.Model(images, x), h=0.2, verbose=False)
    scramble(model, rng)
    folded = fold(model)
    assert not any(isinstance(layer, NORMS) for layer in layers(folded))
    assert {layer.h for layer in layers(folded) if isinstance(layer, keras_euler.EulerAdd)} == {1.0}
    assert_same_outputs(model, folded, rng.normal(size=(2, 8, 8, 3)).astype("float32"))


def test_what_is_used_twice_is_not_folded(rng):
    images = keras.Input((8, 8, 3))
    shared, norm = keras.layers.Conv2D(3, 3, padding="same"), keras.layers.BatchNormalization()
    x = norm(shared(images))
    z = keras.layers.Conv2D(4, 1)(x)
    y = keras.layers.BatchNormalization()(z)
    model = keras.Model(images, [norm(shared(x)), y, z])
    scramble(model, rng)
    folded = fold(model)
    assert sum(isinstance(layer, NORMS) for layer in layers(folded)) == 2
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    for one, other in zip(model.predict(x, verbose=0), folded.predict(x, verbose=0), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4)


def test_subclasses_that_compute_something_else_are_not_folded(rng):
    class Normalized(keras.layers.Dense):
        def call(self, x):
            return (
                keras.ops.matmul(x, self.kernel / keras.ops.norm(self.kernel, axis=0)) + self.bias
            )

    class Doubled(keras.layers.BatchNormalization):
        def call(self, x, training=None):
            return 2 * super().call(x, training=training)

    inputs = keras.Input((4,))
    x = keras.layers.BatchNormalization()(Normalized(4)(inputs))
    model = keras.Model(inputs, Doubled()(keras.layers.Dense(3)(x)))
    scramble(model, rng)
    assert_same_outputs(model, fold(model), rng.normal(size=(3, 4)).astype("float32"))


@pytest.mark.parametrize("kind", ["norm", "model", "block"])
def test_what_the_graph_calls_in_training_is_not_folded(kind, rng):
    x = keras.Input((8, 8, 3))
    chain = [keras.layers.Conv2D(3, 3, padding="same"), NORMS()]
    if kind == "norm":
        y = chain[1](chain[0](x), training=True)
    elif kind == "model":
        y = keras.Sequential([keras.Input((8, 8, 3)), *chain])(x, training=True)
    else:
        y = keras_euler.EulerResidual(chain)(x, training=True)
    model = keras.Model(x, y)
    scramble(model, rng)
    data = rng.normal(size=(4, 8, 8, 3)).astype("float32")
    weights = model.get_weights()
    for training in (None, False):  # None leaves it to the graph
        model.set_weights(weights)
        folded = fold(model)
        expected, found = (
            keras.ops.convert_to_numpy(one(data, training=training)) for one in (model, folded)
        )
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_folded_model_is_saved_and_read_back(tmp_path, rng):
    model = NETWORKS["resnet"]()
    scramble(model, rng)
    folded = fold(model)
    folded.save(tmp_path / "folded.keras")
    assert_same_outputs(
        model, keras.models.load_model(tmp_path / "folded.keras"), inputs(model, rng)
    )


@pytest.mark.once
def test_subclassed_models_are_refused():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match="`model` must be functional or Sequential"):
        fold(Own())
    with pytest.raises(TypeError, match="must be a Keras model. Received: int"):
        fold(1)
