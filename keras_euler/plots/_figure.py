"""What all figures share: colours, size and axes."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, safe for colour-blind eyes; its first two are near the paper's red (h = 1) and blue (h = 0.1).
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def new_figure(**kwargs: Any) -> "Figure":
    """Make an empty figure in the size and layout of the package's, apart from `matplotlib.pyplot` and its windows.

    Args:
        **kwargs: `figsize` and the like, as for `matplotlib.figure.Figure`.

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
        raise ImportError('Plots need matplotlib. Install it: pip install "keras-euler[plots]"') from error
    return Figure(layout="constrained", dpi=150, **kwargs)


def colours_of(labels: Collection[str], pinned: Mapping[str, int]) -> dict[str, str]:
    """A colour for each label; those of `pinned` ones are for these alone."""
    taken = set(pinned.values())
    left = [colour for i, colour in enumerate(COLOURS) if i not in taken] * len(labels)
    free = iter(left or COLOURS * len(labels))
    return {label: COLOURS[pinned[label]] if label in pinned else next(free) for label in labels}


def finished(figure: "Figure") -> "Figure":
    """Give the axes of a figure the look of the package's: a light grid, no frame at the top and at the right.

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
