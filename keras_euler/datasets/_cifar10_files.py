"""Read the six official files of CIFAR-10, from a folder or an archive."""

import io
import pathlib
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_euler._types import Array, PathLike, Splits
from keras_euler.datasets._tfds import decoding

_ROWS = 10_000  # in each of the six official files
_PIXELS = 3 * 32 * 32
FOLDER, ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"
FILES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")


def read_batches(folder: Path) -> Splits:
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{folder} lacks {', '.join(missing)}. {_EXPECTED}")
    return _join({name: _parse(folder / name, (folder / name).read_bytes()) for name in FILES})


def read_tar(path: Path) -> Splits:
    batches = {}
    # In the order of the archive: going back in a gzip stream would decompress it again.
    with decoding(path, "a gzipped tar archive"), tarfile.open(path, "r:gz") as archive:
        for member in archive:
            name = pathlib.PurePosixPath(member.name).name
            stream = archive.extractfile(member) if member.isfile() and name in FILES else None
            if stream:
                batches[name] = _parse(f"{path}:{member.name}", stream.read())
    missing = [name for name in FILES if name not in batches]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}. {_EXPECTED}")
    return _join(batches)


_EXPECTED = f"Expected six files: {', '.join(FILES)}."


def _parse(file: PathLike, content: bytes) -> tuple[Array, Array]:
    with decoding(file, "a pickle of a CIFAR-10 batch"):
        # The official files were written by Python 2: their strings are bytes.
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    keys = (
        {key.decode("latin1") if isinstance(key, bytes) else key: key for key in batch}
        if type(batch) is dict
        else {}
    )
    if not {"data", "labels"} <= keys.keys():
        received = f"the keys {sorted(map(str, keys))}" if keys else type(batch).__name__
        raise ValueError(
            f"{file} must hold a dictionary with the keys data and labels. Received: {received}."
        )
    data, labels = batch[keys["data"]], batch[keys["labels"]]
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape != (_ROWS, _PIXELS):
        raise ValueError(
            f"{file}: data must be uint8 ({_ROWS}, {_PIXELS}). Received: {describe(data)}."
        )
    # Every image is stored as three planes, red, green and blue, each row by row.
    return data.reshape(_ROWS, 3, 32, 32), checked_labels(file, labels, _ROWS)


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickle NumPy arrays and Python's own containers. Any other global could run code, so it is
    rejected."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            # Python 3 writes bytes like this in the old protocols. str.encode takes text encodings
            # only, not every codec.
            ("_codecs", "encode"): str.encode,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(
                f"it needs {module}.{name}, but only NumPy arrays are allowed"
            )
        return allowed[module, name]


def _join(batches: Mapping[str, tuple[Array, Array]]) -> Splits:
    *train, test = (batches[name] for name in FILES)
    x_train, y_train = (np.concatenate(parts) for parts in zip(*train, strict=True))
    channels_last = [np.ascontiguousarray(np.moveaxis(x, 1, -1)) for x in (x_train, test[0])]
    return (channels_last[0], y_train), (channels_last[1], test[1])


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
