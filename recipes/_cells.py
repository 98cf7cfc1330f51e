"""The trainings of one point of a study, over seeds, and their comparison with those of another."""

import itertools
import math
import statistics
from dataclasses import dataclass
from typing import NamedTuple

MARGIN = 0.01
TRAINS = 2.0  # times chance


class Paired(NamedTuple):
    """The p-value of a paired test, and the number of seeds that both sides have."""

    p: float
    n: int

    def __str__(self):
        return f"{self.p:.3f} (n = {self.n})"


@dataclass(frozen=True)
class Cell:
    """The trainings of one point of a study, over seeds: best and last test accuracies, and which
    failed."""

    best: tuple
    last: tuple
    failed: tuple
    curves: tuple = ()
    chance: float = 0.1
    seeds: tuple = ()  # of `best`

    @property
    def n(self):
        return len(self.best)

    @property
    def median(self):
        return statistics.median(self.best)

    @property
    def spread(self):
        return statistics.pstdev(self.best)

    @property
    def trains(self):
        return not any(self.failed) and self.median >= TRAINS * self.chance

    def is_above(self, other):
        error = math.hypot(self.spread / math.sqrt(self.n), other.spread / math.sqrt(other.n))
        return self.median - other.median > max(MARGIN, 2 * error)

    def p_above(self, other):
        """The `Paired` test that this cell is above the other; None without a common seed."""
        one, two = (
            dict(zip(self.seeds, self.best, strict=True)),
            dict(zip(other.seeds, other.best, strict=True)),
        )
        differences = [one[seed] - two[seed] for seed in one if seed in two]
        if not differences:
            return None
        flips = [
            sum(sign * abs(difference) for sign, difference in zip(signs, differences, strict=True))
            for signs in itertools.product((1, -1), repeat=len(differences))
        ]
        return Paired(
            sum(flipped >= sum(differences) - 1e-6 for flipped in flips) / len(flips),
            len(differences),
        )

    def __str__(self):
        spread = f" ± {self.spread:.3f}" if self.n > 1 else ""
        failed = f", {sum(self.failed)} failed" if any(self.failed) else ""
        return f"{self.median:.3f}{spread} (n = {self.n}{failed})"


def mean(cells):
    """The cell of the mean accuracies of cells, of the seeds that all have."""
    by_seed = [dict(zip(cell.seeds, cell.best, strict=True)) for cell in cells]
    seeds = tuple(seed for seed in by_seed[0] if all(seed in accuracies for accuracies in by_seed))
    means = tuple(statistics.fmean(accuracies[seed] for accuracies in by_seed) for seed in seeds)
    return Cell(means, means, (False,) * len(seeds), seeds=seeds)


def first_half(cell):
    """The cell of the accuracies averaged over the first half of the epochs."""
    means = tuple(statistics.fmean(curve[: max(1, len(curve) // 2)]) for curve in cell.curves)
    return Cell(means, means, cell.failed, chance=cell.chance, seeds=cell.seeds)


def above_all(inside, outside):
    """The `Paired` test that one of the first cells is above each of the others; None where two
    have no common seed."""
    tests = [[cell.p_above(other) for other in outside] for cell in inside]
    if any(None in row for row in tests):
        return None
    best = min(
        (max(row, key=lambda test: (test.p, -test.n)) for row in tests), key=lambda test: test.p
    )
    return Paired(min(1.0, len(inside) * best.p), best.n)
