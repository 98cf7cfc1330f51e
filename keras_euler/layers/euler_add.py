"""The Euler step itself. The only file where a branch is multiplied by h."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_euler._checks import check_choice, check_step_factor
from keras_euler._types import Config, Shape, Tensor

TRAINABLE_H = (None, "scalar", "channel")


@keras.saving.register_keras_serializable(package="keras_euler")
class EulerAdd(keras.layers.Layer):
    """Add a branch to a shortcut, scaled by the step factor: `y = x + h * f` (equation 3 of the paper).

    `x` is the shortcut, `f = F(x)` the branch, `h` the step factor. `EulerResidual` is made of it; alone it serves functional
    models in place of `keras.layers.Add`.

    Args:
        h: Finite number >= 0. The start value where `trainable_h` is given.
        trainable_h: None: `h` is a constant. `"scalar"`: one weight (ReZero, SkipInit with `h=0`). `"channel"`: one weight per
            channel (LayerScale).
        data_format: `"channels_last"` or `"channels_first"`: where `"channel"` finds the channels. Default: Keras' own setting.
        **kwargs: `name`, `dtype` and the like, as for every Keras layer.

    Call arguments:
        inputs: The pair `[x, f]` of the same shape. Where both have a mask, the output has one: where either is true, as behind
            `keras.layers.Add`.

    Input shape: two tensors `(batch, ...)` of the same shape. Output shape: that shape.

    Raises:
        ValueError: `h` is negative or not finite, `trainable_h` or `data_format` is unknown, or the two shapes differ.
        TypeError: `h` is not a number.

    Example:

    >>> x, f = np.ones((1, 3), "float32"), np.full((1, 3), 5, "float32")
    >>> y = EulerAdd(h=0.1)([x, f])
    >>> keras.ops.convert_to_numpy(y).tolist()
    [[1.5, 1.5, 1.5]]
    """

    def __init__(self, h: float = 0.1, trainable_h: str | None = None, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.h = check_step_factor(h)
        self.trainable_h = check_choice("trainable_h", trainable_h, TRAINABLE_H)
        self.data_format = keras.config.image_data_format() if data_format is None else data_format
        check_choice("data_format", self.data_format, ("channels_last", "channels_first"))
        self.step_factor: keras.Variable | None = None

    def build(self, input_shape: Sequence[Shape]) -> None:
        shortcut, branch = _pair(input_shape)
        if shortcut != branch:
            raise ValueError(
                "The shortcut and the branch must have the same shape. "
                f"Received: shortcut {shortcut}, branch {branch}. "
                "Where F changes the width or the resolution, pass a shortcut that changes it likewise: "
                "a 1x1 convolution with as many filters and the same strides."
            )
        if self.trainable_h:
            self.channel_axis = 1 if self.data_format == "channels_first" else len(branch) - 1
            shape = (branch[self.channel_axis],) if self.trainable_h == "channel" else ()
            self.step_factor = self.add_weight(shape=shape, initializer=keras.initializers.Constant(self.h), name="h")

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        x, f = inputs
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

    def compute_mask(self, inputs: Sequence[Tensor], mask: Sequence[Tensor] | None = None) -> Tensor:
        if mask is None or any(one is None for one in mask):
            return None
        return ops.logical_or(*mask)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return _pair(input_shape)[0]

    def get_config(self) -> Config:
        config = {"h": self.h, "trainable_h": self.trainable_h, "data_format": self.data_format}
        return {**super().get_config(), **config}


def _pair(input_shape: Sequence[Any]) -> tuple[Shape, Shape]:
    if not isinstance(input_shape, (list, tuple)) or len(input_shape) != 2 or isinstance(input_shape[0], int):
        raise ValueError(f"EulerAdd takes the pair [x, F(x)]. Received the input shape {input_shape}.")
    return tuple(input_shape[0]), tuple(input_shape[1])
