"""What all data sets share: checks of `data_dir` and its files, and prepared folders of TensorFlow
Datasets."""

import contextlib
import json
import os
import re
import socket
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from keras_euler import _backend
from keras_euler._checks import install_command
from keras_euler._types import Array, PathLike

SPLITS = ("train", "test")
# From which the data sets are downloaded.
HOSTS = {"cifar10": "www.cs.toronto.edu", "ag_news_subset": "drive.google.com"}


def existing_path(data_dir: PathLike, hint: str) -> Path:
    """Return `data_dir` as a path, or raise unless it exists. `hint` says what to pass."""
    if not isinstance(data_dir, (str, os.PathLike)):
        raise TypeError(f"`data_dir` must be a string or a path. Received: data_dir={data_dir!r}.")
    path = Path(data_dir).expanduser()
    if not path.exists():
        raise FileNotFoundError(
            f"`data_dir` does not exist. Received: data_dir={str(path)!r}. {hint}"
        )
    return path


def unknown_layout(path: Path, name: str, hint: str) -> FileNotFoundError:
    """Return the error for a file or folder that does not hold the data set `name`."""
    return FileNotFoundError(
        f"`data_dir` must hold {name} in a known layout. Received: data_dir={str(path)!r}. {hint}"
    )


@contextlib.contextmanager
def decoding(file: object, expected: str) -> Iterator[None]:
    """Convert any error of a damaged file to a ValueError that names the file."""
    try:
        yield
    except (ImportError, PermissionError):
        raise
    except Exception as error:
        raise ValueError(
            f"{file} cannot be read as {expected}: {type(error).__name__}: {error}"
        ) from error


def find_prepared(path: Path, name: str) -> Path | None:
    """Return the version folder of a prepared data set: `path`, or the newest in it or in its
    folder `name`; or None."""
    for pattern in ("", "[0-9]*/", f"{name}/[0-9]*/"):
        prepared = [info.parent for info in path.glob(f"{pattern}dataset_info.json")]
        if prepared:
            return max(prepared, key=lambda folder: [*map(int, re.findall(r"\d+", folder.name))])
    return None


def read_prepared(folder: Path | None, name: str, features: Sequence[str]) -> list[list[Array]]:
    """Read a prepared data set; download and prepare it first if no folder is given.

    Args:
        folder: The version folder, or None.
        name: Name of the data set.
        features: Names of the features to read.

    Returns:
        One list of arrays per split, one array per feature.

    Raises:
        ValueError: The folder holds another data set or cannot be read.
        ImportError: TensorFlow Datasets is missing.
        OSError: The download failed.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"{folder or name} needs TensorFlow Datasets, which is not installed or fails to "
            f"import ({error}). Install the extra: {install_command('datasets')}."
        ) from error
    _backend.leave_gpu_to_keras()
    if folder is None:
        builder = tfds.builder(name)
        if not Path(builder.data_dir).exists() and not urllib.request.getproxies():
            socket.getaddrinfo(HOSTS[name], 443)  # without a network it would retry for minutes
        builder.download_and_prepare()
    with decoding(folder or name, "a prepared TensorFlow Datasets folder"):
        if folder is not None:
            stored = json.loads((folder / "dataset_info.json").read_text("utf-8"))["name"]
            if stored != name:
                raise ValueError(f"it must hold the data set {name}. Received: {stored!r}.")
            builder = tfds.builder_from_directory(folder)
        # A cache would keep a second copy in memory, and the data are read only once.
        config = tfds.ReadConfig(try_autocache=False)
        read = [builder.as_dataset(split=n, batch_size=-1, read_config=config) for n in SPLITS]
        return [[tensors[feature].numpy() for feature in features] for tensors in read]


def no_download(name: str, error: Exception) -> OSError:
    """Return the error for a failed download."""
    return OSError(
        f"{name} could not be downloaded ({error}). Pass `data_dir`, the folder with the files, or "
        "take `datasets.synthetic`."
    )
