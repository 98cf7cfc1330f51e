"""The bounds of the paper's two propositions, block by block."""

from typing import Any

import numpy as np

from keras_euler._checks import check_integer, check_number
from keras_euler._types import Array, PerBlock


def gradient_bounds(
    gradient_norm: float,
    h: PerBlock,
    W: float,
    num_blocks: int,
    shortcut_norms: PerBlock = 1.0,
    dimension: int = 1,
) -> Array:
    """Bounds on the gradients with respect to the blocks' inputs, from the last back to the first
    (Proposition 1).

    `|dL/dx_n| <= |dL/dx_D| * prod_{i=n}^{D-1} (sqrt(d) * s_i + h_i * W)`; with one `h`, identity
    shortcuts and n = 0 it is the paper's `|dL/dx_0| <= |dL/dx_D| * (sqrt(d) + h W)^D`.

    `x_n` is the input of block n, `x_D` the output of the last block, `L` the loss, `s_i` the norm
    of a block's shortcut, and `W` a bound on the norm of `dF/dx` of every block. With spectral
    norms the identity has norm 1 (`dimension=1`). With Frobenius norms it has norm `sqrt(d)`, where
    d is the number of features (`dimension=d`). The Frobenius form is vacuous for any real network,
    as `sqrt(d)^D` alone is huge. The spectral form is tight where branch and shortcut agree in
    direction. It is vacuous where `h W D` is much more than 1: with h = 1 and W = 3 it grows by 4
    at every block.

    Args:
        gradient_norm: `|dL/dx_D|`, >= 0.
        h: Step factor, or one per block.
        W: Bound on the norm of `dF/dx`, >= 0.
        num_blocks: D, the number of blocks.
        shortcut_norms: Norm of the shortcut, or one per block; 1 for the identity.
        dimension: d, the number of features; 1 for spectral norms.

    Returns:
        Float64 array `(num_blocks + 1,)`: the bounds for `x_0` to `x_D`; the last one is
        `gradient_norm`.

    Raises:
        ValueError: A number is out of range, or the length of a list differs from `num_blocks`.
        TypeError: An argument is not a number.

    Example:

    >>> gradient_bounds(1.0, h=0.5, W=2.0, num_blocks=3).tolist()
    [8.0, 4.0, 2.0, 1.0]
    """
    check_number("gradient_norm", gradient_norm, 0)
    check_integer("num_blocks", num_blocks, 1)
    check_integer("dimension", dimension, 1)
    shortcuts = dimension**0.5 * _per_block("shortcut_norms", shortcut_norms, num_blocks)
    factors = shortcuts + _per_block("h", h, num_blocks) * check_number("W", W, 0)
    with np.errstate(over="ignore"):  # the result is inf then
        return gradient_norm * np.append(np.cumprod(factors[::-1])[::-1], 1.0)


def noise_bounds(
    eps: float, h: PerBlock, W: float, num_blocks: int, shortcut_norms: PerBlock = 1.0
) -> Array:
    """Bounds on the distance between a noisy input and the clean one, from the first block on
    (Proposition 2, equation 7).

    `eps_{n+1} <= s_n * eps_n + h_n * W`; with one `h` and identity shortcuts it is the paper's
    `eps_D <= eps + h D W`.

    `eps_n` is `|x^eps_n - x_n|`, the distance between the inputs of block n, `s_n` the norm of its
    shortcut, and `W` a bound on `|F(x^eps_n) - F(x_n)|` of every block. The bound is vacuous if `h
    D W` exceeds the distance of two independent inputs.

    Args:
        eps: The distance at the input of the first block, >= 0.
        h: Step factor, or one per block.
        W: Bound on the change of the branch, >= 0.
        num_blocks: D, the number of blocks.
        shortcut_norms: Norm of the shortcut, or one per block; 1 for the identity.

    Returns:
        Float64 array `(num_blocks + 1,)`: the bounds for `x_0` to `x_D`; the first one is `eps`.

    Raises:
        ValueError: A number is out of range, or the length of a list differs from `num_blocks`.
        TypeError: An argument is not a number.

    Example:

    >>> noise_bounds(1.0, h=0.5, W=2.0, num_blocks=3).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    check_integer("num_blocks", num_blocks, 1)
    steps = _per_block("h", h, num_blocks) * check_number("W", W, 0)
    norms = _per_block("shortcut_norms", shortcut_norms, num_blocks)
    bounds = [check_number("eps", eps, 0)]
    for s_n, step in zip(norms, steps, strict=True):
        bounds.append(s_n * bounds[-1] + step)
    return np.array(bounds)


def _per_block(name: str, value: Any, num_blocks: int) -> Array:
    """Return one number per block, as an array."""
    if np.ndim(value) == 0:
        return np.full(num_blocks, check_number(name, value, 0))
    if len(value) != num_blocks:
        raise ValueError(
            f"`{name}` must be a number, or one number for each of the {num_blocks} blocks. "
            f"Received: {len(value)}."
        )
    return np.array([check_number(f"{name}[{i}]", each, 0) for i, each in enumerate(value)])
