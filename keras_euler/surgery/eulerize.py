"""Any functional Keras ResNet made Euler: each branch that is added to a shortcut is scaled by h."""

import keras

from keras_euler import _backend
from keras_euler.layers import EulerAdd, EulerResidual
from keras_euler.models.step_factor import step_factors
from keras_euler.surgery.eulerized_add import EulerizedAdd
from keras_euler.surgery.graph import calls, copy_state, functional, is_graph, is_of_keras, rebuilt, tensors, walk
from keras_euler.surgery.residual_connections import is_addition, opaque_layers, residual_connections


def eulerize(model, h=0.1, shortcuts=None, verbose=True):
    """A copy of a functional Keras ResNet in which each residual connection is an explicit Euler step, `y = x + h * F(x)`.

    What the model adds by `keras.layers.Add`, `keras.ops.add` or `+` becomes an `EulerAdd` of the same name (equation 3 of the
    paper). Layers are copied with their weights, in their order, so that files of the model's weights fit too; with `h=1` the
    outputs are those of the model. What is a residual connection, and which input the shortcut, says `residual_connections`.

    Args:
        model: A functional or Sequential Keras model, such as those of `keras.applications` and KerasHub's backbones.
        h: Step factor: a finite number >= 0; `"1/sqrt(L)"` or `"1/L"`, L being the number of residual connections that x passes; or
            one number for each of them, in the order of `residual_connections`.
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
    resnet: scaled 1 branch by h = 0.1: sum.
    >>> euler.get_layer("sum").h
    0.1
    """
    residuals = residual_connections(model, shortcuts)
    scaled = [residual for residual in residuals if residual.shortcut is not None]
    opaque = {name: kind for name, kind in opaque_layers(model).items() if name not in (shortcuts or {})}
    if opaque:
        raise ValueError(_hidden(model, opaque, len(scaled)))
    if not scaled:
        raise ValueError(_nothing_found(model, residuals))
    # A rule's L are the blocks that x passes, of which several may be calls of one; a list has a number for each addition.
    num_calls = sum(residual.num_calls for residual in scaled)
    factors = step_factors(h, num_calls if isinstance(h, str) else len(scaled))[: len(scaled)]
    euler = _Euler(residuals, factors).copy(model)
    if verbose:
        values = sorted(set(factors))
        shown = f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g} to {values[-1]:g}"
        names = [residual.name for residual in scaled]
        named = ", ".join(names if len(names) < 4 else [names[0], "...", names[-1]])
        print(f"{model.name}: scaled {len(scaled)} branch{'es' * (len(scaled) > 1)} by h = {shown}: {named}.")
        for residual in residuals:
            if residual.shortcut is None:
                print(f"left alone: {residual.name}: {residual.reason}")
    return euler


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
            inputs = tensors((args, kwargs))
            if not is_addition(operation, inputs):
                return operation(*args, **kwargs)
            residual, h = next(self.residuals)
            if residual.shortcut is None:
                return operation(*args, **kwargs)
            name = residual.name.removeprefix(prefix).replace("#", "_")
            # Addition as a layer casts to its own dtype, as a function to the wider one of the two; only the layer keeps masks.
            is_layer = isinstance(operation, keras.layers.Layer)
            dtype = operation.dtype_policy if is_layer else keras.backend.result_type(*(x.dtype for x in inputs))
            branch = 1 - residual.shortcut
            return EulerizedAdd(h, branch, keep_mask=is_layer, name=name, dtype=dtype)(inputs)

        euler = walk(functional(model), call, layer)
        for old in own:
            if not is_graph(old):  # its layers have been copied likewise
                copy_state(old, self.copies[id(old)][1])
        euler = _backend.functional_model(euler.input, euler.output, name=model.name, trainable=model.trainable)
        euler.dtype_policy = model.dtype_policy  # without it, compile would not scale the loss under mixed_float16
        return euler

    def _copied(self, layer, prefix):
        if is_graph(layer):
            return self.copy(layer, f"{prefix}{layer.name}/")
        try:
            return rebuilt(layer, layer.get_config())
        except Exception as error:
            raise ValueError(
                f"The layer {layer.name!r} cannot be copied from its configuration: {error}. "
                f"Give {type(layer).__name__} a get_config of all its arguments."
            ) from error


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
        if len(call.inputs) > 1 and _may_add(call.operation)
    ]
    if merging:
        left += f" These layers of two inputs may add them: {', '.join(merging[:5])}."
    return f"`model` has no residual connection in its graph: no addition of two tensors. {received}{left}"


def _may_add(operation):
    """Whether a call of several tensors may add them: code of a user's, or of a model of Keras' own."""
    return not is_of_keras(operation) or isinstance(operation, (keras.Model, keras.layers.Add, keras.layers.Lambda))
