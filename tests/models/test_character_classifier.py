"""Classification of strings on every backend and after saving."""

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler.datasets.text import encode_characters
from tests.models.networks import ARRAY, vdcnn

TEXTS = ["Wall St. Bears Claw Back", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", ""]
NAMES = ("World", "Sports", "Business", "Sci/Tech")


@pytest.fixture
def model():
    return keras_euler.CharacterClassifier(vdcnn(), class_names=NAMES)


class Series:
    """A column with the methods of pandas that the model uses."""

    def __init__(self, texts):
        self.texts = texts

    def to_numpy(self):
        return np.array(self.texts, object)

    def __len__(self):
        return len(self.texts)


@pytest.mark.parametrize(
    "make", [list, tuple, np.array, lambda texts: np.array(texts, object), Series]
)
def test_strings_give_what_their_ids_give(model, make):
    expected = ARRAY(model.network(encode_characters(TEXTS, 64)))
    np.testing.assert_array_equal(ARRAY(model(make(TEXTS))), expected)
    np.testing.assert_allclose(
        model.predict(make(TEXTS), verbose=0), expected, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(ARRAY(model(encode_characters(TEXTS, 64))), expected)
    probabilities = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    found = model.classify(make(TEXTS))
    assert [name for name, _ in found] == [NAMES[i] for i in expected.argmax(1)]
    np.testing.assert_allclose(
        [probability for _, probability in found], probabilities.max(axis=1), atol=1e-4
    )


def test_training_on_strings_is_training_on_their_ids():
    histories = []
    for encode in (list, lambda texts: encode_characters(texts, 64)):
        keras.utils.set_random_seed(0)
        model = keras_euler.CharacterClassifier(vdcnn())
        model.compile(
            keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        data = (encode(TEXTS), [0, 1, 2])
        history = model.fit(*data, epochs=2, shuffle=False, validation_data=data, verbose=0).history
        histories.append([*history["loss"], *history["val_loss"], model.evaluate(*data, verbose=0)])
    assert histories[0] == histories[1]
    assert histories[0][1] < histories[0][0]


def test_file_gives_the_classifier_back(model, tmp_path):
    model.save(tmp_path / "classifier.keras")
    loaded = keras.models.load_model(tmp_path / "classifier.keras")
    assert type(loaded) is keras_euler.CharacterClassifier
    assert loaded.classify(TEXTS) == model.classify(TEXTS)
    np.testing.assert_array_equal(ARRAY(loaded(TEXTS)), ARRAY(model(TEXTS)))


@pytest.mark.once
def test_alphabet_beyond_the_dtype_of_the_input_is_refused():
    """Id 256 would be cast to 0, the padding."""
    alphabet = "".join(map(chr, range(1000, 1300)))
    network = vdcnn(vocabulary_size=302)
    with pytest.raises(ValueError, match="needs ids up to 301, and `network` takes uint8"):
        keras_euler.CharacterClassifier(
            keras.Sequential([keras.Input((64,), dtype="uint8"), network]), alphabet
        )
    keras_euler.CharacterClassifier(network, alphabet)


def test_mixed_float16_scales_the_loss():
    model = keras_euler.CharacterClassifier(vdcnn(dtype="mixed_float16"))
    model.compile("sgd", "mse")
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
