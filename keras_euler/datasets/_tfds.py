"""Read prepared folders of TensorFlow Datasets as NumPy arrays, with errors that name the file."""

import contextlib
import importlib.util
import json
import socket
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from keras_euler import _backend
from keras_euler._checks import install_command
from keras_euler._types import Array

SPLITS = ("train", "test")
HOSTS = {
    "cifar10": "www.cs.toronto.edu",
    "ag_news_subset": "drive.google.com",
}  # from which data sets are downloaded


def is_installed() -> bool:
    """Return whether TensorFlow Datasets is installed."""
    return importlib.util.find_spec("tensorflow_datasets") is not None


def find_folder(path: Path, name: str) -> Path | None:
    """Return the version folder of a prepared data set: `path`, or the newest in it or in its
    folder `name`; or None."""
    for folders in ([path], path.glob("[0-9]*"), path.glob(f"{name}/[0-9]*")):
        prepared = [folder for folder in folders if (folder / "dataset_info.json").is_file()]
        if prepared:
            return max(prepared, key=_version)
    return None


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else -1 for part in folder.resolve().name.split("."))


def read_folder(
    folder: Path, name: str, features: Sequence[str], splits: Sequence[str] = SPLITS
) -> tuple[tuple[Array, ...], ...]:
    """Read the splits of a prepared folder, without any download.

    Args:
        folder: Path of the version folder.
        name: Name of the data set.
        features: Names of the features to read.
        splits: Names of the splits.

    Returns:
        One tuple of arrays per split, one array per feature.

    Raises:
        ValueError: The folder holds another data set or cannot be read.
        ImportError: TensorFlow Datasets is missing.
    """
    info = folder / "dataset_info.json"
    with decoding(info, "the JSON description of a TensorFlow Datasets folder"):
        stored_name = json.loads(info.read_text("utf-8"))["name"]
    if stored_name != name:
        raise ValueError(f"{folder} must hold the data set {name}. Received: {stored_name!r}.")
    tfds = _import(folder)
    with decoding(folder, "a prepared TensorFlow Datasets folder"):
        return _read(tfds, tfds.builder_from_directory(folder), features, splits)


def download(name: str, features: Sequence[str]) -> tuple[tuple[Array, ...], ...]:
    """Download and prepare a data set unless this is done, and read it as `read_folder` does."""
    tfds = _import(name)
    builder = tfds.builder(name)
    if not Path(builder.data_dir).exists() and not urllib.request.getproxies():
        _check_reachable(HOSTS[name])
    builder.download_and_prepare()
    return _read(tfds, builder, features, SPLITS)


def _check_reachable(host: str) -> None:
    """Raise an OSError at once if there is no network: TensorFlow Datasets retries for minutes."""
    try:
        socket.getaddrinfo(host, 443)
    except OSError as error:
        raise OSError(f"{host} cannot be reached") from error


@contextlib.contextmanager
def decoding(file: object, expected: str) -> Iterator[None]:
    """Convert any error of a damaged file to a ValueError that names the file."""
    try:
        yield
    except PermissionError:
        raise
    except Exception as error:
        raise ValueError(
            f"{file} cannot be read as {expected}: {type(error).__name__}: {error}"
        ) from error


def _import(source: object) -> Any:
    try:
        import tensorflow_datasets as tfds

        _backend.leave_gpu_to_keras()
    except ImportError as error:
        raise ImportError(
            f"{source} needs TensorFlow Datasets, which is not installed or fails to import "
            f"({error}). "
            f"Install the extra: {install_command('datasets')}."
        ) from error
    return tfds


def _read(
    tfds: Any, builder: Any, features: Sequence[str], names: Sequence[str]
) -> tuple[tuple[Array, ...], ...]:
    # A cache would keep a second copy in memory, and the data are read only once.
    config = tfds.ReadConfig(try_autocache=False)
    splits = []
    for split in names:
        tensors = builder.as_dataset(split=split, batch_size=-1, read_config=config)
        arrays = tuple(tensors[feature].numpy() for feature in features)
        expected = builder.info.splits[split].num_examples
        if len(arrays[0]) != expected:
            raise ValueError(f"Expected {expected:,} {split} rows. Received: {len(arrays[0]):,}.")
        splits.append(arrays)
    return tuple(splits)
