"""The outputs of the blocks, compared with calling each block by hand."""

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler import block_features


def by_hand(network, x):
    """Return the output of each block when the layers are called one after the other."""
    outputs = {}
    for layer in network.layers[1:]:
        x = layer(x)
        if isinstance(layer, keras_euler.EulerResidual):
            outputs[layer.name] = keras.ops.convert_to_numpy(x)
    return outputs


@pytest.fixture
def network():
    return keras_euler.EulerResNet(14, input_shape=(8, 8, 3), widths=(4, 8, 8))


def assert_equal(features, expected):
    assert list(features) == list(expected)
    for name in expected:
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(features[name]), expected[name], rtol=1e-5, atol=1e-6
        )


def test_output_of_every_block(network, rng):
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    features = block_features(network)
    assert list(features.output) == [
        f"stage{stage}_block{block}" for stage in (1, 2, 3) for block in (1, 2)
    ]
    assert_equal(features(x), by_hand(network, x))
    assert_equal(features.predict(x, verbose=0), by_hand(network, x))


def test_text_network(rng):
    network = keras_euler.EulerVDCNN(9, sequence_length=64, widths=(4, 4, 8, 8), dense_units=8)
    ids = rng.integers(0, 70, (2, 64))
    assert_equal(block_features(network)(ids), by_hand(network, ids))
    classifier = keras_euler.CharacterClassifier(network)
    assert_equal(block_features(classifier)(ids), by_hand(network, ids))


def test_an_inner_model_runs_once(rng):
    norm = keras.layers.BatchNormalization(momentum=0.5)
    block = keras_euler.EulerResidual
    inner = keras.Sequential([keras.Input((3,)), block([norm])])
    model = keras.Sequential([keras.Input((3,)), inner, block([keras.layers.Dense(3)])])
    x = 1 + rng.normal(size=(8, 3)).astype("float32")
    block_features(model)(x, training=True)
    np.testing.assert_allclose(norm.moving_mean, x.mean(axis=0) / 2, rtol=1e-5)


def test_features_follow_the_weights_and_leave_the_model_as_it_was(network, tmp_path, rng):
    x = rng.normal(size=(1, 8, 8, 3)).astype("float32")
    features, before = block_features(network), network(x)
    network.get_layer("stem_conv").kernel.assign(np.zeros((3, 3, 3, 4)))
    assert_equal(features(x), by_hand(network, x))
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert keras.ops.convert_to_numpy(loaded(x)).shape == before.shape
    assert tuple(network.get_layer("stage1_block1").output.shape) == (None, 8, 8, 4)


class Subclassed(keras.Model):
    def call(self, x):
        return x


BAD = [
    (lambda: 3, TypeError, "`model` must be a Keras model. Received: int"),
    (Subclassed, ValueError, "must be functional or Sequential.*Received: Subclassed"),
    (
        lambda: keras.Sequential([keras.layers.Dense(2)]),
        ValueError,
        "give a Sequential one an Input",
    ),
    (
        lambda: keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]),
        ValueError,
        "has no EulerResidual block",
    ),
]


@pytest.mark.once
@pytest.mark.parametrize(("make", "error", "message"), BAD)
def test_models_without_blocks_to_find_get_a_clear_error(make, error, message):
    with pytest.raises(error, match=message):
        block_features(make())


@pytest.mark.once
def test_a_model_with_a_call_of_its_own_is_refused():
    """Its graph is not what it computes."""

    class OwnCall(keras.Model):
        def call(self, x, *args, **kwargs):
            return super().call(x / 2, *args, **kwargs)

    class OwnSequential(keras.Sequential):
        def __call__(self, x, *args, **kwargs):
            return super().__call__(x / 2, *args, **kwargs)

    x = keras.Input((4,))
    y = keras.layers.Add()([x, keras.layers.Dense(4)(x)])
    replaced = keras.Model(x, y)
    replaced.call = lambda x, **kwargs: x
    for model in (OwnCall(x, y), OwnSequential([x, keras.layers.Dense(4)]), replaced):
        for function in (keras_euler.eulerize, keras_euler.fold, keras_euler.block_features):
            with pytest.raises(ValueError, match="with Keras' own `call`.*Received: "):
                function(model)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="takes torch's gradient")
def test_gradient_with_respect_to_a_feature(network, rng):
    import torch

    x, name = rng.normal(size=(1, 8, 8, 3)).astype("float32"), "stage2_block1"
    features = block_features(network)(x)
    (gradient,) = torch.autograd.grad(features["stage2_block2"].sum(), features[name])
    y = features[name].detach().requires_grad_()
    (expected,) = torch.autograd.grad(network.get_layer("stage2_block2")(y).sum(), y)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)
