"""Gradients at the block boundaries of a network."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_euler import _backend
from keras_euler._checks import as_array, as_numbers, check_labels
from keras_euler._types import Array, ArrayLike, Loss, Tensor
from keras_euler.analysis.chain import Chain, blocks
from keras_euler.layers import EulerAdd, EulerResidual
from keras_euler.models.validation import sparse_loss


def gradient_norms(
    model: keras.Model, x: ArrayLike, y: ArrayLike, loss: Loss = None, training: bool = False
) -> Array:
    """Norms of the gradients at each block boundary, `|dL/dx_n|`.

    Args:
        model: A functional or Sequential Keras model with `EulerResidual` blocks in a chain.
        x: Batch of inputs.
        y: Labels of the batch.
        loss: A Keras loss, or its name; its mean over the batch is `L`. Default: sparse categorical
            cross entropy, of probabilities if the model's outputs are such (not negative, with the
            sum 1), else of logits.
        training: Whether batch norm and random layers run as in training. No state changes in
            either case.

    Returns:
        Float64 array `(D + 1,)`, from `x_0`, the first block's input, to `x_D`, the last block's
        output. For a model of `EulerAdd`s, as `eulerize` makes it, `(D,)`: one norm per sum.

    Raises:
        TypeError: `model` is not a Keras model, or `x` are texts and the model takes ids.
        ValueError: The model has no blocks, its blocks are not a chain, or it has several inputs or
            outputs; the batch is empty or not finite; `y` is missing, has another length, or has
            labels that are not classes of the model.

    Example:

    >>> x, y = np.ones((2, 32, 32, 3), "float32"), np.array([0, 1])
    >>> gradient_norms(EulerResNet(depth=8), x, y).shape
    (4,)
    """
    chain = Chain(model)
    x, y = checked_batch(model, x, y, loss)
    return np.array([np.linalg.norm(g) for g in gradients(chain, x, y, loss, training)])


def gradients(chain: Chain, x: Tensor, y: Tensor, loss: Loss, training: bool) -> list[Array]:
    """Gradients of the loss at each block boundary, taken with respect to zero tensors added
    there."""
    x = keras.ops.convert_to_tensor(x)
    if loss:
        loss_of = keras.losses.get(loss)
    else:
        loss_of = keras.losses.SparseCategoricalCrossentropy(
            from_logits=not _are_probabilities(chain.run(x[:2]))
        )

    def total(added: Iterable[Tensor]) -> Tensor:
        added = list(added)

        def visit(layer: keras.layers.Layer, x: Tensor) -> Tensor:
            if isinstance(layer, EulerAdd):
                return _added(layer(x), added.pop(0))
            if not isinstance(layer, EulerResidual):
                return layer(x)
            x = layer(_added(x, added.pop(0)))
            return x if len(added) > 1 else _added(x, added.pop(0))

        return keras.ops.mean(loss_of(y, chain.run(x, visit, training)))

    zeros = [
        np.zeros(tensor.shape, keras.backend.standardize_dtype(tensor.dtype))
        for _, tensor in places(chain, x, training)
    ]
    return _backend.gradients(total, zeros)


def _added(x: Tensor, zeros: Tensor) -> Tensor:
    """Return `x + zeros` with the mask of `x`."""
    y = x + zeros
    _backend.pass_mask(x, y)
    return y


def places(
    chain: Chain, x: Tensor, training: bool
) -> list[tuple[keras.layers.Layer | None, Tensor]]:
    """Return the blocks and their inputs, and None with the output of the last; of a model of
    `EulerAdd`s these and their sums."""
    if chain.kind is EulerResidual:
        steps, end = blocks(chain, x, training)
        return [*(step for step in steps if isinstance(step[0], EulerResidual)), (None, end)]
    sums: list[tuple[keras.layers.Layer | None, Tensor]] = []

    def visit(layer: keras.layers.Layer, x: Tensor) -> Tensor:
        y = layer(x)
        if isinstance(layer, EulerAdd):
            sums.append((layer, y))
        return y

    chain.run(x, visit, training)
    return sums


def _are_probabilities(outputs: Tensor) -> bool:
    """Return whether each row of a tensor has no negative number and the sum 1."""
    outputs = _backend.float64_array(outputs)
    return outputs.min() >= 0 and bool(np.allclose(outputs.sum(-1), 1, atol=0.01))


def checked_batch(
    model: keras.Model, x: ArrayLike, y: ArrayLike, loss: Loss = None
) -> tuple[Array, Tensor]:
    """Return `x` as the model takes it, and `y` as a tensor, or raise: a compiled step would give
    NaN for wrong data."""
    check_one_input_and_output(model)
    x = checked_inputs(model, x)
    if y is None:
        raise ValueError("`y` must be the labels of `x`: the loss needs them. Received: y=None.")
    y = as_numbers("y", keras.ops.convert_to_numpy(y) if keras.ops.is_tensor(y) else y)
    if len(x) != len(y):
        raise ValueError(
            f"`x` and `y` must have the same number of rows. Received: the shapes {x.shape} and "
            f"{y.shape}."
        )
    num_classes = model.output_shape[-1] or np.inf
    if loss is None and y.size != len(y):
        raise ValueError(
            f"`y` must be one class in 0..{num_classes - 1} per row. Pass a `loss` for other "
            f"labels. Received: the shape {y.shape}."
        )
    sparse = sparse_loss(loss)
    if loss is None or sparse:
        check_labels(y, num_classes, getattr(sparse, "ignore_class", None))
    return x, keras.ops.convert_to_tensor(y)


def check_one_input_and_output(model: keras.Model) -> None:
    """Raise a ValueError if a model has several inputs or outputs."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        counts = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise ValueError(f"`model` must have one input and one output. Received: {counts}.")


def checked_inputs(model: keras.Model, x: Any) -> Array:
    """Return `x` as the model takes it, or raise unless it is an array of finite numbers with at
    least one row."""
    x = keras.ops.convert_to_numpy(x) if keras.ops.is_tensor(x) else as_array("x", x)
    if hasattr(model, "prepare_inputs"):
        x = model.prepare_inputs(x)
    if x.dtype.kind not in "fiub":
        raise TypeError(f"`x` must be an array of numbers. Received: an array of {x.dtype}.")
    if not x.ndim or not len(x):
        raise ValueError(f"`x` must have at least one row. Received: the shape {x.shape}.")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError("`x` must be finite numbers. Received: an array with nan or inf.")
    return x
