"""Blocks of a graph as models that compute their inside again in the backward pass."""

from collections import defaultdict
from typing import Any

import keras

from keras_euler import _backend
from keras_euler.models.euler_model import EulerModel
from keras_euler.surgery.graph import Call, calls
from keras_euler.surgery.residual_connections import Lineage, is_addition


@keras.saving.register_keras_serializable(package="keras_euler")
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

    def call(self, inputs: Any, training: Any = None, mask: Any = None, **kwargs: Any) -> Any:
        if not training or mask is not None or kwargs or not keras.ops.is_tensor(inputs):
            return super().call(inputs, training=training, mask=mask, **kwargs)
        return _backend.rematerialize(self, super().call, inputs)


def block_inputs(graph: keras.Model) -> list[tuple[list[int], int | None]]:
    """Find the additions of a graph that end a block: all that they depend on is computed from one
    tensor, and nothing in between is used elsewhere.

    Returns:
        List of one pair per call, in the order of the graph: the ids of its inputs, and the id of
        that tensor, or None if no block ends there.
    """
    graph_calls, outputs = calls(graph)
    lineage, users = Lineage(), defaultdict(set)  # id of a tensor -> numbers of calls
    makers = {id(tensor): i for i, call in enumerate(graph_calls) for tensor in call.outputs}
    for i, call in enumerate(graph_calls):
        lineage.add(call)
        for tensor in call.inputs:
            users[id(tensor)].add(i)
    for tensor in outputs:
        users[id(tensor)].add(len(graph_calls))

    def block_input(i: int, call: Call) -> int | None:
        if not is_addition(call.operation, call.inputs):
            return None
        source, inside = lineage.block(call.inputs)
        if not all(tensor in makers for tensor in inside):
            return None
        within = {makers[tensor] for tensor in inside}
        used = {id(tensor) for j in within for tensor in graph_calls[j].inputs}
        users_of_all = set().union(*(users[id(t)] for j in within for t in graph_calls[j].outputs))
        is_closed = used <= inside | {source} and users_of_all <= within | {i}
        return source if is_closed else None

    return [
        (list(map(id, call.inputs)), block_input(i, call)) for i, call in enumerate(graph_calls)
    ]
