"""Figures of studies and of noise."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keras_euler._types import Array
from keras_euler.plots._figure import (
    add_legend,
    colours_of,
    finished,
    new_figure,
    plain_ticks,
    whole_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHIFT = 0.06  # inches between the bars of two labels
# Of a logarithmic axis, from tick to tick, where the ticks are the measured values.
TICK_ROOM = 1 / 10


def accuracies(
    panels: Mapping[str, Mapping[str, Mapping[Any, Sequence[tuple[float, bool]]]]],
    xlabel: str,
    note: str = "",
    logarithmic: bool = False,
) -> "Figure":
    """Draw the median test accuracy along an axis, with standard deviations over seeds as bars and
    failed trainings as crosses.

    Crosses hide each other: above the plot stands how many trainings failed.

    Args:
        panels: Dict of title -> dict of label -> dict of x -> list of pairs `(accuracy, failed)`,
            one per seed. There is one plot per title and one line per label. x is a number, or a
            name: names stand side by side without a line.
        xlabel: Label of the x axis.
        note: Note below the figure, such as the differences from the paper.
        logarithmic: Whether the x axis is logarithmic.

    Returns:
        A matplotlib `Figure`; save it with `figure.savefig(path)`. A label has one colour in all
        plots. The standard deviation is that of the population, as in the paper.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: There is nothing to draw.

    Example:

    >>> figure = accuracies({"": {"h = 1": {20: [(0.9, False), (0.8, False)]}}}, "depth")
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['depth']
    """
    cells = [cell for lines in panels.values() for x in lines.values() for cell in x.items()]
    if not cells:
        raise ValueError("`panels` must hold at least one measurement. Received none.")
    from matplotlib.transforms import offset_copy

    figure, grid = _grid(len(panels), 3.6, 3.4)
    names = sorted({x for x, _ in cells if isinstance(x, str)})
    place = {name: i for i, name in enumerate(names)}
    colours = colours_of(dict.fromkeys(label for lines in panels.values() for label in lines))
    for axes, (title, lines) in zip(grid, panels.items(), strict=True):
        for i, (label, points) in enumerate(lines.items()):
            xs, colour = sorted(points), colours[label]
            values = [[accuracy for accuracy, _ in points[x]] for x in xs]
            bars = axes.errorbar(
                [place.get(x, x) for x in xs],
                list(map(statistics.median, values)),
                list(map(statistics.pstdev, values)),
                label=label,
                color=colour,
                marker="o",
                markersize=4,
                capsize=3,
                linestyle="none" if names else "-",
            )
            # Bars of several labels stand side by side.
            shift = min(SHIFT, 3 * SHIFT / len(lines)) * (i - (len(lines) - 1) / 2)
            beside = offset_copy(axes.transData, figure, shift)
            for artist in bars.get_children():
                artist.set_transform(beside)
            for x in xs:
                failed = [accuracy for accuracy, has_failed in points[x] if has_failed]
                if failed:
                    here = place.get(x, x)
                    axes.plot(
                        [here] * len(failed),
                        failed,
                        "x",
                        markersize=8,
                        label=f"{label}, failed",
                        color=colour,
                        transform=beside,
                    )
                    axes.annotate(
                        f"{len(failed)}/{len(points[x])}",
                        (here, 1),
                        (0, 2 + 8 * i),
                        axes.get_xaxis_transform(),
                        "offset points",
                        color=colour,
                        size="x-small",
                        ha="center",
                    )
        axes.set(xlabel=xlabel)
        axes.set_title(title, fontsize="medium", pad=8 * (len(lines) + 1) if axes.texts else None)
        if names:
            axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
            continue
        ticks = sorted({x for points in lines.values() for x in points})
        axes.locator_params("x", integer=all(isinstance(x, int) for x in ticks))
        if len(ticks) == 1:
            axes.set_xticks(ticks)
        elif logarithmic:
            axes.set_xscale("log")
            plain_ticks(axes.xaxis)
            room = TICK_ROOM * math.log(ticks[-1] / ticks[0])
            if all(math.log(after / x) >= room for x, after in itertools.pairwise(ticks)):
                axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
                axes.minorticks_off()
    grid[0].set_ylabel("test accuracy")
    low, high = grid[0].get_ylim()
    lowest = min(accuracy for _, values in cells for accuracy, _ in values)
    grid[0].set_ylim(max(0, min(low, lowest - (high - low) / 20)), min(1, high))
    add_legend(figure, "outside right center")
    first = (
        "Medians; bars are standard deviations over seeds."
        if any(len(values) > 1 for _, values in cells)
        else "One seed."
    )
    counts = "Above: trainings that failed." if any(axes.texts for axes in grid) else ""
    note = " ".join(filter(None, (first, counts, note)))
    figure.supxlabel(note, fontsize="x-small", wrap=True)
    return finished(figure)


def accuracy_curves(
    panels: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], note: str = ""
) -> "Figure":
    """Draw the median test accuracy over the epochs, counted from 1; the lines of a plot go from
    dark to light (figure 13).

    Args:
        panels: Dict of title -> dict of label -> list of curves, one per seed: a list of
            accuracies, one per epoch. A curve that ends early, such as that of a training that
            diverged, stays at its last value.
        note: Note below the figure, such as the differences from the paper.

    Returns:
        A matplotlib `Figure`; save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: There is nothing to draw.

    Example:

    >>> figure = accuracy_curves(
    ...     {"depth 44": {"rate 0.1": [[0.3, 0.5], [0.2]], "rate 0.3": [[0.4, 0.6]]}}
    ... )
    >>> [line.get_ydata().tolist() for line in figure.axes[0].get_lines()]
    [[0.25, 0.35], [0.4, 0.6]]
    """
    if not any(curves for lines in panels.values() for curves in lines.values()):
        raise ValueError("`panels` must hold at least one curve. Received none.")
    figure, grid = _grid(len(panels), 4.5, 3.6)
    from matplotlib import colormaps

    for axes, (title, lines) in zip(grid, panels.items(), strict=False):
        colours = colours_of(lines) if any("h = " in label for label in lines) else {}
        for i, (label, curves) in enumerate(lines.items()):
            curves = [curve for curve in curves if curve]
            shade = colormaps["viridis"](i / max(1, len(lines) - 1) * 0.9)
            length = max(map(len, curves), default=0)
            medians = [
                statistics.median(c[min(epoch, len(c) - 1)] for c in curves)
                for epoch in range(length)
            ]
            axes.plot(
                range(1, length + 1),
                medians,
                color=colours.get(label, shade),
                linewidth=1.2,
                marker=None if length > 1 else "o",
                label=label,
            )
        axes.set(title=title, xlabel="epoch", ylabel="test accuracy", ylim=(0, 1))
        axes.legend(frameon=False, fontsize="x-small", ncols=2)
        whole_ticks(axes)
    many = any(len(curves) > 1 for lines in panels.values() for curves in lines.values())
    note = f"{'Medians over seeds' if many else 'One seed'}. {note}".strip()
    figure.supxlabel(note, fontsize="x-small", wrap=True)
    return finished(figure)


def _grid(num_panels: int, width: float, height: float) -> tuple["Figure", list["Axes"]]:
    """Make a figure with `num_panels` plots, at most three in a row."""
    columns = min(num_panels, 3)
    rows = -(-num_panels // columns)
    figure = new_figure(figsize=(max(5, width * columns), height * rows + 0.4))
    grid = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for axes in grid[num_panels:]:
        axes.remove()
    return figure, grid[:num_panels]


def noisy_images(images: Array, levels: Sequence[float], stddev: Sequence[float]) -> "Figure":
    """Draw images under Gaussian noise: one row per image, one column per level (figure 17).

    Args:
        images: uint8 array `(n, height, width, 3)`.
        levels: Standard deviations of the noise on normalized pixels.
        stddev: Three numbers: the standard deviation of each colour, by which pixels are
            normalized, in units of 0..255.

    Returns:
        A matplotlib `Figure`; save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is missing.

    Example:

    >>> figure = noisy_images(np.zeros((2, 32, 32, 3), "uint8"), (0, 0.5), (51, 51, 51))
    >>> [axes.get_title() for axes in figure.axes]
    ['0', '0.5', '', '']
    """
    from keras_euler.layers import add_gaussian_noise

    figure = new_figure(figsize=(1.3 * len(levels), 1.4 * len(images)))
    grid = figure.subplots(len(images), len(levels), squeeze=False)
    for column, level in enumerate(levels):
        noisy = (
            add_gaussian_noise(images, [level * s for s in stddev], seed=0)
            .clip(0, 255)
            .astype("uint8")
        )
        grid[0][column].set_title(f"{level:g}", fontsize="medium")
        for axes, image in zip(grid[:, column], noisy, strict=True):
            axes.imshow(image)
            axes.set_axis_off()
    figure.suptitle("standard deviation of the noise on normalized pixels", fontsize="medium")
    return figure
