"""The Euler step that replaces an addition in a model's graph."""

from collections.abc import Sequence
from typing import Any

from keras_euler._register import register
from keras_euler._types import Config, Shape, Tensor
from keras_euler.layers import EulerAdd


@register
class EulerizedAdd(EulerAdd):
    """`EulerAdd` with the order of inputs and the mask of the addition that it replaces.

    `eulerize` keeps the order of the inputs, because Keras derives from it the order of a model's
    layers and weights.

    Args:
        h: As for `EulerAdd`.
        branch_index: Position of the branch in the pair: 1 for `[x, f]`, 0 for `[f, x]`.
        keep_mask: Whether the output has a mask, as with `keras.layers.Add`. `keras.ops.add` and
            `+` give none.
        **kwargs: As for `EulerAdd`.

    Raises:
        ValueError: `branch_index` is neither 0 nor 1, or as `EulerAdd`.
        TypeError: As `EulerAdd`.

    Example:

    >>> x, f = np.ones((1, 3), "float32"), np.full((1, 3), 5, "float32")
    >>> keras.ops.convert_to_numpy(EulerizedAdd(h=0.1, branch_index=0)([f, x])).tolist()
    [[1.5, 1.5, 1.5]]
    """

    def __init__(
        self, h: float = 0.1, branch_index: int = 1, keep_mask: bool = True, **kwargs: Any
    ) -> None:
        if type(branch_index) is not int or branch_index not in (0, 1):
            raise ValueError(
                f"`branch_index` must be 0 or 1. Received: branch_index={branch_index!r}."
            )
        super().__init__(h, **kwargs)
        self.branch_index = branch_index
        self.keep_mask = keep_mask

    def build(self, input_shape: Sequence[Shape]) -> None:
        super().build(self._shortcut_first(input_shape))

    def call(self, inputs: Sequence[Tensor], training: bool = False) -> Tensor:
        return super().call(self._shortcut_first(inputs), training)

    def compute_mask(
        self, inputs: Sequence[Tensor], mask: Sequence[Tensor] | None = None
    ) -> Tensor:
        return super().compute_mask(inputs, mask) if self.keep_mask else None

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "branch_index": self.branch_index,
            "keep_mask": self.keep_mask,
        }

    def _shortcut_first(self, pair: Any) -> Any:
        return pair if self.branch_index == 1 else pair[::-1]
