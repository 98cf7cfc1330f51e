"""Verdicts on the claims of the paper from the trials of a study.

A claim has parts; each is shown, not shown, or not yet measured. The paper gives no rules; ours
are:

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
learning rates, p is that of the mean over all rates above 0.1. It is shown beside the verdict,
which does not depend on it.
"""

from dataclasses import dataclass

from _cells import Paired, above_all, first_half, mean
from _paper import BEST_H, SCALED, STUDIES

LEAST_SEEDS = 3
FAILED = 1.5  # times chance
THINNER = 2 / 3
CHANCE = {"cifar10": 0.1, "ag_news": 0.25}
SMALL, ORDINARY = 0.1, 1.0


@dataclass(frozen=True)
class Part:
    """One part of a claim: whether it is shown (None: not measured), the evidence, and its paired
    test."""

    text: str
    shown: bool | None
    evidence: str
    p: Paired | None = None

    @property
    def verdict(self):
        return {None: "not yet measured", True: "shown", False: "not shown"}[self.shown]


def judge(plan, table):
    """Parts of the claim that a study is about.

    Args:
        plan: Description of the study.
        table: Dict of `(panel, line, axis)` -> `Cell`, panel None without panels.

    Returns:
        List of `Part`.
    """
    if plan["study"] not in JUDGES:
        return []
    reasons = why_not(plan)
    if reasons:
        return [Part("the whole claim", None, "; ".join(reasons))]
    cells = {key: cell for key, cell in table.items() if cell.n >= LEAST_SEEDS}
    return [Part(*part) for part in JUDGES[plan["study"]](cells)]


def why_not(plan):
    """Why a study cannot be judged by the paper's claim, as a list of sentences."""
    study, reasons = STUDIES[plan["study"], plan["dataset"]], []
    for role, name in (("line", study.line[0]), ("axis", study.axis[0])):
        if plan[role] != name:
            reasons.append(f"this study varies {plan[role]}, the claim is about {name}")
    plots = (None, "depth") if plan["study"] in BY_DEPTH else (None,)
    if plan.get("panel") not in plots:
        reasons.append(f"its plots are of {plan['panel']}, of which the claim says nothing")
    if plan["data"] == "synthetic":
        reasons.append("synthetic data say nothing about the paper's")
    scaled = SCALED[plan["dataset"]] if plan.get("scaled") else {}
    for name, (paper, *more) in plan.get("paper", {}).items():
        value = plan["settings"].get(name, paper)
        if name in scaled and value == scaled[name]:
            continue
        if (
            not more
            and name not in ("dataset", "dtype")
            and isinstance(paper, (str, bool))
            and value != paper
        ):
            reasons.append(f"it has {name} {value}, the paper {paper}")
    return reasons


def _pairs(cells):
    """`{(panel, axis): (cell of h = 1, cell of h = 0.1)}` where both are measured."""
    keys = sorted(
        {(panel, axis) for panel, _, axis in cells}, key=lambda key: (key[0] or 0, key[1])
    )
    found = {key: tuple(cells.get((key[0], h, key[1])) for h in (ORDINARY, SMALL)) for key in keys}
    return {key: pair for key, pair in found.items() if None not in pair}


def _by_panel(cells):
    """`{panel: ("depth 44: ", {axis: pair})}`; one empty panel where nothing is measured."""
    pairs, found = _pairs(cells), {}
    for (panel, axis), pair in pairs.items():
        found.setdefault(panel, {})[axis] = pair
    return {
        panel: ("" if panel is None else f"depth {panel}: ", row)
        for panel, row in (found or {None: {}}).items()
    }


def _against(name, row):
    return "; ".join(
        f"{name} {value:g}: h = 1 {one}, h = 0.1 {small}" for value, (one, small) in row.items()
    )


def _depth(cells):
    pairs = {depth: pair for (_, depth), pair in _pairs(cells).items()}
    if len(pairs) < 2:
        return [
            (
                "accuracy falls with depth for h = 1 and rises or holds for h = 0.1",
                None,
                _against("depth", pairs),
            )
        ]
    one, small = zip(*pairs.values(), strict=True)
    dropped = any(shallow.is_above(deep) for i, deep in enumerate(small) for shallow in small[:i])
    evidence = _against("depth", pairs)
    return [
        (
            f"accuracy falls from depth {min(pairs)} to {max(pairs)} for h = 1",
            one[0].is_above(one[-1]),
            evidence,
            one[0].p_above(one[-1]),
        ),
        ("it rises or holds for h = 0.1", not dropped, evidence),
        (
            f"at depth {max(pairs)} h = 0.1 is better",
            small[-1].is_above(one[-1]),
            evidence,
            small[-1].p_above(one[-1]),
        ),
        (
            "h = 0.1 spreads less at the greatest depth",
            small[-1].spread < THINNER * one[-1].spread,
            evidence,
        ),
    ]


def _learning_rate(cells):
    parts = []
    for panel, (where, row) in _by_panel(cells).items():
        large = {rate: pair for rate, pair in row.items() if rate > 0.1}
        tolerated = [
            rate
            for rate, (one, small) in large.items()
            if not any(small.failed) and (any(one.failed) or small.is_above(one))
        ]
        text = f"{where}h = 0.1 tolerates rates above 0.1 that h = 1 does not"
        which = f"{', '.join(f'{rate:g}' for rate in tolerated) or 'none'}. "
        one, small = (
            (mean(cells) for cells in zip(*large.values(), strict=True)) if large else (None, None)
        )
        p = small.p_above(one) if large else None
        parts.append(
            (
                text,
                bool(tolerated) if large else None,
                which + _against("rate", row) if row else "",
                p,
            )
        )
        early = [
            first_half(cells[panel, SMALL, rate])
            for rate in (0.1, 0.3)
            if (panel, SMALL, rate) in cells
        ]
        shown, p = (
            (early[1].is_above(early[0]), early[1].p_above(early[0]))
            if len(early) == 2
            else (None, None)
        )
        numbers = (
            f"mean test accuracy over the first half of the epochs: {', '.join(map(str, early))}"
        )
        parts.append(
            (
                f"{where}h = 0.1 learns faster at rate 0.3 than at 0.1",
                shown,
                numbers if early else "",
                p,
            )
        )
    return parts


def _fails_and_trains(row, name, text):
    if not row:
        return [(text, None, "")]
    return [
        (
            f"{text} ({name} {value:g})",
            any(one.failed) and small.trains,
            _against(name, {value: (one, small)}),
            small.p_above(one),
        )
        for value, (one, small) in row.items()
    ]


def _no_norm(cells):
    row = {depth: pair for (_, depth), pair in _pairs(cells).items()}
    deep = {depth: row[depth] for depth in row if depth in (110, max(row))}
    return _fails_and_trains(
        deep, "depth", "without norm h = 1 fails for some seeds and h = 0.1 trains"
    )


def _adam(cells):
    parts = []
    for where, row in _by_panel(cells).values():
        large = {rate: pair for rate, pair in row.items() if rate > 0.3}
        parts += _fails_and_trains(
            large, "rate", f"{where}with Adam above rate 0.3 h = 1 fails and h = 0.1 trains"
        )
    return parts


def _noise(cells):
    parts = []
    for where, row in _by_panel(cells).values():
        noisy = {level: pair for level, pair in row.items() if level > 0}
        for level, (one, small) in noisy.items():
            evidence = _against("level", {level: (one, small)})
            parts.append(
                (
                    f"{where}trained on noise {level:g}, h = 0.1 is better",
                    small.is_above(one),
                    evidence,
                    small.p_above(one),
                )
            )
            parts.append((f"{where}and steadier", small.spread < THINNER * one.spread, evidence))
    return parts or [("trained on noise, h = 0.1 is better and steadier", None, "")]


TEXT_DEPTHS, IMAGE_DEPTHS = (17, 49), (20, 110, 218)  # of the claim about h


def _h(cells):
    parts = []
    for depth in sorted({line for _, line, _ in cells}):
        by_h = {h: cell for (_, line, h), cell in cells.items() if line == depth}
        evidence = "; ".join(f"h = {h:g}: {by_h[h]}" for h in sorted(by_h))
        best = max(by_h, key=lambda h: by_h[h].median)
        if depth in BEST_H:
            low, high = BEST_H[depth]
            inside = [cell for h, cell in by_h.items() if low <= h <= high]
            outside = [cell for h, cell in by_h.items() if not low <= h <= high]
            measured = inside and min(by_h) < low and max(by_h) > high
            shown = measured and any(
                all(cell.is_above(other) for other in outside) for cell in inside
            )
            text = (
                f"depth {depth}: the best h is between {low:g} and {high:g}, and better than "
                f"any other"
            )
            p = above_all(inside, outside) if measured else None
            parts.append((text, shown if measured else None, f"best: {best:g}. {evidence}", p))
        smallest, larger = by_h.get(0.001), [cell for h, cell in by_h.items() if h > 0.001]
        shown, p = (
            (by_h[best].is_above(smallest), above_all(larger, [smallest]))
            if smallest and larger
            else (None, None)
        )
        parts.append((f"depth {depth}: h = 0.001 is worse than the best", shown, evidence, p))
        steady = smallest.spread <= by_h[best].spread if smallest and larger else None
        parts.append(
            (f"depth {depth}: h = 0.001 does not spread more than the best", steady, evidence)
        )
        limit = 0.8 if depth in TEXT_DEPTHS else 5
        if depth in (*TEXT_DEPTHS, 110):
            failed = [
                has_failed for h, cell in by_h.items() if h >= limit for has_failed in cell.failed
            ]
            shown = 2 * sum(failed) >= len(failed) if failed else None
            text = f"depth {depth}: at least half of the trainings with h >= {limit:g} fail"
            parts.append((text, shown, f"{sum(failed)} of {len(failed)}"))
    measured = {line for _, line, _ in cells}
    named = TEXT_DEPTHS if measured & set(TEXT_DEPTHS) else IMAGE_DEPTHS
    parts += [
        (f"depth {depth}: the best h", None, "")
        for depth in named
        if measured and depth not in measured
    ]
    return parts or [("the best h is near 0.1 for deep networks", None, "")]


def judge_dynamics(runs):
    """The `Part` of the first claim.

    Args:
        runs: Rows of gradient_dynamics.py's summary.json.
    """
    text = (
        "for every seed h = 1 has over 10 times the largest gradient and 2 times the mean "
        "weight norm of h = 0.1"
    )
    by_seed = {}
    for row in runs:
        by_seed.setdefault(row["seed"], {})[float(row["h"])] = row
    pairs = [
        (rows[ORDINARY], rows[SMALL]) for rows in by_seed.values() if {ORDINARY, SMALL} <= set(rows)
    ]
    exploded = [
        one[name] is None
        or (
            small[name] is not None and one[name] > factor * small[name]
        )  # None: no number any more
        for one, small in pairs
        for name, factor in (("largest_gradient", 10), ("mean_weight", 2))
    ]
    return Part(text, all(exploded) if exploded else None, f"n {len(pairs)}")


BY_DEPTH = ("learning-rate", "adam", "noise")  # judged plot by plot
JUDGES = {
    "depth": _depth,
    "learning-rate": _learning_rate,
    "no-norm": _no_norm,
    "adam": _adam,
    "noise": _noise,
    "h": _h,
}
