"""Checks of `data_dir` and its files that all data sets share."""

import os
import pathlib
from pathlib import Path
from typing import Any

import numpy as np

from keras_euler._types import Array, PathLike


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


def checked_labels(file: PathLike, labels: Any, rows: int) -> Array:
    try:
        y = np.asarray(labels)
    except ValueError:  # a ragged list
        y = np.empty(0)
    if not np.issubdtype(y.dtype, np.integer) or y.shape not in ((rows,), (rows, 1)):
        raise ValueError(f"{file}: labels must be {rows:,} integers. Received: {describe(y)}.")
    if y.min() < 0 or y.max() > 9:
        raise ValueError(f"{file}: labels must be in 0..9. Received: {y.min()}..{y.max()}.")
    return y.reshape(rows).astype("int64")


def describe(value: object) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
