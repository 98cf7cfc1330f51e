"""The figure of a classifier's evaluation."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_euler._types import ArrayLike
from keras_euler.plots._figure import COLOURS, finished, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_NAMED = 20  # classes whose names fit on an axis


def evaluation(
    confusion: ArrayLike,
    class_names: Sequence[str] | None = None,
    noise: Mapping[float, float] | None = None,
    title: str = "",
    noise_label: str = "noise",
    attacked: Mapping[float, float] | None = None,
) -> "Figure":
    """Draw the confusion matrix of a classifier, and its accuracy under noise and under attack.

    Args:
        confusion: Array `(k, k)`: number of examples of class i that were classified as j.
        class_names: One name per class, or None.
        noise: Dict of level -> accuracy; None or empty leaves the panel out.
        title: Title of the figure.
        noise_label: Label of the axis of the levels.
        attacked: Dict of the largest change of a pixel by an attack -> accuracy; None or empty
            leaves the panel out.

    Returns:
        A matplotlib `Figure`; save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is missing.

    Example:

    >>> figure = evaluation(np.array([[8, 2], [1, 9]]), ["cat", "dog"], noise={0.0: 0.85, 0.5: 0.7})
    >>> len(figure.axes)
    2
    """
    confusion = np.asarray(confusion)
    panels = 1 + bool(noise) + bool(attacked)
    figure = new_figure(figsize=(5 * panels, 4.2))
    grid = iter(figure.subplots(1, panels, squeeze=False)[0])
    axes = next(grid)
    fractions = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    size = len(confusion)
    if size <= MAX_NAMED:
        names = [*map(str, range(size))] if class_names is None else list(class_names)
        axes.set_xticks(range(size), names, rotation=90)
        axes.set_yticks(range(size), names)
        for (i, j), value in np.ndenumerate(fractions):
            axes.text(
                j,
                i,
                f"{100 * value:.0f}",
                ha="center",
                va="center",
                fontsize="x-small",
                color="white" if value > 0.5 else "black",
            )
    axes.set(xlabel="predicted class", ylabel="true class", title="% of each true class")
    for levels, label in (
        (noise, noise_label),
        (attacked, "largest change of a pixel by the attack, of 255"),
    ):
        if levels:
            axes = next(grid)
            axes.plot(list(levels), list(levels.values()), "o-", color=COLOURS[2])
            axes.set(xlabel=label, ylabel="accuracy", ylim=(0, 1))
    figure.suptitle(title, fontsize="medium")
    finished(figure)
    figure.axes[0].grid(False)
    return figure
