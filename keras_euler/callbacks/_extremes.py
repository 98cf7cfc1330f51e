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
        if self.explode is not None:
            self._warn(
                "explode",
                f"above explode={self.explode:g}",
                names,
                iterations,
                norms,
                ~(norms <= self.explode),
            )
        if self.vanish is not None:
            is_small = (norms > 0) & (norms < self.vanish)
            self._warn(
                "vanish", f"below vanish={self.vanish:g}", names, iterations, norms, is_small
            )

    def _warn(
        self,
        kind: str,
        bound: str,
        names: list[str],
        iterations: Array,
        norms: Array,
        is_found: Array,
    ) -> None:
        found = [i for i in np.flatnonzero(is_found.any(axis=0)) if names[i] not in self._named]
        if not found:
            return
        self._named |= {names[i] for i in found}
        row = int(is_found[:, found[0]].argmax())
        norm = norms[row, found[0]]
        others = {1: "", 2: " and 1 other layer"}.get(
            len(found), f" and {len(found) - 1} other layers"
        )
        warnings.warn(
            f"The gradients of {names[found[0]]}{others} {kind}: norm {norm:.3g} at iteration "
            f"{iterations[row]}, "
            f"{bound if math.isfinite(norm) else 'which is not finite'}. Pass {kind}=None to "
            f"GradientLogger for no warning.",
            stacklevel=2,
        )
