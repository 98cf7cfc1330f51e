"""Batch normalization with the paper's constants, in one fused kernel on torch and TensorFlow."""

from typing import Any

import keras

from keras_euler import _backend
from keras_euler._register import register
from keras_euler._types import Shape, Tensor


@register
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization as the paper's authors ran it: `momentum=0.9, epsilon=1e-5`.

    `y = gamma * (x - mu) / sqrt(sigma^2 + epsilon) + beta`, the same arithmetic as
    `keras.layers.BatchNormalization`, whose defaults are 0.99 and 1e-3. (Keras' momentum weighs the
    old value; torch's 0.1 weighs the new one.) On torch, and in training on TensorFlow, it runs as
    one fused kernel instead of six passes over the data.

    Args:
        axis: The channel axis.
        momentum: Weight of the old moving statistics at each update, in [0, 1).
        epsilon: Added to the variance.
        **kwargs: The other arguments of `keras.layers.BatchNormalization`.

    Input and output shape: any; both are the same. The statistics are over all axes but `axis`.

    Raises:
        NotImplementedError: The layer is made within `keras.RematScope(mode="full")` on JAX or
            TensorFlow.

    Example:

    >>> layer = BatchNormalization()
    >>> layer.momentum, layer.epsilon
    (0.9, 1e-05)
    """

    direct = "normalize"

    def __init__(
        self, axis: int = -1, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs: Any
    ) -> None:
        if _backend.is_rematerialized() and keras.backend.backend() != "torch":
            raise NotImplementedError(
                "Keras cannot compute batch normalization a second time on "
                f"{keras.backend.backend()}. Build the model outside of "
                "keras.RematScope(mode='full') and pass remat=True to the network or the block."
            )
        super().__init__(axis=axis, momentum=momentum, epsilon=epsilon, **kwargs)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        renorm = getattr(self, "renorm", False)  # since Keras 3.14
        self._is_plain = self.center and self.scale and not (renorm or self.synchronized)

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor = None) -> Tensor:
        uses_batch = bool(training and self.trainable)
        fused = None
        if self._is_plain and mask is None:
            variables = (self.gamma, self.beta, self.moving_mean, self.moving_variance)
            fused = _backend.fused_batch_norm(
                inputs, variables, self.axis, self.epsilon, uses_batch
            )
        if fused is None:
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = fused
        if uses_batch:
            _backend.update_moving(self.moving_mean, mean, self.momentum)
            _backend.update_moving(self.moving_variance, variance, self.momentum)
        return keras.ops.cast(outputs, self.compute_dtype)
