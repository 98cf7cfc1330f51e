"""Which h: the largest one whose gradients do not explode at initialization."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_euler._checks import check_number, check_step_factor
from keras_euler.analysis.growth import gradient_norms

CANDIDATES = (0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 2.0)
LIMIT = 10.0


@dataclass(frozen=True)
class Suggestion:
    """What `suggest_h` found.

    Attributes:
        h: The advice.
        growths: Dict of candidate -> growth of the gradients over the blocks.
        limit: The growth up to which an h was taken.
        num_blocks: L, the number of residual blocks.
    """

    h: float
    growths: dict
    limit: float
    num_blocks: int

    def __str__(self):
        lines = [f"{'h':>8} {'growth':>10}"]
        for h, growth in self.growths.items():
            mark = " <- suggested" if h == self.h else "" if growth <= self.limit else f" beyond {self.limit:g}"
            lines.append(f"{h:8g} {growth:10.3g}{mark}")
        if max(self.growths.values()) <= self.limit:
            lines.append("No candidate explodes at initialization, which decides nothing: take 0.1 or 1/sqrt(L).")
        return "\n".join([*lines, f"1/sqrt(L) of {self.num_blocks} blocks: {self.num_blocks**-0.5:.3g}"])


def suggest_h(build, x, y, candidates=CANDIDATES, limit=LIMIT, loss=None, seed=0):
    """The largest h whose gradients do not explode over the blocks of an untrained network.

    For each candidate a network is built, with the same first weights, and the gradients of one batch are taken as the first
    step of training would: `growth = |dL/dx_0| / |dL/dx_D|`, from the last block's output back to the first one's input. Nothing is
    trained. Sets the global random seed. Where no candidate explodes, as without a norm, the largest is returned and says nothing:
    without a norm h = 1 fails in training although its first gradients are small (see README).

    Args:
        build: Function of h that returns an untrained network of `EulerResidual` blocks, such as
            `lambda h: EulerResNet(110, h)`.
        x: Batch of inputs, as the network takes them; 64 are enough.
        y: Their labels.
        candidates: Numbers > 0 to choose from.
        limit: The growth up to which an h is taken; 10 is what agrees with trained accuracies (see README).
        loss: A Keras loss, or its name; default: sparse categorical cross entropy of logits.
        seed: Of the first weights.

    Returns:
        A `Suggestion`; `.h` is the number, printing it shows all candidates.

    Raises:
        ValueError: `candidates` is empty or has a number that is not positive; the networks do not depend on h; labels are
            missing; even the smallest candidate explodes.
        TypeError: `build` is not a function, or gives no Keras model.

    Example:

    >>> x, y = datasets.synthetic.images(16, 1)[0]
    >>> suggestion = suggest_h(lambda h: EulerResNet(20, h), x / np.float32(255), y, candidates=[0.1, 5.0])
    >>> suggestion.h
    0.1
    """
    if not callable(build):
        raise TypeError(f"`build` must be a function of h that returns a network. Received: {type(build).__name__}.")
    limit = check_number("limit", limit, 0)
    candidates = sorted({check_step_factor(h, f"candidates[{i}]") for i, h in enumerate(candidates)})
    if not candidates or not candidates[0]:
        raise ValueError(f"`candidates` must be numbers > 0, at least one. Received: {candidates}.")
    growths, num_blocks = {}, 0
    for h in candidates:
        keras.utils.set_random_seed(seed)
        norms = gradient_norms(build(h), x, y, loss, training=True)
        num_blocks = len(norms) - 1
        growths[h] = float(norms[0] / norms[-1]) if norms[-1] else np.inf
    if len(candidates) > 1 and len(set(growths.values())) == 1:
        raise ValueError(
            f"`build` must pass h on to the network: all {len(candidates)} candidates gave the same gradients. "
            "Write it as lambda h: EulerResNet(110, h)."
        )
    allowed = [h for h, growth in growths.items() if growth <= limit]
    if not allowed:
        raise ValueError(
            f"Even with h={candidates[0]:g} the gradients grow {growths[candidates[0]]:.3g} times over {num_blocks} blocks, "
            f"beyond limit={limit:g}. Pass smaller candidates."
        )
    return Suggestion(max(allowed), growths, limit, num_blocks)
