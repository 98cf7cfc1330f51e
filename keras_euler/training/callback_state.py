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
NOT_STATE = ("_model", "model", "params", "validation_data", "min_delta")


class CallbackStates:
    """The attributes that callbacks change while they train.

    Args:
        callbacks: The callbacks.

    A warning names attributes that a checkpoint cannot hold: what is no number, string, array, or
    list, tuple, set or dict of them. Functions count as unchanged, and loggers of norms save their
    own state.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        loggers = (GradientLogger, WeightLogger)
        self.loggers = [callback for callback in callbacks if isinstance(callback, loggers)]
        self.others = [callback for callback in callbacks if not isinstance(callback, loggers)]

    def begin(self) -> None:
        """Note the attributes when training starts, where callbacks reset themselves."""
        lost: list[str] = []
        self._at_start = [_attributes(callback, lost) for callback in self.others]
        if lost:
            warnings.warn(
                f"A resumed run starts with new values of {', '.join(lost)}: a checkpoint holds "
                "numbers, strings, arrays, and lists, tuples, sets and dicts of them.",
                stacklevel=2,
            )

    def save(self, arrays: list[Array], within_epoch: bool) -> Config:
        """Return what has changed since the start, as a JSON-serializable dict; append arrays."""
        changes: list[Config] = []
        for callback, before in zip(self.others, self._at_start, strict=True):
            attributes = _attributes(callback, [])
            changes.append(
                {
                    name: _encoded(value, arrays)
                    for name, value in attributes.items()
                    if name not in before or not _are_equal(value, before[name])
                }
            )
        loggers = [logger.save_epoch() for logger in self.loggers] if within_epoch else []
        return {"callbacks": changes, "loggers": loggers}

    def restore(self, saved: Config, arrays: Sequence[Array], within_epoch: bool) -> None:
        """Restore the result of `save`; an attribute that it lacks has the value of the start."""
        parts = zip(self.others, self._at_start, saved["callbacks"], strict=False)
        for callback, before, changes in parts:
            values = {name: _decoded(value, arrays) for name, value in changes.items()}
            for name, value in {**before, **values}.items():
                current = vars(callback).get(name)
                if isinstance(current, keras.Variable):
                    current.assign(value)
                else:
                    vars(callback)[name] = value
        if within_epoch:
            for logger, rest in zip(self.loggers, saved["loggers"], strict=False):
                logger.restore_epoch(rest)


def _attributes(callback: keras.callbacks.Callback, lost: list[str]) -> dict[str, Any]:
    """Return copies of the attributes that can be written; append the names of the others."""
    found = {}
    for name, value in vars(callback).items():
        if name in NOT_STATE or (callable(value) and not isinstance(value, keras.Variable)):
            continue
        arrays: list[Array] = []
        try:
            found[name] = _decoded(json.loads(json.dumps(_encoded(value, arrays))), arrays)
        except TypeError:
            lost.append(f"{type(callback).__name__}.{name}")
    return found


def _encoded(value: Any, arrays: list[Array]) -> Any:
    """Return a value as JSON has it, with arrays by their number."""
    if isinstance(value, np.generic) and value.dtype.kind in "biufU":
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (np.ndarray, keras.Variable)) or keras.ops.is_tensor(value):
        arrays.append(np.array(keras.ops.convert_to_numpy(value)))
        if arrays[-1].dtype.kind not in "biuf":
            raise TypeError
        return {"array": len(arrays) - 1}
    if type(value) in (list, tuple, set):
        return {type(value).__name__: [_encoded(item, arrays) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[_encoded(part, arrays) for part in item] for item in value.items()]}
    raise TypeError


def _decoded(value: Any, arrays: Sequence[Array]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, items),) = value.items()
    if kind == "array":
        return arrays[items]
    if kind == "dict":
        return {_decoded(name, arrays): _decoded(item, arrays) for name, item in items}
    return {"list": list, "tuple": tuple, "set": set}[kind](_decoded(i, arrays) for i in items)


def _are_equal(value: Any, other: Any) -> bool:
    """Return whether two values that can be written are the same."""
    one: list[Array] = []
    two: list[Array] = []
    is_same = json.dumps(_encoded(value, one)) == json.dumps(_encoded(other, two))
    return is_same and len(one) == len(two) and all(map(np.array_equal, one, two))
