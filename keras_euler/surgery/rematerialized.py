"""Blocks of a graph as models that compute their inside again in the backward pass."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import keras

from keras_euler import _backend
from keras_euler._register import register
from keras_euler.models.euler_model import EulerModel
from keras_euler.surgery.graph import calls, rebuilt, tensors
from keras_euler.surgery.residual_connections import Lineage, is_addition


@register
class RematerializedBlock(EulerModel):
    """A functional model of one input that in training keeps this input only.

    Args:
        inputs, outputs: A symbolic tensor each.
        name, trainable: As for every Keras model.

    Example:

    >>> x = keras.Input((2,))
    >>> block = RematerializedBlock(x, x + 0.1 * keras.layers.Dense(2)(x))
    >>> block(np.ones((1, 2), "float32"), training=True).shape == (1, 2)
    True
    """

    add_loss = keras.layers.Layer.add_loss  # which a functional model refuses

    def call(self, inputs: Any, training: Any = None, mask: Any = None, **kwargs: Any) -> Any:
        if not training or mask is not None or kwargs or not keras.ops.is_tensor(inputs):
            return super().call(inputs, training=training, mask=mask, **kwargs)
        return _backend.rematerialize(self, super().call, inputs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: the calls inside have set the mask of the output."""


# A call in a copied graph: operation, arguments, keyword arguments, outputs.
Made = tuple[keras.Operation, tuple[Any, ...], dict[str, Any], Any]


def blocks_of(graph: keras.Model) -> list[tuple[list[int], int | None, list[int]]]:
    """Find the blocks of a graph: all that an addition depends on is computed from one tensor,
    nothing in between is used elsewhere, and no layer with a state is called elsewhere.

    Returns:
        List of one tuple per call, in the order of the graph: the ids of its inputs; the id of that
        tensor if a block ends there, else None; and the numbers of the other calls of the block.
    """
    graph_calls, outputs = calls(graph)
    lineage, found = Lineage(), []
    makers = {id(tensor): i for i, call in enumerate(graph_calls) for tensor in call.outputs}
    users = defaultdict(set)  # id of a tensor or operation -> numbers of calls
    for i, call in enumerate(graph_calls):
        for used in (*call.inputs, call.operation):
            users[id(used)].add(i)
    for tensor in outputs:
        users[id(tensor)].add(len(graph_calls))

    def is_block(i: int, source: int | None, inside: frozenset[int], within: list[int]) -> bool:
        inner = [graph_calls[j] for j in within]
        used = {id(tensor) for call in inner for tensor in call.inputs}
        own = [id(tensor) for call in inner for tensor in call.outputs]
        operations = [call.operation for call in inner]
        own += [id(each) for each in operations if getattr(each, "variables", None)]
        is_closed = inside <= makers.keys() and used <= inside | {source}
        return is_closed and all(users[each] <= {*within, i} for each in own)

    for i, call in enumerate(graph_calls):
        lineage.add(call)
        source, within = None, []
        if is_addition(call.operation, call.inputs):
            source, inside = lineage.block(call.inputs)
            within = sorted({makers[tensor] for tensor in inside if tensor in makers})
            source = source if is_block(i, source, inside, within) else None
        found.append((list(map(id, call.inputs)), source, within))
    return found


def as_block(made: Sequence[Made], x: keras.KerasTensor, name: str) -> RematerializedBlock:
    """Return calls, the last one without outputs, as a block of the tensor `x`."""
    inputs = outputs = keras.Input(batch_shape=x.shape, dtype=x.dtype)
    replaced: dict[int, Any] = {id(x): inputs}
    copies: dict[int, Any] = {}  # of layers without a state, which may be called elsewhere too

    def current(tensor: Any) -> Any:
        return replaced.get(id(tensor), tensor)

    for operation, args, kwargs, before in made:
        args, kwargs = keras.tree.map_structure(current, (args, kwargs))
        if isinstance(operation, keras.layers.Layer) and not operation.variables:
            copy = copies.get(id(operation)) or rebuilt(operation, operation.get_config())
            copies[id(operation)] = operation = copy
        outputs = operation(*args, **kwargs)
        replaced.update(zip(map(id, tensors(before)), tensors(outputs), strict=False))
    block = RematerializedBlock(inputs, outputs, name=name)
    block.dtype_policy = operation.dtype_policy
    return block
