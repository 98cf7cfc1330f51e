"""An embedding whose row for the padding is zero and stays zero."""

from typing import Any

import keras
from keras import ops

from keras_euler._register import register
from keras_euler._types import Shape, Tensor


@register
class CharacterEmbedding(keras.layers.Embedding):
    """Embedding initialized from N(0, 1); the row of the padding, id 0, is zero and gets no
    gradient.

    It equals torch's `Embedding(..., padding_idx=0)`, which the paper's authors use. (With
    `mask_zero` Keras' layer keeps the row as it is and needs masks in every later layer.)

    Args:
        input_dim: Number of ids, including the padding.
        output_dim: Numbers per id.
        **kwargs: The other arguments of `keras.layers.Embedding`.

    Input shape: `(batch, length)`, integer ids. Output shape: `(batch, length, output_dim)`.

    Example:

    >>> y = CharacterEmbedding(70, 2)(np.array([[0, 5]]))
    >>> bool(keras.ops.convert_to_numpy(y)[0, 0].any()), y.shape == (1, 2, 2)
    (False, True)
    """

    def __init__(self, input_dim: int, output_dim: int, **kwargs: Any) -> None:
        kwargs.setdefault("embeddings_initializer", keras.initializers.RandomNormal(stddev=1.0))
        super().__init__(input_dim, output_dim, **kwargs)

    def build(self, input_shape: Shape | None = None) -> None:
        super().build(input_shape)
        self._embeddings.assign(self._embeddings * self._is_character())

    def call(self, inputs: Tensor) -> Tensor:
        table = ops.cast(self.embeddings * self._is_character(), self.compute_dtype)
        return ops.take(table, ops.cast(inputs, "int32"), axis=0)

    def _is_character(self) -> Tensor:
        # int32 by name: the default dtype depends on `floatx`, and TensorFlow has no int16 range.
        ids = ops.arange(0, self.input_dim, dtype="int32")
        return ops.cast(ids > 0, self.variable_dtype)[:, None]
