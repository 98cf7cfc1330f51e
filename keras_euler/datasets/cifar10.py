"""Read CIFAR-10 from any of its usual files, as uint8 arrays."""

from collections.abc import Iterable, Sequence

import keras
import numpy as np

from keras_euler._checks import check_integer
from keras_euler._types import Array, PathLike, Splits
from keras_euler.datasets import _files

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
_FEATURES = ("image", "label")
_HINT = (
    "Pass a TensorFlow Datasets folder (cifar10/VERSION with dataset_info.json), or an .npz file "
    f"with {', '.join(_NPZ_NAMES)}."
)


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
        FileNotFoundError: `data_dir` is missing or has an unknown layout.
        ValueError: A file is truncated, damaged, of another shape or type, or holds anything but
            arrays.
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
        try:
            try:
                splits = _files.read_prepared(None, "cifar10", _FEATURES)
            except ImportError:
                splits = keras.datasets.cifar10.load_data()
            return _splits("the download", splits)
        except Exception as error:  # both raise a plain Exception without a network
            raise _files.no_download("CIFAR-10", error) from error
    path = _files.existing_path(data_dir, _HINT)
    if path.suffix == ".npz" and path.is_file():
        # With a path instead of a stream, np.load leaves a damaged file open.
        with (
            _files.decoding(path, f"an .npz file of the arrays {', '.join(_NPZ_NAMES)}"),
            path.open("rb") as stream,
            np.load(stream) as archive,
        ):
            arrays = [archive[name] for name in _NPZ_NAMES]
        return _splits(path, (arrays[:2], arrays[2:]))
    prepared = _files.find_prepared(path, "cifar10")
    if not prepared:
        raise _files.unknown_layout(path, "CIFAR-10", _HINT)
    return _splits(prepared, _files.read_prepared(prepared, "cifar10", _FEATURES))


def _splits(source: object, splits: Iterable[Sequence[Array]]) -> Splits:
    """Return images and labels, or raise unless they are uint8 `(n, 32, 32, 3)` and one class in
    0..9 per image."""
    valid = []
    for name, (x, y) in zip(_files.SPLITS, splits, strict=True):
        y = y[:, 0] if y.shape[1:] == (1,) else y
        has_shape = x.shape[1:] == (SIZE, SIZE, 3) and len(x) and y.shape == x.shape[:1]
        if x.dtype != np.uint8 or not has_shape:
            raise ValueError(
                f"{source}, {name} must hold uint8 images (n, 32, 32, 3) and n labels. Received: "
                f"{x.dtype} {x.shape} and {y.shape}."
            )
        if not np.isin(y, range(10)).all():
            raise ValueError(
                f"{source}, {name}: labels must be in 0..9. Received: {y.min()}..{y.max()}."
            )
        valid.append((np.array(x), y.astype("int64")))
    train, test = valid
    return train, test


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
    if SIZE % check_integer("size", size, 1):
        raise ValueError(
            f"`size` must divide {SIZE}. Received: size={size}. Pass 1, 2, 4, 8, 16 or 32."
        )
    if images.dtype != np.uint8 or images.shape[1:] != (SIZE, SIZE, 3):
        raise ValueError(
            f"`images` must be uint8 (n, 32, 32, 3). Received: {images.dtype} {images.shape}."
        )
    if size == SIZE:
        return images
    side = SIZE // size
    # Exact in float32: a sum of at most 1,024 bytes, divided by a power of two.
    means = images.reshape(-1, size, side, size, side, 3).mean((2, 4), dtype="float32")
    return means.round().astype("uint8")
