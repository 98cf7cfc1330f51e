"""Nested Python values as JSON and a list of arrays, as a checkpoint holds them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_euler._types import Array


class Variables(list[Any]):
    """The values of the variables of an object."""


def packed(value: Any, arrays: list[Array]) -> Any:
    """Return a value as JSON has it, with arrays by their number, or raise a TypeError."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    is_variable = isinstance(value, keras.Variable)
    if isinstance(value, (np.ndarray, np.generic)) or is_variable or keras.ops.is_tensor(value):
        array = np.array(keras.ops.convert_to_numpy(value))
        dtype = array.dtype.name
        if array.dtype.kind == "V" or dtype == "bfloat16":  # no .npz file holds it
            array = array.astype("float32")
        if array.dtype.kind not in "biuf":
            raise TypeError
        arrays.append(array)
        is_tensor = keras.ops.is_tensor(value) and not is_variable
        name = "number" if isinstance(value, np.generic) else "tensor" if is_tensor else "array"
        return {name: [len(arrays) - 1, dtype]}
    if isinstance(value, Variables) or hasattr(value, "variables"):
        variables = value if isinstance(value, Variables) else value.variables
        return {"variables": [packed(variable, arrays) for variable in variables]}
    kind = type(value)
    if kind not in (list, tuple, set, dict):
        raise TypeError
    items = value.values() if kind is dict else value
    if any(isinstance(item, keras.Variable) or hasattr(item, "variables") for item in items):
        raise TypeError
    if kind is dict:
        return {"dict": [[packed(part, arrays) for part in item] for item in value.items()]}
    return {kind.__name__: [packed(item, arrays) for item in items]}


def unpacked(value: Any, arrays: Sequence[Array]) -> Any:
    """Return what `packed` was given."""
    if not isinstance(value, dict):
        return value
    ((kind, items),) = value.items()
    if kind in ("array", "tensor", "number"):
        array = arrays[items[0]].astype(items[1])
        if kind == "tensor":
            return keras.ops.convert_to_tensor(array)
        return array if kind == "array" else array[()]
    if kind == "dict":
        return {unpacked(name, arrays): unpacked(item, arrays) for name, item in items}
    make = {"list": list, "tuple": tuple, "set": set, "variables": Variables}[kind]
    return make(unpacked(item, arrays) for item in items)
