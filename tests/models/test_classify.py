"""The class and its probability, from an image file or an array."""

import keras
import numpy as np
import pytest
from PIL import Image

import keras_euler
from keras_euler.models.image_classifier import read_image
from keras_euler.models.validation import most_probable

pytestmark = pytest.mark.once

NAMES = ("red", "green", "blue")


def build(names):
    """Build a model whose logits are the mean of each colour, divided by 51."""
    layers = [
        keras.Input((8, 8, 3), dtype="uint8"),
        keras.layers.Rescaling(1 / 51),
        keras.layers.GlobalAveragePooling2D(),
    ]
    return keras_euler.ImageClassifier(layers, names)


@pytest.fixture
def model():
    return build(NAMES)


def photo(height=40, width=60, colour=(0, 51, 102)):
    return np.full((height, width, 3), colour, "uint8")


# Softmax of 0, 1 and 2.
EXPECTED = ("blue", round(np.exp(2) / (1 + np.exp(1) + np.exp(2)), 4))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_file_of_any_size_is_classified(model, suffix, tmp_path):
    file = tmp_path / f"photo.{suffix}"
    Image.fromarray(photo()).save(file)
    for images in (file, str(file), [file]):
        [(name, probability)] = model.classify(images)
        assert name == EXPECTED[0]
        assert probability == pytest.approx(EXPECTED[1], abs=0.01 if suffix == "jpg" else 0)
    assert len(model.classify([file, file])) == 2


def test_middle_of_an_image_is_classified(model, tmp_path):
    wide = photo(10, 30)
    wide[:, :10] = wide[:, 20:] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    [(name, probability)] = model.classify(tmp_path / "wide.png")
    # Pillow looks a little beyond the crop.
    assert name == "blue" and probability == pytest.approx(EXPECTED[1], abs=0.01)
    assert read_image(tmp_path / "wide.png", (None, None, 3)).shape == (10, 30, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x,
        lambda x: x.astype("float32"),
        lambda x: x[None],
        lambda x: x.astype("int64").tolist(),
    ],
)
def test_array_of_raw_pixels_is_classified(model, make):
    assert model.classify(make(photo(8, 8))) == [EXPECTED]


def test_names_survive_a_file_and_are_numbers_without(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is keras_euler.ImageClassifier and loaded.class_names == NAMES
    assert loaded.classify(photo(8, 8)) == [EXPECTED]
    assert build(None).classify(photo(8, 8)) == [(2, EXPECTED[1])]


def test_the_last_activation_tells_probabilities_from_logits():
    """Logits may look like probabilities; an example has one answer, alone or beside others."""
    outputs = np.array([[0.25, 0.75], [1.0, 0.0]], "float32")
    for activation in (keras.activations.softmax, keras.activations.sigmoid):
        assert most_probable(outputs, None, activation) == [(1, 0.75), (0, 1.0)]
    softmax = [(1, round(1 / (1 + np.exp(-0.5)), 4)), (0, round(1 / (1 + np.exp(-1)), 4))]
    assert most_probable(outputs, None) == softmax
    assert most_probable(outputs[:1], None) == softmax[:1]
    assert most_probable(np.log(outputs[:1]), ["a", "b"]) == [("b", 0.75)]
    assert most_probable(np.array([[1000.0, -1000.0]]), None) == [(0, 1.0)]
    for number in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"outputs must be finite. .* for example 1"):
            most_probable(np.array([[0.0, 0.0], [0.0, number]]), None)


def test_broken_and_huge_files_are_one_sentence_that_names_them(tmp_path):
    Image.fromarray(photo(40, 60)).save(tmp_path / "whole.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "whole.png").read_bytes()[:80])
    Image.new("1", (20000, 10000)).save(tmp_path / "huge.png")
    for name in ("torn.png", "huge.png"):
        with pytest.raises(ValueError, match=f"{name}' cannot be read as an image"):
            read_image(tmp_path / name, (8, 8, 3))


def test_no_images_have_no_classes_and_gray_values_are_named(model):
    assert model.classify([]) == model.classify(np.zeros((0, 8, 8, 3), "uint8")) == []
    with pytest.raises(ValueError, match=r"Received: an array of the shape \(8, 8\)"):
        model.classify(np.zeros((8, 8), "uint8"))


def test_preset_names_its_classes():
    model = keras_euler.list_presets()["euler_resnet_20_cifar10"].load()
    [(name, probability)] = model.classify(photo(32, 32))
    assert name in model.class_names and len(model.class_names) == 10 and 0.1 <= probability <= 1


def test_wrong_images_are_named(model, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    refused = {
        str(tmp_path / "none.png"): (
            FileNotFoundError,
            "none.png' does not exist. Pass the path of a file, or an array",
        ),
        str(tmp_path / "text.png"): (
            ValueError,
            "text.png' cannot be read as an image: its format is unknown.",
        ),
        str(tmp_path): (FileNotFoundError, "does not exist"),
    }
    for path, (error, words) in refused.items():
        with pytest.raises(error, match=words):
            model.classify(path)
    with pytest.raises(
        ValueError,
        match=r"Images must have the shape \(8, 8, 3\), or .* array of the shape \(40, 60, 3\)",
    ):
        model.classify(photo())
    with pytest.raises(
        ValueError,
        match="Images must be raw pixels, numbers from 0 to 255. Received: float64 values",
    ):
        model.classify(photo(8, 8) / 255)
    for images in (None, 3, b"x"):
        with pytest.raises(TypeError, match="`x` must be an array"):
            model.classify(images)
    with pytest.raises(
        ValueError, match=r"`class_names` must name the 3 classes. Received: class_names=\['a'\]"
    ):
        build(["a"])
    with pytest.raises(ValueError, match="`layers` must begin with a keras.Input"):
        keras_euler.ImageClassifier([keras.layers.Flatten()], ["a"])
    with pytest.raises(ValueError, match="`classify` needs a network of at least two classes"):
        most_probable(np.zeros((1, 1)), None)
