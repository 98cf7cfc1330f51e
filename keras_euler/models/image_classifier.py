"""A model to call on raw pixels: a Sequential model that refuses images of another scale."""

from typing import Any

import keras
import numpy as np

from keras_euler._checks import as_array
from keras_euler._types import Array
from keras_euler.models.inputs import validates_inputs


@validates_inputs
@keras.saving.register_keras_serializable(package="keras_euler")
class ImageClassifier(keras.Sequential):
    """A `keras.Sequential` model of raw images, pixels in 0..255, that refuses images of another scale.

    Keras casts what a model is given to the dtype of its `Input`: a plain model of uint8 pixels sees `x / 255` as black images
    and answers the same for all. This one raises an error in `fit`, `evaluate`, `predict`, their `*_on_batch` and a call, for
    arrays, data sets and every other container. Whole numbers in 0..255 of any dtype pass, and pixels of uint8 reach the device as
    uint8. A symbolic tensor, or one inside a compiled function, has no values to check.

    Args:
        layers: List of layers that begins with a `keras.Input`; normalization belongs to them.
        **kwargs: `name` and `trainable`, as for `keras.Sequential`.

    Input and output shape: those of the layers.

    Raises:
        ValueError: Pixels that are scaled, to at most 1; where the `Input` is of integers, pixels that are not whole numbers in
            0..255; labels that are no classes.
        TypeError: Images that are not numbers.

    Example:

    >>> layers = [keras.Input((32, 32, 3), dtype="uint8"), keras.layers.Rescaling(1 / 255), keras_euler.EulerResNet(depth=8)]
    >>> model = ImageClassifier(layers)
    >>> images = np.full((2, 32, 32, 3), 128, "uint8")
    >>> model.predict(images, verbose=0).shape
    (2, 10)
    >>> model.predict(images / 255, verbose=0)
    Traceback (most recent call last):
        ...
    ValueError: Images must be raw pixels, whole numbers in 0..255. Received: float64 values from 0.501961 to 0.501961. Pass ...
    """

    def prepare_inputs(self, x: Any) -> Array:
        """Check images that enter; where the `Input` is of uint8, pixels of another dtype become uint8."""
        dtype = self.inputs[0].dtype
        x = check_pixels(x, must_be_whole=keras.backend.is_int_dtype(dtype))
        return x.astype(dtype, copy=False) if dtype == "uint8" else x


def check_images(x: Any) -> Array:
    """Return images as an array, or raise unless they are real numbers."""
    if isinstance(x, str):
        raise TypeError(f"Images must be arrays of numbers. Received: the string {x!r}.")
    x = as_array("x", x)
    if x.dtype.kind in "OUSTMmc":
        raise TypeError(f"Images must be arrays of numbers. Received: an array of {x.dtype}.")
    return x


def check_pixels(x: Any, must_be_whole: bool = True) -> Array:
    """Return images as an array, or raise if they are not in units of 0..255: if no number is above 1, but for black images.

    With `must_be_whole` each number must be whole and in 0..255, as a cast to uint8 needs it.
    """
    x = check_images(x)
    if x.dtype == np.uint8 or not x.size:
        return x
    low, high = x.min(), x.max()
    is_scaled = x.dtype.kind not in "iu" and low >= -1 and high <= 1 and (low, high) != (0, 0)
    if is_scaled or (must_be_whole and not (low >= 0 and high <= 255 and (x % 1 == 0).all())):
        wanted = "whole numbers in 0..255" if must_be_whole else "numbers from 0 to 255"
        raise ValueError(
            f"Images must be raw pixels, {wanted}. Received: {x.dtype} values from {low:g} to {high:g}. "
            "Pass the pixels as they are, such as uint8 from a file: the model scales and normalizes them."
        )
    return x
