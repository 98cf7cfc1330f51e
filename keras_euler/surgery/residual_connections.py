"""Find the residual connections of any functional Keras model, and the shortcut of each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras

from keras_euler import _backend
from keras_euler.layers import EulerResidual
from keras_euler.surgery.graph import Call, calls, functional, is_graph, is_of_keras, outer_graph


@dataclass(frozen=True)
class Residual:
    """An addition in a model's graph.

    Attributes:
        name: Name of the layer or operation that adds; `model/name` if it is in an inner model.
        shortcut: Position of the shortcut among the inputs, 0 or 1; None if this is not a residual
            connection.
        reason: The reason for `shortcut`, in words.
        num_calls: Number of calls: more than one in an inner model that is called several times.

    Example:

    >>> x = keras.Input((8,))
    >>> residual_connections(
    ...     keras.Model(x, keras.layers.Add(name="sum")([x, keras.layers.Dense(8)(x)]))
    ... )
    [Residual(name='sum', shortcut=0, reason='the branch is computed from it', num_calls=1)]
    """

    name: str
    shortcut: int | None
    reason: str
    num_calls: int = 1


def residual_connections(
    model: keras.Model, shortcuts: dict[str, int | None] | None = None
) -> list[Residual]:
    """List the additions of a functional model: whether each is a residual connection, and which
    input is its shortcut.

    The order of the inputs does not matter. If one input is computed from the other, the other is
    the shortcut. Else the shortcut is the input with fewer layers with weights, including inner
    ones, between it and the nearest tensor that both depend on; of earlier residual connections
    only the shortcut counts, as in `x + a(x) + f(x)`. Additions of three inputs, of
    different shapes, or of tensors with no common origin are not residual connections. Additions of
    constants and subclasses of `keras.layers.Add` are not listed.

    Args:
        model: A functional or Sequential Keras model; inner models are searched too.
        shortcuts: Dict of the name of an addition -> position of its shortcut, 0 or 1, or None to
            leave it alone.

    Returns:
        List of `Residual`, in the order of the graph.

    Raises:
        TypeError: `model` is not a Keras model, or `shortcuts` is not a dict.
        ValueError: The model is subclassed, `shortcuts` has an unknown name, or an addition is
            ambiguous; the message names it.

    Example:

    >>> x = keras.Input((8,))
    >>> y = keras.layers.Add(name="sum")([keras.layers.Dense(8)(x), x])
    >>> [(residual.name, residual.shortcut) for residual in residual_connections(keras.Model(x, y))]
    [('sum', 1)]
    """
    if not isinstance(shortcuts, (dict, type(None))):
        raise TypeError(
            "`shortcuts` must be a dict of names -> 0, 1 or None. Received: "
            f"shortcuts={shortcuts!r}."
        )
    shortcuts = shortcuts or {}
    wrong = {name: choice for name, choice in shortcuts.items() if choice not in (0, 1, None)}
    if wrong:
        raise ValueError(f"`shortcuts` must say 0, 1 or None for each addition. Received: {wrong}.")
    residuals: list[Residual] = []
    passed = _find(outer_graph(model), "", shortcuts, residuals, {})
    residuals = [replace(residual, num_calls=passed[i]) for i, residual in enumerate(residuals)]
    unknown = set(shortcuts) - {residual.name for residual in residuals} - set(opaque_layers(model))
    if unknown:
        names = ", ".join(residual.name for residual in residuals) or "none"
        raise ValueError(
            f"`shortcuts` names additions that do not exist: {sorted(unknown)}. The additions are: "
            f"{names}."
        )
    return residuals


def is_addition(operation: keras.Operation, inputs: Sequence[keras.KerasTensor]) -> bool:
    """Return whether a call only adds tensors, which excludes subclasses."""
    # The operation of `keras.ops.add` and `+` is also called Add, but has no public name.
    is_layer = isinstance(operation, keras.layers.Layer)
    is_function = not is_layer and is_of_keras(operation) and type(operation).__name__ == "Add"
    return (is_function or type(operation) is keras.layers.Add) and len(inputs) > 1


def _find(
    graph: keras.Model,
    prefix: str,
    shortcuts: dict[str, int | None],
    residuals: list[Residual],
    models: dict[int, Counter[int]],
) -> Counter[int]:
    """Append the additions of a graph and of its inner models to `residuals`, in the order of their
    first calls.

    Args:
        graph: A functional model.
        prefix: Prefix of the names.
        shortcuts: As for `residual_connections`.
        residuals: List of `Residual`, which is extended.
        models: Dict of the id of a searched model -> the result for it.

    Returns:
        Counter of positions in `residuals`: the number of times x passes each addition in one call
        of the graph.
    """
    passed: Counter[int] = Counter()
    lineage, names = Lineage(), []
    for call in calls(graph)[0]:
        name, shortcut = prefix + call.operation.name, None
        if is_graph(call.operation):
            if id(call.operation) not in models:
                models[id(call.operation)] = _find(
                    functional(call.operation), f"{name}/", shortcuts, residuals, models
                )
            passed.update(models[id(call.operation)])
        elif is_addition(call.operation, call.inputs):
            names.append(name)
            if names.count(name) > 1:
                name = f"{name}#{names.count(name)}"
            decision = (
                (shortcuts[name], "as `shortcuts` says")
                if name in shortcuts
                else lineage.shortcut_of(name, call)
            )
            passed[len(residuals)] += 1
            residuals.append(Residual(name, *decision))
            shortcut = decision[0]
        lineage.add(call, shortcut)
    return passed


class Lineage:
    """The tensors that each tensor of a graph depends on."""

    def __init__(self) -> None:
        # id of a tensor -> ids of the tensors that it depends on, and its own
        self.ancestors: dict[int, frozenset[int]] = {}
        # The same, but of a residual connection only by its shortcut.
        self.trunk: dict[int, frozenset[int]] = {}
        self.calls: dict[int, Call] = {}  # id of a tensor -> the call that gives it

    def add(self, call: Call, shortcut: int | None = None) -> None:
        ancestors = frozenset().union(*map(self._ancestors, call.inputs))
        inputs = call.inputs if shortcut is None else [call.inputs[shortcut]]
        trunk = frozenset().union(*(self.trunk.get(id(x), {id(x)}) for x in inputs))
        for tensor in call.outputs:
            self.ancestors[id(tensor)] = ancestors | {id(tensor)}
            self.trunk[id(tensor)] = trunk | {id(tensor)}
            self.calls[id(tensor)] = call

    def shortcut_of(self, name: str, call: Call) -> tuple[int | None, str]:
        """Return the position of the shortcut, 0, 1 or None, and the reason."""
        if len(call.inputs) != 2:
            return None, f"adds {len(call.inputs)} tensors, not two"
        first, second = call.inputs
        if first is second:
            return None, "adds a tensor to itself"
        if not all(keras.backend.is_float_dtype(tensor.dtype) for tensor in call.inputs):
            return None, "adds numbers that are not floating"
        if tuple(first.shape) != tuple(second.shape):
            return None, f"the shapes {tuple(first.shape)} and {tuple(second.shape)} differ"
        for i, (source, target) in enumerate(((first, second), (second, first))):
            if id(source) in self._ancestors(target):
                return i, "the branch is computed from it"
        common = self._ancestors(first) & self._ancestors(second)
        if not common:
            return None, "the two tensors have nothing in common"
        weights = self._num_weighted(self.trunk, call.inputs, common)
        if weights[0] == weights[1]:
            weights = self._num_weighted(self.ancestors, call.inputs, common)
        if weights[0] == weights[1]:
            raise ValueError(
                f"The shortcut of {name!r} is ambiguous: both inputs pass {weights[0]} layers with "
                f"weights after the tensor that they share. Pass shortcuts={{{name!r}: 0}} or 1, "
                "or None to leave it alone."
            )
        fewer = int(weights[1] < weights[0])
        return fewer, f"{weights[fewer]} layers with weights against {weights[1 - fewer]}"

    def block(self, tensors: Sequence[keras.KerasTensor]) -> tuple[int | None, frozenset[int]]:
        """Return the last tensor that all of these depend on, and those that are computed after
        it."""
        ancestors = [self._ancestors(tensor) for tensor in tensors]
        common, inside = frozenset.intersection(*ancestors), frozenset.union(*ancestors)
        if not common:
            return None, inside
        source = max(common, key=lambda tensor: len(self.ancestors.get(tensor, ())))
        return source, inside - common

    def _num_weighted(
        self,
        before: dict[int, frozenset[int]],
        tensors: list[keras.KerasTensor],
        common: frozenset[int],
    ) -> list[int]:
        """Count the layers with weights before each tensor, but after those in common."""
        weights = []
        for tensor in tensors:
            passed = before.get(id(tensor), frozenset()) - common
            operations = {self.calls[each].operation for each in passed if each in self.calls}
            weights.append(sum(map(_num_weighted_layers, operations)))
        return weights

    def _ancestors(self, tensor: keras.KerasTensor) -> frozenset[int]:
        return self.ancestors.get(id(tensor), frozenset({id(tensor)}))


def _num_weighted_layers(operation: keras.Operation) -> int:
    """Count the layers with weights of their own in an operation."""
    if not isinstance(operation, keras.layers.Layer):
        return 0
    inner = _backend.inner_layers(operation)
    own = len(operation.weights) > sum(len(layer.weights) for layer in inner)
    return own + sum(map(_num_weighted_layers, inner))


def opaque_layers(model: keras.Model, prefix: str = "") -> dict[str, str]:
    """Find composite layers, whose inner calls are not in the graph and may add; return a dict of
    name -> class.

    Keras' own composite layers (attention, recurrence) are known to add nothing. A wrapper counts
    like the layer that it wraps.
    """
    opaque: dict[str, str] = {}
    for layer in model.layers:
        if is_graph(layer):
            opaque |= opaque_layers(layer, f"{prefix}{layer.name}/")
        elif _may_hide(layer):
            opaque[prefix + layer.name] = type(layer).__name__
    return opaque


def _may_hide(layer: keras.layers.Layer) -> bool:
    inner_layers = _backend.inner_layers(layer)
    if not inner_layers or isinstance(layer, EulerResidual):
        return False
    if not is_of_keras(layer):
        return True
    return any(isinstance(inner, keras.Model) or _may_hide(inner) for inner in inner_layers)
