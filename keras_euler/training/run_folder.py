"""The folder of one run: configuration, checkpoint, results. One process owns it, and a kill leaves
no partial files."""

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

TEMPORARY = re.compile(r"\.\d+\.[\w-]+\.(json|npz|csv|keras|png)")  # files of a killed writer
LOCK = ".lock"
Row = dict[str, Any]  # the measurements of an epoch
Memory = dict[str, Any] | None  # the state of callbacks
START_OVER = "Restore it, or delete the folder to start over"
ADVICE = {
    "config.json": START_OVER,
    "result.json": "Delete it: the next call writes it from the checkpoint",
}


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


class RunFolder:
    """The files of a run: `config.json`, `checkpoint.npz`, `history.csv`, `result.json` and others.

    The checkpoint holds the whole state, including the history.

    Args:
        path: The folder, which `owned` creates.

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
        self.step_checkpoint = self.path / "step.npz"

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
        self.path.mkdir(parents=True, exist_ok=True)
        with self._locked():
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
        file = self.path / "config.json"
        if not file.exists():
            is_own = lambda path: path.name == LOCK or TEMPORARY.fullmatch(path.name)  # noqa: E731
            if self.path.exists() and (
                not self.path.is_dir() or not all(map(is_own, self.path.iterdir()))
            ):
                raise ValueError(
                    f"{self.path} is not an empty folder and holds no config.json. Pass another "
                    f"folder."
                )
            return
        stored, current = self.config(), json.loads(json.dumps(config))
        difference = [
            f"{name}: {before.get(name)!r} stored, {after.get(name)!r} now"
            for before, after in (
                (stored.get(part, {}), current[part]) for part in ("settings", "data")
            )
            for name in sorted({*before, *after})
            if json.dumps(before.get(name))
            != json.dumps(after.get(name))  # NaN is not equal to itself
        ]
        if difference:
            raise ValueError(
                f"The folder {self.path} holds a run of another configuration "
                f"({'; '.join(difference)}). "
                "Pass another folder, or the old settings to resume that run."
            )

    def write(self, name: str, save: Callable[[Path], object]) -> None:
        """Write a file of the folder atomically by `save(path)`."""
        write_atomically(self.path / name, save)

    def write_json(self, name: str, value: object) -> None:
        """Write a value to a JSON file of the folder."""
        self.write(name, lambda path: path.write_text(json.dumps(value, indent=2) + "\n"))

    def write_history(self, rows: list[Row]) -> None:
        """Write `history.csv`: one row per epoch, one column per measurement."""
        text = io.StringIO()
        writer = csv.DictWriter(
            text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)
        self.write("history.csv", lambda path: path.write_text(text.getvalue()))

    def save_checkpoint(self, rows: list[Row], arrays: list[Array], memory: Memory = None) -> None:
        """Write the state after an epoch: the history so far, all arrays of model and optimizer,
        and the state of callbacks."""
        self._save(self.checkpoint, arrays, {"history": rows, "memory": memory})
        self.write_history(rows)
        self.step_checkpoint.unlink(missing_ok=True)

    def load_checkpoint(self) -> tuple[list[Row], list[Array] | None, Memory]:
        """Return `(rows, arrays, memory)` of the last checkpoint, or `([], None, None)` without
        one.

        Raises:
            ValueError: The file is damaged.
        """
        loaded = _load(self.checkpoint, ("history", "memory"), "to start over")
        if loaded is None:
            return [], None, None
        (rows, memory), arrays = loaded
        if not _are_rows(rows) or not isinstance(memory, (dict, type(None))):
            raise ValueError(
                f"The checkpoint {self.checkpoint} cannot be read (its history is not that of a "
                f"training). Delete it to start over."
            )
        return rows, arrays, memory

    def save_step(self, memory: Memory, arrays: list[Array]) -> None:
        """Write the state within an epoch, which counts until the epoch is saved."""
        self._save(self.step_checkpoint, arrays, {"memory": memory})

    def load_step(self) -> tuple[Memory, list[Array]] | None:
        """Return `(memory, arrays)` of the last `save_step`, or None without one.

        Raises:
            ValueError: The file is damaged.
        """
        loaded = _load(self.step_checkpoint, ("memory",), "to go on after the last epoch")
        return loaded and (loaded[0][0], loaded[1])

    def _save(self, file: Path, arrays: list[Array], values: dict[str, Any]) -> None:
        named: dict[str, Any] = {f"array{i}": array for i, array in enumerate(arrays)}
        texts: dict[str, Any] = {
            name: np.array(json.dumps(value)) for name, value in values.items()
        }
        self.write(file.name, lambda path: np.savez(path, **texts, **named))

    def history(self) -> list[Row]:
        """Return the rows of the last checkpoint: one dict of measurements per epoch."""
        return self.load_checkpoint()[0]

    def config(self) -> Config:
        """Return the configuration of the run, or an empty dict without a run."""
        config = _read_json(self.path / "config.json", ("settings", "data"))
        for part in ("settings", "data"):
            if config and not isinstance(config[part], dict):
                raise ValueError(
                    f"{self.path / 'config.json'} is damaged: {part!r} is not an object. "
                    f"{START_OVER}."
                )
        return config

    def result(self) -> Config | None:
        """Return the result of a finished run, or None; a result without its checkpoint does not
        count."""
        if not self.checkpoint.exists():
            return None
        result = _read_json(self.path / "result.json", ("diverged", "epochs", "seconds"))
        numbers = all(_is_number(result[name]) for name in ("epochs", "seconds") if result)
        if result and not (isinstance(result["diverged"], bool) and numbers):
            raise ValueError(
                f"{self.path / 'result.json'} is damaged: its values are not those of a result. "
                f"{ADVICE['result.json']}."
            )
        return result or None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            from filelock import FileLock, Timeout
        except ImportError as error:
            raise ImportError(
                'Training needs filelock. Install it: pip install "keras-euler[training]"'
            ) from error
        lock = FileLock(self.path / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise FolderInUse(
                f"Another process is training in {self.path}. Wait for it, or pass another folder."
            ) from None
        try:
            yield
        finally:
            lock.release()


def _load(file: Path, names: tuple[str, ...], purpose: str) -> tuple[list[Any], list[Array]] | None:
    """Return the named JSON values and the arrays of a checkpoint, or None if the file is
    missing."""
    if not file.exists():
        return None
    try:
        with open(file, "rb") as opened, np.load(opened) as saved:
            values = [json.loads(str(saved[name])) for name in names]
            return values, [saved[f"array{i}"] for i in range(len(saved.files) - len(names))]
    except Exception as error:
        raise ValueError(
            f"The checkpoint {file} cannot be read ({error}). Delete it {purpose}."
        ) from error


def _are_rows(rows: object) -> bool:
    """Return whether this is a history: the epochs from 0 on, each with its loss and duration."""
    numbers = ("epoch", "train_loss", "seconds")
    return isinstance(rows, list) and all(
        isinstance(row, dict)
        and all(_is_number(row.get(name)) for name in numbers)
        and row["epoch"] == i
        for i, row in enumerate(rows)
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _read_json(file: Path, required: Iterable[str]) -> Config:
    """Read a JSON object with the required keys; return an empty dict if the file is missing."""
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
        raise ValueError(f"{file} is damaged: {error}. {ADVICE[file.name]}.") from error
    return value
