"""Shifted test sets for classifiers of CIFAR-10: CIFAR-10-C (corrupted images) and CIFAR-10.1 (new
images)."""

import functools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_euler._types import Array, PathLike
from keras_euler.datasets import _files

_HINT = (
    "Pass the folder of CIFAR-10-C (labels.npy, gaussian_noise.npy, ...), that of CIFAR-10.1 "
    "(cifar10.1_v6_data.npy and "
    "cifar10.1_v6_labels.npy), or a TensorFlow Datasets folder with cifar10_corrupted or cifar10_1."
)


def find(data_dir: PathLike) -> dict[str, Callable[[], tuple[Array, Array]]]:
    """Find the shifted test sets in a folder, without reading them.

    Args:
        data_dir: String or path of a folder with any of
            - CIFAR-10-C (Hendrycks and Dietterich 2019) as published: `labels.npy` and a file such
              as `gaussian_noise.npy` for each corruption, with the severities 1 to 5 in order;
            - CIFAR-10.1 (Recht et al. 2018): `cifar10.1_v6_data.npy` and `cifar10.1_v6_labels.npy`,
              or `v4`;
            - TensorFlow Datasets' prepared `cifar10_corrupted` or `cifar10_1` (needs the extra
              `keras_euler[datasets]`).

    Returns:
        Dict of name, `"gaussian_noise 3"` or `"CIFAR-10.1 v6"` -> function that reads `(x, y)`:
        uint8 images `(n, 32, 32, 3)` and int64 labels `(n,)`.

    Raises:
        FileNotFoundError: The folder is missing or has none of these.
        ValueError: When read, a file is damaged or has another shape.
        TypeError: `data_dir` is neither a string nor a path.

    Example:

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/labels.npy", np.zeros(10, "uint8"))
    ...     np.save(f"{folder}/fog.npy", np.zeros((10, 32, 32, 3), "uint8"))
    ...     sets = find(folder)
    ...     x, y = sets["fog 5"]()
    >>> list(sets), x.shape
    (['fog 1', 'fog 2', 'fog 3', 'fog 4', 'fog 5'], (2, 32, 32, 3))
    """
    path = _files.existing_path(data_dir, _HINT)
    readers: dict[str, Callable[[], tuple[Array, Array]]] = {}
    for file in sorted(path.glob("*.npy")) if (path / "labels.npy").is_file() else []:
        if not file.name.startswith(("labels", "cifar10.1")):
            for i in range(5):
                read = functools.partial(_read, file, path / "labels.npy", i)
                readers[f"{file.stem} {i + 1}"] = read
    for file in sorted(path.glob("cifar10.1_v*_data.npy")):
        labels = file.with_name(file.name.replace("_data", "_labels"))
        readers[f"CIFAR-10.1 {file.name.split('_')[1]}"] = functools.partial(_read, file, labels)
    for name, prefix in (("cifar10_1", "CIFAR-10.1 "), ("cifar10_corrupted", "")):
        for info in sorted(path.glob(f"{name}/*/*/dataset_info.json")):
            title = prefix + re.sub(r"_(\d)$", r" \1", info.parts[-3])
            readers[title] = functools.partial(_read_prepared, info.parent, name)
    if not readers:
        raise _files.unknown_layout(path, "CIFAR-10-C or CIFAR-10.1", _HINT)
    return readers


def _read(file: Path, labels: Path, severity: int | None = None) -> tuple[Array, Array]:
    with _files.decoding(file, f"NumPy arrays, with {labels.name}"):
        arrays = [np.load(each, mmap_mode="r") for each in (file, labels)]
        if severity is not None:
            arrays = [np.split(array, 5)[severity] for array in arrays]
    x, y = arrays
    return _files.checked(file, x, y)


def _read_prepared(folder: Path, name: str) -> tuple[Array, Array]:
    ((x, y),) = _files.read_prepared(folder, name, ("image", "label"), ("test",))
    return _files.checked(folder, x, y)
