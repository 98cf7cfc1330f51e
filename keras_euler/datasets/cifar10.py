"""CIFAR-10 from any of the files it is usually kept in, as uint8 arrays."""

import io
import pathlib
import pickle
import tarfile

import keras
import numpy as np

from keras_euler.datasets import _tfds
from keras_euler.datasets._folders import existing, without_known_layout
from keras_euler.datasets._tfds import decoding

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# Of the training images' red, green and blue, in units of 0..255: the numbers of the paper's authors.
MEAN = [255 * m for m in (0.4914, 0.4822, 0.4465)]
STDDEV = [255 * s for s in (0.2023, 0.1994, 0.2010)]

_ROWS = 10_000  # in each of the six official files
_PIXELS = 3 * 32 * 32
_NPZ_NAMES = ("x_train", "y_train", "x_test", "y_test")
_TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
# folder -> its six files, the test file last
_OFFICIAL = {
    "cifar-10-batches-py": (*_TRAIN, "test_batch"),
    "cifar-10-batches-bin": (*(f"{name}.bin" for name in _TRAIN), "test_batch.bin"),
}
_ARCHIVES = ("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz")


def load_data(data_dir=None):
    """Read CIFAR-10: 50,000 training and 10,000 test images in ten classes, named in `CLASS_NAMES`.

    Args:
        data_dir: String or path. One of
            - a prepared TensorFlow Datasets folder: its root, its `cifar10` or its version folder (never downloads;
              needs the extra `keras_euler[datasets]`);
            - the folder `cifar-10-batches-py` or `cifar-10-batches-bin`, or a folder that holds one of them;
            - `cifar-10-python.tar.gz` or `cifar-10-binary.tar.gz`, or a folder that holds one of them; nothing is
              unpacked to disk;
            - an `.npz` file with the arrays `x_train`, `y_train`, `x_test` and `y_test`, of any number of images.

            None: TensorFlow Datasets downloads the set once; without that package `keras.datasets.cifar10` does.

    Returns:
        `(x_train, y_train), (x_test, y_test)`. Images are uint8 `(n, 32, 32, 3)`: row, column, colour (red, green,
        blue). Labels are int64 `(n,)`, 0 to 9.

    Where TensorFlow only reads the files and Keras runs on another backend, TensorFlow is told to leave the GPU alone.

    Raises:
        FileNotFoundError: `data_dir` isn't there or is empty, or one of the six official files is missing.
        ValueError: Nothing known lies in `data_dir`, or a file is cut off, damaged, of another shape or type, or holds
            anything but arrays.
        ImportError: `data_dir` is a TensorFlow Datasets folder and that package isn't installed.
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
    path = existing(data_dir, _looked_for())
    if path.is_file():
        if path.suffix == ".npz":
            return _read_npz(path)
        if path.name.endswith((".tar.gz", ".tgz")):
            return _read_tar(path)
        raise ValueError(f"`data_dir` is a file of an unknown kind. Received: data_dir={str(path)!r}. {_looked_for()}")
    return _read_folder(path)


def _read_folder(path):
    prepared = _tfds.find_folder(path, "cifar10")
    if prepared:
        return _read_tfds_folder(prepared)
    for inner, names in _OFFICIAL.items():
        for folder in (path, path / inner):
            if any((folder / name).is_file() for name in names):
                return _read_batches(folder, names)
    for name in _ARCHIVES:
        if (path / name).is_file():
            return _read_tar(path / name)
    raise without_known_layout(path, "CIFAR-10", _looked_for())


def _looked_for():
    folders, archives = (", ".join(names) for names in (_OFFICIAL, _ARCHIVES))
    return (
        "Pass a TensorFlow Datasets folder (cifar10/VERSION with dataset_info.json), one of the folders "
        f"{folders}, one of the archives {archives}, or an .npz file with {', '.join(_NPZ_NAMES)}."
    )


# --- the six official files


def _read_batches(folder, names):
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{folder} lacks {', '.join(missing)}. Expected six files: {', '.join(names)}.")
    return _join({name: _parse(name, folder / name, (folder / name).read_bytes()) for name in names}, names)


def _read_tar(path):
    batches = {}
    # Member by member as they come: going back in a gzip stream would mean to decompress it again.
    for member, content in _tar_members(path):
        name = pathlib.PurePosixPath(member).name
        batches[name] = _parse(name, f"{path}:{member}", content)
    for names in _OFFICIAL.values():
        if batches.keys() & set(names):
            missing = [name for name in names if name not in batches]
            if missing:
                raise ValueError(f"{path} lacks {', '.join(missing)}. Expected six files: {', '.join(names)}.")
            return _join(batches, names)
    raise ValueError(f"{path} holds no CIFAR-10. Expected the official archive, {' or '.join(_ARCHIVES)}.")


def _tar_members(path):
    wanted = {name for names in _OFFICIAL.values() for name in names}
    with decoding(path, "a gzipped tar archive"), tarfile.open(path, "r:gz") as archive:
        for member in archive:
            if member.isfile() and pathlib.PurePosixPath(member.name).name in wanted:
                yield member.name, archive.extractfile(member).read()


def _parse(name, file, content):
    planes, labels = (_parse_bin if name.endswith(".bin") else _parse_py)(file, content)
    # Every image is stored as three planes, red, green and blue, each row by row.
    return planes.reshape(_ROWS, 3, 32, 32), _labels(file, labels, _ROWS)


def _parse_bin(file, content):
    row = 1 + _PIXELS
    if len(content) != _ROWS * row:
        raise ValueError(
            f"{file} is cut off or isn't a CIFAR-10 file. Expected {_ROWS * row:,} bytes ({_ROWS:,} rows of {row:,}). "
            f"Received {len(content):,} bytes."
        )
    rows = np.frombuffer(content, "uint8").reshape(_ROWS, row)
    return rows[:, 1:], rows[:, 0]


def _parse_py(file, content):
    with decoding(file, "a pickle of a CIFAR-10 batch"):
        # The official files were written by Python 2: their strings are bytes.
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    keys = (
        {key.decode("latin1") if isinstance(key, bytes) else key: key for key in batch} if type(batch) is dict else {}
    )
    if not {"data", "labels"} <= keys.keys():
        found = f"the keys {sorted(map(str, keys))}" if keys else type(batch).__name__
        raise ValueError(f"{file} must hold a dictionary with the keys data and labels. Received: {found}.")
    data, labels = batch[keys["data"]], batch[keys["labels"]]
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape != (_ROWS, _PIXELS):
        raise ValueError(f"{file}: data must be uint8 ({_ROWS}, {_PIXELS}). Received: {_described(data)}.")
    return data, labels


class _ArrayUnpickler(pickle.Unpickler):
    """Builds NumPy arrays and Python's own containers. Any other global could run code, so it is refused."""

    def find_class(self, module, name):
        allowed = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            # So Python 3 writes bytes in the old protocols. str.encode knows text encodings only, not every codec.
            ("_codecs", "encode"): str.encode,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only NumPy arrays are admitted")
        return allowed[module, name]


def _join(batches, names):
    *train, test = (batches[name] for name in names)
    x_train, y_train = (np.concatenate(parts) for parts in zip(*train, strict=True))
    channels_last = [np.ascontiguousarray(np.moveaxis(x, 1, -1)) for x in (x_train, test[0])]
    return (channels_last[0], y_train), (channels_last[1], test[1])


# --- .npz


def _read_npz(path):
    # Given a path instead of a stream, np.load leaves a damaged file open.
    with (
        decoding(path, "an .npz file of plain arrays"),
        path.open("rb") as stream,
        np.load(stream, allow_pickle=False) as archive,
    ):
        found = list(archive.keys())
        arrays = [archive[name] for name in _NPZ_NAMES if name in found]
    if len(arrays) < len(_NPZ_NAMES):
        raise ValueError(
            f"{path} must hold the arrays {', '.join(_NPZ_NAMES)}. Received: {', '.join(found) or 'none'}."
        )
    return _checked_splits(path, (arrays[:2], arrays[2:]))


# --- TensorFlow Datasets and downloads


def _read_tfds_folder(folder):
    return _checked_splits(folder, _tfds.read_folder(folder, "cifar10", ("image", "label")))


def _download():
    try:
        if _tfds.is_installed():
            return _checked_splits("the download", _tfds.download("cifar10", ("image", "label")))
        return _checked_splits("keras.datasets.cifar10", keras.datasets.cifar10.load_data())
    except Exception as error:  # both raise a bare one where the network is missing
        raise OSError(f"CIFAR-10 could not be downloaded ({error}). Pass `data_dir`, where the files lie.") from error


def _checked_splits(source, splits):
    return tuple(_checked(f"{source}, {name}", *split) for name, split in zip(("train", "test"), splits, strict=True))


# --- checks


def _checked(file, x, y):
    if x.dtype != np.uint8 or x.ndim != 4 or x.shape[1:] != (32, 32, 3) or not len(x):
        raise ValueError(f"{file}: images must be uint8 (n, 32, 32, 3), n > 0. Received: {_described(x)}.")
    return x, _labels(file, y, len(x))


def _labels(file, labels, rows):
    try:
        y = np.asarray(labels)
    except ValueError:  # a ragged list
        y = np.empty(0)
    if not np.issubdtype(y.dtype, np.integer) or y.shape not in ((rows,), (rows, 1)):
        raise ValueError(f"{file}: labels must be {rows:,} integers. Received: {_described(y)}.")
    if y.min() < 0 or y.max() >= len(CLASS_NAMES):
        raise ValueError(f"{file}: labels must be in 0..9. Received: {y.min()}..{y.max()}.")
    return y.reshape(rows).astype("int64")


def _described(value):
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
