"""A network for inference: batch norm, h and ReLU folded into the convolutions before them."""

import math
from collections import Counter

import keras
import numpy as np

from keras_euler import _backend
from keras_euler.layers import BatchNormalization, Conv1D, Conv2D, EulerAdd, EulerResidual
from keras_euler.models.character_classifier import CharacterClassifier
from keras_euler.surgery.eulerized_add import EulerizedAdd
from keras_euler.surgery.graph import calls, copy_state, functional, is_graph, rebuilt, walk

# Exactly these: a subclass may compute something else.
DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
LINEAR = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D, keras.layers.Dense, Conv1D, Conv2D, *DEPTHWISE)
NORMS = (keras.layers.BatchNormalization, BatchNormalization)


def fold(model):
    """A copy of a model for inference, with batch norm, h and ReLU folded into the convolutions.

    In inference a batch norm is affine, `gamma * (z - mu) / sqrt(sigma^2 + epsilon) + beta`, and so is a convolution or dense
    layer `z = W * x + b` before it. With `s = gamma / sqrt(sigma^2 + epsilon)` both are one, of kernel `s * W` and bias
    `s * (b - mu) + beta`; where it ends the branch F, of `h` times that, and the block is `I(S(x) + F(x))`. A ReLU behind becomes
    the convolution's activation. The outputs are the same but for rounding, in fewer passes over the data.

    A batch norm that follows no convolution (Conv1D to Conv3D, depthwise ones) or dense layer, as the first one with
    `preactivation`, and h after another norm stay as they are; so does what lies in layers made of layers.

    Args:
        model: A functional or Sequential Keras model: an `EulerResNet`, an `EulerVDCNN`, either within the model of a recipe, a
            `CharacterClassifier`, or any other with batch norm, such as those of `eulerize`.

    Returns:
        A functional `keras.Model`, or a `CharacterClassifier`; not compiled. It is not meant to be trained.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: It is subclassed or not built, or a task of KerasHub's with a preprocessor.

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
        return CharacterClassifier(fold(model.network), model.alphabet, model.class_names, name=model.name)
    if getattr(model, "preprocessor", None) is not None:
        raise ValueError(
            f"`model` has a preprocessor, which its folded copy would lose. Received: {type(model).__name__} named {model.name!r}. "
            "Set model.preprocessor = None, and call the preprocessor before the folded model."
        )
    graph = functional(model)
    folding = _Folding(graph)
    folded = folding.copy(graph)
    folded = _backend.functional_model(folded.input, folded.output, name=model.name)
    folded.dtype_policy = model.dtype_policy
    return folded


class _Folding:
    """What folds into what in one graph; the models within it have foldings of their own.

    Attributes:
        arrays: Dict of the id of a layer -> kernel and bias with all that folds into it.
        activated: Ids of the layers that a ReLU is folded into.
        gone: Ids of the batch norms and ReLUs that are folded.
        scaled: Ids of the `EulerAdd`s whose h is folded.
    """

    def __init__(self, graph):
        self.arrays, self.activated, self.gone, self.scaled = {}, set(), set(), set()
        found, outputs = calls(graph)
        blocks = {id(call.operation): call.operation for call in found if isinstance(call.operation, EulerResidual)}
        self.uses = Counter(id(call.operation) for call in found)
        self.uses.update(id(layer) for block in blocks.values() for layer in [*block.branch, *(block.shortcut or [])])
        consumers = Counter(id(tensor) for call in found for tensor in call.inputs)
        consumers.update(map(id, outputs))
        for block in blocks.values():
            self._fold_residual(block)
        linear = {}  # id of a tensor that nothing else takes -> the linear layer that it comes out of
        for call in found:
            operation, layer = call.operation, None
            if isinstance(operation, EulerAdd) and self.uses[id(operation)] == 1:
                branch = operation.branch_index if isinstance(operation, EulerizedAdd) else 1
                self._fold_h(linear.get(id(call.inputs[branch])), operation)
            elif isinstance(operation, keras.layers.Layer) and call.inputs:
                layer = self._last_linear(linear.get(id(call.inputs[0])), operation)
            if layer is not None and consumers[id(call.outputs[0])] == 1:
                linear[id(call.outputs[0])] = layer

    def copy(self, graph):
        """The folded copy of the graph, with its weights."""
        copies, passed = {}, set()  # id of a layer -> it and its copy; ids of the copies that pass on what they get

        def layer(old):
            if not isinstance(old, keras.layers.Layer):
                return old
            if id(old) not in copies:
                copies[id(old)] = old, self._copied(old)
                passed.update([id(copies[id(old)][1])] if id(old) in self.gone else [])
            return copies[id(old)][1]

        def call(operation, *args, **kwargs):
            if id(operation) in passed:
                return keras.tree.flatten((args, kwargs))[0]
            return operation(*args, **kwargs)

        folded = walk(graph, call, layer)
        for old, new in copies.values():
            if not is_graph(old) and id(old) not in self.gone:
                self._fill(old, new)
        return folded

    def _fold_residual(self, block):
        for chain in (block.branch, block.shortcut or []):
            last = None
            for layer in chain:
                last = self._last_linear(last, layer)
            if chain is block.branch:
                self._fold_h(last, block.add)

    def _fold_h(self, layer, add):
        """Fold the step factor of an `EulerAdd` into the linear layer before it, if there is one."""
        h = add.h if add.trainable_h is None else _numpy(add.step_factor)
        fits = np.ndim(h) == 0 or (1 if add.data_format == "channels_first" else -1) == _channel_axis(layer)
        if layer is not None and fits:
            self._absorb(layer, h, 0.0)
            self.scaled.add(id(add))

    def _last_linear(self, before, layer):
        """The linear layer that the output of `layer` comes out of, if anything may still fold into it; folds `layer` if it can."""
        if type(layer) in NORMS:
            if before is None or self.uses[id(layer)] > 1 or _channel_axis(before) != _normalized_axis(layer):
                return None
            self._absorb(before, *_affine(layer))
            self.gone.add(id(layer))
            return before
        if before is not None and _is_relu(layer) and self.uses[id(layer)] == 1:
            if layer.compute_dtype == before.compute_dtype:
                self.activated.add(id(before))
                self.gone.add(id(layer))
            return None
        is_plain = type(layer) in LINEAR and layer.activation is keras.activations.linear
        is_plain = is_plain and not (layer.quantization_mode or getattr(layer, "lora_enabled", False))
        return layer if is_plain and self.uses[id(layer)] == 1 else None

    def _absorb(self, layer, scale, shift):
        kernel, bias = self.arrays.get(id(layer)) or _arrays(layer)
        scales = np.broadcast_to(scale, bias.shape).reshape(_filters(layer))
        self.arrays[id(layer)] = kernel * scales, bias * scale + shift

    def _copied(self, layer, in_graph=True):
        if in_graph and is_graph(layer):
            return fold(layer)
        config = layer.get_config()
        if id(layer) in self.activated:
            config["activation"] = "relu"
        if id(layer) in self.arrays:
            config["use_bias"] = True
        elif id(layer) in self.scaled:
            config.update(h=1.0, trainable_h=None)
        elif isinstance(layer, EulerResidual):
            if id(layer.add) in self.scaled:
                config.update(h=1.0, trainable_h=None)
            for name in ("branch", "shortcut"):
                if config[name] is not None:
                    kept = self._kept(getattr(layer, name))
                    config[name] = [keras.saving.serialize_keras_object(self._copied(one, False)) for one in kept] or None
        return rebuilt(layer, config)

    def _fill(self, old, new):
        """Give a built copy its weights."""
        if isinstance(old, EulerResidual):
            for name in ("branch", "shortcut"):
                for one, other in zip(self._kept(getattr(old, name) or []), getattr(new, name) or [], strict=True):
                    self._fill(one, other)
            if id(old.add) not in self.scaled:
                copy_state(old.add, new.add)
        elif id(old) in self.arrays:
            new.set_weights(self.arrays[id(old)])
        elif id(old) not in self.scaled:
            copy_state(old, new)

    def _kept(self, chain):
        return [layer for layer in chain if id(layer) not in self.gone]


def _is_relu(layer):
    if type(layer) is keras.layers.ReLU:
        return layer.max_value is None and not layer.negative_slope and not layer.threshold
    return type(layer) is keras.layers.Activation and layer.activation is keras.activations.relu


def _channel_axis(layer):
    """Of a linear layer's output: 1 or -1."""
    return 1 if getattr(layer, "data_format", None) == "channels_first" else -1


def _normalized_axis(norm):
    """Likewise, the axis that a batch norm keeps."""
    return -1 if norm.axis in (-1, norm.input_spec.ndim - 1) else norm.axis


def _affine(norm):
    """Scale and shift of a batch norm in inference."""
    gamma = 1.0 if norm.gamma is None else _numpy(norm.gamma)
    beta = 0.0 if norm.beta is None else _numpy(norm.beta)
    scale = gamma / np.sqrt(_numpy(norm.moving_variance) + norm.epsilon)
    return scale, beta - scale * _numpy(norm.moving_mean)


def _arrays(layer):
    kernel = _numpy(layer.kernel)
    return kernel, _numpy(layer.bias) if layer.use_bias else np.zeros(num_filters(layer))


def num_filters(layer):
    """How many channels a linear layer's output has."""
    return math.prod(_filters(layer))


def _filters(layer):
    """The same, as the last axes of the kernel: a depthwise one has so many for each channel of the input."""
    return layer.kernel.shape[-2:] if isinstance(layer, DEPTHWISE) else layer.kernel.shape[-1:]


def _numpy(variable):
    return keras.ops.convert_to_numpy(variable).astype("float64")
