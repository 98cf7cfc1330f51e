"""What the paper claims, and whether the trials of a study show it.

A claim has parts; each is shown, not shown, or not yet measured. Medians are of the best test accuracy over seeds; a difference
counts where it exceeds one point. Three seeds are the least that say anything. A training has failed where it diverged or stayed
below one and a half times chance: our definition, the paper gives none.
"""

import statistics
from dataclasses import dataclass

MARGIN = 0.01
LEAST_SEEDS = 3
CHANCE = {"cifar10": 0.1, "ag_news": 0.25}
SMALL, ORDINARY = 0.1, 1.0


@dataclass(frozen=True)
class Cell:
    """The trainings of one point of a study, over seeds: best and last test accuracies, and how many failed."""

    best: tuple
    last: tuple
    failed: tuple
    curves: tuple = ()

    @property
    def n(self):
        return len(self.best)

    @property
    def median(self):
        return statistics.median(self.best)

    @property
    def spread(self):
        return statistics.pstdev(self.best)

    def __str__(self):
        return f"{self.median:.3f} ± {self.spread:.3f} (n {self.n}, {sum(self.failed)} failed)"


class Part:
    """One sentence of a claim: `verdict` and the `evidence` for it."""

    def __init__(self, words, shown, evidence):
        self.words, self.evidence = words, evidence
        self.verdict = {None: "not yet measured", True: "shown", False: "not shown"}[shown]


def judge(study, table):
    """Parts of the claim that a study is about.

    Args:
        study: Name of the study.
        table: Dict of `(panel, line, axis)` -> `Cell`, panel None without panels.

    Returns:
        List of `Part`.
    """
    cells = {key: cell for key, cell in table.items() if cell.n >= LEAST_SEEDS}
    parts = JUDGES[study](cells) if study in JUDGES else []
    return [Part(words, shown, evidence) for words, shown, evidence in parts]


def _pairs(cells):
    """`{(panel, axis): (cell of h = 1, cell of h = 0.1)}` where both are measured."""
    keys = sorted({(panel, axis) for panel, _, axis in cells}, key=str)
    found = {key: tuple(cells.get((key[0], h, key[1])) for h in (ORDINARY, SMALL)) for key in keys}
    return {key: pair for key, pair in found.items() if None not in pair}


def _against(pair):
    return f"h = 1: {pair[0]}; h = 0.1: {pair[1]}"


def _depth(cells):
    pairs = {depth: pair for (_, depth), pair in _pairs(cells).items()}
    low, high = (min(pairs), max(pairs)) if len(pairs) > 1 else (None, None)
    measured = low is not None

    def change(index):
        return pairs[high][index].median - pairs[low][index].median

    evidence = f"depth {low}: {_against(pairs[low])}. Depth {high}: {_against(pairs[high])}" if measured else ""
    return [
        ("accuracy falls with depth for h = 1", change(0) < -MARGIN if measured else None, evidence),
        ("it rises or holds for h = 0.1", change(1) >= -MARGIN if measured else None, evidence),
        (
            "h = 0.1 spreads less at the greatest depth",
            pairs[high][1].spread < pairs[high][0].spread if measured else None,
            evidence,
        ),
    ]


def _learning_rate(cells):
    parts = []
    pairs = _pairs(cells)
    for panel in sorted({panel for panel, _ in pairs}) or [None]:
        rates = sorted(rate for depth, rate in pairs if depth == panel)
        stands = [
            rate
            for rate in rates
            if sum(pairs[panel, rate][1].failed) < sum(pairs[panel, rate][0].failed)
            or pairs[panel, rate][1].median > pairs[panel, rate][0].median + MARGIN
        ]
        evidence = "; ".join(f"rate {rate:g}: {_against(pairs[panel, rate])}" for rate in rates)
        words = "h = 0.1 stands rates above 0.1 that h = 1 does not"
        large = [rate for rate in rates if rate > 0.1]
        parts.append((f"depth {panel}: {words}", any(r in stands for r in large) if large else None, evidence))
        curves = [cells.get((panel, SMALL, rate)) for rate in (0.1, 0.3)]
        early = [_early(cell) for cell in curves if cell and cell.curves]
        shown = early[1] > early[0] + MARGIN if len(early) == 2 else None
        numbers = f"mean test accuracy of the first half of the epochs: {early}" if early else ""
        parts.append((f"depth {panel}: h = 0.1 learns faster at rate 0.3 than at 0.1", shown, numbers))
    return parts


def _early(cell):
    halves = [curve[: max(1, len(curve) // 2)] for curve in cell.curves]
    return round(statistics.median(statistics.fmean(half) for half in halves), 3)


def _no_norm(cells):
    pairs = {depth: pair for (_, depth), pair in _pairs(cells).items()}
    depth = 110 if 110 in pairs else max(pairs, default=None)
    if depth is None:
        return [("without batch norm h = 1 fails for some seeds and h = 0.1 trains (depth 110)", None, "")]
    one, small = pairs[depth]
    shown = sum(one.failed) > 0 and sum(small.failed) == 0
    return [
        (f"without norm at depth {depth} h = 1 fails for some seeds and h = 0.1 trains", shown, _against(pairs[depth]))
    ]


def _adam(cells):
    large = {key: pair for key, pair in _pairs(cells).items() if key[1] > 0.3}
    words = "with Adam above rate 0.3 h = 1 fails and h = 0.1 trains"
    if not large:
        return [(words, None, "")]
    return [
        (
            f"{words} (depth {panel}, rate {rate:g})",
            sum(pair[0].failed) > 0 and sum(pair[1].failed) == 0,
            _against(pair),
        )
        for (panel, rate), pair in large.items()
    ]


def _noise(cells):
    noisy = {key: pair for key, pair in _pairs(cells).items() if key[1] > 0}
    words = "trained on noise, h = 0.1 is better and steadier"
    if not noisy:
        return [(words, None, "")]
    return [
        (
            f"{words} (level {level:g})",
            pair[1].median > pair[0].median + MARGIN and pair[1].spread <= pair[0].spread,
            _against(pair),
        )
        for (_, level), pair in noisy.items()
    ]


# Of each depth the interval in which the paper finds the best h.
BEST_H = {20: (0.1, 2.0), 110: (0.05, 0.2), 218: (0.05, 0.2), 49: (0.2, 0.5), 17: (0.3, 0.8)}


def _h(cells):
    parts = []
    for depth in sorted({line for _, line, _ in cells}) or [None]:
        by_h = {h: cell for (_, line, h), cell in cells.items() if line == depth}
        evidence = "; ".join(f"h = {h:g}: {by_h[h]}" for h in sorted(by_h))
        best = max(by_h, key=lambda h: by_h[h].median, default=None)
        interval = BEST_H.get(depth)
        measured = len(by_h) > 2 and interval
        shown = interval[0] <= best <= interval[1] if measured else None
        where = f"between {interval[0]:g} and {interval[1]:g}" if interval else "near 0.1 for deep networks"
        parts.append((f"depth {depth}: the best h is {where}", shown, f"best: {best}. {evidence}" if best else ""))
        smallest = by_h.get(0.001)
        shown = smallest.median < by_h[best].median - MARGIN if smallest and len(by_h) > 2 else None
        parts.append((f"depth {depth}: h = 0.001 is worse", shown, evidence))
    return parts


def judge_dynamics(runs):
    """The words and the verdict of the first claim.

    Args:
        runs: Rows of gradient_dynamics.py's summary.json.
    """
    words = "for every seed h = 1 has over 10 times the largest gradient and 2 times the mean weight norm of h = 0.1"
    by_seed = {}
    for row in runs:
        by_seed.setdefault(row["seed"], {})[float(row["h"])] = row
    pairs = [(rows[ORDINARY], rows[SMALL]) for rows in by_seed.values() if {ORDINARY, SMALL} <= set(rows)]
    if not pairs:
        return words, "not yet measured"
    exploded = [
        one[name] is None or (small[name] is not None and one[name] > factor * small[name])  # None: no number any more
        for one, small in pairs
        for name, factor in (("largest_gradient", 10), ("mean_weight", 2))
    ]
    return words, "shown" if all(exploded) else "not shown"


JUDGES = {
    "depth": _depth,
    "learning-rate": _learning_rate,
    "no-norm": _no_norm,
    "adam": _adam,
    "noise": _noise,
    "h": _h,
}
# The paper's words.
CLAIMS = {
    "depth": "Accuracy falls with depth for h = 1 and rises or holds for h = 0.1, with a thinner spread.",
    "learning-rate": "h = 0.1 stands learning rates that h = 1 doesn't; it converges faster with a larger one (0.3).",
    "no-norm": "Without batch normalization ResNet-110 with h = 1 fails in 2 of 5; h = 0.1 trains.",
    "adam": "With Adam at a start rate above 0.3 h = 1 fails, h = 0.1 trains (ResNet-218).",
    "noise": "Trained on noise, h = 0.1 is better and steadier at every level.",
    "h": "The best h is near 0.1 at depth 110 and 218, in [0.1, 2] at depth 20; near 0.3 for texts at depth 49, 0.5 at 17.",
}
