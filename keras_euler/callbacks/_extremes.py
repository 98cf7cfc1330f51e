"""Warnings about gradients that explode or vanish."""

import math
import warnings

import numpy as np

from keras_euler._checks import check_number
from keras_euler._types import Array


class Extremes:
    """Warn of layers whose gradient norms leave the range `[vanish, explode]`, each layer once.

    Args:
        explode: Upper bound, which norms that are not finite exceed, or None.
        vanish: Lower bound, which does not count for norms of exactly 0, or None.
    """

    def __init__(self, explode: float | None, vanish: float | None) -> None:
        self.explode = None if explode is None else check_number("explode", explode, 0)
        self.vanish = None if vanish is None else check_number("vanish", vanish, 0)
        self.begin()

    def begin(self) -> None:
        """Forget which layers were named."""
        self._named: set[str] = set()

    def check(self, names: list[str], iterations: Array, norms: Array) -> None:
        """Warn if norms `(iterations, names)` are out of range."""
        bounds = (("explode", "above", self.explode), ("vanish", "below", self.vanish))
        for kind, side, bound in bounds:
            if bound is None:
                continue
            is_out = ~(norms <= bound) if kind == "explode" else (norms > 0) & (norms < bound)
            found = [i for i in np.flatnonzero(is_out.any(axis=0)) if names[i] not in self._named]
            if not found:
                continue
            self._named |= {names[i] for i in found}
            first, *others = found
            row = is_out[:, first].argmax()
            norm, more = norms[row, first], len(others)
            warnings.warn(
                "The gradients of "
                f"{names[first]}{f' and {more} other layer' * (more > 0)}{'s' * (more > 1)} "
                f"{kind}: norm {norm:.3g} at iteration {iterations[row]}, "
                f"{f'{side} {kind}={bound:g}' if math.isfinite(norm) else 'which is not finite'}. "
                f"Pass {kind}=None to GradientLogger for no warning.",
                stacklevel=2,
            )
