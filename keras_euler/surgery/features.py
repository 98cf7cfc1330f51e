"""The outputs of a network's blocks."""

import collections
from typing import Any

import keras

from keras_euler._types import Tensor
from keras_euler.layers import EulerAdd, EulerResidual
from keras_euler.models.euler_model import EulerModel
from keras_euler.surgery.graph import functional, is_graph, outer_graph, walk

OWN = "/"  # no layer has this name


def block_features(model: keras.Model) -> keras.Model:
    """Return a model that gives the output of every residual block, `x_{n+1} = I(x_n + h * F(x_n))`
    (equation 3).

    Blocks are the `EulerResidual` layers of a model and its inner models, and the `EulerAdd` layers
    in their graphs. The new model shares the weights of `model`, so that its features change with
    further training.

    Args:
        model: A functional or Sequential Keras model, such as `EulerResNet` and `EulerVDCNN`, or
            with such an inner model.

    Returns:
        A functional `keras.Model` of the same inputs, whose output is a dict of block name ->
        `x_{n+1}`, in order. Repeated names get `#2`, `#3` and so on.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: The model is subclassed or unbuilt, or has no such block.

    Example:

    >>> features = block_features(EulerResNet(depth=8))
    >>> {name: tuple(output.shape[1:]) for name, output in features.output.items()}
    {'stage1_block1': (32, 32, 16), 'stage2_block1': (16, 16, 32), 'stage3_block1': (8, 8, 64)}
    """
    features = _features(outer_graph(model))
    if features is None:
        received = f"Received: {type(model).__name__} named {model.name!r}."
        raise ValueError(f"`model` has no EulerResidual block in its graph. {received}")
    del (outputs := features.output)[OWN]
    return EulerModel(features.input, outputs)


def _features(graph: keras.Model) -> keras.Model | None:
    """Return the model of the features and of the graph's own output, or None if there are no
    features."""
    # torch would sort a plain dict by its keys.
    outputs: collections.OrderedDict[str, Any] = collections.OrderedDict()

    def add(name: str, output: Tensor) -> None:
        repeats = sum(key.partition("#")[0] == name for key in outputs)
        outputs[f"{name}#{repeats + 1}" if repeats else name] = output

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        if is_graph(layer) and (nested := _features(functional(layer))):
            features = nested(*args, **kwargs)
            y = features.pop(OWN)
            for name, output in features.items():
                add(name.partition("#")[0], output)
        else:
            y = layer(*args, **kwargs)
        if isinstance(layer, (EulerResidual, EulerAdd)):
            add(layer.name, y)
        return y

    graph = walk(graph, call)
    if not outputs:
        return None
    outputs[OWN] = graph.output
    return EulerModel(graph.input, outputs)
