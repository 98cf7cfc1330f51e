"""What a functional model calls, in order: found by walking it through Keras' own `clone_model`."""

import tempfile
from collections.abc import Callable
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
        inputs: List of the symbolic tensors that go in.
        outputs: List of those that come out.
    """

    operation: keras.Operation
    inputs: list[keras.KerasTensor]
    outputs: list[keras.KerasTensor]


def functional(model: keras.Model) -> keras.Model:
    """A functional model of the same layers: what `clone_model` can walk, which knows no calls in Sequential ones.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: It is a subclassed or unbuilt one.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a Keras model. Received: {type(model).__name__}.")
    try:
        if not isinstance(model, keras.Sequential) and not hasattr(model, "operations"):
            raise ValueError("a subclassed model has no graph")
        inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        return keras.Model(inputs, model.outputs if isinstance(model, keras.Sequential) else model.output)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            "`model` must be functional or Sequential, and built: its blocks are found in its graph. "
            f"Received: {type(model).__name__} named {model.name!r}. "
            "Pass the functional part of a subclassed model; give a Sequential one an Input."
        ) from error


def is_graph(operation: object) -> bool:
    """Whether this is a model within a model whose own graph can be walked."""
    if not isinstance(operation, keras.Model):
        return False
    try:
        functional(operation)
    except ValueError:
        return False
    return True


def is_of_keras(operation: object) -> bool:
    """Whether a layer or operation is one of Keras' own."""
    return type(operation).__module__.partition(".")[0] == "keras"


def walk(
    graph: keras.Model, call: Callable[..., Any], layer: Callable[[Any], Any] = lambda layer: layer, inputs: Any = None
) -> keras.Model:
    """A copy of a functional model in which each call is `call(operation, *args, **kwargs)`.

    Args:
        graph: A functional model.
        call: Called in the order of the graph, instead of the operation itself; it returns symbolic tensors.
        layer: Function from each layer to the one to use; default: the same, so that weights are shared.
        inputs: Symbolic tensors to start from, in the structure of `graph.input`; default: new ones of the same names.
    """
    if inputs is None:
        layers = {id(layer.output): layer for layer in graph.layers if isinstance(layer, keras.layers.InputLayer)}
        inputs = keras.tree.map_structure(lambda tensor: _same_input(tensor, layers[id(tensor)]), graph.input)
    return keras.models.clone_model(graph, input_tensors=inputs, clone_function=layer, call_function=call)


def calls(graph: keras.Model) -> tuple[list[Call], list[keras.KerasTensor]]:
    """The `Call`s of a functional model, in order, models within it being one call each, and the tensors that come out of it.

    Returns:
        List of `Call`, list of symbolic tensors.
    """
    found = []

    def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        outputs = operation(*args, **kwargs)
        found.append(Call(operation, tensors((args, kwargs)), tensors(outputs)))
        return outputs

    copy = walk(graph, call)
    return found, tensors(copy.output)


def rebuilt(layer: keras.layers.Layer, config: Config) -> keras.layers.Layer:
    """A new layer of the class of `layer`, without its weights."""
    if isinstance(layer, keras.layers.Lambda):
        return type(layer).from_config(config, safe_mode=False)  # its code is that of this process
    return type(layer).from_config(config)


def copy_state(old: keras.layers.Layer, new: keras.layers.Layer) -> None:
    """Give a built layer all that another one of the same configuration has learned: weights, statistics, vocabularies."""
    with tempfile.TemporaryDirectory() as folder:
        for one, other in zip(_backend.all_layers(old), _backend.all_layers(new), strict=True):
            values: dict[str, Tensor] = {}
            one.save_own_variables(values)
            if values:
                other.load_own_variables({name: keras.ops.convert_to_numpy(value) for name, value in values.items()})
            if hasattr(one, "save_assets"):
                one.save_assets(folder)
                other.load_assets(folder)


def _same_input(tensor: keras.KerasTensor, layer: keras.layers.Layer) -> keras.KerasTensor:
    settings = dict(dtype=tensor.dtype, sparse=tensor.sparse, optional=layer.optional)
    return keras.Input(batch_shape=tensor.shape, name=layer.name, **settings)


def tensors(structure: Any) -> list[keras.KerasTensor]:
    """The symbolic tensors in a structure of arguments or outputs, in order."""
    return [leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, keras.KerasTensor)]
