"""Colours, size and axes that all figures share."""

import itertools
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from keras_euler._checks import install_command

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe and Ito's palette, safe for colour-blind readers. Its first two are close to the paper's red
# (h = 1) and blue (h = 0.1).
PAPER_H = (1.0, 0.1)
COLOURS = (
    *("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),
    "#888888",  # not of the palette: a study has eight rules
)


def new_figure(**kwargs: Any) -> "Figure":
    """Make an empty figure in the style of this package, without `matplotlib.pyplot` and its
    windows.

    Args:
        **kwargs: Arguments of `matplotlib.figure.Figure`, such as `figsize`.

    Returns:
        A matplotlib `Figure`; save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is missing.

    Example:

    >>> figure = new_figure(figsize=(6, 4))
    >>> axes = figure.subplots()
    >>> [line] = axes.plot([0, 1], color=COLOURS[0])
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f"Plots need matplotlib. Install it: {install_command('plots')}"
        ) from error
    return Figure(layout="constrained", dpi=150, **kwargs)


def colours_of(labels: Collection[str]) -> dict[str, str]:
    """Choose one of `COLOURS` per label: the first for h = 1, the second for h = 0.1, as in the
    paper.

    Args:
        labels: Labels such as `"h = 0.1"` or `"h = 0.1, trained"`. Others take the other colours in
            order.

    Returns:
        A dict of label -> colour.

    Raises:
        ValueError: There is no label, so there is nothing to draw.

    Example:

    >>> colours_of(["h = 0.1", "h = 1"]) == {"h = 0.1": COLOURS[1], "h = 1": COLOURS[0]}
    True
    """
    if not labels:
        raise ValueError("There must be at least one run to draw. Received none.")
    steps = {label: re.search(r"\bh = (\d+(?:\.\d+)?)", label) for label in labels}
    first = {float(step[1]): label for label, step in reversed(steps.items()) if step}
    pinned = {first.get(h): colour for h, colour in zip(PAPER_H, COLOURS, strict=False)}
    remaining = itertools.cycle(COLOURS[len(PAPER_H) :])
    return {label: pinned.get(label) or next(remaining) for label in labels}


def whole_ticks(axes: "Axes") -> None:
    """Let the ticks of the x axis be whole numbers, also where it holds one or two of them."""
    axes.locator_params("x", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)


def plain_ticks(axis: "Axis") -> None:
    """Write the ticks of a logarithmic axis as plain numbers such as 0.1, with 2 and 5 between the
    powers of a short axis."""
    from matplotlib.ticker import LogLocator

    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")
    low, high = axis.get_view_interval()
    if high < 100 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))


def add_legend(figure: "Figure", loc: Any) -> None:
    """Add a legend of the labels of all plots, each once, those of failed trainings last."""
    found = [axes.get_legend_handles_labels() for axes in figure.axes]
    handles = {label: handle for pair in found for handle, label in zip(*pair, strict=True)}
    labels = sorted(handles, key=lambda label: label.endswith(", failed"))
    figure.legend(
        [handles[label] for label in labels], labels, frameon=False, fontsize="small", loc=loc
    )


def finished(figure: "Figure") -> "Figure":
    """Give the axes of a figure the style of this package: a light grid, and no frame at the top
    and right.

    Args:
        figure: A matplotlib `Figure`.

    Returns:
        The figure.

    Example:

    >>> figure = new_figure()
    >>> axes = figure.subplots()
    >>> finished(figure).axes[0].spines["top"].get_visible()
    False
    """
    for axes in figure.axes:
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
