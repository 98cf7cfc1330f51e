"""Tables in Markdown."""

import functools


def table_of_rows(header):
    """Decorate a function that yields rows: it returns their table in Markdown."""

    def decorator(rows):
        return functools.wraps(rows)(lambda *args: markdown(header, rows(*args)))

    return decorator


def markdown(header, rows):
    """Return a table in Markdown, from its header, separated by bars, and rows of values."""
    lines = [f"| {header} |", "|" + "---|" * (header.count("|") + 1)]
    return "\n".join([*lines, *("| " + " | ".join(map(formatted, row)) + " |" for row in rows)])


def formatted(value):
    """Return a value as text: floats with three digits."""
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
    return "" if value is None else str(value)
