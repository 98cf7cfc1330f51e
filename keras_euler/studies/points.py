"""The points of a study: a grid of settings, or a search along one setting."""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_euler._checks import check_choice, check_integer, check_number

SAMPLERS = ("tpe", "gp")
COLUMNS = ("state", "value", "error")  # of the results, beside the settings
Point = dict[str, Any]


def grid(**values: Sequence[Any]) -> list[Point]:
    """Return all combinations of the values of some settings, as a list of dicts; the last setting
    varies fastest.

    Args:
        **values: A sequence of values for each setting: numbers, strings, booleans or None.

    Returns:
        List of points. 1 and 1.0 are the same point.

    Raises:
        ValueError: A setting has no values, one value twice, or the name of a column of results.
        TypeError: The values of a setting are not a sequence, or a value has another type.

    Example:

    >>> grid(seed=[7, 8], h=[1, 0.1])
    [{'seed': 7, 'h': 1}, {'seed': 7, 'h': 0.1}, {'seed': 8, 'h': 1}, {'seed': 8, 'h': 0.1}]
    """
    columns = {}
    for name, candidates in values.items():
        if isinstance(candidates, str) or not isinstance(candidates, Iterable):
            raise TypeError(
                f"`{name}` must be a sequence of values. Received: {name}={candidates!r}. Pass "
                f"[{candidates!r}]."
            )
        columns[name] = [_validated(name, value) for value in candidates]
        if len({key({name: value}) for value in columns[name]}) < len(columns[name]):
            raise ValueError(f"`{name}` has a value twice. Received: {columns[name]}.")
    return [
        dict(zip(columns, combination, strict=True))
        for combination in itertools.product(*columns.values())
    ]


@dataclass(frozen=True)
class Search:
    """A search along one setting by Bayesian optimization.

    Attributes:
        name: Name of the setting.
        low, high: Bounds of the setting; the search is logarithmic if `low` is positive.
        num_trials: Number of trials, including those of earlier calls.
        sampler: Sampler of Optuna, `"tpe"` or `"gp"`.
        fixed: Dict of the other settings.

    Raises:
        ValueError: `low` is not below `high`, there are no trials, or the sampler is unknown.

    Example:

    >>> Search("h", 0.001, 20.0, num_trials=10).sampler
    'tpe'
    """

    name: str
    low: float
    high: float
    num_trials: int = 30
    sampler: str = "tpe"
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_number("low", self.low)
        check_number("high", self.high)
        check_integer("num_trials", self.num_trials, 1)
        check_choice("sampler", self.sampler, SAMPLERS)
        validated_points([{**self.fixed, self.name: self.low}])
        if self.low >= self.high:
            raise ValueError(
                f"`low` must be below `high`. Received: low={self.low}, high={self.high}."
            )


def validated_points(points: Iterable[Mapping[str, Any]]) -> list[Point]:
    """Return different points as dicts of plain Python values, or raise.

    Raises:
        ValueError: There are no points, or they have different settings.
        TypeError: They are not dicts of numbers, strings, booleans and None.
    """
    points = list(points) if isinstance(points, Iterable) else [points]
    if not all(isinstance(point, Mapping) for point in points):
        raise TypeError(
            "`points` must be a Search or a list of dicts of setting -> value, as `grid` makes. "
            f"Received: points={points!r}."
        )
    if not points:
        raise ValueError("`points` must have at least one point. Received: points=[].")
    if any(set(point) != set(points[0]) for point in points):
        raise ValueError(f"All points must have the same settings. Received: points={points!r}.")
    valid = [{n: _validated(n, value) for n, value in point.items()} for point in points]
    return list({key(point): point for point in valid}.values())


def key(point: Mapping[str, Any]) -> str:
    """Return a string that identifies a point; 1 and 1.0 are the same value, True is another."""
    return json.dumps({name: _canonical(point[name]) for name in sorted(point)})


def folder_name(point: Mapping[str, Any]) -> str:
    """Return the name of a point's folder: its settings, shortened, and a checksum of them."""
    words = "-".join(f"{name}{_canonical(value)}" for name, value in point.items())
    digest = hashlib.sha256(key(point).encode()).hexdigest()[:8]
    words = re.sub(r"[^\w.+-]", "_", words)[:80]
    return f"{words}-{digest}"


def _canonical(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _validated(name: str, value: Any) -> Any:
    """Return a value of a setting, or raise."""
    if name in COLUMNS:
        raise ValueError(f"A setting must not be called {name!r}: results have a column `{name}`.")
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, (int, float, str, type(None))):
        raise TypeError(
            f"`{name}` must have numbers, strings, booleans or None as values. Received: {value!r}."
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"`{name}` must have finite values. Received: {value!r}.")
    return value
