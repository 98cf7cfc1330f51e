"""Networks saved to files, configurations and copies, and restored."""

import inspect

import keras
import numpy as np
import pytest

import keras_euler
from tests.models.networks import ARRAY, BUILDS, NETWORKS, inputs

EVERYTHING = dict(
    num_classes=3,
    trainable_h="channel",
    zero_gamma=True,
    scheme="rk4",
    skip=0.9,
    drop_path=0.2,
    kernel_initializer="he_normal",
    classifier_activation="softmax",
    dtype="mixed_bfloat16",
    name="mine",
)
CONFIGS = {
    "resnet": {
        **BUILDS,
        "everything": dict(
            h=[0.1, 0.2, 0.3],
            input_shape=(16, 24, 1),
            widths=(8, 8, 16),
            pooling="max",
            **EVERYTHING,
        ),
    },
    "vdcnn": {
        **BUILDS,
        "everything": dict(
            h=[0.1, 0.2, 0.3, 0.4],
            sequence_length=70,
            vocabulary_size=9,
            embedding_dim=4,
            head_pooling="k_max",
            dense_units=7,
            dropout=0.5,
            **EVERYTHING,
        ),
        "without a top": dict(include_top=False, pooling="max"),
    },
}


@pytest.mark.parametrize(
    ("network", "build"), [(name, build) for name in NETWORKS for build in CONFIGS[name]]
)
def test_config_and_file_give_the_model_back(network, build, tmp_path, rng):
    model = NETWORKS[network](**CONFIGS[network][build])
    config = model.get_config()
    assert set(config) == set(inspect.signature(type(model)).parameters)
    again = type(model).from_config(config)
    assert again.get_config() == config
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.get_config() == config
    x = inputs(model, rng, 2)
    np.testing.assert_array_equal(ARRAY(loaded(x)), ARRAY(model(x)), strict=True)


def test_numpy_numbers_are_saved_as_plain_ones(tmp_path):
    model = keras_euler.EulerResNet(np.int64(8), np.float32(0.5), np.int32(3))
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").get_config() == model.get_config()
    for h in ((0.1, np.float32(0.5), 1), np.array([0.1, 0.5, 1.0])):
        assert keras_euler.EulerResNet(8, h=h).get_config()["h"] == [0.1, 0.5, 1.0]
    assert keras_euler.EulerResNet(8, input_shape=tuple(np.array([16, 16, 3]))).input_shape == (
        None,
        16,
        16,
        3,
    )
    model = keras_euler.EulerVDCNN(
        9, 0.5, np.int32(3), np.int64(64), np.int64(9), dense_units=np.int64(4)
    )
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").get_config() == model.get_config()


@pytest.mark.parametrize("network", NETWORKS)
def test_weights_argument_loads_a_file(network, tmp_path, rng):
    model = NETWORKS[network]()
    model.save_weights(tmp_path / "model.weights.h5")
    again = NETWORKS[network](weights=tmp_path / "model.weights.h5")
    x = inputs(model, rng, 2)
    np.testing.assert_array_equal(ARRAY(again(x)), ARRAY(model(x)))
    assert again.get_config()["weights"] is None


@pytest.mark.parametrize("network", NETWORKS)
def test_clone_is_an_equal_plain_model(network):
    model = NETWORKS[network]()
    clone = keras.models.clone_model(model)
    assert type(clone) is not type(model)
    assert [tuple(w.shape) for w in clone.weights] == [tuple(w.shape) for w in model.weights]
