"""Small classifiers for different kinds of input. Add new ones to `INPUTS`."""

import keras
import pytest

import keras_euler
from keras_euler.datasets.text import encode_characters

TEXTS = ["ab", "c", "", "Wall St."]
LABELS = [0, 3, 1, 2]
LENGTH = 6


def texts_model(loss=None, units=4):
    """Make a classifier of dense layers on embedded characters, whose answer depends on each of
    them."""
    layers = [keras.layers.Embedding(70, 3), keras.layers.Flatten(), keras.layers.Dense(units)]
    network = keras.Sequential([keras.Input((LENGTH,), dtype="int32"), *layers])
    return compiled(keras_euler.CharacterClassifier(network), loss)


def images_model(loss=None, units=4):
    layers = [
        keras.Input((2, 2, 3), dtype="uint8"),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
    ]
    return compiled(keras_euler.ImageClassifier([*layers, keras.layers.Dense(units)]), loss)


def resnet_model(loss=None, units=4):
    return compiled(
        keras_euler.EulerResNet(8, 0.1, units, (4, 4, 3), widths=(2, 2, 2), norm=None), loss
    )


def vdcnn_model(loss=None, units=4):
    small = dict(widths=(2, 2, 2, 2), dense_units=4, sequence_length=64)
    return compiled(keras_euler.EulerVDCNN(9, 0.1, units, **small), loss)


def compiled(model, loss):
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss)
    return model


def pixels(rng, shape=(2, 2, 3)):
    return rng.integers(0, 256, (4, *shape)).astype("uint8")


INPUTS = {
    texts_model: lambda rng: TEXTS,
    images_model: pixels,
    resnet_model: lambda rng: rng.normal(size=(4, 4, 4, 3)).astype("float32"),
    vdcnn_model: lambda rng: encode_characters(TEXTS, 64),
}
EVERY_MODEL = pytest.mark.parametrize("build", INPUTS)
SMALL_MODELS = pytest.mark.parametrize("build", [texts_model, images_model])  # compiled in a second
