"""Folded networks compared with the originals, with random values in every variable."""

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler import analysis, fold
from tests.models.networks import BUILDS, NETWORKS, inputs, scramble

NORMS = keras.layers.BatchNormalization


def layers(model):
    return list(model._flatten_layers(include_self=False))


def assert_same_outputs(model, folded, x, atol=1e-4):
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(folded.predict(x, verbose=0), expected, rtol=1e-4, atol=atol)
    assert np.abs(expected).max() > 0.01


@pytest.mark.parametrize("build", BUILDS)
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


def test_other_activations_and_shared_ones_are_kept(rng):
    images = keras.Input((8, 8, 3))
    shared = keras.layers.Activation("relu")
    x = shared(shared(keras.layers.Conv2D(4, 3)(images)))
    x = keras.layers.ReLU(max_value=0.2)(keras.layers.Conv2D(4, 3)(x))
    z = keras.layers.Conv2D(4, 1)(x)
    model = keras.Model(
        images, [keras.layers.ReLU()(keras.layers.Dense(5)(x)), keras.layers.ReLU()(z), z]
    )
    folded = fold(model)
    kept = [
        layer
        for layer in layers(folded)
        if isinstance(layer, (keras.layers.ReLU, keras.layers.Activation))
    ]
    assert len(kept) == 3  # not the one behind Dense
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    for one, other in zip(model.predict(x, verbose=0), folded.predict(x, verbose=0), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4)


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


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="channels_first convolutions need a GPU there"
)
def test_channels_first(rng):
    model = keras_euler.EulerResNet(8, data_format="channels_first", trainable_h="channel")
    scramble(model, rng)
    folded = fold(model)
    assert not any(isinstance(layer, NORMS) for layer in layers(folded))
    assert_same_outputs(model, folded, inputs(model, rng))


def test_network_of_a_recipe(rng):
    """A model of uint8 images, with augmentation and normalization before a network."""
    network = NETWORKS["resnet"](input_shape=(16, 16, 3))
    scramble(network, rng)
    first = [keras_euler.RandomPadCrop(2), keras.layers.Rescaling(1 / 255)]
    model = keras.Sequential([keras.Input((16, 16, 3), dtype="uint8"), *first, network])
    folded = fold(model)
    assert not any(isinstance(layer, NORMS) for layer in layers(folded))
    assert_same_outputs(model, folded, rng.integers(0, 256, (2, 16, 16, 3)).astype("uint8"))


def test_classifier_of_strings(rng):
    network = NETWORKS["vdcnn"]()
    scramble(network, rng)
    model = keras_euler.CharacterClassifier(network, class_names=list("abcd"))
    folded = fold(model)
    texts = ["Wall St. Bears Claw Back", "0:1"]
    np.testing.assert_allclose(
        folded.predict(texts, verbose=0), model.predict(texts, verbose=0), rtol=1e-4, atol=1e-4
    )
    assert folded.classify(texts) == model.classify(texts)


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


def test_depthwise_convolutions(rng):
    """Depthwise convolutions with two outputs per channel, in one dimension and in two."""
    images = keras.Input((6, 6, 3))
    x = NORMS()(keras.layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(images))
    x = keras.layers.Reshape((12, 18))(x)
    x = NORMS()(keras.layers.DepthwiseConv1D(3, depth_multiplier=2, use_bias=False)(x))
    f = keras_euler.EulerAdd(h=0.3, trainable_h="channel")([x, keras.layers.DepthwiseConv1D(1)(x)])
    model = keras.Model(images, f)
    scramble(model, rng)
    folded = fold(model)
    assert not any(isinstance(layer, NORMS) for layer in layers(folded))
    assert [layer.h for layer in layers(folded) if isinstance(layer, keras_euler.EulerAdd)] == [1.0]
    assert_same_outputs(model, folded, rng.normal(size=(2, 6, 6, 3)).astype("float32"))


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


def test_activation_or_other_axis_between_is_not_folded(rng):
    images = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3, activation="relu")(images))
    y = keras.layers.BatchNormalization(axis=1)(keras.layers.Conv2D(6, 3)(images))
    model = keras.Model(images, [x, y])
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


def test_models_within_a_branch_are_kept_as_they_are(rng):
    inner = [keras.Input((8, 8, 4)), keras.layers.Conv2D(4, 3, padding="same"), NORMS()]
    block = keras_euler.EulerResidual(
        [keras.Sequential(inner), keras.layers.Conv2D(4, 1), NORMS()], h=0.3
    )
    model = keras.Sequential([keras.Input((8, 8, 4)), block])
    scramble(model, rng)
    folded = fold(model)
    assert sum(isinstance(layer, NORMS) for layer in layers(folded)) == 1
    assert_same_outputs(model, folded, rng.normal(size=(2, 8, 8, 4)).astype("float32"))


SURGERY = {
    "fold": fold,
    "eulerize": keras_euler.eulerize,
    "block_features": keras_euler.block_features,
    "gradient_norms": lambda model: analysis.gradient_norms(model, np.eye(4), np.eye(4)[:, :2]),
    "gradient_growth": lambda model: analysis.gradient_growth(model, np.eye(4), np.eye(4)[:, 0]),
}


@pytest.mark.once
@pytest.mark.parametrize("name", SURGERY)
def test_preprocessor_of_a_task_is_not_lost_silently(name):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.preprocessor = keras.layers.Rescaling(2.0)
    with pytest.raises(ValueError, match="has a preprocessor, which is not in its graph"):
        SURGERY[name](model)


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
