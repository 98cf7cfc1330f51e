"""The choice of h: 1/sqrt(L), or less if gradients explode at initialization."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import keras
import numpy as np

from keras_euler._checks import as_array, check_number
from keras_euler._types import ArrayLike, Loss
from keras_euler.analysis.chain import Chain
from keras_euler.analysis.gradients import gradient_norms

CANDIDATES = (0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 2.0)
LIMIT = 10.0


@dataclass(frozen=True)
class Suggestion:
    """The result of `suggest_h`. Printing it shows a table of growths and the reason for the
    suggestion.

    Attributes:
        h: The suggested h: the largest measured one, at most `rule`, whose gradients do not
            explode. If they explode at every h, the smallest measured one.
        largest: The largest measured h whose gradients do not explode; None if they explode at
            every h.
        growths: Dict of each measured h -> growth of the gradients over the blocks; inf if it is
            not a number.
        limit: The growth above which gradients count as exploding.
        num_blocks: `L`, the number of residual blocks that x passes.

    Example:

    >>> print(
    ...     Suggestion(
    ...         h=0.5,
    ...         largest=0.6,
    ...         growths={0.5: 5.1, 0.6: 6.6, 1.0: 16.0},
    ...         limit=10.0,
    ...         num_blocks=4,
    ...     )
    ... )
           h     growth
         0.5        5.1 <- 1/sqrt(L) <- suggested
         0.6        6.6
           1         16 explodes
    Suggested: h = 0.5, 1/sqrt(L) = 0.5 for L = 4 blocks. The largest h measured whose ... is 0.6.
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
            why = (
                "the smallest measured: gradients explode at every h here. Pass smaller candidates"
            )
        elif self.h == self.rule:
            why = (
                f"{rule}. The largest h measured whose gradients do not explode is "
                f"{self.largest:.3g}"
            )
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
    """Suggest an h for a network: the smaller of `1/sqrt(L)` and the largest h whose gradients do
    not explode.

    `L` is the number of residual blocks. For `1/sqrt(L)` and each candidate, the function builds a
    network with the same initial weights and takes the gradients of one batch, as the first
    training step would. It trains nothing and sets the global random seed. `growth = |dL/dx_0| /
    |dL/dx_D|` compares the gradient at the first block's input with that at the last block's
    output. Gradients explode if their growth exceeds `limit`: deep networks with such an h do not
    start to learn.

    Short trainings support the suggestion in part (`recipes/results/README.md`). For images at
    depth 20 and 56 and texts at depth 17 it is `1/sqrt(L)`, and no other h was clearly better. At
    depth 110 it is `1/sqrt(L)` too, but h = 0.05 and h = 0.1 were better. For texts at depth 49
    gradients explode at `1/sqrt(L)`, and the suggested smaller h trained better. Without a norm the
    gradients shrink for any h, and the suggestion is `1/sqrt(L)`.

    Args:
        build: Function of h that returns an untrained network of `EulerResidual` blocks, such as
            `lambda h: EulerResNet(110, h)`, or one made by `eulerize`.
        x: Batch of inputs, as the network takes them; 16 to 64 are enough.
        y: Labels of the batch.
        candidates: Numbers > 0 to measure in addition to `1/sqrt(L)`.
        limit: The growth above which gradients count as exploding.
        loss: As for `gradient_norms`.
        seed: Seed of the initial weights.

    Returns:
        A `Suggestion`: `.h` is the number, and printing it shows the measurements and the reason.

    Raises:
        ValueError: `candidates` is empty or has a number that is not positive; the networks do not
            depend on h, or their number of blocks does; labels are missing or are not classes; the
            inputs are not finite, or are one number everywhere.
        TypeError: `build` is not a function or does not return a Keras model; or `candidates` are
            not numbers.

    Example:

    >>> x, y = datasets.synthetic.images(16, 1)[0]
    >>> suggestion = suggest_h(
    ...     lambda h: EulerResNet(20, h), x / np.float32(255), y, candidates=[0.1, 5.0]
    ... )
    >>> round(suggestion.h, 3), suggestion.largest == suggestion.h
    (0.333, True)
    """
    if not callable(build) or isinstance(build, keras.layers.Layer):
        raise TypeError(
            "`build` must be a function of h that returns a network, such as lambda h: "
            f"EulerResNet(110, h). Received: {type(build).__name__}."
        )
    inputs = as_array("x", x)
    if inputs.dtype.kind in "iuf" and inputs.size and inputs.min() == inputs.max():
        raise ValueError(
            "`x` must have different numbers: constant inputs suggest no h. Received: "
            f"{inputs.min():g} everywhere."
        )
    limit = check_number("limit", limit, 0)
    if isinstance(candidates, str) or not hasattr(candidates, "__iter__"):
        raise TypeError(
            f"`candidates` must be a list of numbers > 0. Received: candidates={candidates!r}."
        )
    remaining = {check_number(f"candidates[{i}]", h) for i, h in enumerate(candidates)}
    if not remaining or min(remaining) <= 0:
        raise ValueError(
            f"`candidates` must be numbers > 0, at least one. Received: {sorted(remaining)}."
        )
    growths: dict[float, float] = {}
    built: dict[tuple[float, ...], float] = {}  # step factors of the blocks -> h
    while remaining:
        h = remaining.pop()
        keras.utils.set_random_seed(seed)
        model = build(h)
        factors = tuple(Chain(model).factors)
        first, same = next(iter(built), factors), built.setdefault(factors, h)
        if len(factors) != len(first):
            raise ValueError(
                "`build` must make networks of the same number of blocks for every h. Received: "
                f"{len(first)} with h = {built[first]:.3g}, {len(factors)} with h = {h:.3g}."
            )
        if same != h:
            raise ValueError(
                f"`build` must pass h on to the network: with h = {same:.3g} and h = {h:.3g} all "
                f"its blocks have {sorted(set(factors))}. Write lambda h: EulerResNet(110, h)."
            )
        norms = gradient_norms(model, x, y, loss, training=True)
        growth = float(norms[0] / norms[-1]) if norms[-1] else np.inf
        growths[h] = np.inf if np.isnan(growth) else growth
        rule = len(first) ** -0.5
        remaining |= {rule} - set(growths)
    growths = dict(sorted(growths.items()))
    within = [h for h, growth in growths.items() if growth <= limit]
    # If growth rises with h, this is the smaller of the two. If not, an h with exploding gradients
    # is still not suggested.
    h = max((h for h in within if h <= rule), default=min(within or growths))
    return Suggestion(h, max(within, default=None), growths, limit, len(first))
