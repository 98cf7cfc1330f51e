"""Figures of the paper's propositions and of the choice of h."""

from typing import TYPE_CHECKING

from keras_euler.plots._figure import colours_of, finished, new_figure, plain_ticks, whole_ticks

ROOM = 1e4  # above the largest measurement, where the axis ends; a label says where bounds end

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keras_euler.analysis import Growth, Signal, Suggestion


def growths(runs: dict[str, "Growth"], ylabel: str) -> "Figure":
    """Draw the measurements along the blocks and, in a second plot, with their bounds (dashed); one
    colour per run.

    Args:
        runs: Dict of label -> `Growth` of `keras_euler.analysis`.
        ylabel: Name of the measurement, such as "gradient norm".

    Returns:
        A matplotlib `Figure`; save it with `figure.savefig(path)`. Labels state the number of
        zeros, which logarithmic axes cannot show.

    Raises:
        ImportError: matplotlib is missing.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    >>> growth = keras_euler.analysis.noise_growth(keras_euler.EulerResNet(8), x, eps=1.0)
    >>> figure = growths({"h = 0.1": growth}, "distance of noisy and clean features")
    >>> [line.get_linestyle() for line in figure.axes[1].get_lines()[:2]]
    ['-', '--']
    """
    colours = colours_of(runs)
    figure = new_figure(figsize=(10, 4))
    panels = figure.subplots(1, 2)
    top = ROOM * max(growth.measured.max() for growth in runs.values())
    for label, growth in runs.items():
        colour, bound = colours[label], growth.bound
        if zeros := (growth.measured == 0).sum():
            label += f" (0 at {zeros} of {len(growth.measured)})"
        for axes in panels:
            axes.plot(growth.measured, "-", color=colour, label=label)
        largest = f", up to {bound.max():.0e}" * bool(bound.max() > top)
        bound_label = f"{label}, bound (W = {growth.W:.3g}{largest})"
        panels[1].plot(bound, "--", color=colour, label=bound_label)
    starts = next(iter(runs.values())).names
    for axes, title in zip(panels, ("measured", "measured and bound"), strict=True):
        for n, name in enumerate(starts):
            if n and name.endswith("_block1"):
                axes.axvline(n, color="grey", linewidth=0.6, linestyle=":")
        axes.set_yscale("log", nonpositive="mask")
        whole_ticks(axes)
        plain_ticks(axes.yaxis)
        axes.set(title=title, xlabel="block n (dotted: beginning of a stage)", ylabel=ylabel)
    panels[1].set_ylim(top=min(top, panels[1].get_ylim()[1]))
    figure.suptitle(f"{ylabel[0].upper()}{ylabel[1:]} at each block", fontsize="medium")
    legend = panels[1].get_legend_handles_labels()
    figure.legend(*legend, frameon=False, fontsize="small", loc="outside lower center", ncols=2)
    return finished(figure)


def signals(runs: dict[str, "Signal"]) -> "Figure":
    """Draw the mean squares of the signal, with its closed form (dashed), and of its gradient along
    the blocks; one colour per run.

    Args:
        runs: Dict of label -> `Signal` of `keras_euler.analysis.signal`.

    Returns:
        A matplotlib `Figure`; save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is missing.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    >>> figure = signals({"h = 1": keras_euler.analysis.signal(keras_euler.EulerResNet(8, 1.0), x)})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['mean square of the signal', 'mean square of its gradient']
    """
    figure = new_figure(figsize=(10, 4))
    panels = figure.subplots(1, 2)
    for label, colour in colours_of(runs).items():
        found = runs[label]
        panels[0].plot(found.signal, "-", color=colour, label=label)
        panels[0].plot(found.expected, "--", color=colour)
        panels[1].plot(found.gradient, "-", color=colour)
    for axes, what in zip(panels, ("the signal", "its gradient"), strict=True):
        axes.set(xlabel="block n", ylabel=f"mean square of {what}", yscale="log")
        whole_ticks(axes)
        plain_ticks(axes.yaxis)
    figure.suptitle("Signal propagation before training (dashed: closed form)", fontsize="medium")
    figure.legend(frameon=False, fontsize="small", loc="outside right upper")
    return finished(figure)


def suggestions(runs: dict[str, "Suggestion"]) -> "Figure":
    """Draw the growth of the gradients against h, and the limit. A circle marks the suggestion, a
    cross `1/sqrt(L)` if it differs.

    Args:
        runs: Dict of label -> `Suggestion` of `keras_euler.suggest_h`.

    Returns:
        A matplotlib `Figure`; save it with `figure.savefig(path)`.

    Raises:
        ImportError: matplotlib is missing.

    Example:

    >>> found = keras_euler.analysis.Suggestion(
    ...     1 / 3, 1 / 3, {0.1: 2.0, 1 / 3: 5.0, 1.0: 50.0}, 10.0, 9
    ... )
    >>> figure = suggestions({"depth 20": found})
    >>> figure.axes[0].get_xlabel()
    'h'
    """
    figure = new_figure(figsize=(6.5, 4))
    axes = figure.subplots()
    colours = colours_of(runs)
    for label, found in runs.items():
        colour, h = colours[label], found.h
        axes.plot(
            *zip(*found.growths.items(), strict=True),
            ".-",
            color=colour,
            label=f"{label}: h = {h:.2g}",
        )
        axes.plot(h, found.growths[h], "o", color=colour, markersize=10, fillstyle="none")
        if h != found.rule:
            axes.plot(found.rule, found.growths[found.rule], "x", color=colour, markersize=8)
    axes.plot([], [], "o", color="black", markersize=8, fillstyle="none", label="suggestion")
    if any(suggestion.h != suggestion.rule for suggestion in runs.values()):
        axes.plot([], [], "x", color="black", markersize=8, label="1/sqrt(L)")
    for limit in sorted({suggestion.limit for suggestion in runs.values()}):
        axes.axhline(limit, color="grey", linestyle="--", linewidth=0.8, label=f"limit: {limit:g}")
    axes.set(
        xscale="log", yscale="log", xlabel="h", ylabel="growth of the gradients over the blocks"
    )
    for axis in (axes.xaxis, axes.yaxis):
        plain_ticks(axis)
    axes.legend(frameon=False, fontsize="small")
    axes.set_title("Growth of the gradients against h", fontsize="medium")
    return finished(figure)
