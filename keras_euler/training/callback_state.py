"""What callbacks such as EarlyStopping and SwapEMAWeights remember while they train."""

import copy
import json
import warnings
from collections.abc import Sequence
from typing import Any

import keras

from keras_euler._types import Array, Config
from keras_euler.callbacks import GradientLogger, WeightLogger
from keras_euler.training.packing import Variables, packed, unpacked


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

    def save(self, within_epoch: bool) -> Config:
        """Return what has changed since the start."""
        changes: list[Config] = []
        for callback, before in zip(self.others, self._at_start, strict=True):
            changes.append({})
            for name, value in self._attributes(callback).items():
                start = before.get(name)
                has_them = isinstance(start, Variables) and len(start) == len(value)
                if isinstance(value, Variables) and not has_them:  # made after the start
                    self._warn({f"{type(callback).__name__}.{name}"})
                # Arrays may have begun with weights of the model, which are others after a resume.
                elif name not in before or not _are_same(value, start):
                    changes[-1][name] = value
        loggers = [logger.save_epoch() for logger in self.loggers] if within_epoch else []
        return {"callbacks": changes, "loggers": loggers}

    def restore(self, saved: Config, within_epoch: bool) -> None:
        """Restore the result of `save`; an attribute that it lacks has the value of the start."""
        parts = zip(self.others, self._at_start, saved["callbacks"], strict=False)
        for callback, before, changes in parts:
            now = self._attributes(callback)
            for name, value in copy.deepcopy({**before, **changes}).items():
                if name not in now or not _are_same(value, now[name]):
                    _assign(vars(callback), name, value)
        if within_epoch:
            for logger, rest in zip(self.loggers, saved["loggers"], strict=False):
                logger.restore_epoch(rest)

    def reset(self) -> None:
        """Give the callbacks the attributes that they had when training started."""
        if hasattr(self, "_at_start"):
            self.restore({"callbacks": [{} for _ in self.others]}, within_epoch=False)

    def _attributes(self, callback: keras.callbacks.Callback) -> dict[str, Any]:
        """Return copies of the attributes that can be written, and warn of others, once each."""
        found, lost = {}, set()
        for name, value in vars(callback).items():
            is_function = callable(value) and not hasattr(value, "variables")
            # Keras changes the sign of min_delta with monitor_op, a function.
            is_sign = name == "min_delta" and hasattr(callback, "monitor_op")
            # The model is saved itself.
            if is_sign or is_function or value is callback.model:
                continue
            arrays: list[Array] = []
            try:
                found[name] = unpacked(packed(value, arrays), arrays)
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


def _assign(attributes: Config, name: str, value: Any) -> None:
    """Assign a value to an attribute, in place where other attributes may refer to it."""
    current: Any = attributes.get(name)
    if isinstance(current, keras.Variable):
        current.assign(value)
    elif isinstance(value, Variables):
        for variable, array in zip(current.variables, value, strict=True):
            variable.assign(array)
    elif type(current) is type(value) in (list, dict, set):
        current.clear()
        (current.extend if type(value) is list else current.update)(value)
    else:
        attributes[name] = value


def _are_same(value: Any, other: Any) -> bool:
    """Return whether two values are equal and hold no arrays: these may have begun with weights of
    the model, which are others after a resume."""
    arrays: list[Array] = []
    return json.dumps(packed(value, arrays)) == json.dumps(packed(other, [])) and not arrays
