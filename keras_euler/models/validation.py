"""Checks of arrays before the compiled step, which can neither read strings nor reject a wrong
class."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import keras
import numpy as np

from keras_euler._checks import as_array, as_numbers, check_labels, is_array_like
from keras_euler._types import Array

METHODS = ("fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch")
Classes = list[tuple[str, float]] | list[tuple[int, float]]
ModelClass = TypeVar("ModelClass", bound=type[keras.Model])


def validates_inputs(cls: ModelClass) -> ModelClass:
    """Class decorator: pass arrays through the model's `prepare_inputs`, and check labels.

    `prepare_inputs(x)` gets a NumPy array or a single string and returns what the network takes, or
    raises. Labels of a sparse cross entropy must be classes. Arrays are NumPy's, columns of a
    table, lists and other sequences; tensors, data sets and generators are passed on as they are,
    and so is everything for a model of several inputs or outputs.
    """
    for name in METHODS:
        setattr(cls, name, _validating(getattr(cls, name)))
    return cls


def _validating(method: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(method)

    @functools.wraps(method)
    def validating(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        arguments, model = bound.arguments, args[0]
        for name, prepare in PREPARATIONS.items():
            if name in arguments:
                arguments[name] = prepare(model, arguments[name])
        if isinstance(data := arguments.get("validation_data"), (tuple, list)):
            parts = keras.utils.unpack_x_y_sample_weight(data)
            pairs = zip(PREPARATIONS.values(), parts, strict=True)
            prepared = [prepare(model, part) for prepare, part in pairs]
            arguments["validation_data"] = tuple(prepared[: len(data)])
        return method(*bound.args, **bound.kwargs)

    return validating


def _prepared_weights(model: keras.Model, weights: Any) -> Any:
    is_single = len(model.outputs) == 1 and is_array(weights)
    return as_array("sample_weight", weights) if is_single else weights


def prepared_inputs(model: keras.Model, x: Any) -> Any:
    """Return an array as a model of one input takes it, also from a list or dict of only this
    array; anything else unchanged."""
    if not model.built:
        raise ValueError(f"{model.name} must begin with a keras.Input. Received: no Input.")
    if len(model.inputs) != 1:
        return x
    x = _unwrap_single(x, len(model.input_shape))
    if not isinstance(x, str):
        if not is_array(x):
            return x
        x = as_array("x", x)
    x = model.prepare_inputs(x)
    if not len(x):
        raise ValueError("There must be at least one example. Received: none.")
    return x


def checked_labels(model: keras.Model, y: Any) -> Any:
    """Return labels for one output as an array; for a sparse cross entropy, require that they are
    classes."""
    if len(model.outputs) != 1:
        return y
    if isinstance(y, dict) and len(y) == 1:
        return {name: checked_labels(model, value) for name, value in y.items()}
    y = _unwrap_single(y, 1)
    if not is_array(y):
        return y
    y = as_numbers("y", y)
    loss = sparse_loss(getattr(model, "loss", None))
    if loss:  # JAX trains silently with a wrong class
        check_labels(y, model.output_shape[-1], getattr(loss, "ignore_class", None))
    return y


PREPARATIONS = {"x": prepared_inputs, "y": checked_labels, "sample_weight": _prepared_weights}


def check_numbers(x: Any) -> Array:
    """Return inputs as an array, or raise unless they are real numbers."""
    if isinstance(x, str):
        raise TypeError(f"Inputs must be arrays of numbers. Received: the string {x!r}.")
    x = as_array("x", x)
    if x.dtype.kind in "OUSTMmc":
        raise TypeError(f"Inputs must be arrays of numbers. Received: an array of {x.dtype}.")
    return x


def is_array(x: Any) -> bool:
    """Return whether these are values on the host, one per example: no tensor and no data set."""
    is_tensor = keras.ops.is_tensor(x) or isinstance(x, keras.KerasTensor)
    is_data_set = isinstance(x, keras.utils.PyDataset) or hasattr(x, "batch_size")  # DataLoader
    return is_array_like(x) and not is_tensor and not is_data_set


def _unwrap_single(x: Any, rank: int) -> Any:
    """Return the array in a list or dict that has only this one, as Keras also accepts it."""
    if isinstance(x, dict) and len(x) == 1:
        return _unwrap_single(next(iter(x.values())), rank)
    if not isinstance(x, (list, tuple)) or len(x) != 1 or not hasattr(x[0], "shape"):
        return x
    is_text = getattr(x[0].dtype, "kind", None) in ("O", "U", "S", "T")
    return x[0] if len(x[0].shape) >= rank or is_text else x  # a list of one example stays a list


def sparse_loss(losses: Any) -> Any:
    """Return the sparse cross entropy among one or several losses or their names, or None."""
    for loss in keras.tree.flatten(losses):
        loss = keras.losses.get(loss)
        is_sparse = isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
        if is_sparse or loss is keras.losses.sparse_categorical_crossentropy:
            return loss
    return None


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
    return tuple(map(str, names))


KEEP_VALUES = ("Activation", "Dropout", "Flatten", "Identity", "Reshape")


def most_probable(
    outputs: Array, class_names: Sequence[str] | None, activation: Any = keras.activations.linear
) -> Classes:
    """Return the most probable class of each example, by name or number, and its probability.

    Args:
        outputs: Array `(n, num_classes)`: probabilities if `activation` is softmax or sigmoid, else
            logits.
        class_names: One name per class, or None.
        activation: The last activation of the network.

    Raises:
        ValueError: There are fewer than two classes, or an output is not finite.

    Example:

    >>> most_probable(np.array([[0.0, 0.0, np.log(2)]]), ["cat", "dog", "bird"])
    [('bird', 0.5)]
    """
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        raise ValueError(
            "`classify` needs a network of at least two classes. Received: an output "
            f"{outputs.shape[1:]} per example."
        )
    if not np.isfinite(outputs).all():
        row = int(np.argwhere(~np.isfinite(outputs))[0][0])
        raise ValueError(
            f"The network's outputs must be finite. Received: {outputs[row].tolist()} for example "
            f"{row}. Its weights or this input are not."
        )
    outputs = outputs.astype("float64")
    if activation not in (keras.activations.softmax, keras.activations.sigmoid):
        exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        outputs = exponentials / exponentials.sum(axis=1, keepdims=True)
    pairs = [(int(row.argmax()), round(float(row.max()), 4)) for row in outputs]
    return pairs if class_names is None else [(class_names[i], p) for i, p in pairs]


def last_activation(model: keras.Model) -> Any:
    """Return the activation with which a model ends, before layers that keep its values; linear if
    it has none.

    Raises:
        ValueError: The model ends with a Lambda layer.
    """
    linear = keras.activations.linear
    for operation in reversed(getattr(model, "operations", model.layers)):
        name = type(operation).__name__
        if isinstance(operation, keras.Model):
            return last_activation(operation)
        if isinstance(operation, keras.layers.Lambda):
            raise ValueError(
                "A Lambda layer does not say whether it gives probabilities. End the model with a "
                "layer that has an `activation`."
            )
        if name in ("Softmax", "Sigmoid"):  # layers, or functions of keras.ops in the graph
            return getattr(keras.activations, name.lower())
        activation = getattr(operation, "activation", linear)
        if activation is not linear or name not in KEEP_VALUES:
            return activation
    return linear
