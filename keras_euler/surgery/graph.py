"""Walk the graph of a functional model, in the order of its calls, by Keras' own `clone_model`."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras

from keras_euler import _backend
from keras_euler._types import Config, Tensor


@dataclass(frozen=True)
class Call:
    """One call of a layer or operation in a graph.

    Attributes:
        operation: The layer, or the operation behind a function such as `keras.ops.add`.
        inputs: List of the symbolic input tensors.
        outputs: List of the symbolic output tensors.
        training: The argument `training` that the graph fixes, or None.
    """

    operation: keras.Operation
    inputs: list[keras.KerasTensor]
    outputs: list[keras.KerasTensor]
    training: bool | None = None


def functional(model: keras.Model) -> keras.Model:
    """Return a functional model of the same layers, because `clone_model` cannot walk the calls of
    a Sequential model.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: The model is subclassed, has a `call` of its own or is unbuilt.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a Keras model. Received: {type(model).__name__}.")
    try:
        is_sequential = isinstance(model, keras.Sequential)
        if not is_sequential and not hasattr(model, "operations"):
            raise ValueError("a subclassed model has no graph")
        for name in ("call", "__call__"):
            owner = next(cls for cls in type(model).__mro__ if name in vars(cls))
            known = owner.__module__.partition(".")[0] in ("keras", "keras_hub", "keras_euler")
            if not known or name in vars(model):
                raise ValueError("it has a `call` of its own")
        if is_sequential:
            return keras.Model(model.inputs[0], model.outputs)
        return keras.Model(model.input, model.output)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            "`model` must be functional or Sequential, with Keras' own `call`, and built, so that "
            f"its graph is what it computes. Received: {type(model).__name__} named "
            f"{model.name!r}. Pass the functional part of a subclassed model; give a Sequential "
            "one an Input."
        ) from error


def outer_graph(model: keras.Model) -> keras.Model:
    """Return the functional model of a model that a user passes, as `functional`.

    Raises:
        ValueError: As `functional`; or the model is a KerasHub task with a preprocessor, which is
            not in its graph. Within another model nobody calls the preprocessor.
    """
    if getattr(model, "preprocessor", None) is not None:
        raise ValueError(
            "`model` has a preprocessor, which is not in its graph. Received: "
            f"{type(model).__name__} named {model.name!r}. Set model.preprocessor = None, and pass "
            "what the preprocessor returns."
        )
    return functional(model)


def is_graph(operation: object) -> bool:
    """Return whether an operation is a model whose graph can be walked."""
    if not isinstance(operation, keras.Model):
        return False
    try:
        functional(operation)
    except ValueError:
        return False
    return True


def is_of_keras(operation: object) -> bool:
    """Return whether a layer or operation belongs to Keras."""
    return type(operation).__module__.partition(".")[0] == "keras"


def walk(
    graph: keras.Model, call: Callable[..., Any], layer: Callable[[Any], Any] = lambda layer: layer
) -> keras.Model:
    """Copy a functional model, with each call replaced by `call(operation, *args, **kwargs)`.

    Args:
        graph: A functional model.
        call: Function that is called instead of each operation, in the order of the graph; it
            returns symbolic tensors.
        layer: Function from each layer to the layer to use. Default: the same layer, so that
            weights are shared.
    """
    layer_of = {
        id(layer.output): layer
        for layer in graph.layers
        if isinstance(layer, keras.layers.InputLayer)
    }

    # New inputs: the calls of shared ones would keep every copy alive.
    def same_input(tensor: keras.KerasTensor) -> keras.KerasTensor:
        own = layer_of[id(tensor)]
        return keras.Input(
            batch_shape=tensor.shape,
            dtype=tensor.dtype,
            sparse=tensor.sparse,
            name=own.name,
            optional=own.optional,
        )

    inputs = keras.tree.map_structure(same_input, graph.input)
    return keras.models.clone_model(
        graph, input_tensors=inputs, clone_function=layer, call_function=call
    )


def calls(graph: keras.Model) -> tuple[list[Call], list[keras.KerasTensor]]:
    """Return the calls of a functional model in order; a model inside it is one call.

    Returns:
        `(calls, outputs)`: a list of `Call` and a list of the model's symbolic output tensors.
    """
    graph_calls = []

    def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        outputs = operation(*args, **kwargs)
        inputs, training = tensors((args, kwargs)), kwargs.get("training")
        graph_calls.append(Call(operation, inputs, tensors(outputs), training))
        return outputs

    copy = walk(graph, call)
    return graph_calls, tensors(copy.output)


def all_calls(graph: keras.Model, prefix: str = "") -> Iterator[tuple[str, Call]]:
    """Yield name and call of each operation, also of the models inside: `model/name`."""
    for call in calls(graph)[0]:
        name = prefix + call.operation.name
        if is_graph(call.operation):
            yield from all_calls(functional(call.operation), f"{name}/")
        else:
            yield name, call


def rebuilt(layer: keras.layers.Layer, config: Config) -> keras.layers.Layer:
    """Return a new layer of the class of `layer`, without its weights."""
    # The code of a Lambda is from this process.
    options = {"safe_mode": False} if isinstance(layer, keras.layers.Lambda) else {}
    return type(layer).from_config(config, **options)


def copy_state(old: keras.layers.Layer, new: keras.layers.Layer) -> None:
    """Copy the state of a layer to a built layer of the same configuration: weights, statistics,
    vocabularies."""
    with tempfile.TemporaryDirectory() as folder:
        for source, target in zip(_backend.all_layers(old), _backend.all_layers(new), strict=True):
            values: dict[str, Tensor] = {}
            source.save_own_variables(values)
            if values:
                target.load_own_variables(
                    {name: keras.ops.convert_to_numpy(value) for name, value in values.items()}
                )
            if hasattr(source, "save_assets"):
                source.save_assets(folder)
                target.load_assets(folder)


def tensors(structure: Any) -> list[keras.KerasTensor]:
    """Return the symbolic tensors in a structure of arguments or outputs, in order."""
    return [leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, keras.KerasTensor)]
