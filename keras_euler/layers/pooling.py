"""Poolings of the text network that Keras lacks: padded on both sides, and the k largest in their
order."""

import functools
from typing import Any

import keras
from keras import ops

from keras_euler import _backend
from keras_euler._checks import check_data_format, check_integer
from keras_euler._register import register
from keras_euler._types import Config, Shape, Tensor


@register
class HalvingMaxPooling1D(keras.layers.Layer):
    """Max pooling over 3 positions in steps of 2, padded by one on **both** sides, as torch's
    `MaxPool1d(3, 2, padding=1)`.

    `y[i] = max(x[2i - 1], x[2i], x[2i + 1])`, over the positions that exist. (Keras' `"same"` pads
    an even length on the right only, which gives the same shape but other numbers.)

    Args:
        data_format: `"channels_last"` or `"channels_first"`. Default: Keras' own setting.
        **kwargs: `name`, `dtype` and the like, as for every Keras layer.

    Input shape: `(batch, length, channels)`, or `(batch, channels, length)` with channels_first.
    Output shape: the same order, with `ceil(length / 2)`.

    Raises:
        ValueError: `data_format` is unknown.

    Example:

    >>> x = np.arange(7.0, -1.0, -1.0).reshape(1, 8, 1)
    >>> y = HalvingMaxPooling1D(data_format="channels_last")(x)
    >>> keras.ops.convert_to_numpy(y).ravel().tolist()
    [7.0, 6.0, 4.0, 2.0]
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = check_data_format(data_format)
        self.axis = 1 if self.data_format == "channels_last" else 2

    def call(self, inputs: Tensor) -> Tensor:
        if keras.backend.backend() == "torch":
            return _backend.halving_max_pool(inputs, self.axis)
        padding = [(1, 1) if i == self.axis else (0, 0) for i in range(3)]
        padded = ops.pad(inputs, padding, constant_values=-float("inf"))
        # Three slices of every second position are much faster on a CPU than a sliding window.
        before = (slice(None),) * self.axis
        slices = (slice(None, -2, 2), slice(1, -1, 2), slice(2, None, 2))
        return functools.reduce(ops.maximum, [padded[*before, each] for each in slices])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = list(input_shape)
        shape[self.axis] = None if shape[self.axis] is None else -(-shape[self.axis] // 2)
        return tuple(shape)

    def get_config(self) -> Config:
        return {**super().get_config(), "data_format": self.data_format}


@register
class KMaxPooling1D(keras.layers.Layer):
    """Keep the `k` largest numbers of each channel in their order (Conneau et al. 2017).

    Of equal numbers, such as the zeros after a ReLU, the first are kept.

    Args:
        k: Number of kept positions, an integer >= 1.
        data_format: `"channels_last"` or `"channels_first"`. Default: Keras' own setting.
        **kwargs: `name`, `dtype` and the like, as for every Keras layer.

    Input shape: `(batch, length, channels)`, or `(batch, channels, length)` with channels_first;
    `length >= k`. Output shape: the same order, with `k` positions.

    Raises:
        ValueError: An argument is invalid; at build, the input has fewer than `k` positions.

    Example:

    >>> x = np.array([3.0, 9.0, 1.0, 5.0]).reshape(1, 4, 1)
    >>> y = KMaxPooling1D(k=2, data_format="channels_last")(x)
    >>> keras.ops.convert_to_numpy(y).ravel().tolist()
    [9.0, 5.0]
    """

    def __init__(self, k: int = 8, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = check_integer("k", k, 1)
        self.data_format = check_data_format(data_format)
        self.axis = 1 if self.data_format == "channels_last" else 2

    def build(self, input_shape: Shape) -> None:
        length = input_shape[self.axis]
        if length is not None and length < self.k:
            raise ValueError(
                f"KMaxPooling1D needs at least k={self.k} positions. Received the input shape "
                f"{input_shape}."
            )

    def call(self, inputs: Tensor) -> Tensor:
        x = ops.moveaxis(inputs, self.axis, -1)  # (batch, channels, length)
        positions = ops.sort(_backend.largest(x, self.k), axis=-1)
        return ops.moveaxis(ops.take_along_axis(x, positions, axis=-1), -1, self.axis)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = list(input_shape)
        shape[self.axis] = self.k
        return tuple(shape)

    def get_config(self) -> Config:
        return {**super().get_config(), "k": self.k, "data_format": self.data_format}
