"""Trained networks by name, and the files of their weights: in the package, downloaded, damaged, of
another network."""

import functools
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

import keras_euler
from keras_euler.models import presets
from keras_euler.models.presets import ZOO

NAME = "euler_resnet_20_cifar10"
ARRAY = keras.ops.convert_to_numpy
PRESETS = keras_euler.list_presets()


def arrays(model):
    return [ARRAY(variable) for variable in model.weights]


def assert_equal(one, other):
    for array, expected in zip(arrays(one), arrays(other), strict=True):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_says_what_it_is(name):
    preset = PRESETS[name]
    assert preset.name == name
    assert preset.description
    assert preset.command.startswith("python recipes/")
    assert preset.metrics["data"]
    assert preset.metrics["n"] >= 1
    assert preset.metrics["test_examples"] > 0
    assert len(preset.class_names) == preset.arguments["num_classes"]
    assert preset.file().stat().st_size <= 12_000_000


@pytest.mark.once
@pytest.mark.parametrize("name", PRESETS)
def test_network_with_the_weights_of_its_preset(name, rng):
    preset = PRESETS[name]
    network = getattr(keras_euler, preset.network)(**preset.arguments, weights=name)
    trained = preset.load()
    if preset.network == "EulerResNet":
        images = rng.integers(0, 256, (2, 32, 32, 3)).astype("uint8")
        mean, stddev = preset.preprocessing["mean"], preset.preprocessing["stddev"]
        expected = network.predict((images - np.array(mean)) / np.array(stddev), verbose=0)
        np.testing.assert_allclose(
            trained.predict(images, verbose=0), expected, rtol=1e-4, atol=1e-4
        )
    else:
        assert trained.classify(["Stocks fell on Wall Street"])[0][0] in preset.class_names
    again = getattr(keras_euler, preset.network)(**preset.arguments, weights=preset.file())
    assert_equal(again, network)


@pytest.mark.once
@pytest.mark.parametrize("name", PRESETS)
def test_features_are_those_of_the_trained_network(name):
    preset = PRESETS[name]
    build = functools.partial(getattr(keras_euler, preset.network), weights=name)
    whole = {variable.path: ARRAY(variable) for variable in build(**preset.arguments).weights}
    features = build(**{**preset.arguments, "num_classes": 3}, include_top=False)
    for variable in features.weights:
        np.testing.assert_array_equal(ARRAY(variable), whole[variable.path])
    assert 0 < len(features.weights) < len(whole)


@pytest.mark.once
def test_preset_of_another_network_is_refused():
    with pytest.raises(
        ValueError,
        match=r"of another network. Received: depth=14, the weights have 20; h=1, the wei",
    ):
        keras_euler.EulerResNet(14, h=1, weights=NAME)
    for wrong, message in (
        ({"shortcut": "padding"}, "shortcut='padding', the weights have 'projection'"),
        ({"pooling": "max"}, "pooling='max', the weights have 'avg'"),
        ({"norm": None}, "norm=None, the weights have 'batch'"),
        ({"scheme": "heun"}, "scheme='heun', the weights have 'euler'"),
        ({"skip": 0.5}, "skip=0.5, the weights have 1.0"),
    ):
        with pytest.raises(ValueError, match=message):
            keras_euler.EulerResNet(20, **wrong, weights=NAME)
    with pytest.raises(TypeError, match="Received: weights=5"):
        keras_euler.EulerResNet(20, weights=5)
    with pytest.raises(
        ValueError, match=r"num_classes=3, the weights have 10. .*include_top=False"
    ):
        keras_euler.EulerResNet(20, num_classes=3, weights=NAME)
    with pytest.raises(ValueError, match="is an EulerResNet. Received: an EulerVDCNN of weights="):
        keras_euler.EulerVDCNN(9, sequence_length=64, weights=NAME)


@pytest.mark.once
def test_accuracy_of_the_preset_is_the_measured_one():
    """The accuracy on the first thousand test images is within four standard errors."""
    if "KERAS_EULER_DATA" not in os.environ:
        pytest.skip("KERAS_EULER_DATA is not set: the folder that holds tfds/cifar10")
    _, (x, y) = keras_euler.datasets.cifar10.load_data(Path(os.environ["KERAS_EULER_DATA"], "tfds"))
    preset = PRESETS[NAME]
    found = (
        preset.load().predict(x[:1000], batch_size=250, verbose=0).argmax(-1) == y[:1000]
    ).mean()
    assert abs(found - preset.metrics["test_accuracy"]) < 0.06


@pytest.mark.parametrize("name", PRESETS)
def test_card_names_data_command_accuracy_and_limits(name):
    preset = PRESETS[name]
    _, metadata, card = preset.card().split("---\n", 2)
    metadata, card = yaml.safe_load(metadata), card.strip()
    assert card == preset.card(metadata=False) and metadata["library_name"] == "keras"
    (result,) = metadata["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == preset.metrics["test_accuracy"]
    assert result["dataset"]["name"] == preset.metrics["data"]
    for part in (
        preset.metrics["data"],
        f"`{preset.command}`",
        f"{preset.metrics['test_accuracy']:.3f}",
        preset.limits,
        "n = ",
    ):
        assert part in card
    assert "not for" in preset.limits.lower() and card.startswith(f"### {name}\n")


@pytest.mark.once
def test_file_that_is_missing_torn_or_another_networks_is_one_sentence(tmp_path):
    torn = tmp_path / "torn.weights.h5"
    torn.write_bytes(PRESETS[NAME].file().read_bytes()[:100_000])
    with pytest.raises(
        FileNotFoundError, match="`weights` must be the name of a preset of EulerResNet or the path"
    ):
        keras_euler.EulerResNet(20, weights="euler_resnet_21")
    with pytest.raises(
        ValueError, match=r"torn.weights.h5 cannot be loaded into .*damaged, or its model differs"
    ):
        keras_euler.EulerResNet(20, weights=torn)
    with pytest.raises(ValueError, match="cannot be loaded into"):
        keras_euler.EulerResNet(20, widths=(8, 16, 32), weights=PRESETS[NAME].file())


@pytest.mark.once
def test_weights_of_another_network_that_would_fit_are_refused(tmp_path):
    """Keras itself would load the arrays that it finds and skip the others."""
    file = PRESETS[NAME].file()
    with pytest.raises(ValueError, match=r"network. Received: they have 107 arrays, .* has 97"):
        keras_euler.EulerResNet(20, shortcut="padding", weights=file)
    keras_euler.EulerResNet(20, num_classes=3, include_top=False, weights=file)
    small = dict(sequence_length=64, widths=(8, 8, 8, 8), dense_units=8, dropout=0.5)
    keras_euler.EulerVDCNN(17, **small).save(tmp_path / "a.keras")
    with pytest.raises(ValueError, match="whole network, h included. Read it by keras.models.load"):
        keras_euler.EulerVDCNN(17, **small, weights=tmp_path / "a.keras")
    keras_euler.EulerVDCNN(17, **small).save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match="arrays"):
        keras_euler.EulerVDCNN(9, **small, weights=tmp_path / "a.weights.h5")


@pytest.mark.once
def test_damaged_file_of_the_package_is_refused(tmp_path, monkeypatch):
    shutil.copy(PRESETS[NAME].file(), tmp_path)
    monkeypatch.setattr(presets, "ZOO", tmp_path)
    shutil.copy(ZOO / "presets.json", tmp_path)
    assert PRESETS[NAME].file().parent == tmp_path
    with open(tmp_path / PRESETS[NAME].weights, "rb+") as file:
        file.seek(5000)
        file.write(b"!")
    with pytest.raises(
        ValueError, match=r"missing or damaged: its SHA-256 should be \w{64}. Reinstall keras_euler"
    ):
        keras_euler.EulerResNet(20, weights=NAME)


def test_lambda_in_a_saved_model_is_not_run(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x)])
    model.save(tmp_path / "code.keras")
    with pytest.raises(ValueError, match=r"(?i)lambda|unsafe"):
        keras.models.load_model(tmp_path / "code.keras")


@pytest.mark.once
def test_weights_that_are_not_finite_are_refused(tmp_path):
    network = keras_euler.EulerResNet(8)
    kernel = network.get_layer("stem_conv").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    file = tmp_path / "diverged.weights.h5"
    network.save_weights(file)
    with pytest.raises(
        ValueError,
        match=r"diverged.* are not finite, such as those of stem_conv/kernel: the training "
        r"diverged",
    ):
        keras_euler.EulerResNet(8, weights=file)
