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


def test_another_alphabet_needs_its_ids():
    small = vdcnn(vocabulary_size=4)
    model = keras_euler.CharacterClassifier(small, "ab")
    np.testing.assert_array_equal(
        ARRAY(model(["abc"])), ARRAY(small(encode_characters(["abc"], 64, "ab")))
    )
    assert model.classify(["abc"])[0][0] in range(4)
    wrapped = keras.Sequential([keras.Input((64,), dtype="uint8"), small])
    for network in (small, wrapped):
        with pytest.raises(
            ValueError, match="a network of vocabulary_size=70. Received: one of vocabulary_size=4"
        ):
            keras_euler.CharacterClassifier(network)


def test_other_embeddings_may_be_smaller_than_the_alphabet():
    ids = keras.Input((64,), dtype="int32")
    positions = keras.layers.Embedding(8, 4)(
        keras.ops.floor_divide(keras.ops.cumsum(keras.ops.ones_like(ids), 1), 9)
    )
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(70, 4)(ids) + positions)
    model = keras_euler.CharacterClassifier(keras.Model(ids, keras.layers.Dense(4)(x)))
    assert model.predict(TEXTS, verbose=0).shape == (3, 4)


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


@pytest.mark.once
def test_bad_arguments_and_inputs_are_named(model):
    with pytest.raises(TypeError, match="`network` must be a built Keras model of ids"):
        keras_euler.CharacterClassifier("model")
    with pytest.raises(
        ValueError, match="`class_names` must name the 4 classes. Received: class_names=\\('a',\\)"
    ):
        keras_euler.CharacterClassifier(vdcnn(), class_names=("a",))
    for names in ("abcd", ()):
        with pytest.raises(ValueError, match="`class_names` must name the 4 classes"):
            keras_euler.CharacterClassifier(vdcnn(), class_names=names)
    with pytest.raises(
        ValueError,
        match=r"must give \(batch, num_classes\). Received: the output shape \(None, 8, 32\)",
    ):
        keras_euler.CharacterClassifier(vdcnn(include_top=False))
    with pytest.raises(ValueError, match="`classify` needs a network of at least two classes"):
        keras_euler.CharacterClassifier(vdcnn(num_classes=1)).classify(["a"])
    with pytest.raises(ValueError, match="Did you mean 'zhang'?"):
        keras_euler.CharacterClassifier(vdcnn(), "Zhang")
    for enter in (model, model.predict, model.classify):
        with pytest.raises(TypeError, match="Put one text in a list"):
            enter("hello")
    assert model.classify([]) == []
    for texts in (b"hello", None, 3):
        with pytest.raises(
            TypeError,
            match=r"`texts` must be a list or an array of strings. Received: "
            r"texts=(b'hello'|None|3)",
        ):
            model.classify(texts)
    with pytest.raises(
        TypeError, match=r"`texts` must be strings. Received: \['a', 'b'\] at position 0"
    ):
        model.classify(np.array([["a", "b"]]))
    with pytest.raises(TypeError, match="Put one text in a list"):
        model.classify("")
    for names, words in (
        (["a", "b", "a", "c"], "must be different. Received: 'a' more than"),
        (range(4), "must name the 4 classes"),
    ):
        with pytest.raises(ValueError, match=f"`class_names` {words}"):
            keras_euler.CharacterClassifier(vdcnn(), class_names=names)
    with pytest.raises(TypeError, match="`texts` must be strings. Received: 3 at position 1."):
        model(["a", 3])
    with pytest.raises(TypeError, match="must be strings. Received: b'a' at position 0."):
        model.predict(np.array([b"a"]))
    with pytest.raises(ValueError, match="the id 70 at row 0, position 0"):
        model(np.full((1, 64), 70))
    with pytest.raises(TypeError, match="Ids must be integers"):
        model([[0.5]])
