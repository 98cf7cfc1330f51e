"""Random crops after zero padding, by whole pixels and per image, inside the compiled step."""

from typing import Any

import keras
from keras import ops

from keras_euler._checks import check_data_format, check_integer
from keras_euler._register import register
from keras_euler._types import Config, Shape, Tensor
from keras_euler.layers.random_layer import RandomLayer


@register
class RandomPadCrop(RandomLayer):
    """Pad each image with zeros and crop it back to its size at a random place of its own.

    This shifts an image by whole pixels, `-padding..padding` in both directions, and fills with
    zeros: `y[i, j] = x[i + a, j + b]`, where `a` and `b` are uniform integers, drawn per image. It
    does not interpolate and keeps the dtype, so that raw uint8 pixels stay raw. Put the
    normalization after it, as the paper's authors do. In inference, and with `padding=0`, it
    returns `x`. (`keras.layers.RandomCrop` and `RandomTranslation` switch jit off for the whole
    model.)

    Args:
        padding: Pixels on every side: an integer >= 0, at most the image's shorter side.
        seed: Integer, or None for a random one. The same seed gives the same shifts.
        data_format: `"channels_last"` or `"channels_first"`. Default: Keras' own setting.
        **kwargs: `name`, `dtype` and the like, as for every Keras layer.

    Call arguments:
        inputs: Tensor of images, of any dtype.
        training: Whether this is a training step.

    Input and output shape: `(batch, height, width, channels)`, or `(batch, channels, height,
    width)` with channels_first.

    Raises:
        ValueError: `padding` is negative or, at build, larger than the image; `data_format` is
            unknown; or the input is not a batch of images of known size.
        TypeError: `padding` is not an integer.

    Example:

    >>> x = np.full((8, 4, 4, 1), 7, "uint8")
    >>> y = RandomPadCrop(padding=1, seed=0, data_format="channels_last")(x, training=True)
    >>> y.shape == x.shape, sorted(set(np.ravel(y).tolist()))
    (True, [0, 7])
    """

    def __init__(
        self,
        padding: int = 4,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, **kwargs)
        self.padding = check_integer("padding", padding, 0)
        self.data_format = check_data_format(data_format)

    def build(self, input_shape: Shape) -> None:
        sizes = input_shape[1:3] if self.data_format == "channels_last" else input_shape[2:]
        if len(input_shape) != 4 or None in sizes:
            raise ValueError(
                "RandomPadCrop takes a batch of images of known size, (batch, height, width, "
                f"channels) in channels_last. Received the input shape {tuple(input_shape)}."
            )
        if self.padding > min(sizes):
            raise ValueError(
                "`padding` must be at most the image's shorter side. Received: "
                f"padding={self.padding} for images of {sizes[0]} x {sizes[1]} pixels."
            )

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if self.padding == 0 or not training:
            return inputs
        axis, pad = -1 if self.data_format == "channels_last" else 1, self.padding
        images = ops.moveaxis(inputs, axis, -1)
        batch, (height, width, channels) = ops.shape(images)[0], images.shape[1:]
        images = ops.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        shift = keras.random.randint(
            (2, batch, 1, 1), 0, 2 * pad + 1, dtype="int32", seed=self.seed_generator
        )
        image = ops.reshape(ops.arange(batch, dtype="int32"), (-1, 1, 1))
        row = ops.reshape(ops.arange(height, dtype="int32"), (-1, 1)) + shift[0]
        column = ops.arange(width, dtype="int32") + shift[1]
        # One flat take, by the number of each pixel among all pixels of all padded images.
        pixels = (image * (height + 2 * pad) + row) * (width + 2 * pad) + column
        cropped = ops.take(ops.reshape(images, (-1, channels)), pixels, axis=0)
        return ops.moveaxis(cropped, -1, axis)

    def compute_output_spec(self, inputs: Tensor, training: bool = False) -> keras.KerasTensor:
        # Keras would infer a float dtype for raw pixels.
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def get_config(self) -> Config:
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}
