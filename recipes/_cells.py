"""The trainings of one point of a study, over seeds, and their comparison with those of another."""

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

MARGIN = 0.01
TRAINS = 2.0  # times chance
FAILED = 1.5  # times chance


class Paired(NamedTuple):
    """The p-value of a paired test, and the number of seeds that both sides have."""

    p: float
    n: int

    def __str__(self):
        return f"{self.p:.3f} (n = {self.n})"


@dataclass(frozen=True)
class Cell:
    """The trainings of one point of a study.

    Attributes:
        best: Series of the best test accuracies by seed.
        trials: Their rows of trials.csv, or None for a mean of several points.
        chance: Accuracy of a guess.
    """

    best: pd.Series
    trials: pd.DataFrame | None = None
    chance: float = 0.1

    @property
    def n(self):
        return len(self.best)

    @property
    def median(self):
        return self.best.median()

    @property
    def spread(self):
        return self.best.std(ddof=0)

    @property
    def failed(self):
        """Series of whether a training failed, by seed."""
        return self.trials.diverged.astype(bool) | (self.best < FAILED * self.chance)

    @property
    def trains(self):
        return not self.failed.any() and self.median >= TRAINS * self.chance

    def is_above(self, other):
        error = math.hypot(self.spread / math.sqrt(self.n), other.spread / math.sqrt(other.n))
        return self.median - other.median > max(MARGIN, 2 * error)

    def p_above(self, other):
        """The `Paired` sign-flip test that this cell is above the other; None without a common
        seed."""
        differences = (self.best - other.best).dropna().to_numpy()
        if not len(differences):
            return None
        signs = np.array(list(itertools.product((1, -1), repeat=len(differences))))
        flipped = signs @ np.abs(differences)
        return Paired(np.mean(flipped >= differences.sum() - 1e-6), len(differences))

    def __str__(self):
        spread = f" ± {self.spread:.3f}" if self.n > 1 else ""
        failed = self.failed.sum()
        return f"{self.median:.3f}{spread} (n = {self.n}{f', {failed} failed' * bool(failed)})"


def cell_of(trials, chance=0.1):
    """Return the cell of rows of trials.csv."""
    trials = trials.set_index("seed")
    return Cell(trials.best_test_accuracy.astype(float), trials, chance)


def mean(cells):
    """The cell of the mean accuracies of cells, of the seeds that all have."""
    return Cell(pd.concat([cell.best for cell in cells], axis=1).dropna().mean(axis=1))


def first_half(cell):
    """The cell of the accuracies averaged over the first half of the epochs."""
    curves = cell.trials.test_accuracies
    return Cell(curves.map(lambda curve: np.mean(curve[: max(1, len(curve) // 2)])))


def above_all(inside, outside):
    """The `Paired` test that one of the first cells is above each of the others; None where two
    have no common seed."""
    tests = [[cell.p_above(other) for other in outside] for cell in inside]
    if any(None in row for row in tests):
        return None
    best = min(max(row, key=lambda test: (test.p, -test.n)) for row in tests)
    return Paired(min(1.0, len(inside) * best.p), best.n)
