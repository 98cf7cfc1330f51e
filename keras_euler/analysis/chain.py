"""A network as a chain of blocks, run layer by layer."""

from collections.abc import Callable
from typing import Any

import keras

from keras_euler import _backend
from keras_euler._types import Tensor
from keras_euler.layers import EulerAdd, EulerResidual
from keras_euler.surgery.graph import functional, is_graph, outer_graph, walk

Visitor = Callable[[keras.layers.Layer, Tensor], Tensor]
Steps = list[tuple[keras.layers.Layer, Tensor]]


class Chain:
    """A functional model in which a visitor sees, and may change, every call of a layer.

    Args:
        model: A functional or Sequential Keras model with `EulerResidual` layers, or with
            `EulerAdd`s in its graph as `eulerize` makes it. Weights are shared.

    Attributes:
        kind: Class of the blocks, `EulerResidual` or `EulerAdd`.
        factors: List of the step factor of each block that x passes; the initial value if h is
            trained. A layer that is called several times counts as several blocks.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: The model is subclassed or unbuilt, or has no such layer.
    """

    def __init__(self, model: keras.Model) -> None:
        self.visit: Visitor = run_layer
        self.model, found_blocks = self._tapped(outer_graph(model))
        residuals = [layer for layer in found_blocks if isinstance(layer, EulerResidual)]
        self.kind = EulerResidual if residuals else EulerAdd
        self.factors = [layer.h for layer in residuals or found_blocks]
        if 0 < len(residuals) < len(found_blocks):
            raise ValueError(
                f"`model` has {len(residuals)} EulerResidual layers and "
                f"{len(found_blocks) - len(residuals)} EulerAdds in its "
                "graph. All its blocks must be of one kind."
            )
        if not found_blocks:
            raise ValueError(
                f"`model` has no EulerResidual layer and no EulerAdd in its graph. Received: "
                f"{type(model).__name__} named "
                f"{model.name!r}. keras_euler.eulerize makes a ResNet Euler."
            )

    def run(self, x: Tensor, visit: Visitor, training: bool = False) -> Tensor:
        """Run the model with `visit(layer, x)` in place of each call of an `EulerAdd` or a layer of
        one input; no state changes."""
        self.visit = visit
        try:
            # This keeps the statistics of BatchNormalization, and JAX can trace it.
            with keras.StatelessScope():
                return self.model(x, training=training)
        finally:
            self.visit = run_layer

    def _tapped(self, graph: keras.Model) -> tuple[keras.Model, list[keras.layers.Layer]]:
        """Return a copy of the graph with a tap on every layer, and the blocks that it calls, in
        order."""
        copies: dict[int, keras.layers.Layer] = {}  # id of a layer -> copy
        blocks_of: dict[int, list[keras.layers.Layer]] = {}  # id of a copy -> its blocks
        called: list[keras.layers.Layer] = []  # the blocks of all calls

        def layer(old: keras.layers.Layer) -> keras.layers.Layer:
            if not isinstance(old, keras.layers.Layer) or isinstance(old, keras.layers.InputLayer):
                return old
            if id(old) not in copies:
                own = [old] if isinstance(old, (EulerAdd, EulerResidual)) else []
                new, own = (
                    self._tapped(functional(old)) if is_graph(old) else (_Tap(old, self), own)
                )
                copies[id(old)], blocks_of[id(new)] = new, own
            return copies[id(old)]

        def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Tensor:
            called.extend(blocks_of.get(id(operation), ()))
            return operation(*args, **kwargs)

        return walk(graph, call, layer), called


class _Tap(keras.layers.Layer):
    """Let the visitor of a chain call a layer."""

    def __init__(self, layer: keras.layers.Layer, chain: Chain) -> None:
        super().__init__(name=f"tap_{layer.name}", dtype=layer.dtype_policy)
        self.layer, self.chain = layer, chain
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Tensor:
        if isinstance(self.layer, EulerAdd):
            return self.chain.visit(self.layer, args[0])
        if set(kwargs) - {"mask"} or len(args) != 1 or isinstance(args[0], (list, tuple, dict)):
            return self.layer(*args, **kwargs)
        with _backend.masked(
            args[0], kwargs.get("mask")
        ):  # in a graph the mask of a tensor is an argument
            return self.chain.visit(self.layer, args[0])

    def compute_mask(self, inputs: Tensor, previous_mask: Tensor = None) -> None:
        return None  # the layer itself has attached it


def run_layer(layer: keras.layers.Layer, x: Tensor) -> Tensor:
    """Call a layer: the visitor that changes nothing."""
    return layer(x)


def blocks(chain: Chain, x: Tensor, training: bool = False) -> tuple[Steps, Tensor]:
    """Run a chain and record the inputs of all layers from the first block to the last.

    Args:
        chain: A `Chain`.
        x: Batch of inputs.
        training: Whether the layers run as in training.

    Returns:
        `(steps, end)`: a list of pairs of a layer (a block, or a layer between two) and its input,
        and the last block's output.

    Raises:
        ValueError: The model is not a chain: a block's input is not the output of the layer before
            it.
    """
    if chain.kind is not EulerResidual:
        raise ValueError(
            "The blocks must be EulerResidual layers: the propositions need each branch alone. "
            "Received: a model of EulerAdds. "
            "Use `gradient_norms` or `suggest_h`, which take it."
        )
    steps, outputs = [], []

    def visit(layer: keras.layers.Layer, x: Tensor) -> Tensor:
        y = layer(x)
        if isinstance(layer, EulerAdd):
            return y
        steps.append((layer, x))
        outputs.append(y)
        return y

    chain.run(x, visit, training)
    positions = [i for i, (layer, _) in enumerate(steps) if isinstance(layer, EulerResidual)]
    first, last = positions[0], positions[-1]
    for i in range(first, last):
        layer, x = steps[i + 1]
        if x is not outputs[i] and not _equal(x, outputs[i]):
            raise ValueError(
                f"The blocks must be a chain, each fed by the layer before it. {layer.name!r} is "
                f"not fed by {steps[i][0].name!r}."
            )
    return steps[first : last + 1], outputs[last]


def _equal(a: Tensor, b: Tensor) -> bool:
    return tuple(a.shape) == tuple(b.shape) and bool(keras.ops.all(keras.ops.equal(a, b)))
