"""The weightless shortcut of He et al. (2016a), option A."""

from typing import Any

import keras
from keras import ops

from keras_euler._checks import check_data_format, check_integer
from keras_euler._register import register
from keras_euler._types import Config, Shape, Tensor


@register
class PaddingShortcut(keras.layers.Layer):
    """Keep every `strides`-th pixel or position and add channels of zeros: option A of He et al.
    (2016a).

    `(filters - channels) / 2` zero channels come before the old ones and as many after them, as in
    the common PyTorch checkpoints. The layer has no weights.

    Args:
        filters: Channels of the output: as many as the input has, or an even number more.
        strides: Step between the kept pixels, an integer >= 1.
        data_format: `"channels_last"` or `"channels_first"`. Default: Keras' own setting.
        **kwargs: `name`, `dtype` and the like, as for every Keras layer.

    Input shape: `(batch, height, width, channels)` or `(batch, length, channels)`; with
    channels_first the channels come second. Output shape: the same order, with `ceil(height /
    strides)`, `ceil(width / strides)` or `ceil(length / strides)`, and `filters`.

    Raises:
        ValueError: An argument is invalid; at build, `filters` is less than the channels or differs
            from them by an odd number.

    Example:

    >>> x = np.ones((1, 4, 4, 1), "float32")
    >>> y = PaddingShortcut(filters=3, strides=2, data_format="channels_last")(x)
    >>> y.shape == (1, 2, 2, 3), keras.ops.convert_to_numpy(y)[0, 0, 0].tolist()
    (True, [0.0, 1.0, 0.0])
    """

    def __init__(
        self, filters: int, strides: int = 1, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filters = check_integer("filters", filters, 1)
        self.strides = check_integer("strides", strides, 1)
        self.data_format = check_data_format(data_format)
        self.axis = -1 if self.data_format == "channels_last" else 1

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[self.axis]
        if self.filters < channels or (self.filters - channels) % 2:
            raise ValueError(
                "A padding shortcut needs `filters` equal to the input's channels or an even "
                f"number more. Received: filters={self.filters} for {channels} channels. Use a 1x1 "
                "convolution instead."
            )
        self.zeros = (self.filters - channels) // 2

    def call(self, inputs: Tensor) -> Tensor:
        rank = len(inputs.shape)
        kept, zeros = [slice(None, None, self.strides)] * rank, [(0, 0)] * rank
        kept[0] = kept[self.axis] = slice(None)
        zeros[self.axis] = (self.zeros, self.zeros)
        return ops.pad(inputs[tuple(kept)], zeros)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = [None if size is None else -(-size // self.strides) for size in input_shape]
        shape[0], shape[self.axis] = input_shape[0], self.filters
        return tuple(shape)

    def get_config(self) -> Config:
        config = {"filters": self.filters, "strides": self.strides, "data_format": self.data_format}
        return {**super().get_config(), **config}
