"""Names and selection of the layers whose norms a log shows."""

import difflib
import fnmatch
import math
import numbers
from collections.abc import Sequence

import keras
import numpy as np

from keras_euler._backend import inner_layers
from keras_euler._types import Array

Selection = str | int | Sequence[str | int] | None
# Names of the other columns of a log.
RESERVED = ("iteration", "epoch", "total")
MOMENTS = ("mean", "stddev", "zeros")


class Layers:
    """The layers of a model that own some of its variables.

    A layer is named by its own name and those of the layers around it, joined by `/`
    (`stage1_block1/conv1`); models inside models add nothing to the name. (A variable's `path` is
    similar, but changes when a model is loaded.) Repeated names get `#2`, `#3` and so on.

    Args:
        model: A built Keras model.
        variables: List of the model's variables.
        selection: None for all layers, or one of the following or a list of them: a name
            (`"stage1_block1/conv1"`), a pattern with `*`, `?` or `[...]` (`"stage1_*/conv1"`), or a
            position. Positions are integers from 1 and count the layers with a kernel (a variable
            of two or more axes).

    Attributes:
        names: Names of the selected layers, in the order of the variables.

    Raises:
        ValueError: There is no such layer.
        TypeError: `selection` has another type.
    """

    def __init__(
        self, model: keras.Model, variables: list[keras.Variable], selection: Selection = None
    ) -> None:
        owner_of = _owners(model)
        indices: dict[str, list[int]] = {}
        names: dict[tuple[str, int], str] = {}
        with_kernel: list[str] = []
        for index, variable in enumerate(variables):
            owner = name, _ = owner_of[id(variable)]
            if owner not in names:
                repeats = sum(
                    other.partition("#")[0] == name for other in (*RESERVED, *names.values())
                )
                names[owner] = f"{name}#{repeats + 1}" if repeats else name
            name = names[owner]
            indices.setdefault(name, []).append(index)
            if len(variable.shape) >= 2 and name not in with_kernel:
                with_kernel.append(name)
        if selection is None:
            selected = set(indices)
        else:
            selection = [selection] if isinstance(selection, (str, numbers.Integral)) else selection
            if not isinstance(selection, (list, tuple)) or not selection:
                raise TypeError(
                    "`layers` must be None or a non-empty list of names, patterns and positions. "
                    f"Received: layers={selection!r}."
                )
            selected = {
                name for item in selection for name in _matches(item, list(indices), with_kernel)
            }
        self.names = [name for name in indices if name in selected]
        groups = [*(indices[name] for name in self.names), list(range(len(variables)))]
        self._order = np.concatenate(groups).astype("int64")  # of no variables it would be floats
        self._starts = np.cumsum([0, *map(len, groups[:-1])])
        sizes = [math.prod(variable.shape) for variable in variables]
        self._sizes = np.array(sizes, "float64")[self._order]

    def norms(self, norms: Array) -> Array:
        """L2 norms of the selected layers, and the total over all variables.

        Args:
            norms: Array `(..., variables)`: norm of each variable.

        Returns:
            Array `(..., names + 1)`.
        """
        return np.sqrt(self._sums(np.asarray(norms, "float64")[..., self._order] ** 2))

    def moments(self, moments: Array) -> Array:
        """Mean, standard deviation and share of zeros of the selected layers, and of all variables
        together.

        With n_i numbers, mean m_i and standard deviation s_i of each variable, the mean is `m =
        sum_i n_i m_i / sum_i n_i`, and the variance is `sum_i n_i (s_i ** 2 + (m_i - m) ** 2) /
        sum_i n_i`.

        Args:
            moments: Array `(..., 3, variables)`, in the order of `MOMENTS`.

        Returns:
            Array `(..., columns)`: one column per name and the total for the mean, then for the
            others.
        """
        values = np.asarray(moments, "float64")[..., self._order]
        mean, stddev, zeros = np.moveaxis(values, -2, 0)
        with np.errstate(invalid="ignore", over="ignore"):  # gradients that are not finite
            means = self._averages(mean)
            lengths = np.diff([*self._starts, len(self._order)])
            deviations = mean - np.repeat(means, lengths, axis=-1)
            variances = self._averages(stddev**2 + deviations**2)
        return np.concatenate([means, np.sqrt(variances), self._averages(zeros)], axis=-1)

    def _averages(self, values: Array) -> Array:
        return self._sums(self._sizes * values) / self._sums(self._sizes)

    def _sums(self, values: Array) -> Array:
        if not len(self._order):  # nothing is trainable
            return np.zeros((*values.shape[:-1], 1))
        return np.add.reduceat(values, self._starts, axis=-1)


def _owners(layer: keras.layers.Layer, prefix: str = "") -> dict[int, tuple[str, int]]:
    """Return a dict of the id of a variable -> (name, id) of the layer that owns it."""
    owners = {id(variable): (prefix or variable.name, id(layer)) for variable in layer.variables}
    for part in inner_layers(layer):
        name = (
            prefix if isinstance(part, keras.Model) else f"{prefix}/{part.name}".removeprefix("/")
        )
        owners |= _owners(part, name)
    return owners


def _matches(item: str | int, names: list[str], with_kernel: list[str]) -> list[str]:
    """Return the names of the layers that one item of a selection denotes."""
    if isinstance(item, bool) or not isinstance(item, (str, numbers.Integral)):
        raise TypeError(f"`layers` must hold names, patterns or positions. Received: {item!r}.")
    if isinstance(item, numbers.Integral):
        if not 1 <= item <= len(with_kernel):
            raise ValueError(
                "A position in `layers` must be that of a layer with a kernel, from 1 to "
                f"{len(with_kernel)}. Received: {item}."
            )
        return [with_kernel[item - 1]]
    matches = [item] if item in names else fnmatch.filter(names, item)
    if not matches:
        similar = difflib.get_close_matches(item, names, 3, 0.4) or names[:3]
        raise ValueError(
            f"`layers` must name layers with trainable variables. Received: {item!r}, which "
            f"matches none of {len(names)}. Pass names such as {', '.join(similar)}."
        )
    return matches
