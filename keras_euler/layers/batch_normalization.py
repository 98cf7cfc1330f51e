"""Batch normalization with the paper's constants, fused on torch."""

import keras

from keras_euler import _backend


@keras.saving.register_keras_serializable(package="keras_euler")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization as the paper's authors ran it: `momentum=0.9, epsilon=1e-5`.

    `y = gamma * (x - mu) / sqrt(sigma^2 + epsilon) + beta`, the same arithmetic as `keras.layers.BatchNormalization`, whose
    defaults are 0.99 and 1e-3. (Keras' momentum weighs the old value; torch's 0.1 weighs the new one.) On torch it runs as
    one fused kernel instead of six passes over the data.

    Args:
        axis: The channel axis.
        momentum: Weight of the old moving statistics at each update, in [0, 1).
        epsilon: Added to the variance.
        **kwargs: The other arguments of `keras.layers.BatchNormalization`.

    Input and output shape: any, the same; the statistics are over all axes but `axis`.

    Example:

    >>> layer = BatchNormalization()
    >>> layer.momentum, layer.epsilon
    (0.9, 1e-05)
    """

    def __init__(self, axis=-1, momentum=0.9, epsilon=1e-5, **kwargs):
        super().__init__(axis=axis, momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=None, mask=None):
        plain = self.center and self.scale and mask is None and not (self.renorm or self.synchronized)
        if not (plain and _backend.has_fused_batch_norm()):
            return super().call(inputs, training=training, mask=mask)
        use_batch_statistics = bool(training and self.trainable)
        outputs, mean, variance = _backend.fused_batch_norm(
            inputs,
            *(keras.ops.convert_to_tensor(v) for v in (self.gamma, self.beta, self.moving_mean, self.moving_variance)),
            self.axis,
            self.epsilon,
            use_batch_statistics,
        )
        if use_batch_statistics:
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return outputs
