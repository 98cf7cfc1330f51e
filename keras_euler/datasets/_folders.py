"""What `data_dir` may be, checked once for all data sets."""

import os
import pathlib
from pathlib import Path

from keras_euler._types import PathLike


def existing(data_dir: PathLike, hint: str) -> Path:
    """Return `data_dir` as a path that is there, or raise. `hint` says what to pass."""
    if not isinstance(data_dir, (str, os.PathLike)):
        raise TypeError(f"`data_dir` must be a string or a path. Received: data_dir={data_dir!r}.")
    path = pathlib.Path(data_dir).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"`data_dir` isn't there. Received: data_dir={str(path)!r}. {hint}")
    return path


def without_known_layout(folder: Path, name: str, hint: str) -> Exception:
    """The error for a folder in which the data set `name` was not found."""
    is_empty = not any(folder.iterdir())
    what = "an empty folder" if is_empty else f"a folder without {name} in a known layout"
    error = FileNotFoundError if is_empty else ValueError
    return error(f"`data_dir` is {what}. Received: data_dir={str(folder)!r}. {hint}")
