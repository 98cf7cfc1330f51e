"""The folder of one run: configuration, checkpoint, results. One process owns it, and a kill leaves
no partial files."""

import contextlib
import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_euler._checks import install_command
from keras_euler._types import Array, Config, PathLike
from keras_euler.training.packing import packed, unpacked

TEMPORARY = re.compile(r"\.\d+\.[\w-]+\.(json|npz|csv|keras|png)")  # files of a killed writer
LOCK = ".lock"
Row = dict[str, Any]  # the measurements of an epoch


class FolderInUse(OSError):
    """Another process is training in this folder.

    Example:

    >>> issubclass(FolderInUse, OSError)
    True
    """


def write_atomically(file: PathLike, save: Callable[[Path], object]) -> None:
    """Write a temporary file by `save(path)` and rename it, so that a failure keeps the old file.

    Args:
        file: The file to write.
        save: Function that writes to a path, which has the suffix of `file`.

    Raises:
        OSError: The file cannot be written; the message names it.

    Example:

    >>> file = pathlib.Path(tempfile.mkdtemp(), "numbers.txt")
    >>> write_atomically(file, lambda path: path.write_text("1 2 3"))
    >>> file.read_text()
    '1 2 3'
    """
    file = Path(file)
    temporary = file.with_name(f".{os.getpid()}.{file.name}")
    try:
        save(temporary)
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, file)
    except OSError as error:
        error.filename = str(file)
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_json(file: PathLike, value: object) -> None:
    """Write a value to a JSON file, atomically."""
    write_atomically(file, lambda path: path.write_text(json.dumps(value, indent=2) + "\n"))


def differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Name the settings in which two runs differ."""
    return [
        f"{name}: {stored.get(name)!r} stored, {current.get(name)!r} now"
        for name in sorted({*stored, *current})
        if json.dumps(stored.get(name)) != json.dumps(current.get(name))  # NaN differs from NaN
    ]


class RunFolder:
    """The files of a run: `config.json`, `checkpoint.npz`, `history.csv`, `result.json` and others.

    The checkpoint holds the whole state, including the history.

    Args:
        path: The folder, which `owned` creates.

    Example:

    >>> folder = RunFolder(pathlib.Path(tempfile.mkdtemp(), "run"))
    >>> with folder.owned({"settings": {"h": 0.1}, "data": {}, "versions": {}}):
    ...     folder.write_json("result.json", {"diverged": False})
    >>> folder.config()["settings"]
    {'h': 0.1}
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path).expanduser()
        self.checkpoint = self.path / "checkpoint.npz"

    @contextlib.contextmanager
    def owned(self, config: Config) -> Iterator[None]:
        """Own the folder in the context: create it for `config`, or check that it holds a run of
        the same settings and data.

        Raises:
            FolderInUse: Another process owns the folder; nothing was changed.
            ValueError: The folder holds another run, other files or a damaged file; the message
                shows the difference.
            OSError: The folder is not writable.
        """
        self.check(config)  # before anything is written
        with locked(self.path):
            self.check(config)
            for leftover in self.path.glob(".*"):
                if TEMPORARY.fullmatch(leftover.name):
                    leftover.unlink()
            if not (self.path / "config.json").exists():
                self.write_json("config.json", config)
            yield

    def check(self, config: Config) -> None:
        """Raise a ValueError unless the folder is empty or holds a run of this configuration; write
        nothing."""
        stored, current = self.config(), json.loads(json.dumps(config))
        if not stored:
            if self.path.exists() and not (
                self.path.is_dir() and all(path.name[0] == "." for path in self.path.iterdir())
            ):
                raise ValueError(
                    f"{self.path} is not an empty folder and holds no config.json. Pass another "
                    "folder."
                )
            return
        difference = [d for p in ("settings", "data") for d in differences(stored[p], current[p])]
        if difference:
            raise ValueError(
                f"The folder {self.path} holds a run of another configuration "
                f"({'; '.join(difference)}). Pass another folder, or the old settings to resume "
                "that run. A run has a fixed number of epochs, on which its schedules depend."
            )

    def write(self, name: str, save: Callable[[Path], object]) -> None:
        """Write a file of the folder atomically by `save(path)`."""
        write_atomically(self.path / name, save)

    def write_json(self, name: str, value: object) -> None:
        """Write a value to a JSON file of the folder."""
        write_json(self.path / name, value)

    def write_history(self, rows: list[Row]) -> None:
        """Write `history.csv`: one row per epoch, one column per measurement."""
        text = io.StringIO()
        columns = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.write("history.csv", lambda path: path.write_text(text.getvalue()))

    def save(self, checkpoint: Config) -> None:
        """Write a checkpoint, a nested dict of arrays and what JSON has."""
        arrays: list[Array] = []
        state = np.array(json.dumps(packed(checkpoint, arrays)))
        self.write(self.checkpoint.name, lambda path: np.savez(path, *arrays, state=state))

    def load(self) -> Config | None:
        """Return the checkpoint, or None without one.

        Raises:
            ValueError: The file is damaged.
        """
        return self._read(self.checkpoint.name, _load, "Delete it to start over")

    def config(self) -> Config:
        """Return the configuration of the run, or an empty dict without a run."""
        read = lambda file: {"data": {}, "settings": {}, **json.loads(file.read_text())}
        return self._read("config.json", read, "Restore it, or delete the folder") or {}

    def result(self) -> Config | None:
        """Return the result of a finished run, or None; a result without its checkpoint does not
        count."""
        if not self.checkpoint.exists():
            return None
        read = lambda file: dict(json.loads(file.read_text()))
        advice = "Delete it: the next call writes it from the checkpoint"
        return self._read("result.json", read, advice)

    def _read(self, name: str, read: Callable[[Path], Any], advice: str) -> Any:
        """Return what `read(file)` gives, or None if the file is missing."""
        file = self.path / name
        if not file.exists():
            return None
        try:
            return read(file)
        except Exception as error:  # of many types where a file is damaged
            raise ValueError(f"{file} cannot be read ({error}). {advice}.") from error


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Own a folder, which is created, in the context; the system frees it if the process dies.

    Raises:
        FolderInUse: Another process owns it.
        ImportError: filelock is missing.
    """
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise ImportError(
            f"Training needs filelock. Install it: {install_command('training')}"
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    try:
        owned = FileLock(folder / LOCK).acquire(timeout=0)
    except Timeout:
        raise FolderInUse(
            f"Another process is training in {folder}. Wait for it, or pass another folder."
        ) from None
    with owned:
        yield


def _load(file: Path) -> Config:
    with open(file, "rb") as opened, np.load(opened) as saved:
        arrays = [saved[f"arr_{i}"] for i in range(len(saved.files) - 1)]
        return unpacked(json.loads(str(saved["state"])), arrays)
