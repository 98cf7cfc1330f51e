"""Checks of `data_dir` that all data sets share."""

import os
import pathlib
from pathlib import Path

from keras_euler._types import PathLike


def existing_path(data_dir: PathLike, hint: str) -> Path:
    """Return `data_dir` as a path, or raise unless it exists. `hint` says what to pass."""
    if not isinstance(data_dir, (str, os.PathLike)):
        raise TypeError(f"`data_dir` must be a string or a path. Received: data_dir={data_dir!r}.")
    path = pathlib.Path(data_dir).expanduser()
    if not path.exists():
        raise FileNotFoundError(
            f"`data_dir` does not exist. Received: data_dir={str(path)!r}. {hint}"
        )
    return path


def unknown_layout_error(folder: Path, name: str, hint: str) -> Exception:
    """Return the error for a folder that does not hold the data set `name`."""
    is_empty = not any(folder.iterdir())
    kind = "an empty folder" if is_empty else f"a folder without {name} in a known layout"
    error = FileNotFoundError if is_empty else ValueError
    return error(f"`data_dir` is {kind}. Received: data_dir={str(folder)!r}. {hint}")
