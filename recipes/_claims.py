"""Verdicts on the claims of the paper from the trials of a study.

A claim has parts; each is shown, shown by median only, not shown, or not yet measured. The paper
gives no rules; ours are:

- A training has failed where it diverged or its best test accuracy stayed below 1.5 times chance.
- A point is judged from three seeds on. Medians are of the best test accuracy over all its seeds,
  in an unfinished study not the same for each point.
- One median is above another where the difference exceeds one point and twice its standard error.
- It trains: no seed failed, and the median is at least twice chance.
- It spreads less: its standard deviation is less than two thirds of the other.
- Without batch normalization the depth of the claim is judged, 110, and the greatest depth.

Where a part compares settings, p is that of the exact one-sided sign-flip test of the differences
seed by seed (Fisher's randomization test for pairs): with five seeds 1/32 at best. For the best h,
p is the greatest p of one h of the paper's range against each h outside, the least over the range,
times the number of its values (Bonferroni); likewise for all larger h against 0.001. For the
learning rates, p is that of the mean over all rates above 0.1. What medians show with a p above
0.05 is shown by median only.
"""

import itertools
import math
from collections import Counter
from typing import NamedTuple

from _cells import Paired, above_all, first_half, mean
from _paper import BEST_H
from _plan import paper_plan

LEAST_SEEDS = 3
SIGNIFICANT = 0.05
THINNER = 2 / 3
SMALL, ORDINARY = 0.1, 1.0
TEXT_DEPTHS, IMAGE_DEPTHS = (17, 49), (20, 110, 218)  # of the claim about h


class Part(NamedTuple):
    """One part of a claim: whether medians show it (None: not measured), its paired test, and why
    it is not measured."""

    text: str
    shown: bool | None
    p: Paired | None = None
    reason: str = ""

    @property
    def verdict(self):
        if self.shown is None:
            return "not yet measured"
        if self.shown and self.p and self.p.p > SIGNIFICANT:
            return "by median only"
        return "shown" if self.shown else "not shown"


def summary(parts):
    """Summarize the verdicts on the parts of a claim."""
    counts = Counter(part.verdict for part in parts)
    if len(counts) == 1:
        return parts[0].verdict
    words = ("shown", "by median only", "not shown", "not yet measured")
    first, *others = (f"{counts[word]} {word}" for word in words if word in counts)
    return ", ".join([first.replace(" ", f" of {len(parts)} parts ", 1), *others])


def judge(settings, table):
    """Return the parts of the claim that a study is about, as a list of `Part`.

    Args:
        settings: The shared settings of the study.
        table: Dict of `(panel, line, axis)` -> `Cell`, panel None without panels.
    """
    if settings["study"] not in JUDGES:
        return []
    reasons = why_not(settings)
    if reasons:
        return [Part("the whole claim", None, reason="; ".join(reasons))]
    cells = {key: cell for key, cell in table.items() if cell.n >= LEAST_SEEDS}
    return list(JUDGES[settings["study"]](cells)) or [Part("the whole claim", None)]


def why_not(settings):
    """Return why a study cannot be judged by the paper's claim, as a list of strings."""
    paper = {"panel": "depth" if settings["study"] == "noise" else None}
    paper |= paper_plan(settings["study"], settings["recipe"], settings["scaled"]).shared()
    return [
        f"{name} {value} ({paper[name]})"
        for name, value in settings.items()
        if isinstance(value, (str, bool))
        and name not in ("backend", "dtype", "jit")
        and value != paper.get(name)
    ]


def _by_panel(cells):
    """Return `{"depth 44: ": {axis: (cell of h = 1, cell of h = 0.1)}}` where both are measured."""
    found = {}
    for (panel, line, x), one in cells.items():
        small = cells.get((panel, SMALL, x))
        if line == ORDINARY and small:
            found.setdefault("" if panel is None else f"depth {panel}: ", {})[x] = one, small
    return found or {"": {}}


def _above(text, cell, other):
    return Part(text, cell.is_above(other), cell.p_above(other))


def _depth(cells):
    (row,) = _by_panel(cells).values()
    if len(row) < 2:
        return
    one, small = zip(*row.values(), strict=True)
    deepest = f"at depth {max(row)} h = 0.1"
    dropped = any(cell.is_above(deeper) for cell, deeper in itertools.combinations(small, 2))
    yield _above(f"accuracy falls from depth {min(row)} to {max(row)} for h = 1", one[0], one[-1])
    yield Part("it rises or holds for h = 0.1", not dropped)
    yield _above(f"{deepest} is better", small[-1], one[-1])
    yield Part(f"{deepest} spreads less", small[-1].spread < THINNER * one[-1].spread)


def _learning_rate(cells):
    for where, row in _by_panel(cells).items():
        large = [pair for rate, pair in row.items() if rate > 0.1]
        if large:
            tolerated = any(
                not small.failed.any() and (one.failed.any() or small.is_above(one))
                for one, small in large
            )
            one, small = map(mean, zip(*large, strict=True))
            text = f"{where}h = 0.1 tolerates rates above 0.1 that h = 1 does not"
            yield Part(text, tolerated, small.p_above(one))
        if {0.1, 0.3} <= set(row):
            text = f"{where}h = 0.1 learns faster at rate 0.3 than at 0.1"
            yield _above(text, *(first_half(row[rate][1]) for rate in (0.3, 0.1)))


def _fails_and_trains(row, text):
    for value, (one, small) in row.items():
        shown = bool(one.failed.any() and small.trains)
        yield Part(f"{text} {value:g})", shown, small.p_above(one))


def _no_norm(cells):
    (row,) = _by_panel(cells).values()
    deep = {depth: row[depth] for depth in row if depth in (110, max(row))}
    text = "without norm h = 1 fails for some seeds and h = 0.1 trains (depth"
    return _fails_and_trains(deep, text)


def _adam(cells):
    for where, row in _by_panel(cells).items():
        large = {rate: pair for rate, pair in row.items() if rate > 0.3}
        text = f"{where}with Adam above rate 0.3 h = 1 fails and h = 0.1 trains (rate"
        yield from _fails_and_trains(large, text)


def _noise(cells):
    for where, row in _by_panel(cells).items():
        for level, (one, small) in row.items():
            if level > 0:
                text = f"{where}trained on noise {level:g}, h = 0.1 is better"
                yield _above(text, small, one)
                yield Part(f"{where}and steadier", small.spread < THINNER * one.spread)


def _h(cells):
    depths = sorted({line for _, line, _ in cells})
    for depth in depths:
        yield from _h_at(depth, {h: cell for (_, line, h), cell in cells.items() if line == depth})
    for depth in TEXT_DEPTHS if set(depths) & set(TEXT_DEPTHS) else IMAGE_DEPTHS:
        if depth not in depths:
            yield Part(f"depth {depth}: the best h", None)


def _h_at(depth, by_h):
    """Yield the parts of the claim about h at one depth."""
    best = max(by_h.values(), key=lambda cell: cell.median)
    low, high = BEST_H.get(depth, (0, 0))
    inside = [cell for h, cell in by_h.items() if low <= h <= high]
    if inside and min(by_h) < low and max(by_h) > high:
        outside = [cell for h, cell in by_h.items() if not low <= h <= high]
        text = f"depth {depth}: the best h is between {low:g} and {high:g}, better than any other"
        shown = any(all(cell.is_above(other) for other in outside) for cell in inside)
        yield Part(text, shown, above_all(inside, outside))
    smallest, larger = by_h.get(0.001), [cell for h, cell in by_h.items() if h > 0.001]
    if smallest and larger:
        text = f"depth {depth}: h = 0.001 is worse than the best"
        yield Part(text, best.is_above(smallest), above_all(larger, [smallest]))
        text = f"depth {depth}: h = 0.001 does not spread more than the best"
        yield Part(text, smallest.spread <= best.spread)
    limit = 0.8 if depth in TEXT_DEPTHS else 5
    failed = [has for h, cell in by_h.items() if h >= limit for has in cell.failed]
    if failed and depth in (*TEXT_DEPTHS, 110):
        text = f"depth {depth}: at least half of the trainings with h >= {limit:g} fail"
        yield Part(text, 2 * sum(failed) >= len(failed))


def judge_dynamics(runs):
    """Return the `Part` of the first claim.

    Args:
        runs: Rows of gradient_dynamics.py's summary.json.
    """
    text = (
        "for every seed h = 1 has over 10 times the largest gradient and 2 times the mean weight "
        "norm of h = 0.1"
    )
    rows = {(row["seed"], float(row["h"])): row for row in runs}
    exploded = [
        (one[name] or math.inf) > factor * (rows[seed, SMALL][name] or math.inf)  # None: no number
        for (seed, h), one in rows.items()
        if h == ORDINARY and (seed, SMALL) in rows
        for name, factor in (("largest_gradient", 10), ("mean_weight", 2))
    ]
    return Part(text, all(exploded) if exploded else None)


JUDGES = {
    "depth": _depth,
    "learning-rate": _learning_rate,
    "no-norm": _no_norm,
    "adam": _adam,
    "noise": _noise,
    "h": _h,
}
