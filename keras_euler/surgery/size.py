"""The computational size of a network."""

import math

import keras

from keras_euler._types import Shape
from keras_euler.layers import EulerResidual
from keras_euler.surgery.fold import LINEAR, num_filters
from keras_euler.surgery.graph import calls, functional, is_graph, outer_graph


def multiply_adds(model: keras.Model) -> int:
    """Count the multiply-adds of convolutions and dense layers for one example.

    A convolution with a kernel of `k` positions from `c` to `d` channels takes `k * c * d` for each
    position of its output, and a depthwise one `k * d`. Conv1D to Conv3D, depthwise convolutions
    and dense layers are counted, but no other layers, such as separable and transposed convolutions
    and attention. A Runge-Kutta step counts its branch once per stage.

    Args:
        model: A functional or Sequential Keras model; blocks (`EulerResidual`) and inner models are
            counted too. Its input shape must be known except for the batch size.

    Returns:
        An integer.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: The model is subclassed or unbuilt, or a size of its input is unknown.

    Example:

    >>> keras_euler.analysis.multiply_adds(keras_euler.EulerResNet(depth=20, shortcut="padding"))
    40551040
    """
    return _graph_size(outer_graph(model))


def _graph_size(graph: keras.Model) -> int:
    shapes = [tuple(tensor.shape) for tensor in graph.inputs]
    if any(None in shape[1:] for shape in shapes):
        raise ValueError(
            "The sizes of the model's input must be known. Received: a model of the input "
            f"{shapes}."
        )
    return sum(
        _size(call.operation, tuple(call.inputs[0].shape))
        for call in calls(graph)[0]
        if call.inputs
    )


def _size(operation: keras.Operation, shape: Shape) -> int:
    if isinstance(operation, EulerResidual):
        return operation.num_stages * _chain_size(operation.branch, shape) + _chain_size(
            operation.shortcut or [], shape
        )
    if is_graph(operation):
        return _graph_size(functional(operation))
    if isinstance(operation, keras.Model):
        raise ValueError(
            f"The model {operation.name!r} within the model has no graph to count. Received: "
            f"{type(operation).__name__}."
        )
    if not isinstance(operation, LINEAR):
        return 0
    outputs = operation.compute_output_shape(shape)
    return math.prod(operation.kernel.shape) * math.prod(outputs[1:]) // num_filters(operation)


def _chain_size(layers: list[keras.layers.Layer], shape: Shape) -> int:
    total = 0
    for layer in layers:
        total += _size(layer, shape)
        shape = layer.compute_output_shape(shape)
    return total
