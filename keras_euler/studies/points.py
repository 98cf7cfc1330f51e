"""The points of a study: a grid of settings, or a search along one setting."""

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from keras_euler._checks import check_choice, check_integer, check_number

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SAMPLERS = ("tpe", "gp")
Point = dict[str, Any]


def grid(**values: Sequence[Any]) -> list[Point]:
    """Return all combinations of the values of some settings, as a list of dicts; the last setting
    varies fastest.

    Args:
        **values: A sequence of values for each setting: numbers, strings, booleans or None.

    Returns:
        List of points. If a setting has integers and floats, all become floats, so that 1 and 1.0
        are the same point.

    Raises:
        ValueError: A setting has no values, or one value twice.
        TypeError: The values of a setting are not a sequence.
        TypeError: A value has another type.

    Example:

    >>> grid(seed=[7, 8], h=[1, 0.1])
    [{'seed': 7, 'h': 1.0}, {'seed': 7, 'h': 0.1}, {'seed': 8, 'h': 1.0}, {'seed': 8, 'h': 0.1}]
    """
    for name, candidates in values.items():
        if isinstance(candidates, str) or not isinstance(candidates, Iterable):
            raise TypeError(
                f"`{name}` must be a sequence of values. Received: {name}={candidates!r}. Pass "
                f"[{candidates!r}]."
            )
    columns = {name: _column(name, list(candidates)) for name, candidates in values.items()}
    return [
        dict(zip(columns, combination, strict=True))
        for combination in itertools.product(*columns.values())
    ]


@dataclass(frozen=True)
class Search:
    """A search along one setting by Bayesian optimization. It stops bad trials early if the
    objective reports.

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
        if self.low >= self.high:
            raise ValueError(
                f"`low` must be below `high`. Received: low={self.low}, high={self.high}."
            )


def validated_points(points: Iterable[Mapping[str, Any]]) -> list[Point]:
    """Return points with one type per setting, or raise.

    Raises:
        ValueError: There are no points, or they have different settings.
        TypeError: They are not dicts of numbers, strings, booleans and None.
    """
    points = list(points) if isinstance(points, Iterable) else points
    if not isinstance(points, list) or not all(isinstance(point, Mapping) for point in points):
        raise TypeError(
            f"`points` must be a Search or a list of dicts of setting -> value, as `grid` makes. "
            f"Received: points={points!r}."
        )
    if not points:
        raise ValueError("`points` must have at least one point. Received: points=[].")
    columns: dict[str, list[Any]] = {name: [] for name in points[0]}
    for point in points:
        if set(point) != set(columns):
            raise ValueError(
                f"All points must have the same settings. Received: {sorted(columns)} and "
                f"{sorted(point)}."
            )
        for name, value in point.items():
            columns[name].append(value)
    columns = {name: _column(name, values, repeated=True) for name, values in columns.items()}
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def distributions(
    points: Sequence[Point], choices: Mapping[str, Sequence[Any]]
) -> dict[str, "BaseDistribution"]:
    """Return Optuna's domain of each setting: wide for numbers, so that a study can grow; for
    strings, `choices` or all values."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    domains: dict[str, BaseDistribution] = {}
    for name in points[0]:
        values = list(dict.fromkeys(point[name] for point in points))
        if name in choices or not _are_numbers(values):
            domains[name] = CategoricalDistribution(tuple(choices.get(name, values)))
        elif isinstance(values[0], int):
            domains[name] = IntDistribution(-(2**31), 2**31 - 1)
        else:
            domains[name] = FloatDistribution(-1e300, 1e300)
    return domains


def search_space(search: Search) -> dict[str, "BaseDistribution"]:
    """Return Optuna's domain of each setting of a search: one is an interval, the others are
    fixed."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    fixed = {
        name: FloatDistribution(value, value)
        if isinstance(value, float)
        else CategoricalDistribution((value,))
        for name, value in search.fixed.items()
    }
    return {**fixed, search.name: FloatDistribution(search.low, search.high, log=search.low > 0)}


def key(params: Mapping[str, Any]) -> str:
    """Return a string that identifies a point."""
    return json.dumps(params, sort_keys=True)


def describe(params: Mapping[str, Any]) -> str:
    """Describe a point in words."""
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in params.items()
    )


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, such as "1 trial" and "2 trials"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def _column(name: str, values: list[Any], repeated: bool = False) -> list[Any]:
    if not values:
        raise ValueError(f"`{name}` must have at least one value. Received: none.")
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    for value in values:
        if not isinstance(value, (int, float, str, bool, type(None))):
            raise TypeError(
                f"`{name}` must have numbers, strings, booleans or None as values. Received: "
                f"{value!r}."
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"`{name}` must have finite values. Received: {value!r}.")
    if _are_numbers(values) and any(isinstance(value, float) for value in values):
        values = [float(value) for value in values]
    if not repeated and len(set(values)) < len(values):
        raise ValueError(f"`{name}` has a value twice. Received: {values}.")
    return values


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is an integer or a float; booleans are neither."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _are_numbers(values: Iterable[object]) -> bool:
    return all(is_number(value) for value in values)
