"""Which h to take: 1/sqrt(L), or less where gradients explode at initialization."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import keras
import numpy as np

from keras_euler._checks import check_number
from keras_euler._types import ArrayLike, Loss
from keras_euler.analysis.chain import Chain
from keras_euler.analysis.gradients import gradient_norms

CANDIDATES = (0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 2.0)
LIMIT = 10.0


@dataclass(frozen=True)
class Suggestion:
    """What `suggest_h` found. Printing it shows the table of growths and the reason for the advice.

    Attributes:
        h: The advice: the largest measured h, at most `rule`, whose gradients do not explode. Where those of every h do, the
            smallest measured h.
        largest: The largest measured h whose gradients do not explode; None where those of every h do.
        growths: Dict of each measured h -> growth of the gradients over the blocks; inf where it is not a number.
        limit: The growth beyond which gradients are said to explode.
        num_blocks: `L`, the number of residual blocks that x passes.

    Example:

    >>> print(Suggestion(h=0.5, largest=0.6, growths={0.5: 5.1, 0.6: 6.6, 1.0: 16.0}, limit=10.0, num_blocks=4))
           h     growth
         0.5        5.1 <- 1/sqrt(L) <- suggested
         0.6        6.6
           1         16 explodes
    Suggested: h = 0.5, 1/sqrt(L) = 0.5 for L = 4 blocks. The largest h measured whose gradients do not explode is 0.6.
    """

    h: float
    largest: float | None
    growths: dict[float, float]
    limit: float
    num_blocks: int

    @property
    def rule(self) -> float:
        """`1/sqrt(L)`."""
        return self.num_blocks**-0.5

    def __str__(self) -> str:
        lines = [f"{'h':>8} {'growth':>10}"]
        for h, growth in self.growths.items():
            marks = ["explodes"] * (growth > self.limit)
            marks += ["<- 1/sqrt(L)"] * (h == self.rule) + ["<- suggested"] * (h == self.h)
            lines.append(" ".join([f"{h:8.3g} {growth:10.3g}", *marks]))
        rule = f"1/sqrt(L) = {self.rule:.3g} for L = {self.num_blocks} blocks"
        if self.largest is None:
            why = "the smallest measured: gradients explode at every h here. Pass smaller candidates"
        elif self.h == self.rule:
            why = f"{rule}. The largest h measured whose gradients do not explode is {self.largest:.3g}"
        else:
            why = f"whose gradients do not explode. They do at {rule}"
        return "\n".join([*lines, f"Suggested: h = {self.h:.3g}, {why}."])


def suggest_h(
    build: Callable[[float], keras.Model],
    x: ArrayLike,
    y: ArrayLike,
    candidates: Iterable[float] = CANDIDATES,
    limit: float = LIMIT,
    loss: Loss = None,
    seed: int = 0,
) -> Suggestion:
    """Suggest an h for a network: the smaller of `1/sqrt(L)` and the largest h whose gradients do not explode.

    `L` is the number of residual blocks. For `1/sqrt(L)` and for each candidate a network is built, with the same first weights,
    and the gradients of one batch are taken as the first step of training would take them. Nothing is trained.
    `growth = |dL/dx_0| / |dL/dx_D|` compares the gradient at the first block's input with that at the last block's output.
    Gradients whose growth is beyond `limit` are said to explode: deep networks with such an h do not start to learn.

    Measured by training: for images at depth 20, 56 and 110 and texts at depth 17 the advice is `1/sqrt(L)`, and no other h was
    shown to be better. For texts at depth 49 gradients explode at `1/sqrt(L)`, and the smaller h, the advice, trained better.
    Without a norm the gradients shrink whatever h is, and the advice is `1/sqrt(L)`. Sets the global random seed.

    Args:
        build: Function of h that returns an untrained network of `EulerResidual` blocks, such as
            `lambda h: EulerResNet(110, h)`, or one made by `eulerize`.
        x: Batch of inputs, as the network takes them; 16 to 64 are enough.
        y: Their labels.
        candidates: Numbers > 0 to measure beside `1/sqrt(L)`.
        limit: The growth beyond which gradients are said to explode.
        loss: As for `gradient_norms`.
        seed: Of the first weights.

    Returns:
        A `Suggestion`; `.h` is the number, printing it shows the measurements and the reason.

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
    growths: dict[float, float] = {}
    factors: dict[float, list[float]] = {}
    rule = 0.0
    while left:
        h = left.pop()
        keras.utils.set_random_seed(seed)
        model = build(h)
        factors[h] = Chain(model).factors
        norms = gradient_norms(model, x, y, loss, training=True)
        growth = float(norms[0] / norms[-1]) if norms[-1] else np.inf
        growths[h] = np.inf if np.isnan(growth) else growth
        if not rule:
            num_blocks = len(factors[h])
            rule = num_blocks**-0.5
            left |= {rule} - set(growths)
        _check_depends_on_h(factors)
    growths = dict(sorted(growths.items()))
    within = [h for h, growth in growths.items() if growth <= limit]
    # The smaller of the two where growth rises with h. Should it not, an h whose gradients explode is not suggested either.
    h = max((h for h in within if h <= rule), default=min(within or growths))
    return Suggestion(h, max(within, default=None), growths, limit, num_blocks)


def _check_depends_on_h(factors: dict[float, list[float]]) -> None:
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
