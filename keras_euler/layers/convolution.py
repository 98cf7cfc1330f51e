"""Convolutions as fast as hand-written torch."""

import keras

from keras_euler import _backend
from keras_euler._register import register
from keras_euler._types import Mixin, Shape, Tensor


class _WithoutCopies(Mixin):
    """Convolve without the copies between memory layouts that Keras makes on torch in
    channels_last."""

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        is_on_torch = keras.backend.backend() == "torch" and self.data_format == "channels_last"
        # With an even kernel or strides, "same" pads one side more than the other.
        is_odd = all(size % 2 for size in self.kernel_size)
        pads_equally = self.padding == "same" and is_odd and set(self.strides) == {1}
        is_plain = self.groups == 1 and set(self.dilation_rate) == {1}
        self._zeros = tuple(size // 2 * pads_equally for size in self.kernel_size)
        self._is_fast = is_on_torch and is_plain and (pads_equally or self.padding == "valid")
        if is_on_torch:
            for kernel in self.weights[:1]:
                _backend.store_filters_first(kernel)

    def call(self, inputs: Tensor) -> Tensor:
        if not self._is_fast or _backend.is_compiling():
            return super().call(inputs)
        kernel = keras.ops.convert_to_tensor(self.kernel)
        bias = keras.ops.convert_to_tensor(self.bias) if self.use_bias else None
        outputs = _backend.convolution(inputs, kernel, bias, self.strides, self._zeros)
        if self.activation is keras.activations.relu:
            return _backend.relu(outputs)
        return outputs if self.activation is None else self.activation(outputs)


@register
class Conv1D(_WithoutCopies, keras.layers.Conv1D):
    """`keras.layers.Conv1D`, without the copies between memory layouts that Keras makes on torch in
    channels_last.

    Arguments, shapes, errors and results are those of `keras.layers.Conv1D`. On torch the kernel
    is not contiguous in memory, as `torch.nn.utils.parameters_to_vector` and LBFGS need it.

    Example:

    >>> Conv1D(8, 3, padding="same", data_format="channels_last")(np.zeros((1, 4, 2))).shape == (
    ...     1,
    ...     4,
    ...     8,
    ... )
    True
    """

    direct = "convolve"


@register
class Conv2D(_WithoutCopies, keras.layers.Conv2D):
    """`keras.layers.Conv2D`, without the copies between memory layouts that Keras makes on torch in
    channels_last.

    Arguments, shapes, errors and results are those of `keras.layers.Conv2D`. On torch the kernel
    is not contiguous in memory, as `torch.nn.utils.parameters_to_vector` and LBFGS need it.

    Example:

    >>> Conv2D(8, 3, padding="same", data_format="channels_last")(np.zeros((1, 4, 4, 2))).shape == (
    ...     1,
    ...     4,
    ...     4,
    ...     8,
    ... )
    True
    """

    direct = "convolve"
