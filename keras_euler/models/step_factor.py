"""The step factor as an argument of a model: a number, a rule of depth, or one number per block."""

import numpy as np

from keras_euler._checks import check_step_factor
from keras_euler._types import StepFactor

# L is the number of residual blocks.
RULES = {
    "1/sqrt(L)": lambda L: L**-0.5,  # the limit of large depth; Stable ResNet
    "1/L": lambda L: 1 / L,  # the limit of an ordinary differential equation
}


def step_factors(h: StepFactor, num_blocks: int) -> list[float]:
    """Return one step factor per residual block, as a list of floats.

    Args:
        h: A finite number >= 0; `"1/sqrt(L)"` or `"1/L"`; or a list of `num_blocks` numbers.
        num_blocks: L, the number of residual blocks.

    Raises:
        ValueError: A number is out of range, a rule is unknown, or a list has another length.
        TypeError: `h` is none of these.

    Example:

    >>> step_factors("1/sqrt(L)", 4)
    [0.5, 0.5, 0.5, 0.5]
    """
    if isinstance(h, str):
        if h not in RULES:
            known = " or ".join(repr(rule) for rule in RULES)
            raise ValueError(
                f"`h` must be a number, a list of numbers, or a rule: {known}. Received: h={h!r}."
            )
        return [RULES[h](num_blocks)] * num_blocks
    if isinstance(h, (list, tuple)) or (isinstance(h, np.ndarray) and h.ndim):
        if len(h) != num_blocks:
            raise ValueError(
                f"`h` as a list must have one number for each of the {num_blocks} residual blocks. "
                f"Received: {len(h)} numbers, h={h!r}."
            )
        return [check_step_factor(value, f"h[{i}]") for i, value in enumerate(h)]
    return [check_step_factor(h)] * num_blocks
