"""Networks saved to files, configurations and copies, and restored."""

import keras
import numpy as np
import pytest

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
    ("network", "build"),
    [
        # The layers of the other builds are saved on every backend by tests/layers.
        pytest.param(name, build, marks=[] if build == "everything" else pytest.mark.once)
        for name in NETWORKS
        for build in CONFIGS[name]
    ],
)
def test_config_and_file_give_the_model_back(network, build, tmp_path, rng):
    model = NETWORKS[network](**CONFIGS[network][build])
    assert isinstance(model, keras.Model) and model.get_layer("stem_conv")
    again = type(model).from_config(model.get_config())
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model) and loaded.dtype_policy.name == model.dtype_policy.name
    x = inputs(model, rng, 2)
    np.testing.assert_array_equal(ARRAY(loaded(x)), ARRAY(model(x)), strict=True)


@pytest.mark.parametrize("network", NETWORKS)
def test_loss_is_scaled_in_mixed_float16_by_a_loaded_or_cloned_network_too(network, tmp_path):
    model = NETWORKS[network](dtype="mixed_float16")
    model.save(tmp_path / "model.keras")
    for each in (
        model,
        keras.models.load_model(tmp_path / "model.keras"),
        keras.models.clone_model(model),
    ):
        each.compile("sgd", "mse")
        assert isinstance(each.optimizer, keras.optimizers.LossScaleOptimizer)
