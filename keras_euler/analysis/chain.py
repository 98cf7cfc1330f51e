"""A network as a chain of blocks, run layer by layer."""

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import keras
from keras.layers import Layer

from keras_euler import _backend
from keras_euler._types import Tensor
from keras_euler.layers import EulerAdd, EulerResidual
from keras_euler.surgery.graph import all_calls, functional, is_graph, outer_graph

Visitor = Callable[[Layer, Tensor], Tensor]
Steps = list[tuple[Layer, Tensor]]


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
        self.model = outer_graph(model)
        operations = [call.operation for _, call in all_calls(self.model)]
        found_blocks = [each for each in operations if isinstance(each, (EulerAdd, EulerResidual))]
        residuals = [layer for layer in found_blocks if isinstance(layer, EulerResidual)]
        self.kind = EulerResidual if residuals else EulerAdd
        self.factors = [layer.h for layer in residuals or found_blocks]
        if 0 < len(residuals) < len(found_blocks):
            raise ValueError(
                f"`model` has {len(residuals)} EulerResidual layers and "
                f"{len(found_blocks) - len(residuals)} EulerAdds in its graph. All its blocks must "
                "be of one kind."
            )
        if not found_blocks:
            raise ValueError(
                "`model` has no EulerResidual layer and no EulerAdd in its graph. Received: "
                f"{type(model).__name__} named {model.name!r}. keras_euler.eulerize makes a ResNet "
                "Euler."
            )

    def run(
        self, x: Tensor, visit: Visitor = lambda layer, x: layer(x), training: bool = False
    ) -> Tensor:
        """Run the model with `visit(layer, x)` in place of each call of an `EulerAdd` or a layer of
        one input; no state changes."""

        def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Tensor:
            if isinstance(operation, EulerAdd):
                return visit(operation, args[0])
            has_one = len(args) == 1 and not isinstance(args[0], (list, tuple, dict))
            # In a graph the mask is an argument.
            mask = kwargs.get("mask") if has_one else None
            with _backend.masked(args[0], mask) if has_one else contextlib.nullcontext():
                if is_graph(operation):
                    return _backend.run_graph(functional(operation), args[0], call, training)
                is_layer = isinstance(operation, Layer)
                if has_one and is_layer and not set(kwargs) - {"mask"}:
                    return visit(operation, args[0])
            return operation(*args, **kwargs)

        def run(x: Tensor, training: bool) -> Tensor:
            return _backend.run_graph(self.model, x, call, training)

        # This keeps the statistics of BatchNormalization, and JAX can trace it.
        with keras.StatelessScope():
            return _backend.Inside(run, self.model.dtype_policy)(x, training=training)


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
            "Received: a model of EulerAdds. Use `gradient_norms` or `suggest_h`, which take it."
        )
    recorded: list[tuple[Layer, Tensor, Tensor]] = []

    def visit(layer: Layer, x: Tensor) -> Tensor:
        y = layer(x)
        recorded.append((layer, x, y))
        return y

    chain.run(x, visit, training)
    ends = [i for i, (layer, *_) in enumerate(recorded) if isinstance(layer, EulerResidual)]
    recorded = recorded[ends[0] : ends[-1] + 1]
    for (before, _, y), (layer, x, _) in itertools.pairwise(recorded):
        if x is not y and not _equal(x, y):
            raise ValueError(
                f"The blocks must be a chain, each fed by the layer before it. {layer.name!r} is "
                f"not fed by {before.name!r}."
            )
    return [(layer, x) for layer, x, _ in recorded], recorded[-1][2]


def _equal(a: Tensor, b: Tensor) -> bool:
    return tuple(a.shape) == tuple(b.shape) and bool(keras.ops.all(keras.ops.equal(a, b)))
