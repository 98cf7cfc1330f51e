"""The growth of gradients and input noise from block to block, beside the bounds of the paper's
propositions."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import numpy as np

from keras_euler import _backend
from keras_euler._backend import float64_array
from keras_euler._checks import check_number
from keras_euler._types import Array, ArrayLike, Loss, Tensor
from keras_euler.analysis.bounds import gradient_bounds, noise_bounds
from keras_euler.analysis.chain import Chain, Steps, blocks
from keras_euler.analysis.gradients import checked_batch, checked_inputs, gradients
from keras_euler.analysis.spectral import spectral_norm
from keras_euler.layers import EulerResidual

# Activations I with |I(a) - I(b)| <= |a - b|, as the propositions assume: functions, and ReLU as a
# layer.
NON_EXPANSIVE = (
    "linear",
    "relu",
    "ReLU",
    "relu6",
    "leaky_relu",
    "elu",
    "tanh",
    "hard_tanh",
    "sigmoid",
    "softplus",
    "softsign",
)


@dataclass(frozen=True)
class Growth:
    """A measurement along the blocks of a network and its bound. Printing it shows a table.

    Attributes:
        names: Names of the D blocks.
        measured: Array `(D + 1,)`, from `x_0`, the first block's input, to `x_D`, the last block's
            output.
        bound: Array `(D + 1,)`: the proposition's bound on `measured`.
        W: The W of the bound, the largest of `branches`.
        h: Array `(D,)` of step factors.
        shortcut_norms: Array `(D,)`: norms of the shortcuts times `skip`, including the layers
            after a block; 1 for the identity.
        branches: Array `(D,)`: measured norms of the branches; with `scheme="heun"` or `"rk4"`, of
            the weighted sum of the stages.
        steps: Array `(D,)`: mean of `|x_{n+1} - x_n|`; nan where the shapes differ.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    >>> growth = noise_growth(EulerResNet(depth=8), x, eps=1.0)
    >>> growth.names, growth.measured.shape
    (['stage1_block1', 'stage2_block1', 'stage3_block1'], (4,))
    """

    names: list[str]
    measured: Array
    bound: Array
    W: float
    h: Array
    shortcut_norms: Array
    branches: Array
    steps: Array

    def __str__(self) -> str:
        lines = [
            f"{'block':<20} {'measured':>10} {'bound':>10} {'branch':>10} {'shortcut':>10} "
            f"{'step':>10}"
        ]
        rows = zip(
            self.names,
            self.measured,
            self.bound,
            self.branches,
            self.shortcut_norms,
            self.steps,
            strict=False,
        )
        lines += [
            f"{name:<20} " + " ".join(f"{number:10.4g}" for number in numbers)
            for name, *numbers in rows
        ]
        lines.append(f"{'output':<20} {self.measured[-1]:10.4g} {self.bound[-1]:10.4g}")
        return "\n".join([*lines, f"W = {self.W:.4g}"])


def gradient_growth(
    model: keras.Model, x: ArrayLike, y: ArrayLike, loss: Loss = None, num_iterations: int = 20
) -> Growth:
    """Measure the gradients at each block boundary, beside the bound of Proposition 1 in its
    spectral form.

    `measured` is `|dL/dx_n|` over the batch, with batch norm in inference mode. Call
    `calibrate_batch_norm` first if the model is untrained. `branches` are the spectral norms of
    `dF/dx`, by power iteration, for the worst example of the batch. The iteration estimates them
    from below, so that `measured` may slightly exceed the bound; more iterations help.

    Args:
        model, x, y, loss: As for `gradient_norms`.
        num_iterations: Number of power iterations for each block.

    Returns:
        A `Growth`.

    Raises:
        TypeError, ValueError: As `gradient_norms`.

    Example:

    >>> growth = gradient_growth(
    ...     EulerResNet(depth=8), np.ones((2, 32, 32, 3), "float32"), np.array([0, 1])
    ... )
    >>> bool((growth.measured <= 1.01 * growth.bound).all())
    True
    """
    chain = Chain(model)
    x, y = checked_batch(model, x, y, loss)
    measured = np.array([np.linalg.norm(g) for g in gradients(chain, x, y, loss, False)])
    steps, end = blocks(chain, keras.ops.convert_to_tensor(x))
    network = _Blocks(steps, end, num_iterations)
    branches = np.array(
        [spectral_norm(block.increment, x, num_iterations) for block, x in network.blocks]
    )
    return network.growth(measured, branches, functools.partial(gradient_bounds, measured[-1]))


def noise_growth(
    model: keras.Model, x: ArrayLike, eps: float, num_iterations: int = 20, seed: int = 0
) -> Growth:
    """Measure the growth of input noise from block to block, beside the bound of Proposition 2.

    `measured` is `eps_n = |x^eps_n - x_n|` of the worst example, with batch norm in inference mode.
    The noise of an input has a random direction and the norm `eps`; the bound starts at the
    distance measured at the first block. `branches` are `|F(x^eps_n) - F(x_n)|` of the worst
    example.

    Args:
        model: As for `gradient_norms`.
        x: Batch of floating inputs.
        eps: Norm of the noise of each example, > 0.
        num_iterations: Number of power iterations for the norms of shortcuts.
        seed: Seed of the noise.

    Returns:
        A `Growth`.

    Raises:
        TypeError: `model` is not a Keras model, or `x` is not of floating numbers.
        ValueError: The model has no blocks, or they are not a chain; `x` is empty or not finite;
            `eps` is not positive.

    Example:

    >>> growth = noise_growth(
    ...     EulerResNet(depth=8, h=0.1), np.ones((2, 32, 32, 3), "float32"), eps=1.0
    ... )
    >>> bool((growth.measured <= growth.bound * 1.01).all())
    True
    """
    chain = Chain(model)
    if not check_number("eps", eps, 0):
        raise ValueError(f"`eps` must be > 0. Received: eps={eps}.")
    x = np.asarray(x)
    input_dtype = model.inputs[0].dtype
    if not (np.issubdtype(x.dtype, np.floating) and keras.backend.is_float_dtype(input_dtype)):
        raise TypeError(
            "`x` and the model's input must be floating numbers, to which noise can be added. "
            f"Received: {x.dtype}, for a model of {input_dtype}. Pass the part of the model after "
            "its embedding or scaling."
        )
    x = checked_inputs(model, x)
    noise = np.random.default_rng(seed).normal(size=x.shape)
    noise *= eps / _norms(noise).reshape(-1, *[1] * (x.ndim - 1))
    batches = (keras.ops.convert_to_tensor(batch) for batch in (x, (x + noise).astype(x.dtype)))
    clean, noisy = (_Blocks(*blocks(chain, batch), num_iterations) for batch in batches)
    pairs = [(F.increment, a, b) for (F, a), (_, b) in zip(clean.blocks, noisy.blocks, strict=True)]
    ends = [(a, b) for _, a, b in pairs] + [(clean.end, noisy.end)]
    measured = np.array([_distances(a, b).max() for a, b in ends])
    branches = np.array([_distances(branch(a), branch(b)).max() for branch, a, b in pairs])
    clean.widen(noisy)
    return clean.growth(measured, branches, functools.partial(noise_bounds, measured[0]))


def calibrate_batch_norm(model: keras.Model, x: ArrayLike) -> None:
    """Set the moving statistics of all batch norms to those of a batch.

    In an untrained model they are 0 and 1, so that inference mode differs from the network that
    training starts with. In a block with `scheme="heun"` or `"rk4"` they become those of the last
    stage. Frozen batch norms keep theirs.

    Args:
        model: A Keras model.
        x: Batch of inputs.

    Raises:
        ValueError: `x` is empty or not finite.

    Example:

    >>> model = EulerResNet(depth=8)
    >>> calibrate_batch_norm(
    ...     model, np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
    ... )
    >>> bool(keras.ops.any(model.get_layer("stem_norm").moving_mean != 0))
    True
    """
    x = checked_inputs(model, x)
    layers = [
        layer
        for layer in _backend.all_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.momentum = 0.0
        model(keras.ops.convert_to_tensor(x), training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


class _Blocks:
    """The blocks with their inputs, the norms of their shortcuts, and the norms of the layers after
    each block."""

    def __init__(self, steps: Steps, end: Tensor, num_iterations: int) -> None:
        self.steps, self.end = steps, end
        self.blocks = [(layer, x) for layer, x in steps if isinstance(layer, EulerResidual)]
        for block, _ in self.blocks:
            activation = getattr(block.activation, "activation", block.activation)
            name = getattr(activation, "__name__", type(activation).__name__)
            if name not in NON_EXPANSIVE:
                raise ValueError(
                    "The propositions need blocks whose activation does not expand distances, such "
                    f"as relu or None. Received: {block.name!r} with activation={name!r}."
                )
        self.norms = [
            1.0 if function is None else spectral_norm(function, x, num_iterations)
            for function, x in self._passed()
        ]
        self.h = np.array([_largest_h(layer) for layer, _ in self.blocks])

    def widen(self, other: "_Blocks") -> None:
        """Raise the norms to the largest growth of the distance between these inputs and those of
        another batch.

        For a nonlinear layer the derivative at one point says nothing about distant points.
        """
        pairs = zip(self._passed(), other._passed(), strict=True)
        for i, ((function, a), (_, b)) in enumerate(pairs):
            if function is not None:
                before = np.maximum(_distances(a, b), 1e-30)
                after = _distances(function(a), function(b))
                self.norms[i] = max(self.norms[i], float((after / before).max()))

    def _passed(self) -> Iterator[tuple[Callable[[Tensor], Tensor] | None, Tensor]]:
        """Yield for each step the function on the path beside the branches, None for the identity,
        and its input."""
        for layer, x in self.steps:
            if isinstance(layer, EulerResidual):
                chain = functools.partial(_backend.call_chain, layer.shortcut, training=None)
                yield chain if layer.shortcut else None, x
            else:
                yield layer, x

    def growth(
        self, measured: Array, branches: Array, bounds: Callable[[Array, float, int, Array], Array]
    ) -> Growth:
        """Return the measurement beside `bounds(h, W, num_blocks, shortcut_norms)`."""
        shortcuts, after = [], []  # of a block; of all layers between it and the next one
        for (layer, _), norm in zip(self.steps, self.norms, strict=True):
            if isinstance(layer, EulerResidual):
                shortcuts.append(layer.skip * norm)
                after.append(1.0)
            else:
                after[-1] *= norm
        norms, W = np.multiply(shortcuts, after), float(branches.max())
        bound = bounds(self.h * after, W, len(branches), norms)
        ends = [*(x for _, x in self.blocks[1:]), self.end]
        steps = [
            float(np.mean(_distances(x, y))) if tuple(x.shape) == tuple(y.shape) else np.nan
            for (_, x), y in zip(self.blocks, ends, strict=True)
        ]
        names = [layer.name for layer, _ in self.blocks]
        return Growth(names, measured, bound, W, self.h, norms, branches, np.array(steps))


def _largest_h(block: EulerResidual) -> float:
    if block.trainable_h is None:
        return block.h
    return float(np.abs(float64_array(block.add.step_factor)).max())


def _norms(array: Array) -> Array:
    """Return the L2 norm of each row of an array."""
    return np.linalg.norm(array.reshape(len(array), -1), axis=1)


def _distances(a: Tensor, b: Tensor) -> Array:
    """Return the distance of each example of a batch from that of another."""
    return _norms(float64_array(a) - float64_array(b))
