"""Read CIFAR-10 from any of its usual files, as uint8 arrays."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_euler._checks import check_integer
from keras_euler._types import Array, PathLike, Splits
from keras_euler.datasets import _tfds
from keras_euler.datasets._folders import (
    checked_labels,
    describe,
    existing_path,
    unknown_layout_error,
)
from keras_euler.datasets._tfds import decoding

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SIZE = 32  # pixels per side
# Mean and standard deviation of the training pixels for red, green and blue, in units of 0..255:
# the authors' numbers.
MEAN = tuple(255 * mean for mean in (0.4914, 0.4822, 0.4465))
STDDEV = tuple(255 * stddev for stddev in (0.2023, 0.1994, 0.2010))

_NPZ_NAMES = ("x_train", "y_train", "x_test", "y_test")


def load_data(data_dir: PathLike | None = None) -> Splits:
    """Read CIFAR-10: 50,000 training and 10,000 test images in the ten classes `CLASS_NAMES`.

    Args:
        data_dir: String or path. One of
            - a prepared TensorFlow Datasets folder: the root, the folder `cifar10` or the version's
              folder (never downloads; needs the extra `keras_euler[datasets]`);
            - an `.npz` file with the arrays `x_train`, `y_train`, `x_test` and `y_test`, of any
              number of images.

            None downloads the set once, by TensorFlow Datasets or, without that package, by
            `keras.datasets.cifar10`.

    Returns:
        `(x_train, y_train), (x_test, y_test)`. Images are uint8 `(n, 32, 32, 3)`: row, column,
        colour (red, green, blue). Labels are int64 `(n,)`, 0 to 9.

    If TensorFlow only reads the files and Keras runs on another backend, TensorFlow does not take
    the GPU.

    Raises:
        FileNotFoundError: `data_dir` is missing or empty.
        ValueError: `data_dir` has an unknown layout, or a file is truncated, damaged, of another
            shape or type, or holds anything but arrays.
        ImportError: `data_dir` is a TensorFlow Datasets folder and that package is missing.
        OSError: Without `data_dir`, the download failed.
        TypeError: `data_dir` is neither a string nor a path.

    Example:

    >>> import pathlib, tempfile
    >>> from keras_euler.datasets import synthetic
    >>> (x_train, y_train), (x_test, y_test) = synthetic.images(num_train=20, num_test=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "small.npz")
    ...     np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    ...     (images, labels), _ = load_data(path)
    >>> images.shape, str(images.dtype), labels.shape, str(labels.dtype)
    ((20, 32, 32, 3), 'uint8', (20,), 'int64')
    """
    if data_dir is None:
        return _download()
    path = existing_path(data_dir, _supported_layouts())
    if path.is_file():
        if path.suffix == ".npz":
            return _read_npz(path)
        raise ValueError(
            f"`data_dir` is a file of an unknown type. Received: data_dir={str(path)!r}. "
            f"{_supported_layouts()}"
        )
    prepared = _tfds.find_folder(path, "cifar10")
    if not prepared:
        raise unknown_layout_error(path, "CIFAR-10", _supported_layouts())
    return _read_tfds_folder(prepared)


def resize(images: Array, size: int) -> Array:
    """Shrink images: each new pixel is the mean of a square of old ones, rounded half to even.

    Args:
        images: uint8 array `(n, 32, 32, 3)`, such as `load_data` returns.
        size: Height and width of the new images in pixels: 1, 2, 4, 8, 16 or 32. 32 returns the
            images unchanged.

    Returns:
        uint8 array `(n, size, size, 3)`.

    Raises:
        ValueError: `size` does not divide 32, or `images` have another shape or dtype.
        TypeError: `size` is not an integer.

    Example:

    >>> images = np.zeros((1, 32, 32, 3), "uint8")
    >>> images[:, :8, :16] = 3
    >>> resize(images, 2)[0, :, :, 0].tolist()
    [[2, 0], [0, 0]]
    """
    if check_integer("size", size, 1) > SIZE or SIZE % size:
        raise ValueError(
            f"`size` must divide {SIZE}. Received: size={size}. Pass 1, 2, 4, 8, 16 or 32."
        )
    if not _are_images(images):
        raise ValueError(f"`images` must be uint8 (n, 32, 32, 3). Received: {describe(images)}.")
    if size == SIZE:
        return images
    side = SIZE // size
    # Exact in float32: a sum of at most 1,024 bytes, divided by a power of two.
    means = images.reshape(-1, size, side, size, side, 3).mean((2, 4), dtype="float32")
    return means.round().astype("uint8")


def _supported_layouts() -> str:
    return (
        "Pass a TensorFlow Datasets folder (cifar10/VERSION with dataset_info.json), or an .npz "
        f"file with {', '.join(_NPZ_NAMES)}."
    )


# --- .npz


def _read_npz(path: Path) -> Splits:
    # With a path instead of a stream, np.load leaves a damaged file open.
    with (
        decoding(path, "an .npz file of plain arrays"),
        path.open("rb") as stream,
        np.load(stream, allow_pickle=False) as archive,
    ):
        stored_names = list(archive.keys())
        arrays = [archive[name] for name in _NPZ_NAMES if name in stored_names]
    if len(arrays) < len(_NPZ_NAMES):
        raise ValueError(
            f"{path} must hold the arrays {', '.join(_NPZ_NAMES)}. Received: "
            f"{', '.join(stored_names) or 'none'}."
        )
    return _checked_splits(path, (arrays[:2], arrays[2:]))


# --- TensorFlow Datasets and downloads


def _read_tfds_folder(folder: Path) -> Splits:
    return _checked_splits(folder, _tfds.read_folder(folder, "cifar10", ("image", "label")))


def _download() -> Splits:
    try:
        if _tfds.is_installed():
            return _checked_splits("the download", _tfds.download("cifar10", ("image", "label")))
        return _checked_splits("keras.datasets.cifar10", keras.datasets.cifar10.load_data())
    except Exception as error:  # both raise a plain Exception without a network
        raise OSError(
            f"CIFAR-10 could not be downloaded ({error}). Pass `data_dir`, the folder with the "
            f"files, or take `datasets.synthetic`."
        ) from error


def _checked_splits(source: object, splits: Iterable[Sequence[Array]]) -> Splits:
    train, test = (
        _checked(f"{source}, {name}", *split)
        for name, split in zip(_tfds.SPLITS, splits, strict=True)
    )
    return train, test


# --- checks


def _checked(file: str, x: Any, y: Any) -> tuple[Array, Array]:
    if not _are_images(x) or not len(x):
        raise ValueError(
            f"{file}: images must be uint8 (n, 32, 32, 3), n > 0. Received: {describe(x)}."
        )
    return x, checked_labels(file, y, len(x))


def _are_images(x: object) -> bool:
    return (
        isinstance(x, np.ndarray)
        and x.dtype == np.uint8
        and x.ndim == 4
        and x.shape[1:] == (SIZE, SIZE, 3)
    )
