"""Fold batch norm, h and ReLU into the preceding convolutions, for inference."""

import functools
import math
from collections import Counter
from typing import Any

import keras
import numpy as np
from keras.layers import Layer

from keras_euler._backend import float64_array
from keras_euler._types import Array
from keras_euler.layers import BatchNormalization, Conv1D, Conv2D, EulerAdd, EulerResidual
from keras_euler.models.character_classifier import CharacterClassifier
from keras_euler.models.euler_model import EulerModel
from keras_euler.models.image_classifier import ImageClassifier
from keras_euler.surgery.eulerized_add import EulerizedAdd
from keras_euler.surgery.graph import (
    calls,
    copy_state,
    functional,
    is_graph,
    outer_graph,
    rebuilt,
    walk,
)

# Exactly these: a subclass may compute something else.
DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
LINEAR = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Dense,
    Conv1D,
    Conv2D,
    *DEPTHWISE,
)
NORMS = (keras.layers.BatchNormalization, BatchNormalization)


def fold(model: keras.Model) -> keras.Model:
    """Copy a model for inference, with batch norm, h and ReLU folded into the convolutions.

    In inference a batch norm is affine, `gamma * (z - mu) / sqrt(sigma^2 + epsilon) + beta`, and so
    is a preceding convolution or dense layer `z = W * x + b`. With
    `s = gamma / sqrt(sigma^2 + epsilon)` both become one layer of the kernel `s * W` and the bias
    `s * (b - mu) + beta`. At the end of the branch F both are also multiplied by `h`, and the block
    is `I(S(x) + F(x))`. A following ReLU becomes the convolution's activation. In a Runge-Kutta
    step `h * F` takes the place of `F` at every stage. The outputs are the same up to rounding,
    with fewer passes over the data.

    A batch norm that does not follow a convolution (Conv1D to Conv3D, depthwise) or dense layer is
    unchanged, such as the first one with `preactivation`. So are h after another norm, calls with
    `training=True` in the graph, and everything inside composite layers.

    Args:
        model: A functional or Sequential Keras model with batch norm: an `EulerResNet`, an
            `EulerVDCNN`, a model of a recipe that contains one, or any other, such as those of
            `eulerize`.

    Returns:
        A functional `keras.Model`, or a classifier from a `CharacterClassifier` or an
        `ImageClassifier`; not compiled and not meant to be trained.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: The model is subclassed or unbuilt, or a KerasHub task with a preprocessor.

    Example:

    >>> model = keras_euler.EulerResNet(depth=8, h=0.1)
    >>> folded = fold(model)
    >>> x = np.ones((1, 32, 32, 3), "float32")
    >>> bool(np.allclose(folded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-4))
    True
    >>> model.count_params() - folded.count_params()
    1008
    """
    if isinstance(model, CharacterClassifier):
        return CharacterClassifier(
            fold(model.network), model.alphabet, model.class_names, name=model.name
        )
    folded = _folded(model, outer_graph(model))
    if isinstance(model, ImageClassifier):
        layers = [keras.Input(batch_shape=folded.input_shape, dtype=folded.input.dtype), folded]
        return ImageClassifier(layers, model.class_names, name=model.name)
    return folded


def _folded(model: keras.Model, graph: keras.Model) -> keras.Model:
    folded = _Folding(graph).copy(graph)
    return EulerModel(folded.input, folded.output, name=model.name)


class _Folding:
    """The plan of what to fold in one graph; inner models have their own plans.

    Attributes:
        arrays: Dict of the id of a layer -> its kernel and bias after folding.
        activated: Ids of the layers into which a ReLU is folded.
        gone: Ids of the folded batch norms and ReLUs.
        scaled: Ids of the `EulerAdd`s whose h is folded.
        copies: Pairs of a layer with a state of its own and its copy, which is filled once built.
        in_training: Ids of the operations that the graph calls with `training=True`.
    """

    def __init__(self, graph: keras.Model) -> None:
        self.arrays: dict[int, tuple[Array, Array]] = {}
        self.activated: set[int] = set()
        self.gone: set[int] = set()
        self.scaled: set[int] = set()
        self.copies: list[tuple[Layer, Layer]] = []
        graph_calls, outputs = calls(graph)
        self.in_training = {id(call.operation) for call in graph_calls if call.training}
        operations = {call.operation for call in graph_calls}
        blocks = [layer for layer in operations if isinstance(layer, EulerResidual)]
        inner = [layer for each in blocks for layer in (*each.branch, *(each.shortcut or []))]
        self.uses = Counter(id(call.operation) for call in graph_calls)
        self.uses.update(map(id, inner))
        consumers = Counter(id(tensor) for call in graph_calls for tensor in call.inputs)
        consumers.update(map(id, outputs))
        for block in blocks:
            if id(block) not in self.in_training:
                functools.reduce(self._last_linear, block.shortcut or [], None)
                self._fold_h(functools.reduce(self._last_linear, block.branch, None), block.add)
        # id of a tensor with one consumer -> the linear layer that gives it
        linear: dict[int, Layer] = {}
        for call in graph_calls:
            operation, layer = call.operation, None
            if isinstance(operation, EulerAdd) and self.uses[id(operation)] == 1:
                branch = operation.branch_index if isinstance(operation, EulerizedAdd) else 1
                self._fold_h(linear.get(id(call.inputs[branch])), operation)
            elif isinstance(operation, Layer) and call.inputs:
                layer = self._last_linear(linear.get(id(call.inputs[0])), operation)
            if layer is not None and consumers[id(call.outputs[0])] == 1:
                linear[id(call.outputs[0])] = layer

    def copy(self, graph: keras.Model) -> keras.Model:
        """Return the folded copy of the graph, with its weights."""
        copies: dict[int, Layer] = {}  # id of a layer -> its copy

        def layer(old: Any) -> Any:
            if not isinstance(old, Layer):
                return old
            if id(old) not in copies and id(old) not in self.gone:
                copies[id(old)] = self._copied(old)
            return copies.get(id(old))

        def call(operation: keras.Operation | None, *args: Any, **kwargs: Any) -> Any:
            if operation is None:
                return keras.tree.flatten((args, kwargs))[0]
            return operation(*args, **kwargs)

        folded = walk(graph, call, layer)
        for old, new in self.copies:
            if id(old) in self.arrays:
                new.set_weights(self.arrays[id(old)])
            elif id(old) not in self.scaled:
                copy_state(old, new)
        return folded

    def _fold_h(self, layer: Layer | None, add: EulerAdd) -> None:
        """Fold the step factor of an `EulerAdd` into the linear layer before it, if there is
        one."""
        h = add.h if add.trainable_h is None else float64_array(add.step_factor)
        if layer is not None and (np.ndim(h) == 0 or _channel_axis(add) == _channel_axis(layer)):
            self._absorb(layer, h, 0.0)
            self.scaled.add(id(add))

    def _last_linear(self, before: Layer | None, layer: Layer) -> Layer | None:
        """Fold `layer` if possible; return the linear layer that gives its output, or None if
        nothing more may fold into that."""
        if self.uses[id(layer)] > 1:
            return None
        if type(layer) in LINEAR:
            is_linear = layer.activation is keras.activations.linear
            is_changed = layer.quantization_mode or getattr(layer, "lora_enabled", False)
            return layer if is_linear and not is_changed else None
        if before is None:
            return None
        if type(layer) in NORMS:
            in_training = id(layer) in self.in_training
            if in_training or _channel_axis(before) != _normalized_axis(layer):
                return None
            self._absorb(before, *_affine(layer))
            self.gone.add(id(layer))
            return before
        if _is_relu(layer) and layer.compute_dtype == before.compute_dtype:
            self.activated.add(id(before))
            self.gone.add(id(layer))
        return None

    def _absorb(self, layer: Layer, scale: Array | float, shift: Array | float) -> None:
        kernel, bias = self.arrays.get(id(layer)) or _arrays(layer)
        scales = np.broadcast_to(scale, bias.shape).reshape(_filters(layer))
        self.arrays[id(layer)] = kernel * scales, bias * scale + shift

    def _copied(self, layer: Layer, in_graph: bool = True) -> Layer:
        if in_graph and is_graph(layer):
            if id(layer) not in self.in_training:
                return _folded(layer, functional(layer))
            copy = keras.models.clone_model(layer)
            copy.set_weights(layer.get_weights())
            return copy
        config = layer.get_config()
        if id(layer) in self.activated:
            config["activation"] = "relu"
        if id(layer) in self.arrays:
            config["use_bias"] = True
        if id(layer.add if isinstance(layer, EulerResidual) else layer) in self.scaled:
            config.update(h=1.0, trainable_h=None)
        if isinstance(layer, EulerResidual):
            for name in ("branch", "shortcut"):
                kept = [each for each in getattr(layer, name) or [] if id(each) not in self.gone]
                config[name] = [self._copied(each, False) for each in kept] or None
            copy = type(layer)(**config)
            self.copies.append((layer.add, copy.add))
        else:
            copy = rebuilt(layer, config)
            self.copies.append((layer, copy))
        return copy


def _is_relu(layer: Layer) -> bool:
    if type(layer) is keras.layers.ReLU:
        return layer.max_value is None and not layer.negative_slope and not layer.threshold
    return type(layer) is keras.layers.Activation and layer.activation is keras.activations.relu


def _channel_axis(layer: Layer) -> int:
    """Return the channel axis of the output of a linear layer or an `EulerAdd`: 1 or -1."""
    return 1 if getattr(layer, "data_format", None) == "channels_first" else -1


def _normalized_axis(norm: keras.layers.BatchNormalization) -> int:
    """Return the channel axis of a batch norm: 1 or -1."""
    return -1 if norm.axis in (-1, norm.input_spec.ndim - 1) else norm.axis


def _affine(norm: keras.layers.BatchNormalization) -> tuple[Array, Array]:
    """Return the scale and shift of a batch norm in inference."""
    gamma = 1.0 if norm.gamma is None else float64_array(norm.gamma)
    beta = 0.0 if norm.beta is None else float64_array(norm.beta)
    scale = gamma / np.sqrt(float64_array(norm.moving_variance) + norm.epsilon)
    return scale, beta - scale * float64_array(norm.moving_mean)


def _arrays(layer: Layer) -> tuple[Array, Array]:
    kernel = float64_array(layer.kernel)
    return kernel, float64_array(layer.bias) if layer.use_bias else np.zeros(num_filters(layer))


def num_filters(layer: Layer) -> int:
    """Return the number of output channels of a linear layer."""
    return math.prod(_filters(layer))


def _filters(layer: Layer) -> tuple[int, ...]:
    """Return the number of filters as the last axes of the kernel; depthwise ones have several per
    input channel."""
    return layer.kernel.shape[-2:] if isinstance(layer, DEPTHWISE) else layer.kernel.shape[-1:]
