"""A CSV file that grows by whole lines and survives a kill."""

import contextlib
import csv
import io
import os
from pathlib import Path


class Rows:
    """Rows of numbers under a header; the first column counts up.

    A line is in the file whole or not at all: rows are appended in one write, and what a kill or a full disk left of a line is
    cut off.

    Args:
        path: The file; its folder is made.
        columns: Names of the columns.
        start: Rows whose first number is smaller are kept, others cut off; with 0 the file begins anew.

    Attributes:
        last: The first number of the last row, or None.

    Raises:
        ValueError: The file has other columns.
        OSError: It cannot be written.
    """

    def __init__(self, path, columns, start):
        self.path = Path(path).expanduser().resolve()  # now: the program may go to another folder, and a link stays one
        self.last = None
        header = _lines([columns])
        with self._naming_the_file():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if start and self.path.exists() and self.path.stat().st_size:
                self._cut(start, header)
            else:
                self._begin(header)

    def append(self, rows):
        """Append rows, lists of numbers."""
        if not rows:
            return
        data = _lines([[f"{cell:.7g}" if isinstance(cell, float) else cell for cell in row] for row in rows])
        with self._naming_the_file(), open(self.path, "ab", buffering=0) as file:
            size = file.tell()
            try:
                written = file.write(data)
                while written < len(data):
                    written += file.write(data[written:])
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(size)
                raise
        self.last = int(rows[-1][0])

    def _begin(self, header):
        beside = self.path.with_name(f".{os.getpid()}.{self.path.name}")
        try:
            beside.write_bytes(header)
            os.replace(beside, self.path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise

    def _cut(self, start, header):
        with open(self.path, "rb+") as file:
            if file.readline() != header:
                raise ValueError(
                    f"{self.path} has other columns than this log: it is of another model or other layers. Pass another path."
                )
            end = file.tell()
            for line in file:
                number = line.partition(b",")[0]
                if not line.endswith(b"\n") or not number.isdigit() or int(number) >= start:
                    break
                self.last, end = int(number), end + len(line)
            file.truncate(end)

    @contextlib.contextmanager
    def _naming_the_file(self):
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error


def _lines(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
