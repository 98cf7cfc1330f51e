"""Option A: every second pixel, zeros on both sides of the channels."""

import keras
import numpy as np
import pytest

from keras_euler.layers import PaddingShortcut


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("size", [4, 5])
def test_keeps_every_second_pixel_between_zero_channels(data_format, size, rng):
    x = rng.normal(size=(2, size, size, 3)).astype("float32")
    first = data_format == "channels_first"
    layer = PaddingShortcut(7, 2, data_format)
    inputs = np.moveaxis(x, -1, 1) if first else x
    y = keras.ops.convert_to_numpy(layer(inputs))
    assert layer.compute_output_shape(inputs.shape) == y.shape
    y = np.moveaxis(y, 1, -1) if first else y
    np.testing.assert_array_equal(y[..., 2:5], x[:, ::2, ::2])
    assert (y[..., :2] == 0).all() and (y[..., 5:] == 0).all()


@pytest.mark.parametrize("filters", [2, 4])
def test_filters_that_do_not_fit_are_an_error(filters):
    with pytest.raises(
        ValueError, match=f"Received: filters={filters} for 3 channels. Use a 1x1 convolution"
    ):
        PaddingShortcut(filters, data_format="channels_last")(np.zeros((1, 4, 4, 3)))


def test_texts_keep_their_positions_between_zero_channels(rng):
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    y = keras.ops.convert_to_numpy(PaddingShortcut(7, data_format="channels_last")(x))
    np.testing.assert_array_equal(y, np.pad(x, ((0, 0), (0, 0), (2, 2))))
