"""Tables of the benchmark, from the JSON files of recipes/benchmark/run.py."""

from _markdown import formatted, table_of_rows


@table_of_rows("network | program | step (ms) | from to | processor (ms) | memory (MB) | ratio")
def steps(files):
    """Step times of the benchmark, ours beside networks written by hand."""
    before = None
    for row in (row for found in files for row in found["results"]):
        ratios = [f"{ratio:.2f} ({name})" for name, ratio in row.get("ratios", {}).items()]
        if "ratio" in row:  # the second of a pair
            ratios = [f"{row['cpu_ms'] / before['cpu_ms']:.2f} (row above)"]
        yield (
            f"{row.get('network', 'resnet')}, depth {row['depth']}, batch {row['batch_size']}",
            f"{row['contestant']}, {row['backend']}",
            row["step_ms"],
            f"{formatted(row['step_ms_min'])} to {formatted(row['step_ms_max'])}",
            row["cpu_ms"],
            row["peak_memory_mb"],
            ", ".join(ratios),
        )
        before = row


@table_of_rows(
    "setting | program | least (ms) | median (ms) | memory (MB) | ratio to PyTorch | to JAX"
)
def host(files):
    """Processor times of steps on one thread."""
    for row in (row for found in files for row in found["results"]):
        size, ratios = row["image_size"], row.get("ratios", {})
        yield (
            f"depth {row['depth']}, {size} x {size} pixels, batch {row['batch_size']}",
            f"{row['contestant']}, {row['backend']}",
            row["cpu_ms_min"],
            row["cpu_ms"],
            row["peak_memory_mb"],
            ratios.get("PyTorch channels_last"),
            ratios.get("JAX"),
        )


def draw(found):
    """Return the figure of the least processor time of a step against the depth, a line for each
    contestant."""
    from keras_euler import plots

    figure = plots.new_figure(figsize=(7, 4.5))
    axes, lines = figure.subplots(), {}
    for row in found["results"]:
        name = f"{row['contestant']}, {row['backend']}"
        lines.setdefault(name, []).append((row["depth"], row["cpu_ms_min"]))
    for (name, points), colour in zip(lines.items(), plots.COLOURS[2:] * 2, strict=False):
        style = "o-" if name.startswith("keras_euler") else "s--"
        axes.plot(*zip(*points, strict=True), style, color=colour, label=name)
    axes.set(xlabel="depth", ylabel="processor time of a step (ms)", xscale="log", yscale="log")
    axes.set_xticks(depths := sorted({row["depth"] for row in found["results"]}), depths)
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize="small")
    return plots.finished(figure)
