"""Figures of a training: curves of loss and accuracy, norms of gradients and weights."""

import csv
import math
from pathlib import Path

from keras_euler.plots._figure import COLOURS, finished, new_figure

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
    figure = new_figure(figsize=(9, 3.6))
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
    return finished(figure)


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
    figure = new_figure(figsize=(max(5, 3.2 * len(layers)), 5))
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
    return finished(figure)


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
