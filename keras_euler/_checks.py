"""Argument checks. Every message says what is wrong, what was received and what to pass."""

import math
import numbers
from collections.abc import Iterable, KeysView, Mapping, ValuesView
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np

from keras_euler._types import Array

Choice = TypeVar("Choice")
FLOAT32_MAX = float(np.finfo("float32").max)
DATA_FORMATS = ("channels_last", "channels_first")


def check_number(
    name: str,
    value: Any,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    hint: str = "",
    kind: type = numbers.Real,
) -> float:
    """Return `value` as a float, or raise unless it is finite and within the inclusive bounds."""
    is_kind = isinstance(value, kind) and not isinstance(value, bool)
    if not is_kind or not math.isfinite(value) or not minimum <= value <= maximum:
        wanted = "a finite number" if kind is numbers.Real else "an integer"
        limits = ((">=", minimum), ("<=", maximum))
        bounds = " and".join(f" {sign} {limit}" for sign, limit in limits if math.isfinite(limit))
        error = ValueError if is_kind else TypeError
        raise error(_message(f"`{name}` must be {wanted}{bounds}.", name, value, hint))
    return float(value)


def check_integer(name: str, value: Any, minimum: float = -math.inf, hint: str = "") -> int:
    """Return `value` as an int, or raise unless it is an integer of at least `minimum`."""
    check_number(name, value, minimum, hint=hint, kind=numbers.Integral)
    return int(value)


def check_choice(name: str, value: Choice, choices: Iterable[object], hint: str = "") -> Choice:
    """Return `value`, or raise unless it is one of `choices`."""
    if isinstance(value, (str, bool, type(None))) and value in choices:
        return value
    listed = ", ".join(repr(choice) for choice in choices)
    raise ValueError(_message(f"`{name}` must be one of {listed}.", name, value, hint))


def check_data_format(data_format: str | None) -> str:
    """Return a data format, by default Keras' own setting, or raise if it is unknown."""
    data_format = data_format or keras.config.image_data_format()
    return check_choice("data_format", data_format, DATA_FORMATS)


def check_step_factor(value: Any, name: str = "h") -> float:
    """Return a step factor as a float, or raise unless it is finite and >= 0."""
    h = check_number(name, value, 0, hint="Use h=1.0 for the ordinary ResNet.")
    if h > FLOAT32_MAX:  # which the compiled step would read as infinity
        raise ValueError(f"`{name}` must be at most {FLOAT32_MAX:.3g}. Received: {name}={value!r}.")
    return h


def check_rate(name: str, value: Any) -> float:
    """Return the rate of a dropout as a float, or raise unless it is at least 0 and below 1."""
    rate = check_number(name, value, 0, hint="It must be below 1.")
    if rate >= 1:
        raise ValueError(f"`{name}` must be below 1. Received: {name}={value!r}.")
    return rate


def is_array_like(value: object) -> bool:
    """Return whether a value can hold one item per example: an array, a column of a table, a
    sequence or a view of a dict."""
    if isinstance(value, (str, bytes, Mapping)):
        return False
    is_sequence = hasattr(value, "__len__") and hasattr(value, "__getitem__")
    is_array = hasattr(value, "__array__") or hasattr(value, "to_numpy")
    return is_sequence or is_array or isinstance(value, (KeysView, ValuesView))


def as_array(name: str, value: Any) -> Array:
    """Return an array-like value as a NumPy array, or raise. Strings stay Python strings, in an
    array of dtype object."""
    if not is_array_like(value):
        raise TypeError(
            f"`{name}` must be an array, a list or another sequence with one item per example. "
            f"Received: {type(value).__name__}. Make a list of an iterator."
        )
    if np.ma.is_masked(value):
        raise ValueError(
            f"`{name}` must have a value for every example. Received: a masked array. Fill or drop "
            "the rest."
        )
    if hasattr(value, "__array__") or hasattr(value, "to_numpy"):
        array = np.asarray(value if hasattr(value, "__array__") else value.to_numpy())
        if array.dtype != object or array.ndim != 1:
            return array
        value = array.tolist()
    items = list(value) if hasattr(value, "__iter__") else [value[i] for i in range(len(value))]
    if any(isinstance(item, str) for item in items):
        array = np.empty(len(items), object)
        array[:] = items
        return array
    try:
        return np.asarray(items)
    except ValueError as error:
        raise ValueError(
            f"The items of `{name}` must have one shape. Received: {error}."
        ) from error


def as_numbers(name: str, value: Any) -> Array:
    """Return an array-like value as a NumPy array of numbers, or raise and name the first item that
    is not a number."""
    array = as_array(name, value)
    if array.dtype.kind in "OSUTMm":
        for row, item in enumerate(array):
            if not all(
                isinstance(number, (numbers.Number, np.bool_))
                for number in np.ravel(np.asarray(item, object))
            ):
                raise TypeError(
                    f"`{name}` must be an array of numbers. Received: {item!r} at position {row}."
                )
        array = np.asarray(array.tolist())
    return array


def check_labels(labels: Any, num_classes: float, ignore_class: int | None = None) -> Array:
    """Return labels as an array, or raise unless each is a whole number in 0..num_classes - 1 or
    `ignore_class`."""
    labels = as_numbers("labels", labels)
    # False for nan.
    is_class = (labels >= 0) & (labels < num_classes) & (labels == np.floor(labels))
    if ignore_class is not None:
        is_class |= labels == ignore_class
    if not is_class.all():
        row = np.argwhere(~is_class)[0]
        raise ValueError(
            f"Labels must be whole numbers in 0..{num_classes - 1}. Received: {labels[tuple(row)]} "
            f"at position {row[0]}."
        )
    return labels


def install_command(extra: str) -> str:
    """Return the command that installs an extra, in a checkout from there."""
    is_checkout = (Path(__file__).parents[1] / "pyproject.toml").is_file()
    return f'pip install -e ".[{extra}]"' if is_checkout else f'pip install "keras-euler[{extra}]"'


def _message(problem: str, name: str, value: object, hint: str) -> str:
    return f"{problem} Received: {name}={value!r}. {hint}".rstrip()
