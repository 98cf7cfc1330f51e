"""Rows of a log passed to a function instead of a file."""

from collections.abc import Callable

StepFunction = Callable[[int, dict[str, float]], object]


class Calls:
    """One call of a function per row; used in place of `Rows`.

    Args:
        function: Function of the first column and a dict of the other columns: name -> float.

    Attributes:
        last: The first number of the last row, 0 without rows, or None in a new log.
    """

    def __init__(self, function: StepFunction) -> None:
        self.function = function
        self.last: int | None = None

    def begin(self, columns: list[str], start: int | None) -> None:
        """Begin with the row `start`; None or 0 means that nothing was logged before."""
        self._names = columns[1:]
        # Rows that an interrupt left unread are still due.
        self.last = min(start - 1, start if self.last is None else self.last) if start else None

    def append(self, rows: list[list[float]]) -> None:
        """Call the function once per row, a list of numbers."""
        for number, *values in rows:
            self.function(int(number), dict(zip(self._names, map(float, values), strict=True)))
            self.last = int(number)
