"""Figures from recorded numbers (extra: plots)."""

import csv
import math
import statistics
from pathlib import Path

# Okabe and Ito's palette, safe for colour-blind eyes; its first two are near the paper's red (h = 1) and blue (h = 0.1).
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", ":", "-.")  # one per seed


def training_curves(histories):
    """Training loss and accuracy on test and training data over the epochs, one colour a run.

    Args:
        histories: Dict of label -> the path of a `history.csv`, or its rows as dicts with the keys `epoch`, `train_loss`,
            `train_accuracy`, `test_accuracy`.

    Returns:
        A matplotlib `Figure`; save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: A history is empty or lacks a column.

    Example:

    >>> row = {"epoch": 0, "train_loss": 2.3, "train_accuracy": 0.1, "test_accuracy": 0.1}
    >>> figure = training_curves({"h = 0.1": [row]})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['training loss', 'accuracy']
    """
    figure = _figure(figsize=(9, 3.6))
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    for (label, history), colour in zip(histories.items(), COLOURS * len(histories), strict=False):
        rows = _rows(history)
        prefix = f"{label}, " if label else ""
        epochs = [row["epoch"] for row in rows]
        marker = "o" if len(rows) < 20 else None
        style = {"color": colour, "marker": marker, "markersize": 4}
        loss_axes.plot(epochs, [row["train_loss"] for row in rows], label=label, **style)
        accuracy_axes.plot(epochs, [row["test_accuracy"] for row in rows], label=f"{prefix}test", **style)
        accuracy_axes.plot(epochs, [row["train_accuracy"] for row in rows], "--", label=f"{prefix}training", **style)
    loss_axes.set_ylabel("training loss")
    accuracy_axes.set(ylabel="accuracy", ylim=(0, 1))
    accuracy_axes.legend(frameon=False)
    if any(histories):
        loss_axes.legend(frameon=False)
    for axes in figure.axes:
        axes.set_xlabel("epoch (from 0)")
        axes.xaxis.get_major_locator().set_params(integer=True)
    return _finished(figure)


def gradient_dynamics(runs, layers=None):
    """Weight norms above and gradient norms below, logarithmic, over the iterations (figures 2, 10 and 11 of the paper).

    A column a layer, a colour a label, a line style a seed.

    Args:
        runs: Dict of label -> list of pairs `(weights, gradients)`, one per seed: files of `WeightLogger` and `GradientLogger`,
            or their columns as dicts of name -> list of numbers, the iteration first and the total last.
        layers: Names of columns, or one; default: all that the first run has, but for the total.

    Returns:
        A matplotlib `Figure`; save it with `figure.savefig(path)`. Norms that are no finite positive numbers leave a gap.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: There are no runs, or a file lacks a column.

    Example:

    >>> weights = {"iteration": [0, 1], "conv1": [2.3, 2.4], "total": [4.5, 4.6]}
    >>> gradients = {"iteration": [1], "conv1": [0.06], "total": [0.5]}
    >>> figure = gradient_dynamics({"h = 0.1": [(weights, gradients)]})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['weight norm', 'gradient norm']
    """
    if not any(runs.values()):
        raise ValueError("`runs` must hold at least one run. Received none.")
    logs = {label: [tuple(map(_columns, pair)) for pair in pairs] for label, pairs in runs.items()}
    first = next(pairs[0][0] for pairs in logs.values() if pairs)
    layers = [layers] if isinstance(layers, str) else layers or [*first][1:-1] or ["total"]
    figure = _figure(figsize=(max(5, 3.2 * len(layers)), 5))
    grid = figure.subplots(2, len(layers), sharex=True, sharey="row", squeeze=False)
    for (label, pairs), colour in zip(logs.items(), COLOURS * len(logs), strict=False):
        for seed, pair in enumerate(pairs):
            for axes_of_kind, columns in zip(grid, pair, strict=True):
                for axes, layer in zip(axes_of_kind, layers, strict=True):
                    if layer not in columns:
                        raise ValueError(f"A log has no column {layer!r}. It has {', '.join(columns)}.")
                    style = {"color": colour, "linewidth": 1, "linestyle": LINES[seed % len(LINES)]}
                    counted, *_ = columns
                    axes.plot(columns[counted], columns[layer], label=None if seed else label, **style)
                    axes.set_xlabel(counted if axes in grid[1] else "")
    for axes, layer in zip(grid[0], layers, strict=True):
        axes.set_title(layer, fontsize="medium")
    for axes in grid.flat:
        if not any(0 < value < math.inf for line in axes.get_lines() for value in line.get_ydata()):
            continue
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    for axes in grid[:, 0]:
        low, high = axes.get_ylim()
        if axes.get_yscale() == "log" and high < 1000 * low:
            axes.yaxis.get_major_locator().set_params(subs=(1, 2, 5))
    grid[0][0].set_ylabel("weight norm")
    grid[1][0].set_ylabel("gradient norm")
    grid[0][0].legend(frameon=False)
    return _finished(figure)


def accuracies(panels, xlabel, note="", logarithmic=False):
    """Median test accuracy along an axis, with the standard deviation over seeds as bars; failed trainings as crosses.

    Args:
        panels: Dict of title -> dict of label -> dict of x -> list of pairs `(accuracy, failed)`, one per seed. Titles are plots,
            labels lines: the first is red, the second blue.
        xlabel: What x is.
        note: Printed below, such as what was cut.
        logarithmic: Whether x is on a logarithmic axis.

    Returns:
        A matplotlib `Figure`; save it with `figure.savefig(path)`. The standard deviation is that of the population, as the
        paper's.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: There is nothing to draw.

    Example:

    >>> figure = accuracies({"": {"h = 1": {20: [(0.9, False), (0.8, False)]}}}, "depth")
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['depth']
    """
    if not any(points for lines in panels.values() for points in lines.values()):
        raise ValueError("`panels` must hold at least one measurement. Received none.")
    figure = _figure(figsize=(max(5, 3.6 * len(panels)), 3.8))
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, lines) in zip(grid, panels.items(), strict=True):
        for (label, points), colour in zip(lines.items(), COLOURS * len(lines), strict=False):
            xs = sorted(points)
            values = [[accuracy for accuracy, _ in points[x]] for x in xs]
            spread = [statistics.pstdev(v) for v in values]
            style = {"color": colour, "marker": "o", "markersize": 4, "capsize": 3}
            axes.errorbar(xs, [statistics.median(v) for v in values], spread, label=label, **style)
            failed = [(x, accuracy) for x in xs for accuracy, has_failed in points[x] if has_failed]
            if failed:
                axes.plot(*zip(*failed, strict=True), "x", color=colour, markersize=8, label=f"{label}, failed")
        axes.set(title=title, xlabel=xlabel, ylim=(0, 1))
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter("")
    grid[0].set_ylabel("test accuracy")
    grid[0].legend(frameon=False, fontsize="small")
    note = f"Medians; bars are standard deviations over seeds. {note}".strip()
    figure.supxlabel(note, fontsize="x-small", wrap=True)
    return _finished(figure)


def noisy_images(images, levels, stddev):
    """Images under Gaussian noise: a row an image, a column a level (figure 17).

    Args:
        images: uint8 array `(n, height, width, 3)`.
        levels: Standard deviations of the noise on normalized pixels.
        stddev: Three numbers: the standard deviation of the pixels by which they are normalized, in units of 0..255.

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

    figure = _figure(figsize=(1.3 * len(levels), 1.4 * len(images)))
    grid = figure.subplots(len(images), len(levels), squeeze=False)
    for column, level in enumerate(levels):
        noisy = add_gaussian_noise(images, [level * s for s in stddev], seed=0).clip(0, 255).astype("uint8")
        grid[0][column].set_title(f"{level:g}", fontsize="medium")
        for axes, image in zip(grid[:, column], noisy, strict=True):
            axes.imshow(image)
            axes.set_axis_off()
    figure.suptitle("standard deviation of the noise on normalized pixels", fontsize="medium")
    return figure


def _figure(**kwargs):
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('Plots need matplotlib. Install it: pip install "keras-euler[plots]"') from error
    return Figure(layout="constrained", dpi=150, **kwargs)


def _finished(figure):
    for axes in figure.axes:
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _columns(log):
    """A CSV file as dict of name -> list of floats; a dict as it is."""
    if not isinstance(log, (str, Path)):
        return log
    with open(log, newline="") as file:
        header, *rows = csv.reader(file)
    return {name: [float(row[i]) for row in rows] for i, name in enumerate(header)}


def _rows(history):
    if isinstance(history, (str, Path)):
        with open(history, newline="") as file:
            history = list(csv.DictReader(file))
    if not history:
        raise ValueError("A history must have at least one row. Received none.")
    missing = {"epoch", "train_loss", "train_accuracy", "test_accuracy"} - set(history[0])
    if missing:
        raise ValueError(f"A history lacks the columns {sorted(missing)}. Received: {sorted(history[0])}.")
    return [{name: float(value) for name, value in row.items()} for row in history]
