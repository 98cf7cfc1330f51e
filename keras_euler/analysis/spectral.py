"""The spectral norm of a function's derivative, computed without its matrix."""

from collections.abc import Callable

import keras
import numpy as np

from keras_euler import _backend
from keras_euler._checks import check_integer
from keras_euler._types import Tensor


def spectral_norm(
    function: Callable[[Tensor], Tensor], x: Tensor, num_iterations: int = 20, seed: int = 0
) -> float:
    """The largest spectral norm of `dF/dx` over a batch, by power iteration with `J^T J`: an
    estimate from below.

    Args:
        function: Function of a tensor `(batch, ...)` that treats each example separately.
        x: Tensor or array `(batch, ...)`, the point of the derivative.
        num_iterations: Number of multiplications by `J` and by `J^T`.
        seed: Seed of the first direction.

    Returns:
        A float.

    Raises:
        ValueError: `num_iterations` is less than 1.
        TypeError: `num_iterations` is not an integer.

    Example:

    >>> round(
    ...     spectral_norm(lambda x: keras.ops.multiply(x, [1.0, 3.0]), np.ones((1, 2), "float32")),
    ...     3,
    ... )
    3.0
    """
    check_integer("num_iterations", num_iterations, 1)
    x = keras.ops.stop_gradient(keras.ops.convert_to_tensor(x))
    forward, backward = _backend.linearized(function, x)
    first = np.random.default_rng(seed).normal(size=x.shape).astype("float32")
    v = keras.ops.cast(first, x.dtype)
    for _ in range(num_iterations):
        v, _ = _normalized(v)
        u = forward(v)
        v = backward(u)
    _, norms = _normalized(u)
    return float(keras.ops.max(norms))


def _normalized(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Divide each example by its L2 norm; return it and the norms. The sums are float32 at least:
    float16 ends at 65504."""
    wide = keras.ops.cast(tensor, _backend.wide_dtype([tensor.dtype]))
    axes = tuple(range(1, len(tensor.shape)))
    norms = keras.ops.sqrt(keras.ops.sum(keras.ops.square(wide), axis=axes, keepdims=True))
    return keras.ops.cast(wide / (norms + 1e-30), tensor.dtype), norms
