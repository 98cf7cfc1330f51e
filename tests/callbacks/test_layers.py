"""The layers of a log and their names."""

import keras
import pytest

import keras_euler
from keras_euler.callbacks._layers import Layers
from tests import dense

pytestmark = pytest.mark.once


def test_layer_named_like_another_column():
    layers = [
        keras.Input((3,)),
        keras.layers.Dense(2, name="total"),
        keras.layers.Dense(2, name="iteration"),
    ]
    assert names_of(keras.Sequential(layers)) == ["total#2", "iteration#2"]


def names_of(model, wanted=None):
    return Layers(model, model.trainable_variables, wanted).names


WANTED = [
    (None, ["block/a", "block/b", "c"]),
    ("c", ["c"]),
    (2, ["block/b"]),
    (["c", "block/a"], ["block/a", "c"]),
    (["block/*", 1], ["block/a", "block/b"]),
]


@pytest.mark.parametrize(("wanted", "names"), WANTED)
def test_layers_by_name_pattern_and_position(wanted, names):
    assert names_of(dense.network(), wanted) == names


def test_layer_2_is_the_papers():
    assert names_of(keras_euler.EulerResNet(8), 2) == ["stage1_block1/conv1"]


def test_names_are_the_same_in_a_loaded_model_and_within_another(tmp_path):
    network = keras_euler.EulerResNet(8, trainable_h="scalar")
    names = names_of(network)
    assert "stage3_block1/shortcut_conv" in names and "dense/c" not in names
    assert (
        names_of(keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Rescaling(2.0), network]))
        == names
    )
    for model in (network, dense.network()):
        model.save(tmp_path / "model.keras")
        assert names_of(keras.models.load_model(tmp_path / "model.keras")) == names_of(model)


def test_layers_of_one_name_get_numbers():
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="out")])
    assert names_of(keras.Sequential([inner, keras.layers.Dense(2, name="out")])) == [
        "out",
        "out#2",
    ]
