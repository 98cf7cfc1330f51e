"""Where the rows of a log go: a CSV file that grows by whole lines and survives a kill, or a
function."""

import contextlib
import csv
import io
import os
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from keras_euler._types import PathLike

StepFunction = Callable[[int, dict[str, float]], object]


class Rows:
    """Rows of numbers under a header; the first column counts up.

    Rows are appended in one write, and a partial line that a kill or a full disk leaves is cut off.
    A file with other columns is never changed.

    Args:
        path: The file. Missing folders are created.

    Attributes:
        last: The first number of the last row, 0 without rows, or None in a new file.
    """

    def __init__(self, path: PathLike) -> None:
        # absolute, before the program changes its working directory
        self.path = Path(path).expanduser().absolute()

    def begin(self, columns: list[str], start: int | None) -> None:
        """Begin with the row `start`.

        Args:
            columns: Names of the columns.
            start: Keep rows whose first number is smaller, and cut off the others. 0 or None starts
                a new file.

        Raises:
            ValueError: The file has other columns.
            OSError: The file cannot be written.
        """
        self._header = _lines([columns])
        self.last: int | None = None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        exists = self.path.is_file() and self.path.stat().st_size
        if exists:
            with open(self.path, "rb") as file:
                first = file.readline(2 * len(self._header) + 100).decode(errors="replace")
            if without_numbers(first) != without_numbers(self._header.decode()):
                raise ValueError(
                    f"{self.path} has other columns than this log: it is another file or another "
                    "model's log, and was not changed. Received: a file that starts with "
                    f"{first[:40]!r}. Delete it, or pass another path."
                )
        if exists and start:
            self._continue(start)
        else:
            self.path.write_bytes(self._header)
        self._size = self.path.stat().st_size

    def append(self, rows: list[list[float]]) -> None:
        """Append rows, lists of numbers."""
        if not rows:
            return
        data = _lines(
            [[f"{cell:.7g}" if isinstance(cell, float) else cell for cell in row] for row in rows]
        )
        size = self.path.stat().st_size if self.path.exists() else 0
        if size != self._size:
            warnings.warn(
                f"{self.path} was changed between two rows of this log. Pass each log a path of "
                "its own.",
                stacklevel=2,
            )
        try:
            with open(self.path, "ab") as file:
                file.write(data if size else self._header + data)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self.path, size)
            error.filename = str(self.path)
            raise
        self._size = self.path.stat().st_size
        self.last = int(rows[-1][0])

    def _continue(self, start: int) -> None:
        self.last = 0
        with open(self.path, "rb+") as file:
            end = len(file.readline())
            for line in file:
                number = line.partition(b",")[0]
                if not line.endswith(b"\n") or int(number) >= start:
                    break
                self.last, end = int(number), end + len(line)
            file.truncate(end)


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


def without_numbers(names: str) -> str:
    """Return names of layers without the numbers that Keras gives them anew in each process: layers
    are the same by position."""
    return re.sub(r"_\d+(?=_max\b|\b)", "", names)


def _lines(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
