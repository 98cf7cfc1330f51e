"""Noise on labels."""

import numpy as np

from keras_euler._checks import as_numbers, check_integer, check_number
from keras_euler._types import Array, ArrayLike


def flip_labels(labels: ArrayLike, rate: float, num_classes: int, seed: int = 0) -> Array:
    """Replace a fraction of the labels by other, equally likely classes: symmetric label noise.

    Args:
        labels: Integer array `(n,)` of classes from 0 on.
        rate: Fraction of the labels, 0 to 1; exactly `int(rate * n)` are flipped.
        num_classes: Number of classes, at least 2.
        seed: Seed of the noise.

    Returns:
        Array of the shape and dtype of `labels`. With `rate=0` it equals `labels`.

    Raises:
        ValueError: A number or a label is out of range.
        TypeError: `rate` is not a number, or `labels` are not integers.

    Example:

    >>> flip_labels(np.zeros(4, int), rate=0.5, num_classes=2).sum()
    np.int64(2)
    """
    labels = as_numbers("labels", labels)
    rate, num_classes = (
        check_number("rate", rate, 0, 1),
        check_integer("num_classes", num_classes, 2),
    )
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"`labels` must be integers. Received: {labels.dtype}.")
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(
            f"`labels` must be from 0 to {num_classes - 1}. Received: {labels.min()} to "
            f"{labels.max()} with {num_classes=}."
        )
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(labels))[: int(rate * len(labels))]
    flipped = labels.copy()
    # A step of 1 to num_classes - 1 around the circle of classes never returns to the same class.
    flipped[rows] = (
        labels[rows].astype("int64") + rng.integers(1, num_classes, len(rows))
    ) % num_classes
    return flipped
