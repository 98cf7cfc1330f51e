"""Batch normalization with the paper's constants, fused on torch."""

from typing import Any

import keras
from keras import ops

from keras_euler import _backend
from keras_euler._types import Tensor


@keras.saving.register_keras_serializable(package="keras_euler")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization as the paper's authors ran it: `momentum=0.9, epsilon=1e-5`.

    `y = gamma * (x - mu) / sqrt(sigma^2 + epsilon) + beta`, the same arithmetic as
    `keras.layers.BatchNormalization`, whose defaults are 0.99 and 1e-3. (Keras' momentum weighs the
    old value; torch's 0.1 weighs the new one.) On torch it runs as one fused kernel instead of six
    passes over the data.

    Args:
        axis: The channel axis.
        momentum: Weight of the old moving statistics at each update, in [0, 1).
        epsilon: Added to the variance.
        **kwargs: The other arguments of `keras.layers.BatchNormalization`.

    Input and output shape: any; both are the same. The statistics are over all axes but `axis`.

    Example:

    >>> layer = BatchNormalization()
    >>> layer.momentum, layer.epsilon
    (0.9, 1e-05)
    """

    def __init__(
        self, axis: int = -1, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs: Any
    ) -> None:
        super().__init__(axis=axis, momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor = None) -> Tensor:
        use_batch_statistics = bool(training and self.trainable)
        renorm = getattr(self, "renorm", False)  # since Keras 3.14
        is_plain = self.center and self.scale and mask is None and not (renorm or self.synchronized)
        if not (
            is_plain and _backend.has_fused_batch_norm(inputs, self.axis, use_batch_statistics)
        ):
            return super().call(inputs, training=training, mask=mask)
        # As in Keras: half precision is too narrow for statistics, and integers are normalized as
        # floats.
        input_dtype = keras.backend.standardize_dtype(inputs.dtype)
        dtype = "float64" if input_dtype == "float64" else "float32"
        if not keras.backend.is_float_dtype(input_dtype):
            inputs = ops.cast(inputs, dtype)
        variables = (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        gamma, beta, moving_mean, moving_variance = (
            ops.cast(variable, dtype) for variable in variables
        )
        outputs, mean, variance = _backend.fused_batch_norm(
            inputs,
            gamma,
            beta,
            moving_mean,
            moving_variance,
            self.axis,
            self.epsilon,
            use_batch_statistics,
        )
        if use_batch_statistics:
            self.moving_mean.assign(moving_mean * self.momentum + mean * (1 - self.momentum))
            self.moving_variance.assign(
                moving_variance * self.momentum + variance * (1 - self.momentum)
            )
        return ops.cast(outputs, self.compute_dtype)
