"""Convert a functional Keras ResNet: scale every residual branch by h."""

import itertools
from collections.abc import Container
from typing import Any

import keras
from keras.layers import Layer

from keras_euler import _backend
from keras_euler._checks import check_choice
from keras_euler._types import StepFactor
from keras_euler.layers import EulerAdd, EulerResidual
from keras_euler.models.euler_model import EulerModel
from keras_euler.models.step_factor import step_factors
from keras_euler.surgery.eulerized_add import EulerizedAdd
from keras_euler.surgery.graph import (
    all_calls,
    copy_state,
    functional,
    is_graph,
    is_of_keras,
    rebuilt,
    tensors,
    walk,
)
from keras_euler.surgery.rematerialized import Made, as_block, blocks_of
from keras_euler.surgery.residual_connections import (
    Residual,
    is_addition,
    opaque_layers,
    residual_connections,
)


def eulerize(
    model: keras.Model,
    h: StepFactor = 0.1,
    shortcuts: dict[str, int | None] | None = None,
    verbose: bool = True,
    remat: bool = False,
) -> keras.Model:
    """Copy a functional Keras ResNet and make each residual connection an explicit Euler step, `y =
    x + h * F(x)`.

    Each addition by `keras.layers.Add`, `keras.ops.add` or `+` becomes an `EulerAdd` of the same
    name (equation 3 of the paper). The layers are copied with their weights and in their order, so
    that files of the model's weights fit. With `h=1` the outputs are those of the model.
    `residual_connections` describes what a residual connection is, and which input is its shortcut.

    Args:
        model: A functional or Sequential Keras model, such as those of `keras.applications` and
            KerasHub's backbones.
        h: Step factor: a finite number >= 0; `"1/sqrt(L)"` or `"1/L"`, where L is the number of
            residual connections that x passes; or one number for each of them, in the order of
            `residual_connections`.
        shortcuts: Dict of the name of an addition -> position of its shortcut, 0 or 1, or None to
            leave it alone; needed if the graph is ambiguous. The name of a composite layer -> None
            declares that it hides no residual connection.
        verbose: Whether to print what was changed and what was left alone.
        remat: Whether a block keeps only its input for the backward pass and computes its inside
            again there: less memory, more time. Each block becomes an inner model, `sum_block` for
            an addition `sum`, so files of the model's weights do not fit. A block stays as it is if
            its inside, or a layer with weights, is used elsewhere in the graph; and in use if its
            input has a mask.

    Returns:
        A functional `keras.Model`, not compiled.

    Raises:
        TypeError: `model` is not a Keras model, `h` is not a number, or `shortcuts` is not a dict.
        ValueError: The model is subclassed, has no residual connection in its graph, or has
            composite layers that may hide some; an addition is ambiguous; `h` is out of range or
            has another length.

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
    opaque = {
        name: kind for name, kind in opaque_layers(model).items() if name not in (shortcuts or {})
    }
    if opaque:
        raise ValueError(_hidden(model, opaque, len(scaled)))
    if not scaled:
        raise ValueError(_nothing_found(model, residuals))
    # The L of a rule counts the blocks that x passes, where an addition may be called several
    # times. A list has one h per addition.
    num_calls = sum(residual.num_calls for residual in scaled)
    factors = step_factors(h, num_calls if isinstance(h, str) else len(scaled))[: len(scaled)]
    remat = check_choice("remat", remat, (True, False))
    euler = _Euler(residuals, factors, remat).copy(model)
    if verbose:
        values = sorted(set(factors))
        shown = f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g} to {values[-1]:g}"
        names = [residual.name for residual in scaled]
        named = ", ".join(names if len(names) < 4 else [names[0], "...", names[-1]])
        print(
            f"{model.name}: scaled {len(scaled)} branch{'es' * (len(scaled) > 1)} by h = {shown}: "
            f"{named}."
        )
        for residual in residuals:
            if residual.shortcut is None:
                print(f"left alone: {residual.name}: {residual.reason}")
        for name, kind in _may_add(model, shortcuts).items():
            print(f"left alone: {name}: {kind} may add, but is no addition of Keras")
    return euler


class _Euler:
    """Copy a model and convert its additions; `residuals` are all of them, in order."""

    def __init__(self, residuals: list[Residual], factors: list[float], remat: bool) -> None:
        self.residuals, self.factors, self.remat = iter(residuals), iter(factors), remat
        self.kept = {r.name.partition("#")[0] for r in residuals if r.shortcut is None}
        # id of a layer -> its copy; a layer may be shared by several models
        self.copies: dict[int, Layer] = {}

    def copy(self, model: keras.Model, prefix: str = "") -> keras.Model:
        own, graph = [], functional(model)
        names = {operation.name for operation in graph.operations}
        used = {name for name in names if prefix + name in self.kept}  # in the copy as they are
        blocks = iter(blocks_of(graph)) if self.remat else itertools.repeat(([], None, []))
        copied: dict[int, keras.KerasTensor] = {}  # id of a tensor of `graph` -> that of the copy
        made: list[Made] = []

        def free_name(name: str, is_new: bool = False) -> str:
            """Return the name of an addition for its first call, and new ones for the others."""
            candidates = (f"{name}_call{i}" for i in itertools.count(2))
            is_free = name not in (names | used if is_new else used)
            free = name if is_free else next(c for c in candidates if c not in names | used)
            used.add(free)
            return free

        def layer(old: Any) -> Any:
            if not isinstance(old, Layer):
                return old
            if id(old) not in self.copies:
                self.copies[id(old)] = self._copied(old, prefix)
                own.append(old)
            return self.copies[id(old)]

        def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
            inputs = tensors((args, kwargs))
            originals, source, within = next(blocks)
            copied.update(zip(originals, inputs, strict=False))
            residual = next(self.residuals) if is_addition(operation, inputs) else None
            if residual is not None and residual.shortcut is not None:
                operation, args, kwargs = step(operation, residual, inputs), (inputs,), {}
                if source is not None:
                    added = operation, args, kwargs, None
                    name = free_name(f"{operation.name}_block", is_new=True)
                    x = copied[source]
                    operation = as_block([*(made[i] for i in within), added], x, name)
                    args = (x,)
            outputs = operation(*args, **kwargs)
            made.append((operation, args, kwargs, outputs))
            return outputs

        def step(operation: Any, residual: Residual, inputs: Any) -> EulerizedAdd:
            name = free_name(residual.name.removeprefix(prefix).partition("#")[0])
            # A layer casts to its own dtype and keeps masks; a function casts to the wider dtype of
            # the two.
            is_layer = isinstance(operation, Layer)
            dtype = (
                operation.dtype_policy
                if is_layer
                else keras.backend.result_type(*(x.dtype for x in inputs))
            )
            branch = int(residual.shortcut == 0)
            loss = operation.activity_regularizer if is_layer else None
            h = next(self.factors)
            return EulerizedAdd(
                h, branch, is_layer, name=name, dtype=dtype, activity_regularizer=loss
            )

        euler = walk(graph, call, layer)
        for old in own:
            if not is_graph(old):  # the layers of a graph have been copied
                copy_state(old, self.copies[id(old)])
        return EulerModel(euler.input, euler.output, name=model.name, trainable=model.trainable)

    def _copied(self, layer: Layer, prefix: str) -> Layer:
        if is_graph(layer):
            return self.copy(layer, f"{prefix}{layer.name}/")
        return rebuilt(layer, layer.get_config())


def _hidden(model: keras.Model, opaque: dict[str, str], num_scaled: int) -> str:
    listed = ", ".join(f"{name} ({kind})" for name, kind in list(opaque.items())[:5]) + ", ..." * (
        len(opaque) > 5
    )
    name = next(iter(opaque))
    return (
        f"`model` has composite layers, which may hide residual connections: {listed}. Received: "
        f"{type(model).__name__} named {model.name!r}, with {num_scaled} residual connections in "
        "its graph. Write these blocks with keras_euler.EulerResidual or EulerAdd, or as parts of "
        f"the graph. If they hide none, pass shortcuts={{{name!r}: None, ...}}."
    )


def _nothing_found(model: keras.Model, residuals: list[Residual]) -> str:
    received = f"Received: {type(model).__name__} named {model.name!r}."
    if any(isinstance(layer, (EulerAdd, EulerResidual)) for layer in _backend.all_layers(model)):
        return f"`model` already consists of Euler steps. {received} Pass h to its constructor."
    left = "".join(f" {residual.name} was left alone: {residual.reason}." for residual in residuals)
    merging = [f"{name} ({kind})" for name, kind in _may_add(model).items()]
    if merging:
        left += f" These layers of two inputs may add them: {', '.join(merging[:5])}."
    return (
        "`model` has no residual connection in its graph: no addition of two tensors. "
        f"{received}{left}"
    )


# Operations of Keras that can make a residual connection without an addition.
LIKE_ADDITIONS = ("Add", "Average", "CustomScaleLayer", "Lambda", "Stack", "Subtract")


def _may_add(model: keras.Model, known: Container[str] | None = None) -> dict[str, str]:
    """Return a dict of name -> class of the operations on several tensors that may add them, except
    the known ones: code of a user, or like an addition."""
    found: dict[str, str] = {}
    for name, call in all_calls(functional(model)):
        operation, kind = call.operation, type(call.operation).__name__
        if name in (known or ()) or isinstance(operation, EulerAdd):
            continue
        if len(call.inputs) > 1 and not is_addition(operation, call.inputs):
            is_like = isinstance(operation, keras.layers.Add) or kind in LIKE_ADDITIONS
            if is_like or isinstance(operation, keras.Model) or not is_of_keras(operation):
                found[name] = kind
    return found
