"""A CSV file that grows by whole lines and survives a kill."""

import contextlib
import csv
import io
import os
import shutil
import warnings
from pathlib import Path


class Rows:
    """Rows of numbers under a header; the first column counts up.

    A line is in the file whole or not at all: rows are appended in one write, and what a kill or a full disk left of a line is
    cut off. What is no regular file, such as /dev/null, is written to and nothing else.

    Args:
        path: The file; its folder is made.
        columns: Names of the columns.
        start: Rows whose first number is smaller are kept, others cut off; with 0 the file begins anew.

    Attributes:
        last: The first number of the last row, or None.
        continues: Whether the file was there, and what is appended goes on from it.

    Raises:
        ValueError: The file has other columns.
        OSError: It cannot be written.
    """

    def __init__(self, path, columns, start):
        self.path = Path(path).expanduser().absolute()  # now: the program may go to another folder
        self._is_special = self.path.exists() and not self.path.is_file()
        if not self._is_special:
            self.path = self.path.resolve()  # a link stays one
        self.last, self.continues = None, False
        self._header = _lines([columns])
        with self._naming_the_file():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._is_special:
                self._write(self._header)  # nothing to cut, and nothing to put in its place
            elif start and self.path.exists() and self.path.stat().st_size:
                self._cut(start)
            else:
                self._begin()
            self._size = self.path.stat().st_size

    def append(self, rows):
        """Append rows, lists of numbers."""
        if not rows:
            return
        data = _lines([[f"{cell:.7g}" if isinstance(cell, float) else cell for cell in row] for row in rows])
        with self._naming_the_file():
            size = self.path.stat().st_size if self.path.exists() else 0
            if size != self._size:
                warnings.warn(
                    f"{self.path} was changed between two rows of this log. Pass each log a path of its own.",
                    stacklevel=2,
                )
            is_new = not size and not self._is_special  # somebody took it away
            self._write(self._header + data if is_new else data)
            self._size = self.path.stat().st_size
        self.last = int(rows[-1][0])

    def _write(self, data):
        with open(self.path, "ab", buffering=0) as file:
            size = file.tell() if file.seekable() else None
            try:
                written = file.write(data)
                while written < len(data):
                    written += file.write(data[written:])
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(size)
                raise

    def _begin(self):
        beside = self.path.with_name(f".{os.getpid()}.{self.path.name}")
        try:
            beside.write_bytes(self._header)
            if self.path.exists():
                self._write(b"")  # which a file that cannot be written refuses
                shutil.copymode(self.path, beside)
            os.replace(beside, self.path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise

    def _cut(self, start):
        self.continues = True
        with open(self.path, "rb+") as file:
            if file.readline() != self._header:
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
