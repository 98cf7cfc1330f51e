"""The shortcut without weights of He et al. (2016a), option A."""

import keras
from keras import ops

from keras_euler._checks import check_choice, check_integer


@keras.saving.register_keras_serializable(package="keras_euler")
class PaddingShortcut(keras.layers.Layer):
    """Every `strides`-th pixel, then channels of zeros on both sides: option A of He et al. (2016a).

    `(filters - channels) / 2` zero channels come before and as many after the old ones, as the common PyTorch checkpoints have
    it. No weights.

    Args:
        filters: Channels of the output: an integer >= 1, at least the input's channels, and an even number more.
        strides: Step between the pixels that are kept, an integer >= 1.
        data_format: `"channels_last"` or `"channels_first"`. Default: Keras' own setting.
        **kwargs: `name`, `dtype` and the like, as for every Keras layer.

    Input shape: `(batch, height, width, channels)`, or `(batch, channels, height, width)` with channels_first.
    Output shape: the same order, with `ceil(height / strides)`, `ceil(width / strides)` and `filters`.

    Raises:
        ValueError: A bad argument; at build, fewer filters than channels, or an odd difference.

    Example:

    >>> x = np.ones((1, 4, 4, 1), "float32")
    >>> y = PaddingShortcut(filters=3, strides=2, data_format="channels_last")(x)
    >>> y.shape == (1, 2, 2, 3), keras.ops.convert_to_numpy(y)[0, 0, 0].tolist()
    (True, [0.0, 1.0, 0.0])
    """

    def __init__(self, filters, strides=1, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.filters = check_integer("filters", filters, 1)
        self.strides = check_integer("strides", strides, 1)
        self.data_format = keras.config.image_data_format() if data_format is None else data_format
        check_choice("data_format", self.data_format, ("channels_last", "channels_first"))

    def build(self, input_shape):
        channels = input_shape[-1 if self.data_format == "channels_last" else 1]
        if self.filters < channels or (self.filters - channels) % 2:
            raise ValueError(
                "A padding shortcut needs `filters` equal to the input's channels or an even number more. "
                f"Received: filters={self.filters} for {channels} channels. Use a 1x1 convolution instead."
            )
        self.zeros = (self.filters - channels) // 2

    def call(self, inputs):
        step, zeros = self.strides, (self.zeros, self.zeros)
        if self.data_format == "channels_last":
            return ops.pad(inputs[:, ::step, ::step, :], ((0, 0), (0, 0), (0, 0), zeros))
        return ops.pad(inputs[:, :, ::step, ::step], ((0, 0), zeros, (0, 0), (0, 0)))

    def compute_output_shape(self, input_shape):
        def strided(size):
            return None if size is None else -(-size // self.strides)

        if self.data_format == "channels_last":
            batch, height, width, _ = input_shape
            return (batch, strided(height), strided(width), self.filters)
        batch, _, height, width = input_shape
        return (batch, self.filters, strided(height), strided(width))

    def get_config(self):
        config = {"filters": self.filters, "strides": self.strides, "data_format": self.data_format}
        return {**super().get_config(), **config}
