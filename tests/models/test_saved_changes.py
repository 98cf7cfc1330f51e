"""A network keeps changes of its layers wherever a functional model of the same layers keeps
them."""

import copy
import pickle

import keras
import numpy as np
import pytest

import keras_euler
from tests.models.networks import ARRAY, count, inputs, resnet, vdcnn

SMALL = dict(widths=(4, 4, 8), input_shape=(8, 8, 3), trainable_h="scalar")
NETWORKS = {
    "resnet": lambda: resnet(**SMALL),
    "vdcnn": lambda: vdcnn(trainable_h="scalar", dropout=0.5),
    "classifier": lambda: keras_euler.CharacterClassifier(NETWORKS["vdcnn"]()),
}
# What Keras says of layers that it cannot quantize.
pytestmark = pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize:UserWarning")


def parts(model):
    """Return the network inside a classifier, its first block and its last layer."""
    network = model.layers[1] if isinstance(model.layers[1], keras.Model) else model
    return network, network.get_layer("stage1_block1"), network.get_layer("logits")


def other_settings(model):
    network, block, logits = parts(model)
    network.name = "renamed"
    logits.activation = keras.activations.softmax
    logits.kernel_constraint = keras.constraints.MaxNorm(0.5)
    block.activation = keras.activations.tanh
    block.add.h = 0.7
    block.branch[0].kernel_regularizer = keras.regularizers.L2(0.1)
    block.branch[0].dtype_policy = "mixed_bfloat16"
    block.branch[1].momentum, block.branch[1].epsilon = 0.5, 0.01
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.25


def frozen_parts(model):
    network, block, _ = parts(model)
    block.add.trainable = False
    network.get_layer("stage2_block1").branch[-2].trainable = False
    network.get_layer("stage3_block1").trainable = False
    network.get_layer("stage3_block1").branch[-2].trainable = True
    network.get_layer("stem_conv").trainable = False


def frozen(model):
    model.trainable = False


def frozen_but_the_last_layer(model):
    model.trainable = False
    parts(model)[2].trainable = True


def lora(model):
    network, block, logits = parts(model)
    for layer in (
        logits,
        block.branch[0],
        *(layer for layer in network.layers if "embedding" in layer.name),
    ):
        layer.enable_lora(2)


CHANGES = {
    "nothing": lambda model: None,
    "settings": other_settings,
    "frozen parts": frozen_parts,
    "frozen": frozen,
    "frozen but the last layer": frozen_but_the_last_layer,
    "lora": lora,
    "int8": lambda model: model.quantize("int8"),
    "int4": lambda model: model.quantize("int4"),
    "float8": lambda model: model.quantize("float8"),
}


def through_a_file(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


WITH_WEIGHTS = {
    "file": through_a_file,
    "deepcopy": lambda model, folder: copy.deepcopy(model),
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
}
WITHOUT_WEIGHTS = {
    "clone": lambda model, folder: keras.models.clone_model(model),
    "config": lambda model, folder: type(model).from_config(model.get_config()),
    "json": lambda model, folder: keras.models.model_from_json(model.to_json()),
}
# For the other changes the first way of each kind will do: Keras copies and pickles a model through
# a file.
IN_ALL_WAYS = ("settings", "frozen parts")
OF_CLASSIFIERS = ("settings", "frozen parts", "frozen but the last layer", "int8")
CASES = [
    *(("resnet", change) for change in CHANGES),
    # What keeps a change is the same code of Keras for all networks and backends.
    *(pytest.param("vdcnn", change, marks=pytest.mark.once) for change in CHANGES),
    *(pytest.param("classifier", change, marks=pytest.mark.once) for change in OF_CLASSIFIERS),
]


def plain(model):
    """Make a plain functional model with the layers of another network like this one."""
    again = keras.models.clone_model(model)
    if isinstance(model, keras_euler.CharacterClassifier):
        network = keras.models.clone_model(model.network)
        outputs = keras.Model(network.inputs, network.outputs, name=model.network.name)(
            again.inputs
        )
    else:
        outputs = again.outputs
    return keras.Model(again.inputs, outputs, name=model.name)


def described(model):
    """Return dicts of the configuration of each layer, and of the settings and value of each
    variable, by path."""
    layers = [
        layer for layer in model._flatten_layers() if not isinstance(layer, keras.layers.InputLayer)
    ]
    configs = [
        (
            layer.name,
            layer.trainable,
            None if isinstance(layer, keras.Model) else comparable(layer.get_config()),
        )
        for layer in layers
    ]
    return configs, {
        variable.path: (variable.trainable, variable.dtype) for variable in model.weights
    }


def comparable(config):
    if isinstance(config, dict):
        return {name: comparable(value) for name, value in config.items() if name != "build_config"}
    return [comparable(value) for value in config] if isinstance(config, (list, tuple)) else config


def by_path(model):
    return {variable.path: ARRAY(variable) for variable in model.weights}


@pytest.mark.parametrize(("network", "change"), CASES)
def test_a_changed_network_is_kept_as_a_plain_functional_model_is(network, change, tmp_path, rng):
    model = NETWORKS[network]()
    twin = plain(model)
    for each in (model, twin):
        CHANGES[change](each)
    twin.set_weights(model.get_weights())
    x = inputs(parts(model)[0], rng, 2)
    expected = described(model)
    num_ways = None if change in IN_ALL_WAYS else 1
    for way, copied in list(WITH_WEIGHTS.items())[:num_ways]:
        same, same_twin = (copied(each, tmp_path) for each in (model, twin))
        assert type(same) is type(model)
        assert described(same) == described(same_twin) == expected, way
        assert (
            len(same.trainable_weights)
            == len(same_twin.trainable_weights)
            == len(model.trainable_weights)
        )
        np.testing.assert_array_equal(ARRAY(same(x)), ARRAY(model(x)))
        values, twins = by_path(same), by_path(same_twin)
        for path in values:
            np.testing.assert_array_equal(values[path], twins[path], err_msg=f"{way} {path}")
    for way, copied in list(WITHOUT_WEIGHTS.items())[:num_ways]:
        same, same_twin = (copied(each, tmp_path) for each in (model, twin))
        assert described(same) == described(same_twin), way
        assert len(same.trainable_weights) == len(same_twin.trainable_weights)


def test_a_layer_replaced_within_a_branch_is_kept(tmp_path, rng):
    model = NETWORKS["resnet"]()
    model.get_layer("stage1_block1").branch[2] = keras.layers.Activation("gelu", name="gelu")
    loaded = through_a_file(model, tmp_path)
    assert loaded.get_layer("stage1_block1").branch[2].name == "gelu"
    x = inputs(model, rng, 2)
    np.testing.assert_array_equal(ARRAY(loaded(x)), ARRAY(model(x)))


@pytest.mark.parametrize("network", NETWORKS)
def test_a_loaded_network_trains_on_as_the_saved_one_would(network, tmp_path, rng):
    model = NETWORKS[network]()
    frozen_parts(model)
    for layer in parts(model)[0].layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    x, y = inputs(parts(model)[0], rng, 4), np.arange(4) % 3
    for _ in range(2):
        model.train_on_batch(x, y)
    loaded = through_a_file(model, tmp_path)
    before = by_path(model)
    for each in (model, loaded):
        each.train_on_batch(x, y)
    after, expected = by_path(loaded), by_path(model)
    for path in expected:
        np.testing.assert_array_equal(after[path], expected[path], err_msg=path)
    assert np.abs(after["logits/kernel"] - before["logits/kernel"]).max() > 0
    np.testing.assert_array_equal(after["stem_conv/kernel"], before["stem_conv/kernel"])


@pytest.mark.parametrize("outer", ["sequential", "functional"])
def test_a_frozen_network_within_a_model_stays_frozen(outer, tmp_path, rng):
    features = resnet(**SMALL, include_top=False)
    features.trainable = False
    features.get_layer("stage3_block1").branch[-2].trainable = True
    head = keras.layers.Dense(3, name="head")
    images = keras.Input((8, 8, 3))
    model = (
        keras.Sequential([images, features, head])
        if outer == "sequential"
        else keras.Model(images, head(features(images)))
    )
    loaded = through_a_file(model, tmp_path)
    kept = ["head/bias", "head/kernel", "stage3_block1/conv2/kernel"]
    for each in (model, loaded, keras.models.clone_model(model)):
        assert (
            sorted(weight.path.removeprefix("sequential/") for weight in each.trainable_weights)
            == kept
        )
    before = by_path(loaded)
    loaded.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    loaded.fit(rng.normal(size=(4, 8, 8, 3)), np.arange(4) % 3, verbose=0)
    moved = [path for path, value in by_path(loaded).items() if (value != before[path]).any()]
    assert sorted(path.removeprefix("sequential/") for path in moved) == kept


def test_a_network_made_frozen_is_frozen_in_other_models_too():
    features = resnet(**SMALL, include_top=False, trainable=False)
    assert count(features) == 0
    model = keras.Sequential([keras.Input((8, 8, 3)), features, keras.layers.Dense(3)])
    assert count(model) == 8 * 3 + 3
