"""Figures from recorded numbers (extra: plots)."""

import csv
from pathlib import Path

# Okabe and Ito's palette, safe for colour-blind eyes; its first two are near the paper's red (h = 1) and blue (h = 0.1).
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


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


def first_iterations(runs):
    """Weight norm of a layer (logarithmic) and training loss over the first iterations, one colour a step factor.

    Args:
        runs: Dict of label -> dict with the lists `weight_norm` and `loss`, one number per iteration.

    Returns:
        A matplotlib `Figure`; save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is missing.

    Example:

    >>> figure = first_iterations({"h = 0.1": {"weight_norm": [2.3, 2.3], "loss": [2.3, 2.2]}})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['weight norm of layer 2', 'training loss']
    """
    figure = _figure(figsize=(9, 3.6))
    norm_axes, loss_axes = figure.subplots(1, 2)
    for (label, run), colour in zip(runs.items(), COLOURS * len(runs), strict=False):
        for axes, numbers in ((norm_axes, run["weight_norm"]), (loss_axes, run["loss"])):
            axes.plot(range(1, len(numbers) + 1), numbers, color=colour, label=label)
    norm_axes.set(ylabel="weight norm of layer 2", yscale="log")
    norm_axes.yaxis.set_major_formatter("{x:g}")
    norm_axes.yaxis.get_major_locator().set_params(subs=(1, 2, 5))
    norm_axes.yaxis.set_minor_formatter("")
    loss_axes.set(ylabel="training loss", ylim=(0, None))
    norm_axes.legend(frameon=False)
    for axes in figure.axes:
        axes.set_xlabel("iteration")
    return _finished(figure)


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
