"""Figures of trainings: curves of loss and accuracy, norms of gradients and weights."""

import csv
import fnmatch
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_euler._types import PathLike
from keras_euler.callbacks import read_log
from keras_euler.plots._figure import (
    add_legend,
    colours_of,
    finished,
    new_figure,
    plain_ticks,
    whole_ticks,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Columns = Mapping[str, Sequence[float]]
Log = PathLike | Columns | None  # a file, or what it holds

KINDS = ("weight norm", "gradient norm")
LINES = ("-", "--", ":", "-.")  # one per seed
ORDINALS = ("first", "second", "third", "fourth")
MAX_LAYERS = 4  # layers that are drawn by default


def training_curves(
    histories: dict[str, PathLike | Sequence[Mapping[str, Any]]],
    metric: str | None = None,
    title: str = "",
) -> "Figure":
    """Draw the loss and one metric on training and test data over the epochs, counted from 1, with
    one colour per run.

    Args:
        histories: Dict of label -> the path of a `history.csv` of `keras_euler.training.fit`, or
            its rows: dicts of `epoch`, `train_loss` and, if measured, `train_<metric>`,
            `test_<metric>` and `test_loss`.
        metric: Name of the metric in the second plot. Default: accuracy, else the first metric
            other than the loss. Without any there is no second plot.
        title: Title of the figure.

    Returns:
        A matplotlib `Figure`; save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is missing.

    Example:

    >>> row = {"epoch": 0, "train_loss": 2.3, "train_accuracy": 0.1, "test_accuracy": 0.1}
    >>> figure = training_curves({"h = 0.1": [row]})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['loss', 'accuracy']
    """
    colours = colours_of(histories)
    runs = {label: _rows(history) for label, history in histories.items()}
    if not metric:
        columns = next(iter(runs.values()))[0]
        measured = [name for name in columns if name.startswith(("train_", "test_"))]
        metrics = [name.partition("_")[2] for name in measured if not name.endswith("_loss")]
        metric = "accuracy" if "accuracy" in metrics else next(iter(metrics), None)
    names = ["loss", metric] if metric else ["loss"]
    figure = new_figure(figsize=(4.5 * len(names), 3.6))
    grid = figure.subplots(1, len(names), squeeze=False)[0]
    for label, rows in runs.items():
        prefix = f"{label}, " if label else ""
        for axes, name in zip(grid, names, strict=True):
            for split, line, shown in (("test", "-", "test"), ("train", "--", "training")):
                column = f"{split}_{name}"
                if column in rows[0]:
                    axes.plot(
                        [r["epoch"] + 1 for r in rows],
                        [r[column] for r in rows],
                        line,
                        label=prefix + shown,
                        color=colours[label],
                        marker="o" if len(rows) < 20 else None,
                        markersize=4,
                    )
    for axes, name in zip(grid, names, strict=True):
        axes.set(ylabel=name.replace("_", " "), xlabel="epoch")
        whole_ticks(axes)
        axes.legend(frameon=False)
        if name == "accuracy":
            axes.set_ylim(0, 1)
    figure.suptitle(title, fontsize="medium")
    return finished(figure)


def gradient_dynamics(
    runs: dict[str, Sequence[tuple[Log, Log]]],
    layers: str | Sequence[str] | None = None,
    title: str = "",
) -> "Figure":
    """Draw weight and gradient norms over the iterations, on logarithmic axes (figures 2, 10 and 11
    of the paper).

    There is one column per layer, one colour per label and one line style per seed.

    Args:
        runs: Dict of label -> list of pairs `(weights, gradients)`, one per seed: files of
            `WeightLogger` and `GradientLogger`, or their columns as dicts of name -> list of
            numbers, the iteration first and the total last. Either may be None.
        layers: One or several names of columns or patterns with `*`, `?` or `[...]`. Default: all
            layers of the first run, or if there are more than 4 the first, the last and two in
            between.
        title: Title of the figure.

    Returns:
        A matplotlib `Figure`; save it with `figure.savefig(path)`. Norms that are not finite and
        positive leave a gap.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: There are no runs, or a log is empty, damaged or lacks a column.

    Example:

    >>> weights = {"iteration": [0, 1], "conv1": [2.3, 2.4], "total": [4.5, 4.6]}
    >>> gradients = {"iteration": [1], "conv1": [0.06], "total": [0.5]}
    >>> figure = gradient_dynamics({"h = 0.1": [(weights, gradients)]})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['weight norm', 'gradient norm']
    """
    runs = {label: list(pairs) for label, pairs in runs.items()}
    logs = [
        (label, seed, kind, read_log(log) if isinstance(log, (str, os.PathLike)) else log)
        for label, pairs in runs.items()
        for seed, pair in enumerate(pairs)
        for kind, log in zip(KINDS, pair, strict=True)
        if log is not None
    ]
    if not logs:
        raise ValueError("`runs` must hold at least one run with a log. Received none.")
    kinds = [kind for kind in KINDS if kind in {log[2] for log in logs}]
    layers = _chosen(layers, next(columns for *_, kind, columns in logs if kind == kinds[0]))
    figure = new_figure(figsize=(max(5, 3.2 * len(layers)), 2.5 * len(kinds)))
    grid = figure.subplots(len(kinds), len(layers), sharex=True, sharey="row", squeeze=False)
    colours = colours_of(runs)
    for label, seed, kind, columns in logs:
        is_one_of_few = 1 < len(runs[label]) <= len(ORDINALS)
        x_name = next(iter(columns))
        x = [value + (x_name == "epoch") for value in columns[x_name]]  # counted from 1
        for axes, layer in zip(grid[kinds.index(kind)], layers, strict=True):
            if layer not in columns:
                known = ", ".join(columns)
                raise ValueError(f"A log has no column {layer!r}. It has {known}.")
            axes.plot(
                x,
                [v if 0 < v < math.inf else math.nan for v in columns[layer]],
                label=f"{label}, {ORDINALS[seed]} seed" if is_one_of_few else label,
                color=colours[label],
                linewidth=1,
                linestyle=LINES[seed % len(LINES)],
            )
            axes.set_xlabel(x_name if kind == kinds[-1] else "")
    for axes, layer in zip(grid[0], layers, strict=True):
        axes.set_title(layer, fontsize="medium")
    for axes in grid.flat:
        if any(0 < value < math.inf for line in axes.get_lines() for value in line.get_ydata()):
            axes.set_yscale("log", nonpositive="mask")
            plain_ticks(axes.yaxis)
        whole_ticks(axes)
    for row, kind in zip(grid, kinds, strict=True):
        row[0].set_ylabel(kind)
    figure.suptitle(title, fontsize="medium")
    add_legend(figure, "outside right upper")
    return finished(figure)


def _chosen(layers: str | Sequence[str] | None, columns: Columns) -> list[str]:
    """Return the names of the layers to draw, from the columns of a log."""
    names = [*columns][1:-1]
    if not layers:
        # Rows per epoch have maxima too.
        names = [name for name in names if not (name.endswith("_max") and name[:-4] in names)]
        between = [round(i * (len(names) - 1) / (MAX_LAYERS - 1)) for i in range(MAX_LAYERS)]
        return (names if len(names) <= MAX_LAYERS else [names[i] for i in between]) or ["total"]
    selected = []
    for layer in [layers] if isinstance(layers, str) else layers:
        selected += [layer] if layer in columns else fnmatch.filter(names, layer) or [layer]
    return list(dict.fromkeys(selected))


def _rows(history: Any) -> list[dict[str, float]]:
    if isinstance(history, (str, Path)):
        with open(history, newline="") as file:
            history = list(csv.DictReader(file))
    return [
        {name: float(value) if value not in ("", None) else math.nan for name, value in row.items()}
        for row in history
    ]
