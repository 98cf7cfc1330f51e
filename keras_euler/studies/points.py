"""What a study varies: the points of a grid, or a search along one setting."""

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_euler._checks import check_choice, check_integer, check_number

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SAMPLERS = ("tpe", "gp")
Point = dict[str, Any]


def grid(**values: Sequence[Any]) -> list[Point]:
    """All combinations of the values of some settings, as a list of dicts; the last setting varies fastest.

    Args:
        **values: For each setting the sequence of its values: numbers, texts, booleans or None.

    Returns:
        List of points. Where a setting has integers and floats, all become floats, so that 1 and 1.0 are one point.

    Raises:
        ValueError: A setting has no values, or one twice.
        TypeError: A value is something else.

    Example:

    >>> grid(seed=[7, 8], h=[1, 0.1])
    [{'seed': 7, 'h': 1.0}, {'seed': 7, 'h': 0.1}, {'seed': 8, 'h': 1.0}, {'seed': 8, 'h': 0.1}]
    """
    columns = {name: _column(name, list(found)) for name, found in values.items()}
    return [dict(zip(columns, combination, strict=True)) for combination in itertools.product(*columns.values())]


@dataclass(frozen=True)
class Search:
    """A search along one setting by Bayesian optimization, hopeless trials stopped early where the objective reports.

    Attributes:
        name: The setting.
        low, high: Its bounds; logarithmic between them where `low` is positive.
        num_trials: How many trials, those of earlier calls included.
        sampler: `"tpe"` or `"gp"`, of Optuna.
        fixed: Dict of the other settings.

    Raises:
        ValueError: Bounds that are no interval, fewer than one trial, or an unknown sampler.

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
            raise ValueError(f"`low` must be below `high`. Received: low={self.low}, high={self.high}.")


def checked_points(points: Iterable[Mapping[str, Any]]) -> list[Point]:
    """The points with one type per setting.

    Raises:
        ValueError: There are none, or they have different settings.
        TypeError: They are no dicts of numbers, texts, booleans and None.
    """
    points = list(points)
    if not points or not all(isinstance(point, Mapping) for point in points):
        raise TypeError("`points` must be a list of dicts of setting -> value, or a Search. See keras_euler.studies.grid.")
    columns: dict[str, list[Any]] = {name: [] for name in points[0]}
    for point in points:
        if set(point) != set(columns):
            raise ValueError(f"All points must have the same settings. Received: {sorted(columns)} and {sorted(point)}.")
        for name, value in point.items():
            columns[name].append(value)
    columns = {name: _column(name, values, repeated=True) for name, values in columns.items()}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def distributions(points: Sequence[Point], choices: Mapping[str, Sequence[Any]]) -> dict[str, "BaseDistribution"]:
    """Optuna's domain of each setting: wide, so that a study can grow; of texts the `choices`, or those of the points."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for name in points[0]:
        values = list(dict.fromkeys(point[name] for point in points))
        if name in choices or not _are_numbers(values):
            found[name] = CategoricalDistribution(tuple(choices.get(name, values)))
        elif isinstance(values[0], int):
            found[name] = IntDistribution(-(2**31), 2**31 - 1)
        else:
            found[name] = FloatDistribution(-1e300, 1e300)
    return found


def space(search: Search) -> dict[str, "BaseDistribution"]:
    """Optuna's domain of each setting of a search: one between two numbers, the others fixed."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    fixed = {
        name: FloatDistribution(value, value) if isinstance(value, float) else CategoricalDistribution((value,))
        for name, value in search.fixed.items()
    }
    return {**fixed, search.name: FloatDistribution(search.low, search.high, log=search.low > 0)}


def key(params: Mapping[str, Any]) -> str:
    """What tells one point from another."""
    return json.dumps(params, sort_keys=True)


def described(params: Mapping[str, Any]) -> str:
    """A point in words."""
    return ", ".join(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in params.items())


def _column(name: str, values: list[Any], repeated: bool = False) -> list[Any]:
    if not values:
        raise ValueError(f"`{name}` must have at least one value. Received: none.")
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    for value in values:
        if not isinstance(value, (int, float, str, bool, type(None))):
            raise TypeError(f"`{name}` must have numbers, texts, booleans or None as values. Received: {value!r}.")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"`{name}` must have finite values. Received: {value!r}.")
    if _are_numbers(values) and any(isinstance(value, float) for value in values):
        values = [float(value) for value in values]
    if not repeated and len(set(values)) < len(values):
        raise ValueError(f"`{name}` has a value twice. Received: {values}.")
    return values


def _are_numbers(values: Iterable[object]) -> bool:
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
