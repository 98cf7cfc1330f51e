"""The folder of one run: configuration, checkpoint, results. A kill at any moment leaves whole files; one process owns it."""

import contextlib
import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_euler._types import Array, Config, PathLike

LEFTOVER = re.compile(r"\.\d+\.[\w-]+\.(json|npz|csv|keras|png)")  # of a writer that was killed
LOCK = ".lock"
Row = dict[str, Any]  # what was measured in an epoch
Memory = dict[str, Any] | None  # what callbacks remember
START_ANEW = "Restore it, or delete the folder to start the run anew"


class FolderInUse(OSError):
    """Another process is training in this folder.

    Example:

    >>> issubclass(FolderInUse, OSError)
    True
    """


def write_atomically(file: PathLike, save: Callable[[Path], object]) -> None:
    """Write a file by `save(path)` beside it and rename: it is there whole or not at all, and a failure leaves the old one.

    Args:
        file: The file to write.
        save: Function that writes to the path it is given, which has the suffix of `file`.

    Raises:
        OSError: The file cannot be written; the message names it.

    Example:

    >>> file = pathlib.Path(tempfile.mkdtemp(), "numbers.txt")
    >>> write_atomically(file, lambda path: path.write_text("1 2 3"))
    >>> file.read_text()
    '1 2 3'
    """
    file = Path(file)
    beside = file.with_name(f".{os.getpid()}.{file.name}")
    try:
        save(beside)
        with open(beside, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(beside, file)
    except OSError as error:
        error.filename = str(file)
        raise
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


class RunFolder:
    """The files of a run: `config.json`, `checkpoint.npz`, `history.csv`, `result.json` and whatever else is written to it.

    The checkpoint holds the whole state, the history included: a run is what its last whole checkpoint says.

    Args:
        path: The folder; `owned` makes it.

    Example:

    >>> folder = RunFolder(pathlib.Path(tempfile.mkdtemp(), "run"))
    >>> with folder.owned({"settings": {"h": 0.1}, "data": {}, "versions": {}}):
    ...     folder.save_checkpoint([{"epoch": 0, "train_loss": 1.5, "seconds": 2.0}], [np.zeros(2)])
    >>> folder.history()
    [{'epoch': 0, 'train_loss': 1.5, 'seconds': 2.0}]
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path).expanduser()
        self.checkpoint = self.path / "checkpoint.npz"

    @contextlib.contextmanager
    def owned(self, config: Config) -> Iterator[None]:
        """Own the folder within the context: make it for `config`, or check that it holds the run of the same settings and data.

        Raises:
            FolderInUse: Another process owns it; nothing was touched.
            ValueError: It holds another run, other files or a damaged file; the message says what differs.
            OSError: It cannot be written.
        """
        self.check(config)  # before anything is written
        self.path.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self.check(config)
            for leftover in self.path.glob(".*"):
                if LEFTOVER.fullmatch(leftover.name):
                    leftover.unlink()
            if not (self.path / "config.json").exists():
                self.write_json("config.json", config)
            yield

    def check(self, config: Config) -> None:
        """Raise a ValueError unless the folder is free or holds the run of this configuration; nothing is written."""
        file = self.path / "config.json"
        if not file.exists():
            own = lambda path: path.name == LOCK or LEFTOVER.fullmatch(path.name)  # noqa: E731
            if self.path.exists() and (not self.path.is_dir() or not all(map(own, self.path.iterdir()))):
                raise ValueError(f"{self.path} is not an empty folder and holds no config.json. Pass another folder.")
            return
        there, now = self.config(), json.loads(json.dumps(config))
        difference = [
            f"{name}: {before.get(name)!r} there, {after.get(name)!r} now"
            for before, after in ((there.get(part, {}), now[part]) for part in ("settings", "data"))
            for name in sorted({*before, *after})
            if json.dumps(before.get(name)) != json.dumps(after.get(name))  # NaN is not equal to itself
        ]
        if difference:
            raise ValueError(
                f"The folder {self.path} holds a run of another configuration ({'; '.join(difference)}). "
                "Pass another folder, or the old settings to go on with that run."
            )

    def write(self, name: str, save: Callable[[Path], object]) -> None:
        """Write a file of the folder by `save(path)`, whole or not at all."""
        write_atomically(self.path / name, save)

    def write_json(self, name: str, value: object) -> None:
        """Write a value as JSON."""
        self.write(name, lambda path: path.write_text(json.dumps(value, indent=2) + "\n"))

    def write_history(self, rows: list[Row]) -> None:
        """Write `history.csv`: a row per epoch, a column per measurement."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.write("history.csv", lambda path: path.write_text(text.getvalue()))

    def save_checkpoint(self, rows: list[Row], arrays: list[Array], memory: Memory = None) -> None:
        """Write the state after an epoch: the history so far, all arrays of model and optimizer, and what JSON can hold."""
        named: dict[str, Any] = {f"array{i}": array for i, array in enumerate(arrays)}
        texts: dict[str, Any] = {"history": np.array(json.dumps(rows)), "memory": np.array(json.dumps(memory))}
        self.write("checkpoint.npz", lambda path: np.savez(path, **texts, **named))
        self.write_history(rows)

    def load_checkpoint(self) -> tuple[list[Row], list[Array], Memory]:
        """Return `(rows, arrays, memory)` of the last whole checkpoint, `([], [], None)` without one.

        Raises:
            ValueError: The file is damaged.
        """
        if not self.checkpoint.exists():
            return [], [], None
        try:
            with open(self.checkpoint, "rb") as file, np.load(file) as saved:
                rows, memory = (json.loads(str(saved[name])) for name in ("history", "memory"))
                arrays = [saved[f"array{i}"] for i in range(len(saved.files) - 2)]
            if not _are_rows(rows) or not isinstance(memory, (dict, type(None))):
                raise ValueError("its history is not that of a training")
        except Exception as error:
            raise ValueError(
                f"The checkpoint {self.checkpoint} cannot be read ({error}). Delete it to start the run anew."
            ) from error
        return rows, arrays, memory

    def history(self) -> list[Row]:
        """The rows of the last checkpoint: a dict of measurements per epoch."""
        return self.load_checkpoint()[0]

    def config(self) -> Config:
        """What the run was started with; empty where there is no run."""
        config = _read_json(self.path / "config.json", ("settings", "data"))
        for part in ("settings", "data"):
            if config and not isinstance(config[part], dict):
                raise ValueError(f"{self.path / 'config.json'} is damaged: {part!r} is not an object. {START_ANEW}.")
        return config

    def result(self) -> Config | None:
        """The result of a finished run, else None; one without its checkpoint says nothing of the model."""
        if not self.checkpoint.exists():
            return None
        result = _read_json(self.path / "result.json", ("diverged", "epochs", "seconds"))
        numbers = all(_is_number(result[name]) for name in ("epochs", "seconds") if result)
        if result and not (isinstance(result["diverged"], bool) and numbers):
            raise ValueError(f"{self.path / 'result.json'} is damaged: it holds other values than a result. {START_ANEW}.")
        return result or None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            from filelock import FileLock, Timeout
        except ImportError as error:
            raise ImportError('Training needs filelock. Install it: pip install "keras-euler[training]"') from error
        lock = FileLock(self.path / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise FolderInUse(f"Another process is training in {self.path}. Wait for it, or pass another folder.") from None
        try:
            yield
        finally:
            lock.release()


def _are_rows(rows: object) -> bool:
    """Whether this is a history: the epochs from 0 on, each with its loss and its duration."""
    numbers = ("epoch", "train_loss", "seconds")
    return isinstance(rows, list) and all(
        isinstance(row, dict) and all(_is_number(row.get(name)) for name in numbers) and row["epoch"] == i
        for i, row in enumerate(rows)
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _read_json(file: Path, required: Iterable[str]) -> Config:
    """An object of JSON with the required keys; empty where there is no file."""
    if not file.exists():
        return {}
    try:
        value = json.loads(file.read_text())
        if not isinstance(value, dict):
            raise ValueError(f"it holds {type(value).__name__}, not an object")
        missing = [name for name in required if name not in value]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
    except ValueError as error:
        raise ValueError(f"{file} is damaged: {error}. {START_ANEW}.") from error
    return value
