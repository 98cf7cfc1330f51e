"""Explicit Runge-Kutta methods as tables of coefficients. To add a method, add an entry."""

import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keras_euler import _backend
from keras_euler._types import Tensor


@dataclass(frozen=True)
class Scheme:
    """The coefficients of an explicit Runge-Kutta method (its Butcher tableau).

    Attributes:
        a: One row per stage: the weights of the earlier stages in the input of this one.
        b: Weights of the stages in the step.
    """

    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]


SCHEMES = {
    "euler": Scheme(a=((),), b=(1,)),
    "heun": Scheme(a=((), (1,)), b=(1 / 2, 1 / 2)),
    "rk4": Scheme(a=((), (1 / 2,), (0, 1 / 2), (0, 0, 1)), b=(1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}


def increment(
    scheme: Scheme,
    F: Callable[[Tensor], Tensor],
    step: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
) -> Tensor:
    """Return `sum_i b_i k_i` with the stages `k_i = F(x + h sum_j a_ij k_j)`; with Euler's method
    it is `F(x)`.

    Args:
        scheme: The method.
        F: The branch.
        step: Function of `x` and `f` that returns `x + h f`.
        x: Tensor at which the step begins.
    """
    if scheme.b == (1,):
        return F(x)
    stages: list[Tensor] = []
    for row in scheme.a:
        stage = x
        if stages:
            stage = step(x, _weighted_sum(row, stages))
            _backend.pass_mask(x, stage)
        stages.append(F(stage))
    f = _weighted_sum(scheme.b, stages)
    _backend.pass_mask(stages[0], f)
    return f


def _weighted_sum(weights: Sequence[float], tensors: Sequence[Tensor]) -> Tensor:
    terms = [
        tensor if weight == 1 else weight * tensor
        for weight, tensor in zip(weights, tensors, strict=True)
        if weight
    ]
    return functools.reduce(operator.add, terms)
