"""Names and probabilities of the classes that a model predicts."""

from collections.abc import Sequence

import numpy as np

from keras_euler._types import Array

Classes = list[tuple[str, float]] | list[tuple[int, float]]


def check_class_names(
    class_names: Sequence[str] | None, num_classes: int
) -> tuple[str, ...] | None:
    """Return the names as a tuple, or raise unless they are None or as many different strings as
    there are classes."""
    if class_names is None:
        return None
    names = () if isinstance(class_names, str) else tuple(class_names)
    if len(names) != num_classes or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"`class_names` must name the {num_classes} classes. Received: "
            f"class_names={class_names!r}."
        )
    repeated = [name for i, name in enumerate(names) if name in names[:i]]
    if repeated:
        raise ValueError(
            f"`class_names` must be different. Received: {repeated[0]!r} more than once."
        )
    return names


def most_probable(outputs: Array, class_names: Sequence[str] | None) -> Classes:
    """Return the most probable class of each example, by name or number, and its probability.

    Args:
        outputs: Array `(n, num_classes)` of logits, or of probabilities: rows of numbers >= 0 whose
            sum is 1.
        class_names: One name per class, or None.

    Raises:
        ValueError: There are fewer than two classes.

    Example:

    >>> most_probable(np.array([[0.0, 0.0, np.log(2)]]), ["cat", "dog", "bird"])
    [('bird', 0.5)]
    """
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        shape = outputs.shape[1:]
        raise ValueError(
            f"`classify` needs a network of at least two classes. Received: an output {shape} per "
            f"example."
        )
    outputs = outputs.astype("float64")
    if not ((outputs >= 0).all() and np.allclose(outputs.sum(axis=1), 1, atol=1e-2)):
        exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        outputs = exponentials / exponentials.sum(axis=1, keepdims=True)
    pairs = [(int(row.argmax()), round(float(row.max()), 4)) for row in outputs]
    return (
        pairs
        if class_names is None
        else [(class_names[i], probability) for i, probability in pairs]
    )
