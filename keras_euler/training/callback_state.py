"""What callbacks such as EarlyStopping and SwapEMAWeights remember while they train."""

import json
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_euler._types import Array, Config
from keras_euler.callbacks import GradientLogger, WeightLogger

# Attributes that belong to `fit`, or that Keras sets at every start.
NOT_STATE = ("_model", "model", "params", "validation_data")


class CallbackStates:
    """The attributes that callbacks change while they train.

    Args:
        callbacks: The callbacks.

    Numbers, strings, arrays, tensors, lists, tuples, sets and dicts of them can be written, and the
    variables of layers, metrics and other objects that have `variables`. A warning names the other
    attributes. Functions count as unchanged, and loggers of norms save their own state.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        loggers = (GradientLogger, WeightLogger)
        self.loggers = [callback for callback in callbacks if isinstance(callback, loggers)]
        self.others = [callback for callback in callbacks if not isinstance(callback, loggers)]
        self._lost: set[str] = set()

    def begin(self) -> None:
        """Note the attributes when training starts, where callbacks reset themselves."""
        self._at_start = [self._attributes(callback) for callback in self.others]

    def save(self, arrays: list[Array], within_epoch: bool) -> Config:
        """Return what has changed since the start, as a JSON-serializable dict; append arrays."""
        changes: list[Config] = []
        for callback, before in zip(self.others, self._at_start, strict=True):
            changes.append({})
            for name, value in self._attributes(callback).items():
                own: list[Array] = []
                _encoded(value, own)
                start = before.get(name)
                has_same = type(start) is _Variables and len(start) == len(own)
                if isinstance(value, _Variables) and not has_same:  # made after the start
                    self._warn({f"{type(callback).__name__}.{name}"})
                # Arrays may have begun with weights of the model, which are others after a resume.
                elif own or name not in before or not _are_equal(value, start):
                    changes[-1][name] = _encoded(value, arrays)
        loggers = [logger.save_epoch() for logger in self.loggers] if within_epoch else []
        return {"callbacks": changes, "loggers": loggers}

    def restore(self, saved: Config, arrays: Sequence[Array], within_epoch: bool) -> None:
        """Restore the result of `save`; an attribute that it lacks has the value of the start."""
        parts = zip(self.others, self._at_start, saved["callbacks"], strict=False)
        for callback, before, changes in parts:
            values = {name: _decoded(value, arrays) for name, value in changes.items()}
            now = self._attributes(callback)
            for name, value in {**before, **values}.items():
                if name not in now or not _are_equal(value, now[name]):
                    _assign(vars(callback), name, value)
        if within_epoch:
            for logger, rest in zip(self.loggers, saved["loggers"], strict=False):
                logger.restore_epoch(rest)

    def _attributes(self, callback: keras.callbacks.Callback) -> dict[str, Any]:
        """Return copies of the attributes that can be written, and warn of others, once each."""
        found, lost = {}, set()
        for name, value in vars(callback).items():
            is_function = callable(value) and not hasattr(value, "variables")
            is_function |= value is callback.model  # which is saved itself
            # Keras changes the sign of min_delta with monitor_op, a function.
            is_sign = name == "min_delta" and hasattr(callback, "monitor_op")
            if name in NOT_STATE or is_sign or (is_function and not _is_variable(value)):
                continue
            arrays: list[Array] = []
            try:
                found[name] = _decoded(json.loads(json.dumps(_encoded(value, arrays))), arrays)
            except TypeError:
                lost.add(f"{type(callback).__name__}.{name}")
        self._warn(lost)
        return found

    def _warn(self, lost: set[str]) -> None:
        """Name what a checkpoint cannot hold, once."""
        if lost - self._lost:
            warnings.warn(
                f"A resumed run starts with new values of {', '.join(sorted(lost - self._lost))}: "
                "a checkpoint holds numbers, strings, arrays, and lists, tuples, sets and dicts of "
                "them.",
                stacklevel=2,
            )
        self._lost |= lost


def _is_variable(value: Any) -> bool:
    return isinstance(value, keras.Variable)


def _assign(attributes: Config, name: str, value: Any) -> None:
    """Assign a value to an attribute, in place where other attributes may refer to it."""
    current: Any = attributes.get(name)
    if _is_variable(current):
        current.assign(value)
    elif isinstance(value, _Variables):
        for variable, array in zip(current.variables, value, strict=True):
            variable.assign(array)
    elif type(current) is type(value) is list:
        current[:] = value
    elif type(current) is type(value) and isinstance(value, (dict, set)):
        current.clear()
        current.update(value)
    else:
        attributes[name] = value


class _Variables(list[Any]):
    """The values of the variables of an object."""


def _encoded(value: Any, arrays: list[Array]) -> Any:
    """Return a value as JSON has it, with arrays by their number."""
    if isinstance(value, np.generic) and value.dtype.kind in "biufU":
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray) or _is_variable(value) or keras.ops.is_tensor(value):
        array = np.array(keras.ops.convert_to_numpy(value))
        dtype = array.dtype.name
        if array.dtype.kind == "V" or dtype == "bfloat16":  # no .npz file holds it
            array = array.astype("float32")
        if array.dtype.kind not in "biuf":
            raise TypeError
        arrays.append(array)
        is_tensor = keras.ops.is_tensor(value) and not _is_variable(value)
        return {"tensor" if is_tensor else "array": [len(arrays) - 1, dtype]}
    if isinstance(value, _Variables) or hasattr(value, "variables"):
        variables = value if isinstance(value, _Variables) else value.variables
        return {"variables": [_encoded(variable, arrays) for variable in variables]}
    if type(value) in (list, tuple, set):
        if any(_is_variable(item) or hasattr(item, "variables") for item in value):
            raise TypeError
        return {type(value).__name__: [_encoded(item, arrays) for item in value]}
    if type(value) is dict:
        return {"dict": [[_encoded(part, arrays) for part in item] for item in value.items()]}
    raise TypeError


def _decoded(value: Any, arrays: Sequence[Array]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, items),) = value.items()
    if kind in ("array", "tensor"):
        array = arrays[items[0]].astype(items[1])
        return array if kind == "array" else keras.ops.convert_to_tensor(array)
    if kind == "dict":
        return {_decoded(name, arrays): _decoded(item, arrays) for name, item in items}
    make = {"list": list, "tuple": tuple, "set": set, "variables": _Variables}[kind]
    return make(_decoded(item, arrays) for item in items)


def _are_equal(value: Any, other: Any) -> bool:
    """Return whether two values that can be written are the same."""
    one: list[Array] = []
    two: list[Array] = []
    is_same = json.dumps(_encoded(value, one)) == json.dumps(_encoded(other, two))
    return is_same and len(one) == len(two) and all(map(np.array_equal, one, two))
