"""Signal propagation: the mean square of the signal and of its gradient at every block."""

import itertools
from dataclasses import dataclass

import keras
import numpy as np

from keras_euler import _backend
from keras_euler._checks import check_integer
from keras_euler._types import Array, ArrayLike, Shape, Tensor
from keras_euler.analysis.chain import Chain
from keras_euler.analysis.gradients import (
    check_one_input_and_output,
    checked_inputs,
    gradients,
    places,
)
from keras_euler.layers import EulerResidual
from keras_euler.surgery.eulerize import eulerize


@dataclass(frozen=True)
class Signal:
    """Mean squares at each block boundary of a network. Printing it shows a table.

    Attributes:
        names: Names of the places: the inputs of the blocks and `output`, or the sums of a model
            without `EulerResidual` layers.
        signal: Array of the mean square of the signal at each place.
        gradient: Array of the mean square of its gradient.
        expected: Array of the closed form of `signal`; nan where there is none.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(8, 16, 16, 3)).astype("float32")
    >>> found = signal(EulerResNet(20, 0.5, input_shape=(16, 16, 3), preactivation=True), x)
    >>> bool((abs(found.signal / found.expected - 1) < 0.2).all())
    True
    """

    names: list[str]
    signal: Array
    gradient: Array
    expected: Array

    def __str__(self) -> str:
        lines = [f"{'place':<20} {'signal':>10} {'expected':>10} {'gradient':>10}"]
        rows = zip(self.names, self.signal, self.expected, self.gradient, strict=True)
        lines += [f"{name:<20} {q:10.4g} {e:10.4g} {g:10.4g}" for name, q, e, g in rows]
        return "\n".join(lines)


def signal(model: keras.Model, x: ArrayLike, seed: int = 0) -> Signal:
    """Measure how the signal and its gradient propagate through a network before training.

    Layers run as in training, and no state changes. The gradient is that of `sum(u * y)`, where `y`
    is the output and `u` has the normal distribution, so that no labels are needed.

    For networks with `preactivation` and initial weights the mean square `q_n` at block n has a
    closed form. With batch norm the branch forgets the size of its input, `q_{n+1} = s * q_n + h^2
    * b / 6`. Without a norm `q_{n+1} = s * q_n + h^2 * b^2 * q_n / 36`. A convolution of PyTorch's
    initial values multiplies by 1/3, and ReLU by 1/2. `s` is 1, or 1/3 for a projection. `b` is the
    share of a kernel that lies within the image, `((3 * size - 2) / (3 * size)) ** 2`.

    Args:
        model: A functional or Sequential Keras model with residual blocks: of this package, or any
            that `eulerize` takes.
        x: Batch of inputs.
        seed: Seed of `u`.

    Returns:
        A `Signal`.

    Raises:
        TypeError: `model` is not a Keras model, or `x` are no numbers.
        ValueError: The model has no residual blocks or several inputs or outputs, its
            `EulerResidual` blocks are not a chain, or `x` is empty or not finite.

    Example:

    >>> resnet = keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3))
    >>> found = signal(resnet, np.random.default_rng(0).normal(size=(2, 32, 32, 3)))
    >>> len(found.names), found.names[0]
    (16, 'conv2_block1_add')
    """
    try:
        chain = Chain(model)
    except ValueError:  # no Euler steps
        chain = Chain(eulerize(model, h=1.0, verbose=False))
    check_one_input_and_output(model)
    x = keras.ops.convert_to_tensor(checked_inputs(model, x))
    outputs = chain.run(x, training=True)
    rng = np.random.default_rng(check_integer("seed", seed, 0))
    u = keras.ops.convert_to_tensor(rng.normal(size=outputs.shape).astype("float32"))
    found = places(chain, x, training=True)
    blocks = [layer for layer, _ in found]
    squares = [_mean_square(_backend.float64_array(tensor)) for _, tensor in found]
    loss = lambda u, y: len(y) * keras.ops.sum(u * keras.ops.cast(y, u.dtype), -1)
    taken = gradients(chain, x, u, loss, training=True)
    names = [block.name if block else "output" for block in blocks]
    expected = _closed_form(squares[0], found)
    return Signal(names, np.array(squares), np.array(list(map(_mean_square, taken))), expected)


def _mean_square(array: Array) -> float:
    return float(np.mean(np.square(array)))


def _closed_form(q: float, found: list[tuple[keras.layers.Layer | None, Tensor]]) -> Array:
    """Return the closed form from the mean square of the first block's input on; nan after a block
    that has none."""
    expected = [q]
    for (block, x), (_, y) in itertools.pairwise(found):
        shape = tuple(y.shape)  # another one than the block's if a pooling follows
        if isinstance(block, EulerResidual) and shape == block.compute_output_shape(x.shape):
            q = _next(block, q, shape)
        else:
            q = np.nan
        expected.append(q)
    return np.array(expected)


def _next(block: EulerResidual, q: float, shape: Shape) -> float:
    is_linear = block.activation is keras.activations.linear and block.trainable_h is None
    axes = shape[1:-1] if block.data_format == "channels_last" else shape[2:]
    inside = float(np.prod([(3 * size - 2) / (3 * size) for size in axes]))
    first, added = block.branch[0], np.nan
    if is_linear and isinstance(first, keras.layers.BatchNormalization):
        added = inside / 6
    elif is_linear and isinstance(first, keras.layers.Activation):
        added = inside**2 * q / 36
    is_projection = any(hasattr(layer, "kernel") for layer in block.shortcut or [])
    scale = 1.0 if block.shortcut is None else 1 / 3 if is_projection else np.nan
    return scale * block.skip**2 * q + block.h**2 * added
