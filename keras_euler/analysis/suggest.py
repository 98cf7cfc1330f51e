"""Which h: 1/sqrt(L), with what the gradients at initialization say of it and of others."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_euler._checks import check_number
from keras_euler.analysis.chain import Chain
from keras_euler.analysis.gradients import gradient_norms

CANDIDATES = (0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 2.0)
LIMIT = 10.0


@dataclass(frozen=True)
class Suggestion:
    """What `suggest_h` found.

    Attributes:
        h: The advice, `1/sqrt(L)`.
        largest: The largest h whose growth is within the limit; None without one.
        growths: Dict of h, the advice and every candidate -> growth of the gradients over the blocks; inf where it is no number.
        limit: The growth beyond which gradients are said to explode.
        num_blocks: L, the number of residual blocks that x passes.
    """

    h: float
    largest: float | None
    growths: dict
    limit: float
    num_blocks: int

    def __str__(self):
        lines = [f"{'h':>8} {'growth':>10}"]
        for h, growth in self.growths.items():
            marks = " explodes" * (growth > self.limit) + " <- 1/sqrt(L), suggested" * (h == self.h)
            lines.append(f"{h:8.3g} {growth:10.3g}{marks}")
        lines.append(f"Suggested: h = {self.h:.3g}, 1/sqrt(L) for L = {self.num_blocks} blocks.")
        if self.largest is None:
            lines.append("Gradients explode with every h here. Where training does not start, try smaller ones.")
        elif self.largest < self.h:
            below = f"the largest h that does not explode is {self.largest:.3g}"
            lines.append(f"Gradients explode there; {below}. Where training does not start, take that or less.")
        elif max(self.growths.values()) <= self.limit:
            lines.append("No h explodes at initialization, which says nothing for or against any of them.")
        else:
            lines.append(f"Up to h = {self.largest:.3g} gradients do not explode at initialization.")
        return "\n".join(lines)


def suggest_h(build, x, y, candidates=CANDIDATES, limit=LIMIT, loss=None, seed=0):
    """An h for a network, with the growth of the gradients of every candidate behind it.

    The advice is `1/sqrt(L)`, L being the number of residual blocks. For it and each candidate a network is built, with the same
    first weights, and the gradients of one batch are taken as the first step of training would:
    `growth = |dL/dx_0| / |dL/dx_D|`, from the last block's output back to the first one's input. Nothing is trained. An h
    whose gradients grow beyond `limit` is one with which deep networks do not start. That the largest h within the limit were
    a better choice than `1/sqrt(L)` is not shown on images; on texts at depth 49, where it is the smaller one, it was (see README).
    So it stands beside the advice. Without a norm gradients shrink whatever h is, and say nothing. Sets the global random seed.

    Args:
        build: Function of h that returns an untrained network of `EulerResidual` blocks, such as
            `lambda h: EulerResNet(110, h)`, or one made by `eulerize`.
        x: Batch of inputs, as the network takes them; 16 to 64 are enough.
        y: Their labels.
        candidates: Numbers > 0 to measure.
        limit: The growth beyond which gradients are said to explode.
        loss: As for `gradient_norms`.
        seed: Of the first weights.

    Returns:
        A `Suggestion`; `.h` is the number, printing it shows all.

    Raises:
        ValueError: `candidates` is empty or has a number that is not positive; the networks do not depend on h, or have other
            numbers of blocks with another h; labels are missing or no classes; the inputs are not finite.
        TypeError: `build` is not a function, or gives no Keras model; `candidates` are no numbers.

    Example:

    >>> x, y = datasets.synthetic.images(16, 1)[0]
    >>> suggestion = suggest_h(lambda h: EulerResNet(20, h), x / np.float32(255), y, candidates=[0.1, 5.0])
    >>> round(suggestion.h, 3), suggestion.largest == suggestion.h
    (0.333, True)
    """
    if not callable(build) or isinstance(build, keras.layers.Layer):
        raise TypeError(
            "`build` must be a function of h that returns a network, such as lambda h: EulerResNet(110, h). "
            f"Received: {type(build).__name__}."
        )
    limit = check_number("limit", limit, 0)
    if isinstance(candidates, str) or not hasattr(candidates, "__iter__"):
        raise TypeError(f"`candidates` must be a list of numbers > 0. Received: candidates={candidates!r}.")
    left = {check_number(f"candidates[{i}]", h) for i, h in enumerate(candidates)}
    if not left or min(left) <= 0:
        raise ValueError(f"`candidates` must be numbers > 0, at least one. Received: {sorted(left)}.")
    growths, factors, advice = {}, {}, None
    while left:
        h = left.pop()
        keras.utils.set_random_seed(seed)
        model = build(h)
        factors[h] = Chain(model).factors
        norms = gradient_norms(model, x, y, loss, training=True)
        growth = float(norms[0] / norms[-1]) if norms[-1] else np.inf
        growths[h] = np.inf if np.isnan(growth) else growth
        if advice is None:
            num_blocks = len(factors[h])
            advice = num_blocks**-0.5
            left |= {advice} - set(growths)
        _check_depends_on_h(factors)
    growths = dict(sorted(growths.items()))
    within = [h for h, growth in growths.items() if growth <= limit]
    return Suggestion(advice, max(within, default=None), growths, limit, num_blocks)


def _check_depends_on_h(factors):
    """Raise unless the networks have as many blocks with each h, and no two the same factors."""
    (first, *others), h = factors.values(), list(factors)
    for i, blocks in enumerate(others, 1):
        if len(blocks) != len(first):
            counts = f"{len(first)} with h = {h[0]:.3g}, {len(blocks)} with h = {h[i]:.3g}"
            raise ValueError(f"`build` must make networks of as many blocks with every h. Received: {counts}.")
    for i, blocks in enumerate(factors.values()):
        same = [h[j] for j, other in enumerate(factors.values()) if j < i and other == blocks]
        if same:
            raise ValueError(
                f"`build` must pass h on to the network: with h = {same[0]:.3g} and with h = {h[i]:.3g} its blocks all have "
                f"{sorted(set(blocks))}. Write it as lambda h: EulerResNet(110, h)."
            )
