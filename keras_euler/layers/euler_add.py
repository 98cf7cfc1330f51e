"""The Euler step: the only file that multiplies a branch by h."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_euler._checks import (
    check_choice,
    check_data_format,
    check_number,
    check_rate,
    check_step_factor,
)
from keras_euler._register import register
from keras_euler._types import Config, Shape, Tensor

TRAINABLE_H = (None, "scalar", "channel")
ARGUMENTS = ("h", "trainable_h", "data_format", "skip", "drop_path", "seed")


@register
class EulerAdd(keras.layers.Layer):
    """Add a branch to a shortcut, scaled by the step factor: `y = x + h * f` (equation 3 of the
    paper).

    `x` is the shortcut, `f = F(x)` the branch, `h` the step factor. `EulerResidual` contains this
    layer. In a functional model it takes the place of `keras.layers.Add`. With `skip` and
    `drop_path` it is `y = a * x + h * d / (1 - p) * f`. `a` is `skip`, `p` is `drop_path`, and `d`
    is drawn for each example in training: 0 with probability `p`, else 1. In inference `d = 1 - p`.

    Args:
        h: Finite number >= 0; the initial value if `trainable_h` is given.
        trainable_h: None: `h` is a constant. `"scalar"`: one weight (ReZero, SkipInit with `h=0`).
            `"channel"`: one weight per channel (LayerScale).
        data_format: `"channels_last"` or `"channels_first"`: where `"channel"` finds the channels.
            Default: Keras' own setting.
        skip: Finite number >= 0, the factor of the shortcut: below 1 it damps, as in `x' = F(x) - c
            * x` with `a = 1 - h * c`.
        drop_path: Probability in [0, 1) to drop the branch of an example in training (stochastic
            depth). The other branches are scaled by `1 / (1 - drop_path)`.
        seed: Integer, or None for a random one, of `drop_path`. The same seed gives the same
            sequence.
        **kwargs: `name`, `dtype` and the like, as for every Keras layer.

    Call arguments:
        inputs: The pair `[x, f]` of the same shape. If both have a mask, the output's mask is their
            logical or, as with `keras.layers.Add`.
        training: Whether this is a training step, in which branches are dropped.

    Input shape: two tensors `(batch, ...)` of the same shape. Output shape: that shape.

    Raises:
        ValueError: `h` or `skip` is negative or not finite, `drop_path` is outside [0, 1),
            `trainable_h` or `data_format` is unknown, or the two shapes differ.
        TypeError: `h`, `skip` or `drop_path` is not a number.

    Example:

    >>> x, f = np.ones((1, 3), "float32"), np.full((1, 3), 5, "float32")
    >>> y = EulerAdd(h=0.1)([x, f])
    >>> keras.ops.convert_to_numpy(y).tolist()
    [[1.5, 1.5, 1.5]]
    """

    direct = "step"

    def __init__(
        self,
        h: float = 0.1,
        trainable_h: str | None = None,
        data_format: str | None = None,
        skip: float = 1.0,
        drop_path: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.h = check_step_factor(h)
        self.trainable_h = check_choice("trainable_h", trainable_h, TRAINABLE_H)
        self.data_format = check_data_format(data_format)
        self.skip = check_number("skip", skip, 0, hint="Use skip=1.0 for the ordinary shortcut.")
        self.drop_path = check_rate("drop_path", drop_path)
        self.seed = seed
        self.step_factor: keras.Variable | None = None
        if self.drop_path:  # a seed that is drawn changes those of later layers
            self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Sequence[Shape]) -> None:
        shortcut, branch = _shapes_of_pair(input_shape)
        if shortcut != branch:
            raise ValueError(
                "The shortcut and the branch must have the same shape. Received: shortcut "
                f"{shortcut}, branch {branch}. If F changes the width or the resolution, pass a "
                "shortcut that changes it too: a 1x1 convolution with as many filters and the same "
                "strides."
            )
        if self.trainable_h:
            self.channel_axis = 1 if self.data_format == "channels_first" else len(branch) - 1
            shape = (branch[self.channel_axis],) if self.trainable_h == "channel" else ()
            self.step_factor = self.add_weight(
                shape=shape, initializer=keras.initializers.Constant(self.h), name="h"
            )

    def call(self, inputs: Sequence[Tensor], training: bool = False) -> Tensor:
        x, f = inputs
        if self.skip != 1:
            x = self.skip * x
        if self.drop_path and training:
            per_example = (ops.shape(f)[0], *[1] * (len(f.shape) - 1))
            f = keras.random.dropout(
                f, self.drop_path, noise_shape=per_example, seed=self.seed_generator
            )
        return self.step(x, f)

    def step(self, x: Tensor, f: Tensor) -> Tensor:
        """Return `x + h * f` for two tensors, in training too."""
        if self.trainable_h is None:
            if self.h == 1:
                return x + f
            h: Any = self.h
        elif self.trainable_h == "scalar":
            h = self.step_factor
        else:
            shape = [1] * len(f.shape)
            shape[self.channel_axis] = -1
            h = ops.reshape(self.step_factor, shape)
        return x + h * f

    def compute_mask(
        self, inputs: Sequence[Tensor], mask: Sequence[Tensor] | None = None
    ) -> Tensor:
        if mask is None or any(item is None for item in mask):
            return None
        return ops.logical_or(*mask)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return _shapes_of_pair(input_shape)[0]

    def get_config(self) -> Config:
        return {**super().get_config(), **{name: getattr(self, name) for name in ARGUMENTS}}


def _shapes_of_pair(input_shape: Sequence[Any]) -> tuple[Shape, Shape]:
    is_pair = isinstance(input_shape, (list, tuple)) and len(input_shape) == 2
    if not is_pair or not isinstance(input_shape[0], (list, tuple)):
        raise ValueError(
            f"EulerAdd takes the pair [x, F(x)]. Received the input shape {input_shape}."
        )
    return tuple(input_shape[0]), tuple(input_shape[1])
