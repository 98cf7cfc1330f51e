"""How much a network computes."""

import math

import keras

from keras_euler._types import Shape
from keras_euler.layers import EulerResidual
from keras_euler.surgery.fold import LINEAR, num_filters
from keras_euler.surgery.graph import calls, functional, is_graph


def multiply_adds(model: keras.Model) -> int:
    """Multiplications, each with its addition, of the convolutions (Conv1D to Conv3D, depthwise ones) and dense layers for one
    example.

    A convolution of a kernel of `k` positions from `c` to `d` channels takes `k * c * d` for each position of its output;
    a depthwise one, `k * d`. Other layers (separable and transposed convolutions, attention) are not counted.

    Args:
        model: A functional or Sequential Keras model; blocks (`EulerResidual`) and models within it are counted too. Its input
            shape must be known but for the batch.

    Returns:
        An integer.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: It is subclassed or not built, or a size of its input is unknown.

    Example:

    >>> keras_euler.analysis.multiply_adds(keras_euler.EulerResNet(depth=20, shortcut="padding"))
    40551040
    """
    graph = functional(model)
    shapes = [tuple(tensor.shape) for tensor in graph.inputs]
    if any(None in shape[1:] for shape in shapes):
        raise ValueError(f"The sizes of the model's input must be known. Received: a model of the input {shapes}.")
    return sum(_of(call.operation, tuple(call.inputs[0].shape)) for call in calls(graph)[0] if call.inputs)


def _of(operation: keras.Operation, shape: Shape) -> int:
    if isinstance(operation, EulerResidual):
        return sum(_of_chain(chain, shape) for chain in (operation.branch, operation.shortcut or []))
    if is_graph(operation):
        return multiply_adds(operation)
    if not isinstance(operation, LINEAR):
        return 0
    outputs = operation.compute_output_shape(shape)
    return math.prod(operation.kernel.shape) * math.prod(outputs[1:]) // num_filters(operation)


def _of_chain(layers: list[keras.layers.Layer], shape: Shape) -> int:
    total = 0
    for layer in layers:
        total += _of(layer, shape)
        shape = layer.compute_output_shape(shape)
    return total
