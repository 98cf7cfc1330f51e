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

from collections import Counter
from typing import NamedTuple

from _cells import Paired, above_all, first_half, mean
from _paper import BEST_H, SCALED, STUDIES
from _plan import paper_plan
from _settings import identity

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
        return next(iter(counts))
    words = ("shown", "by median only", "not shown", "not yet measured")
    listed = [f"{counts[word]} {word}" for word in words if word in counts]
    number, first = listed[0].split(" ", 1) if listed else ("", "not yet measured")
    return ", ".join([f"{number} of {len(parts)} parts {first}", *listed[1:]]) if number else first


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
    return JUDGES[settings["study"]](cells)


def why_not(settings):
    """Return why a study cannot be judged by the paper's claim, as a list of sentences."""
    name, family = settings["study"], settings["recipe"]
    study, reasons = STUDIES[name, family], []
    for role, setting in (("line", study.line[0]), ("axis", study.axis[0])):
        if settings[role] != setting:
            reasons.append(f"this study varies {settings[role]}, the claim is about {setting}")
    plots = (None, "depth") if name in BY_DEPTH else (None,)
    if settings.get("panel") not in plots:
        reasons.append(f"its plots are of {settings['panel']}, of which the claim says nothing")
    if settings["dataset"] == "synthetic":
        reasons.append("synthetic data say nothing about the paper's")
    plan = paper_plan(name, family)
    scaled = SCALED[family] if settings["scaled"] else {}
    for setting, paper in identity(plan.base, plan.execution).items():
        value = settings.get(setting, paper)
        expected = scaled.get(setting, paper)
        judged = isinstance(paper, (str, bool)) and setting not in ("dataset", "dtype", "jit")
        if judged and setting not in plan.varied and value not in (paper, expected):
            reasons.append(f"it has {setting} {value}, the paper {paper}")
    return reasons


def _pairs(cells):
    """Return `{(panel, axis): (cell of h = 1, cell of h = 0.1)}` where both are measured."""
    keys = sorted(
        {(panel, axis) for panel, _, axis in cells}, key=lambda key: (key[0] or 0, key[1])
    )
    found = {key: tuple(cells.get((key[0], h, key[1])) for h in (ORDINARY, SMALL)) for key in keys}
    return {key: pair for key, pair in found.items() if None not in pair}


def _by_panel(cells):
    """Return `{panel: ("depth 44: ", {axis: pair})}`; one empty panel where nothing is measured."""
    found = {}
    for (panel, axis), pair in _pairs(cells).items():
        found.setdefault(panel, {})[axis] = pair
    return {
        panel: ("" if panel is None else f"depth {panel}: ", row)
        for panel, row in (found or {None: {}}).items()
    }


def _depth(cells):
    pairs = {depth: pair for (_, depth), pair in _pairs(cells).items()}
    if len(pairs) < 2:
        return [Part("accuracy falls with depth for h = 1 and rises or holds for h = 0.1", None)]
    one, small = zip(*pairs.values(), strict=True)
    deepest = f"at depth {max(pairs)} h = 0.1"
    falls = f"accuracy falls from depth {min(pairs)} to {max(pairs)} for h = 1"
    dropped = any(shallow.is_above(deep) for i, deep in enumerate(small) for shallow in small[:i])
    return [
        Part(falls, one[0].is_above(one[-1]), one[0].p_above(one[-1])),
        Part("it rises or holds for h = 0.1", not dropped),
        Part(f"{deepest} is better", small[-1].is_above(one[-1]), small[-1].p_above(one[-1])),
        Part(f"{deepest} spreads less", small[-1].spread < THINNER * one[-1].spread),
    ]


def _learning_rate(cells):
    parts = []
    for panel, (where, row) in _by_panel(cells).items():
        large = {rate: pair for rate, pair in row.items() if rate > 0.1}
        text = f"{where}h = 0.1 tolerates rates above 0.1 that h = 1 does not"
        if large:
            tolerated = [
                not small.failed.any() and (one.failed.any() or small.is_above(one))
                for one, small in large.values()
            ]
            one, small = map(mean, zip(*large.values(), strict=True))
            parts.append(Part(text, any(tolerated), small.p_above(one)))
        else:
            parts.append(Part(text, None))
        text = f"{where}h = 0.1 learns faster at rate 0.3 than at 0.1"
        both = [cells.get((panel, SMALL, rate)) for rate in (0.1, 0.3)]
        if None in both:
            parts.append(Part(text, None))
        else:
            slow, fast = map(first_half, both)
            parts.append(Part(text, fast.is_above(slow), fast.p_above(slow)))
    return parts


def _fails_and_trains(row, name, text):
    return [
        Part(
            f"{text} ({name} {value:g})",
            bool(one.failed.any() and small.trains),
            small.p_above(one),
        )
        for value, (one, small) in row.items()
    ] or [Part(text, None)]


def _no_norm(cells):
    row = {depth: pair for (_, depth), pair in _pairs(cells).items()}
    deep = {depth: row[depth] for depth in row if depth in (110, max(row))}
    text = "without norm h = 1 fails for some seeds and h = 0.1 trains"
    return _fails_and_trains(deep, "depth", text)


def _adam(cells):
    parts = []
    for where, row in _by_panel(cells).values():
        large = {rate: pair for rate, pair in row.items() if rate > 0.3}
        text = f"{where}with Adam above rate 0.3 h = 1 fails and h = 0.1 trains"
        parts += _fails_and_trains(large, "rate", text)
    return parts


def _noise(cells):
    parts = []
    for where, row in _by_panel(cells).values():
        for level, (one, small) in row.items():
            if level > 0:
                text = f"{where}trained on noise {level:g}, h = 0.1 is better"
                parts.append(Part(text, small.is_above(one), small.p_above(one)))
                parts.append(Part(f"{where}and steadier", small.spread < THINNER * one.spread))
    return parts or [Part("trained on noise, h = 0.1 is better and steadier", None)]


def _h(cells):
    parts = []
    for depth in sorted({line for _, line, _ in cells}):
        parts += _h_at(depth, {h: cell for (_, line, h), cell in cells.items() if line == depth})
    measured = {line for _, line, _ in cells}
    named = TEXT_DEPTHS if measured & set(TEXT_DEPTHS) else IMAGE_DEPTHS
    missing = [depth for depth in named if measured and depth not in measured]
    parts += [Part(f"depth {depth}: the best h", None) for depth in missing]
    return parts or [Part("the best h is near 0.1 for deep networks", None)]


def _h_at(depth, by_h):
    """Return the parts of the claim about h at one depth."""
    parts, best = [], max(by_h.values(), key=lambda cell: cell.median)
    if depth in BEST_H:
        low, high = BEST_H[depth]
        inside = [cell for h, cell in by_h.items() if low <= h <= high]
        outside = [cell for h, cell in by_h.items() if not low <= h <= high]
        text = f"depth {depth}: the best h is between {low:g} and {high:g}, better than any other"
        if inside and min(by_h) < low and max(by_h) > high:
            shown = any(all(cell.is_above(other) for other in outside) for cell in inside)
            parts.append(Part(text, shown, above_all(inside, outside)))
        else:
            parts.append(Part(text, None))
    smallest, larger = by_h.get(0.001), [cell for h, cell in by_h.items() if h > 0.001]
    worse = f"depth {depth}: h = 0.001 is worse than the best"
    steady = f"depth {depth}: h = 0.001 does not spread more than the best"
    if smallest and larger:
        parts.append(Part(worse, best.is_above(smallest), above_all(larger, [smallest])))
        parts.append(Part(steady, smallest.spread <= best.spread))
    else:
        parts += [Part(worse, None), Part(steady, None)]
    if depth in (*TEXT_DEPTHS, 110):
        limit = 0.8 if depth in TEXT_DEPTHS else 5
        failed = [has for h, cell in by_h.items() if h >= limit for has in cell.failed]
        text = f"depth {depth}: at least half of the trainings with h >= {limit:g} fail"
        parts.append(Part(text, 2 * sum(failed) >= len(failed) if failed else None))
    return parts


def judge_dynamics(runs):
    """Return the `Part` of the first claim.

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
        one[name] is None  # no number any more
        or (small[name] is not None and one[name] > factor * small[name])
        for one, small in pairs
        for name, factor in (("largest_gradient", 10), ("mean_weight", 2))
    ]
    return Part(text, all(exploded) if exploded else None)


BY_DEPTH = ("learning-rate", "adam", "noise")  # judged plot by plot
JUDGES = {
    "depth": _depth,
    "learning-rate": _learning_rate,
    "no-norm": _no_norm,
    "adam": _adam,
    "noise": _noise,
    "h": _h,
}
