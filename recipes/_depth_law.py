"""The exponent with which the best learning rate depends on depth.

0 by Depth-muP (arXiv 2310.02244 and 2309.16620), -3/2 by arXiv 2510.04327. For each seed the best
rate at a depth is the peak of a parabola through the best measured rate and its neighbours, on a
logarithmic axis, and the exponent is the slope of its logarithm over that of the depth.
"""

import numpy as np
import pandas as pd

STUDENT = {3: 4.303, 4: 3.182, 5: 2.776}  # 97.5 % quantiles of t with n - 1 degrees of freedom
LEAST_DEPTHS = 3


def sentences(measured, label):
    """Yield a sentence per panel: the mean exponent over seeds, and its 95 % interval.

    Args:
        measured: The study, with a line per depth and an axis of rates.
        label: Function of a panel that returns its name.
    """
    cells = measured.cells()
    rates = sorted({rate for _, _, rate in cells})
    for panel in dict.fromkeys(panel for panel, _, _ in cells):
        rows = {}  # seed -> {depth: best rate}
        for depth in sorted({depth for where, depth, _ in cells if where == panel}):
            row = [cells.get((panel, depth, rate)) for rate in rates]
            if None not in row:
                best = pd.concat([cell.best for cell in row], axis=1, join="inner")
                for seed, accuracies in best.iterrows():
                    rows.setdefault(seed, {})[depth] = best_rate(rates, accuracies.to_numpy())
        slopes = [exponent(row) for row in rows.values() if len(row) >= LEAST_DEPTHS]
        if len(slopes) in STUDENT:
            error = STUDENT[len(slopes)] * np.std(slopes, ddof=1) / len(slopes) ** 0.5
            low, mean, high = np.mean(slopes) - error, np.mean(slopes), np.mean(slopes) + error
            text = f"exponent {mean:.2f}, 95 % interval {low:.2f} to {high:.2f} (n = {len(slopes)})"
        else:
            text = "no exponent yet; it takes all rates at three depths with three seeds"
        yield f"{label(panel)}: {text}."


def best_rate(rates, accuracies):
    """Return the rate at the peak of the accuracies."""
    best = int(np.argmax(accuracies))
    if best in (0, len(rates) - 1):
        return rates[best]
    near = slice(best - 1, best + 2)
    a, b, _ = np.polyfit(np.log(rates[near]), accuracies[near], 2)
    return float(np.exp(-b / (2 * a)))


def exponent(rates_by_depth):
    """Return the slope of log rate over log depth, from a dict of depth -> best rate."""
    depths, rates = zip(*rates_by_depth.items(), strict=True)
    return float(np.polyfit(np.log(depths), np.log(rates), 1)[0])
