"""The residual connections of any functional Keras model: which additions they are, and which input is the shortcut."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import keras

from keras_euler import _backend
from keras_euler.layers import EulerResidual
from keras_euler.surgery.graph import Call, calls, functional, is_graph, is_of_keras


@dataclass(frozen=True)
class Residual:
    """An addition in a model's graph.

    Attributes:
        name: Of the layer or operation that adds, `model/name` within a model of the model.
        shortcut: Which input is the shortcut, 0 or 1; None where this is no residual connection.
        reason: Why, in words.
        num_calls: How often it comes: more than once in a model that another one calls several times.

    Example:

    >>> x = keras.Input((8,))
    >>> residual_connections(keras.Model(x, keras.layers.Add(name="sum")([x, keras.layers.Dense(8)(x)])))
    [Residual(name='sum', shortcut=0, reason='the branch is computed from it', num_calls=1)]
    """

    name: str
    shortcut: int | None
    reason: str
    num_calls: int = 1


def residual_connections(model: keras.Model, shortcuts: dict[str, int | None] | None = None) -> list[Residual]:
    """The additions of a functional model: which are residual connections, and which of the two inputs is the shortcut.

    The order of the inputs is no evidence. Where one input is computed from the other, that other is the shortcut; else it is the
    one with fewer layers with weights, those within models and layers counted, on its way from the nearest tensor that both are
    computed from. Additions of three inputs, of different shapes, or of tensors that nothing common was computed into are no
    residual connections. Additions of constants, and subclasses of `keras.layers.Add`, are not listed.

    Args:
        model: A functional or Sequential Keras model; models within it are searched too.
        shortcuts: Dict of the name of an addition -> 0 or 1, which input is its shortcut, or None to leave it alone.

    Returns:
        List of `Residual`, in the order of the graph.

    Raises:
        TypeError: `model` is not a Keras model, or `shortcuts` no dict.
        ValueError: It is subclassed; an addition is undecided, the message names it; `shortcuts` has an unknown name.

    Example:

    >>> x = keras.Input((8,))
    >>> y = keras.layers.Add(name="sum")([keras.layers.Dense(8)(x), x])
    >>> [(residual.name, residual.shortcut) for residual in residual_connections(keras.Model(x, y))]
    [('sum', 1)]
    """
    if not isinstance(shortcuts, (dict, type(None))):
        raise TypeError(f"`shortcuts` must be a dict of names -> 0, 1 or None. Received: shortcuts={shortcuts!r}.")
    shortcuts = dict(shortcuts or {})
    wrong = {name: choice for name, choice in shortcuts.items() if choice not in (0, 1, None) or choice is True}
    if wrong:
        raise ValueError(f"`shortcuts` must say 0, 1 or None for each addition. Received: {wrong}.")
    found: list[Residual] = []
    passed = _find(functional(model), "", shortcuts, found, {})
    found = [replace(residual, num_calls=passed[i]) for i, residual in enumerate(found)]
    unknown = set(shortcuts) - {residual.name for residual in found} - set(opaque_layers(model))
    if unknown:
        names = ", ".join(residual.name for residual in found) or "none"
        raise ValueError(f"`shortcuts` names additions that are not there: {sorted(unknown)}. There are: {names}.")
    return found


def is_addition(operation: keras.Operation, inputs: Sequence[keras.KerasTensor]) -> bool:
    """Whether a call adds tensors, and nothing else: a subclass may do something else."""
    # The operation behind `keras.ops.add` and `+` is called Add too, but has no public name.
    is_layer = isinstance(operation, keras.layers.Layer)
    is_function = not is_layer and is_of_keras(operation) and type(operation).__name__ == "Add"
    return (is_function or type(operation) is keras.layers.Add) and len(inputs) > 1


def _find(
    graph: keras.Model, prefix: str, shortcuts: dict[str, int | None], found: list[Residual], models: dict[int, Counter[int]]
) -> Counter[int]:
    """Append the additions of a graph and of the models within it to `found`, in the order of their first calls.

    Args:
        graph: A functional model.
        prefix: Of the names.
        shortcuts: As for `residual_connections`.
        found: List of `Residual`.
        models: Dict of the id of a model that has been searched -> what this returned.

    Returns:
        Counter of positions in `found`: how often x passes each addition in one call of the graph.
    """
    passed: Counter[int] = Counter()
    lineage, names = _Lineage(), []
    for call in calls(graph)[0]:
        name = prefix + call.operation.name
        if is_graph(call.operation):
            if id(call.operation) not in models:
                models[id(call.operation)] = _find(functional(call.operation), f"{name}/", shortcuts, found, models)
            passed.update(models[id(call.operation)])
        elif is_addition(call.operation, call.inputs):
            names.append(name)
            if names.count(name) > 1:
                name = f"{name}#{names.count(name)}"
            known = (shortcuts[name], "as `shortcuts` says") if name in shortcuts else lineage.shortcut_of(name, call)
            passed[len(found)] += 1
            found.append(Residual(name, *known))
        lineage.add(call)
    return passed


class _Lineage:
    """What each tensor of a graph is computed from."""

    def __init__(self) -> None:
        self.above: dict[int, frozenset[int]] = {}  # id of a tensor -> ids of the tensors that it is computed from, and its own
        self.calls: dict[int, Call] = {}  # id of a tensor -> the call that it comes out of

    def add(self, call: Call) -> None:
        above = frozenset().union(*map(self._of, call.inputs))
        for tensor in call.outputs:
            self.above[id(tensor)] = above | {id(tensor)}
            self.calls[id(tensor)] = call

    def shortcut_of(self, name: str, call: Call) -> tuple[int | None, str]:
        """The pair of the shortcut, 0, 1 or None, and the reason."""
        if len(call.inputs) != 2:
            return None, f"adds {len(call.inputs)} tensors, not two"
        first, second = call.inputs
        if first is second:
            return None, "adds a tensor to itself"
        if not all(keras.backend.is_float_dtype(tensor.dtype) for tensor in call.inputs):
            return None, "adds numbers that are not floating"
        if tuple(first.shape) != tuple(second.shape):
            return None, f"the shapes {tuple(first.shape)} and {tuple(second.shape)} differ"
        for i, (one, other) in enumerate(((first, second), (second, first))):
            if id(one) in self._of(other):
                return i, "the branch is computed from it"
        common = self._of(first) & self._of(second)
        if not common:
            return None, "the two tensors have nothing in common"
        weights = [self._num_weighted(self._of(tensor) - common) for tensor in call.inputs]
        if weights[0] == weights[1]:
            raise ValueError(
                f"Which input of {name!r} is the shortcut cannot be told: both pass {weights[0]} layers with weights since the "
                f"tensor they share. Pass shortcuts={{{name!r}: 0}} or 1, or None to leave it alone."
            )
        fewer = int(weights[1] < weights[0])
        return fewer, f"{weights[fewer]} layers with weights against {weights[1 - fewer]}"

    def _of(self, tensor: keras.KerasTensor) -> frozenset[int]:
        return self.above.get(id(tensor), frozenset({id(tensor)}))

    def _num_weighted(self, tensors: Iterable[int]) -> int:
        operations = {id(self.calls[tensor].operation): self.calls[tensor].operation for tensor in tensors}
        return sum(map(_num_weighted_layers, operations.values()))


def _num_weighted_layers(operation: keras.Operation) -> int:
    """Layers with weights of their own: one, none, or those within a model or a layer made of layers."""
    if not isinstance(operation, keras.layers.Layer):
        return 0
    inner = _backend.inner_layers(operation)
    own = len(operation.weights) > sum(len(layer.weights) for layer in inner)
    return own + sum(map(_num_weighted_layers, inner))


def opaque_layers(model: keras.Model, prefix: str = "") -> dict[str, str]:
    """Layers made of layers, whose calls are no part of the graph and may add: dict of name -> class.

    Keras' own (attention, recurrence) are known to add nothing; those that wrap another layer are as opaque as that one.
    """
    found: dict[str, str] = {}
    for layer in model.layers:
        if is_graph(layer):
            found |= opaque_layers(layer, f"{prefix}{layer.name}/")
        elif _may_hide(layer):
            found[prefix + layer.name] = type(layer).__name__
    return found


def _may_hide(layer: keras.layers.Layer) -> bool:
    within = _backend.inner_layers(layer)
    if not within or isinstance(layer, EulerResidual):
        return False
    if not is_of_keras(layer):
        return True
    return any(isinstance(inner, keras.Model) or _may_hide(inner) for inner in within)
