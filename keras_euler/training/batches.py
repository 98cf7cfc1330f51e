"""The data of a run, in an order that the callbacks set."""

import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from keras_euler._checks import check_integer
from keras_euler._types import Array, Config
from keras_euler.models.validation import prepared_inputs
from keras_euler.training.devices import num_replicas


class ShuffledBatches(keras.utils.PyDataset):
    """Batches of arrays, with the examples in the order of `shuffle`.

    Args:
        data: Tuple `(x, y)` or `(x, y, sample_weight)`; each an array of n rows, or a list or
            dict of such arrays.
        batch_size: Examples per batch; the last batch has the rest.

    Attributes:
        start: Number of batches that are left out at the beginning.
    """

    start = 0

    def __init__(self, data: Any, batch_size: int) -> None:
        super().__init__()
        self.data, self.batch_size = data, batch_size
        self.order = np.arange(len(keras.tree.flatten(data)[0]))

    def shuffle(self, rng: np.random.Generator) -> None:
        self.order = rng.permutation(len(self.order))

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size) - self.start

    def __getitem__(self, index: int) -> Any:
        index += self.start
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return keras.tree.map_structure(lambda array: array[rows], self.data)


class ShuffledDataset(ShuffledBatches):
    """The batches of another PyDataset, in the order of `shuffle`, from number `start` on.

    If the data set has several workers, as many threads prepare the next batches. Keras' own
    workers keep batches of the order before, and pass them on in the next epoch.
    """

    def __init__(self, data: keras.utils.PyDataset) -> None:
        super().__init__(np.arange(data.num_batches), 1)
        self.data = data
        self._threads = ThreadPoolExecutor(data.workers) if data.workers > 1 else None
        self._ahead: dict[int, Future[Any]] = {}  # number of a batch -> the batch

    def __getitem__(self, index: int) -> Any:
        first, *others = self.order[self.start + index :][: self.data.max_queue_size].tolist()
        if self._threads is None:
            return self.data[first]
        for number in (first, *others):
            if number not in self._ahead:
                self._ahead[number] = self._threads.submit(self.data.__getitem__, number)
        return self._ahead.pop(first).result()

    def on_epoch_begin(self) -> None:
        self.data.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.data.on_epoch_end()


def as_batches(name: str, model: keras.Model, data: Any, batch_size: int | None) -> ShuffledBatches:
    """Return arrays or a PyDataset as batches in an order that can be set; inputs are checked, and
    strings encoded, as by the model's `fit`.

    Raises:
        TypeError: The data are neither.
        ValueError: The data are empty, or have several lengths or an unknown number of batches; or
            the devices cannot share the batches.
    """
    if isinstance(data, keras.utils.PyDataset):
        if not data.num_batches:
            raise ValueError(
                f"`{name}` must have a known number of batches, at least 1. Received: "
                f"{data.num_batches}."
            )
        return ShuffledDataset(data)
    expected = (
        f"`{name}` must be a tuple (x, y) or (x, y, sample_weight) of arrays, or a "
        "keras.utils.PyDataset."
    )
    if not isinstance(data, (tuple, list)) or not 1 <= len(data) <= 3:
        raise TypeError(f"{expected} Received: {type(data).__name__}.")
    if hasattr(model, "prepare_inputs"):
        data = (prepared_inputs(model, data[0]), *data[1:])
    while len(data) > 1 and data[-1] is None:
        data = data[:-1]
    # Keras itself makes tuples of lists: TensorFlow takes a list for one tensor.
    arrays = keras.tree.lists_to_tuples(keras.tree.map_structure(_array, tuple(data)))
    lengths = {array.shape[0] if array.ndim else None for array in keras.tree.flatten(arrays)}
    if len(lengths) != 1 or None in lengths:
        raise ValueError(f"{expected} Received: arrays of {sorted(map(str, lengths))} examples.")
    if lengths == {0}:
        raise ValueError(f"`{name}` must have at least one example. Received: none.")
    batches = ShuffledBatches(arrays, check_integer("batch_size", batch_size, 1))
    replicas, size, batch_size = num_replicas(), len(batches.order), batches.batch_size
    if batch_size % replicas or size % batch_size % replicas:
        raise ValueError(
            f"With {replicas} devices, the batches of `{name}`, also the last one, must be "
            f"multiples of {replicas}. Received: {size} examples in batches of {batch_size}."
        )
    return batches


def fingerprint(data: Any) -> Config:
    """Identify a data set by its number of examples and a checksum of each array.

    Args:
        data: Arrays of the same length in a tuple, list or dict; or a `PyDataset`, identified by
            its number of batches.

    Returns:
        A JSON-serializable dict.

    Example:

    >>> fingerprint((np.zeros((2, 3), "uint8"), np.array([0, 1], "uint8")))
    {'examples': 2, 'crc32': [2982322595, 920527465]}
    """
    if isinstance(data, keras.utils.PyDataset):
        return {"batches": int(data.num_batches)}
    arrays = [_array(array) for array in keras.tree.flatten(data)]
    return {"examples": len(arrays[0]), "crc32": [_checksum(array) for array in arrays]}


def _checksum(array: Array) -> int:
    if array.dtype.kind in "OT":  # strings
        return zlib.crc32("\0".join(map(str, array.ravel())).encode())
    # As bytes: a buffer has no bfloat16, no dates.
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _array(value: Any) -> Array:
    return value.to_numpy() if hasattr(value, "to_numpy") else np.asarray(value)
