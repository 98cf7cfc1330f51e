"""Tables of the benchmark, from the JSON files of recipes/benchmark/run.py."""

from _measured import formatted, markdown


def steps(files):
    """Step times of the benchmark, ours beside networks written by hand."""
    rows = []
    for found in files:
        for before, row in zip([None, *found["results"]], found["results"], strict=False):
            which = (
                f"{row.get('network', 'resnet')}, depth {row['depth']}, batch {row['batch_size']}"
            )
            span = " to ".join(formatted(row[f"step_ms_{end}"]) for end in ("min", "max"))
            times = (row["step_ms"], span, row["cpu_ms"], row["peak_memory_mb"])
            ratios = ", ".join(
                f"{ratio:.2f} ({name})" for name, ratio in row.get("ratios", {}).items()
            )
            rows.append(
                (
                    which,
                    f"{row['contestant']}, {row['backend']}",
                    *times,
                    ratios or compared(row, before),
                )
            )
    return markdown(
        "network | program | step (ms) | from to | processor (ms) | memory (MB) | ratio", rows
    )


def host(files):
    """Processor times of steps on one thread."""
    rows = []
    for measured in files:
        for row in measured["results"]:
            ratios = (row.get("ratios", {}).get(name) for name in ("PyTorch channels_last", "JAX"))
            size, batch = measured["settings"]["image_size"], measured["settings"]["batch_size"]
            setting = f"depth {row['depth']}, {size} x {size} pixels, batch {batch}"
            program = f"{row['contestant']}, {row['backend']}"
            rows.append(
                (setting, program, row["cpu_ms_min"], row["cpu_ms"], row["peak_memory_mb"], *ratios)
            )
    return markdown(
        "setting | program | least (ms) | median (ms) | memory (MB) | ratio to PyTorch | to JAX",
        rows,
    )


def compared(row, before):
    """The processor time of the second of two contestants as a multiple of the first one's, which
    is in the row before."""
    return (
        f"{row['cpu_ms'] / before['cpu_ms']:.2f} (row above)"
        if {"speedup", "share_percent", "slowdown"} & set(row)
        else None
    )
