"""Additive Gaussian noise, drawn at every step or once for an array (section 4.2 of the paper)."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_euler._checks import check_choice, check_number
from keras_euler._register import register
from keras_euler._types import Array, ArrayLike, Config, Tensor
from keras_euler.layers.random_layer import RandomLayer

WHEN_CHOICES = ("training", "always")


@register
class AdditiveGaussianNoise(RandomLayer):
    """Add fresh Gaussian noise at every step: `y = x + stddev * epsilon`, `epsilon ~ N(0, 1)` for
    each number of `x`.

    Unlike `keras.layers.GaussianNoise`, which is limited to a standard deviation of 1 and to
    training, this layer takes any level and can also run in inference. With `stddev=0`, and in
    inference with `when="training"`, it returns `x`. Integers, such as uint8 pixels, always become
    floats of the layer's dtype with the same values.

    Args:
        stddev: Standard deviation of the noise, in the units of `x`: a finite number >= 0.
        when: `"training"` adds noise in training only, `"always"` in inference too.
        seed: Integer, or None for a random one. The same seed gives the same sequence of noise.
        **kwargs: `name`, `dtype` and the like, as for every Keras layer.

    Call arguments:
        inputs: Tensor of numbers, any shape.
        training: Whether this is a training step.

    Input and output shape: any; both are the same.

    Raises:
        ValueError: `stddev` is negative or not finite, or `when` is unknown.
        TypeError: `stddev` is not a number.

    Example:

    >>> x = np.zeros((2, 32, 32, 3), "float32")
    >>> layer = AdditiveGaussianNoise(stddev=0.5, seed=0)
    >>> round(float(keras.ops.std(layer(x, training=True))), 1)
    0.5
    >>> float(keras.ops.std(layer(x, training=False)))
    0.0
    """

    def __init__(
        self, stddev: float, when: str = "training", seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        self.stddev = check_number("stddev", stddev, 0)
        self.when = check_choice("when", when, WHEN_CHOICES)
        self.supports_masking = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not keras.backend.is_float_dtype(inputs.dtype):
            inputs = ops.cast(inputs, self.compute_dtype)
        if self.stddev == 0 or not (training or self.when == "always"):
            return inputs
        noise = keras.random.normal(
            ops.shape(inputs), dtype=self.compute_dtype, seed=self.seed_generator
        )
        return inputs + self.stddev * noise

    def get_config(self) -> Config:
        return {**super().get_config(), "stddev": self.stddev, "when": self.when}


def add_gaussian_noise(x: ArrayLike, stddev: ArrayLike, seed: int | None = None) -> Array:
    """Add noise to an array once, as at loading time: `x + stddev * epsilon`, `epsilon ~ N(0, 1)`
    for each number of `x`.

    Args:
        x: Array of numbers, any shape.
        stddev: Standard deviation of the noise, in the units of `x`: a finite number >= 0, or an
            array of such numbers that broadcasts against `x`, such as one per channel.
        seed: Integer, or None for a random one.

    Returns:
        A new float32 array of the shape of `x`. With `stddev=0` it equals `x`.

    Raises:
        ValueError: `stddev` is negative, not finite, or does not broadcast.
        TypeError: `stddev` does not consist of numbers.

    Example:

    >>> add_gaussian_noise(np.zeros((2, 2)), stddev=0).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    received, stddev, x = stddev, np.asarray(stddev), np.array(x, "float32")
    if stddev.dtype.kind not in "fiu":
        raise TypeError(
            f"`stddev` must be a number or an array of numbers. Received: stddev={received!r}."
        )
    if not (np.isfinite(stddev) & (stddev >= 0)).all():
        raise ValueError(f"`stddev` must be finite and >= 0. Received: stddev={received!r}.")
    try:
        stddev = np.broadcast_to(stddev.astype("float32"), x.shape)
    except ValueError as error:
        raise ValueError(
            f"`stddev` must broadcast against `x`. Received: shapes {stddev.shape} and {x.shape}."
        ) from error
    if stddev.any():
        x += stddev * np.random.default_rng(seed).standard_normal(x.shape, dtype="float32")
    return x
