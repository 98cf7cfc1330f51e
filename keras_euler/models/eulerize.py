"""Any functional Keras ResNet made Euler: each branch that is added to a shortcut is scaled by h."""

from dataclasses import dataclass

import keras

from keras_euler.layers import EulerAdd, EulerResidual
from keras_euler.models.graph import calls, copy_state, functional, is_graph, walk
from keras_euler.models.step_factor import step_factors


@dataclass(frozen=True)
class Residual:
    """An addition in a model's graph.

    Attributes:
        name: Of the layer or operation that adds, `model/name` within a model of the model.
        shortcut: Which input is the shortcut, 0 or 1; None where this is no residual connection.
        reason: Why, in words.
    """

    name: str
    shortcut: int | None
    reason: str


def residual_connections(model, shortcuts=None):
    """The additions of a functional model: which are residual connections, and which of the two inputs is the shortcut.

    The order of the inputs is no evidence. Where one input is computed from the other, that other is the shortcut; else it is the
    one with fewer layers with weights on its way from the nearest tensor that both are computed from. Additions of three inputs,
    of different shapes, or of tensors that nothing common was computed into are no residual connections.

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
    found = _residuals(functional(model), "", shortcuts)
    unknown = set(shortcuts) - {residual.name for residual in found} - set(_opaque(model))
    if unknown:
        names = ", ".join(residual.name for residual in found) or "none"
        raise ValueError(f"`shortcuts` names additions that are not there: {sorted(unknown)}. There are: {names}.")
    return found


def eulerize(model, h=0.1, shortcuts=None, verbose=True):
    """A copy of a functional Keras ResNet in which each residual connection is an explicit Euler step, `y = x + h * F(x)`.

    What the model adds by `keras.layers.Add`, `keras.ops.add` or `+` becomes an `EulerAdd` of the same name (equation 3 of the
    paper). Layers are copied with their weights; with `h=1` the outputs are those of the model. What is a residual connection,
    and which input the shortcut, says `residual_connections`.

    Args:
        model: A functional or Sequential Keras model, such as those of `keras.applications` and KerasHub's backbones.
        h: Step factor: a finite number >= 0; `"1/sqrt(L)"` or `"1/L"` with L the number of residual connections; or one number
            for each of them, in the order of the graph.
        shortcuts: Dict of the name of an addition -> 0 or 1, which input is its shortcut, or None to leave it alone; needed
            where the graph does not tell. The name of a layer made of layers -> None says that it hides no residual connection.
        verbose: Whether to print what was changed and what was left alone.

    Returns:
        A functional `keras.Model`, not compiled.

    Raises:
        TypeError: `model` is not a Keras model, `h` no number, or `shortcuts` no dict.
        ValueError: It is subclassed, has no residual connection in its graph, or layers made of layers that may hide some; an
            addition is undecided; `h` is out of range or has another length.

    Example:

    >>> x = keras.Input((8,))
    >>> y = keras.layers.Add(name="sum")([keras.layers.Dense(8)(x), x])
    >>> euler = eulerize(keras.Model(x, y, name="resnet"), h=0.1)
    resnet: scaled 1 branch by h = 0.1.
    >>> euler.get_layer("sum").h
    0.1
    """
    residuals = residual_connections(model, shortcuts)
    scaled = [residual for residual in residuals if residual.shortcut is not None]
    opaque = {name: kind for name, kind in _opaque(model).items() if name not in (shortcuts or {})}
    if opaque:
        raise ValueError(_hidden(model, opaque, len(scaled)))
    if not scaled:
        raise ValueError(_nothing_found(model, residuals))
    factors = step_factors(h, len(scaled))
    euler = _Euler(residuals, factors).copy(model)
    if verbose:
        values = sorted(set(factors))
        shown = f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g} to {values[-1]:g}"
        print(f"{model.name}: scaled {len(scaled)} branch{'es' * (len(scaled) > 1)} by h = {shown}.")
        for residual in residuals:
            if residual.shortcut is None:
                print(f"left alone: {residual.name}: {residual.reason}")
    return euler


def _is_addition(operation):
    # The operation behind `keras.ops.add` and `+` has no public name.
    kind = type(operation)
    return isinstance(operation, keras.layers.Add) or (kind.__name__, kind.__module__) == ("Add", "keras.src.ops.numpy")


def _residuals(graph, prefix, shortcuts):
    """The additions of a graph and of the models within it, in the order of their first calls."""
    found, lineage, names, models = [], _Lineage(), [], []
    for call in calls(graph)[0]:
        name = prefix + call.operation.name
        if is_graph(call.operation):
            if call.operation not in models:
                found += _residuals(functional(call.operation), f"{name}/", shortcuts)
                models.append(call.operation)
        elif _is_addition(call.operation):
            names.append(name)
            if names.count(name) > 1:
                name = f"{name}#{names.count(name)}"
            known = (shortcuts[name], "as `shortcuts` says") if name in shortcuts else lineage.shortcut_of(name, call)
            found.append(Residual(name, *known))
        lineage.add(call)
    return found


class _Lineage:
    """What each tensor of a graph is computed from."""

    def __init__(self):
        self.above = {}  # id of a tensor -> ids of the tensors that it is computed from, and its own
        self.calls = {}  # id of a tensor -> the call that it comes out of

    def add(self, call):
        above = frozenset().union(*map(self._of, call.inputs))
        for tensor in call.outputs:
            self.above[id(tensor)] = above | {id(tensor)}
            self.calls[id(tensor)] = call

    def shortcut_of(self, name, call):
        """The pair of the shortcut, 0, 1 or None, and the reason."""
        if len(call.inputs) != 2:
            return None, f"adds {len(call.inputs)} tensor{'s' * (len(call.inputs) > 1)}, not two"
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

    def _of(self, tensor):
        return self.above.get(id(tensor), frozenset({id(tensor)}))

    def _num_weighted(self, tensors):
        operations = {id(self.calls[tensor].operation): self.calls[tensor].operation for tensor in tensors}
        return sum(bool(getattr(operation, "weights", ())) for operation in operations.values())


class _Euler:
    """Copies a model; its additions are those of `residuals`, in the order in which they come."""

    def __init__(self, residuals, factors):
        factors = iter(factors)
        self.residuals = iter([(r, None if r.shortcut is None else next(factors)) for r in residuals])
        self.copies = {}  # id of a layer -> it and its copy; a layer may be shared by several models

    def copy(self, model, prefix=""):
        own = []

        def layer(old):
            if not isinstance(old, keras.layers.Layer):
                return old
            if id(old) not in self.copies:
                self.copies[id(old)] = old, self._copied(old, prefix)
                own.append(old)
            return self.copies[id(old)][1]

        def call(operation, *args, **kwargs):
            if not _is_addition(operation):
                return operation(*args, **kwargs)
            residual, h = next(self.residuals)
            if residual.shortcut is None:
                return operation(*args, **kwargs)
            x, f = keras.tree.flatten((args, kwargs))[:: -1 if residual.shortcut else 1]
            name = residual.name.removeprefix(prefix).replace("#", "_")
            # Addition as a layer casts to its own dtype, as a function to the wider one of the two; only the layer keeps masks.
            is_layer = isinstance(operation, keras.layers.Layer)
            dtype = operation.dtype_policy if is_layer else keras.backend.result_type(x.dtype, f.dtype)
            return EulerAdd(h, keep_mask=is_layer, name=name, dtype=dtype)([x, f])

        euler = walk(functional(model), call, layer)
        for old in own:
            if not is_graph(old):  # its layers have been copied likewise
                copy_state(old, self.copies[id(old)][1])
        euler = keras.Model(euler.input, euler.output, name=model.name, trainable=model.trainable)
        euler.dtype_policy = model.dtype_policy  # without it, compile would not scale the loss under mixed_float16
        return euler

    def _copied(self, layer, prefix):
        if is_graph(layer):
            return self.copy(layer, f"{prefix}{layer.name}/")
        try:
            return type(layer).from_config(layer.get_config())
        except Exception as error:
            raise ValueError(
                f"The layer {layer.name!r} cannot be copied from its configuration: {error}. "
                f"Give {type(layer).__name__} a get_config of all its arguments."
            ) from error


def _opaque(model, prefix=""):
    """Layers made of layers, whose calls are no part of the graph and may add: dict of name -> class.

    Keras' own (attention, recurrence) are known to add nothing; those that wrap another layer are as opaque as that one.
    """
    found = {}
    for layer in model.layers:
        if is_graph(layer):
            found |= _opaque(layer, f"{prefix}{layer.name}/")
        elif _may_hide(layer):
            found[prefix + layer.name] = type(layer).__name__
    return found


def _may_hide(layer):
    within = list(layer._flatten_layers(include_self=False, recursive=False))
    if not within or isinstance(layer, EulerResidual):
        return False
    if not type(layer).__module__.startswith("keras.src."):
        return True
    return any(isinstance(inner, keras.Model) or _may_hide(inner) for inner in within)


def _hidden(model, opaque, num_scaled):
    listed = ", ".join(f"{name} ({kind})" for name, kind in list(opaque.items())[:5]) + ", ..." * (len(opaque) > 5)
    name = next(iter(opaque))
    return (
        f"`model` has layers made of layers, which may hide residual connections: {listed}. "
        f"Received: {type(model).__name__} named {model.name!r}, with {num_scaled} residual connections in its graph. "
        "Write these blocks with keras_euler.EulerResidual or EulerAdd, or as parts of the graph; "
        f"where they hide none, pass shortcuts={{{name!r}: None, ...}}."
    )


def _nothing_found(model, residuals):
    received = f"Received: {type(model).__name__} named {model.name!r}."
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    if any(isinstance(layer, (EulerAdd, EulerResidual)) for layer in layers):
        return f"`model` is made of Euler steps already. {received} Pass h where it is built."
    left = "".join(f" {residual.name} was left alone: {residual.reason}." for residual in residuals)
    merging = [
        f"{call.operation.name} ({type(call.operation).__name__})"
        for call in calls(functional(model))[0]
        if len(call.inputs) > 1 and not type(call.operation).__module__.startswith("keras.src.")
    ]
    if merging:
        left += f" These layers of two inputs may add them: {', '.join(merging[:5])}."
    return f"`model` has no residual connection in its graph: no addition of two tensors. {received}{left}"
