"""Explicit Runge-Kutta methods as tables of coefficients. To add a method, add an entry."""

import functools
import operator
from collections.abc import Sequence

from keras_euler._types import Tensor

# One row per stage, the weights of the earlier stages in the input of this one; and the weights of
# the stages in the step (the Butcher tableau).
Scheme = tuple[Sequence[Sequence[float]], Sequence[float]]
SCHEMES: dict[str, Scheme] = {
    "euler": ([()], [1]),
    "heun": ([(), (1,)], [1 / 2, 1 / 2]),
    "rk4": ([(), (1 / 2,), (0, 1 / 2), (0, 0, 1)], [1 / 6, 1 / 3, 1 / 3, 1 / 6]),
}


def weighted_sum(weights: Sequence[float], tensors: Sequence[Tensor]) -> Tensor:
    terms = (weight * tensor for weight, tensor in zip(weights, tensors, strict=True) if weight)
    return functools.reduce(operator.add, terms)
