"""Masks of an EulerResidual equal those of the same layers joined by `keras.layers.Add`."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_euler import EulerResidual, analysis
from keras_euler._backend import mask_of

pytestmark = pytest.mark.filterwarnings("ignore:Layer .* does not support masking")
IDS = np.array([[1, 2, 3, 4, 5, 0, 0, 0], [6, 0, 0, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 8]])
CHANNELS = 4


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


class EverySecond(layers.Layer):
    """A strided layer that supports masking: it keeps positions 0, 2, 4, ... and their mask."""

    def call(self, x):
        return x[:, ::2]

    def compute_mask(self, inputs, mask=None):
        return None if mask is None else mask[:, ::2]

    def compute_output_shape(self, shape):
        return (shape[0], -(-shape[1] // 2), shape[2])


def conv():
    return layers.Conv1D(CHANNELS, 3, padding="same")


def dense():
    return layers.Dense(CHANNELS)


# name -> layers of the branch, layers of the shortcut (None: the identity), shape of the mask that
# comes out (None: no mask)
PATHS = {
    "same length": (lambda: [dense()], lambda: None, 8),
    "dropout and norm": (
        lambda: [layers.BatchNormalization(), layers.Dropout(0.5), dense()],
        lambda: [dense()],
        8,
    ),
    "recurrent": (lambda: [layers.LSTM(CHANNELS, return_sequences=True)], lambda: None, 8),
    "convolution": (lambda: [conv()], lambda: None, None),
    "convolution in the shortcut": (lambda: [dense()], lambda: [conv()], None),
    "strided with masks": (lambda: [EverySecond(), dense()], lambda: [dense(), EverySecond()], 4),
    "one strided path with masks": (
        lambda: [EverySecond(), dense()],
        lambda: [layers.MaxPooling1D(2)],
        None,
    ),
    "model": (lambda: [keras.Sequential([dense(), conv(), dense()]), dense()], lambda: None, None),
    "model that keeps masks": (
        lambda: [keras.Sequential([dense(), EverySecond()])],
        lambda: [EverySecond()],
        4,
    ),
    "masks of its own": (
        lambda: [conv(), layers.Masking(9.0)],
        lambda: [conv(), layers.Masking(9.0)],
        8,
    ),
    "flatten": (lambda: [layers.Flatten(), dense()], lambda: [layers.GlobalMaxPooling1D()], None),
    "pooled by the mask": (
        lambda: [layers.GlobalAveragePooling1D(), dense()],
        lambda: [layers.GlobalAveragePooling1D()],
        None,
    ),
}
SEQUENCES = [name for name in PATHS if name not in ("flatten", "pooled by the mask")]


def make(name, activation="relu"):
    branch, shortcut, length = PATHS[name]
    return EulerResidual(branch(), 0.5, shortcut(), activation), length


def by_hand(block, x):
    """The layers of a block, joined by `Add`."""
    f = x
    for layer in block.branch:
        f = layer(f)
    for layer in block.shortcut or []:
        x = layer(x)
    return layers.Activation(block.activation)(layers.Add()([x, layers.Rescaling(block.h)(f)]))


def embedded():
    return layers.Embedding(9, CHANNELS, mask_zero=True)(IDS)


@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
@pytest.mark.parametrize("name", PATHS)
def test_mask_of_a_tensor_is_that_of_add(name, activation):
    x = embedded()
    block, length = make(name, activation)
    y, expected = block(x), by_hand(block, x)
    np.testing.assert_allclose(numpy_of(y), numpy_of(expected), rtol=1e-5, atol=1e-6)
    assert (mask_of(y) is None) == (mask_of(expected) is None) == (length is None)
    if length:
        assert mask_of(y).shape == (len(IDS), length)
        np.testing.assert_array_equal(numpy_of(mask_of(y)), numpy_of(mask_of(expected)))


@pytest.mark.parametrize("name", SEQUENCES)
def test_layers_behind_get_the_mask_of_add(name):
    """The model is compiled and has a pooling and a recurrent layer, which take masks."""
    ids = keras.Input((8,), dtype="int32")
    x = layers.Embedding(9, CHANNELS, mask_zero=True)(ids)
    block, length = make(name)
    y = block(x)
    symbolic, expected = mask_of(y), mask_of(by_hand(block, x))
    # A symbolic mask made within the block would tear the graph; the real one is there.
    if name != "masks of its own":
        assert (symbolic is None) == (expected is None)
    assert symbolic is None or tuple(symbolic.shape) == tuple(expected.shape) == (None, length)
    heads = layers.GlobalAveragePooling1D(), layers.LSTM(3)
    outputs = [head(tensor) for tensor in (y, by_hand(block, x)) for head in heads]
    pooled, last, *expected = keras.Model(ids, outputs).predict(IDS, verbose=0)
    np.testing.assert_allclose(pooled, expected[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(last, expected[1], rtol=1e-4, atol=1e-6)


class LessMean(layers.Layer):
    """Subtract the mean of the unmasked positions."""

    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, x, mask=None):
        return x - layers.GlobalAveragePooling1D(keepdims=True)(x, mask=mask)


def test_gradients_of_a_masked_model_are_those_without_the_padding():
    """With layers that ignore masked positions, a padded text gives the same result as one without
    padding."""
    seeded = [keras.initializers.RandomNormal(seed=seed) for seed in range(4)]

    def model(length):
        ids = keras.Input((length,), dtype="int32")
        x = layers.Embedding(9, CHANNELS, seeded[0], mask_zero=True)(ids)
        for initializer in seeded[1:3]:
            x = EulerResidual([LessMean(), layers.Dense(CHANNELS, kernel_initializer=initializer)])(
                x
            )
        return keras.Model(
            ids, layers.Dense(2, kernel_initializer=seeded[3])(layers.GlobalAveragePooling1D()(x))
        )

    padded, short = np.array([[1, 2, 3, 0, 0, 0]]), np.array([[1, 2, 3]])
    expected = analysis.gradient_norms(model(3), short, [1])
    np.testing.assert_allclose(analysis.gradient_norms(model(6), padded, [1]), expected, rtol=1e-4)
