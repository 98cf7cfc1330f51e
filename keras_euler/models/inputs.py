"""What a user hands to a model, checked before the compiled step, which can neither read strings nor refuse a bad class."""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import keras

from keras_euler import _backend
from keras_euler._checks import as_array, as_numbers, check_labels, is_array_like
from keras_euler._types import Tensor

OF_ALL_EXAMPLES = ("fit", "evaluate", "predict")
ModelClass = TypeVar("ModelClass", bound=type[keras.Model])
METHODS = (*OF_ALL_EXAMPLES, "train_on_batch", "test_on_batch", "predict_on_batch")


def validates_inputs(cls: ModelClass) -> ModelClass:
    """Class decorator: inputs pass the model's `prepare_inputs`, and labels of a sparse cross entropy must be classes.

    `prepare_inputs(x)` gets a NumPy array, or a single string, and returns what the network takes or raises. `fit`, `evaluate`,
    `predict`, their `*_on_batch` and a call take arrays, columns of a table, lists and all other sequences. `fit`, `evaluate` and
    `predict` also check tensors, and every batch of a generator, `PyDataset`, `DataLoader` or `tf.data.Dataset`. Tensors of one
    batch are checked only where the model would cast floats to integers: reading them stops the device.
    """
    for name in METHODS:
        setattr(cls, name, _validating(getattr(cls, name)))
    call = cls.__call__

    @functools.wraps(call)
    def validating_call(self: keras.Model, *args: Any, **kwargs: Any) -> Any:
        validator = Validator(self, "__call__")
        if args:
            args = (validator.inputs(args[0]), *args[1:])
        elif "inputs" in kwargs:
            kwargs["inputs"] = validator.inputs(kwargs["inputs"])
        return call(self, *args, **kwargs)

    cls.__call__ = validating_call
    return cls


def _validating(method: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(method)

    @functools.wraps(method)
    def validating(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        given = bound.arguments
        validator = Validator(args[0], method.__name__)
        for name, validate in (("x", validator.data), ("y", validator.labels), ("sample_weight", validator.weights)):
            if name in given:
                given[name] = validate(given[name])
        held_out = given.get("validation_data")
        if isinstance(held_out, (tuple, list)):
            given["validation_data"] = validator.batch(held_out)
        elif held_out is not None:
            given["validation_data"] = validator.data(held_out)
        if not validator.of_all_examples:
            return method(*bound.args, **bound.kwargs)
        try:
            with _backend.weights_kept(args[0], trains=method.__name__ == "fit"):
                return method(*bound.args, **bound.kwargs)
        except Exception:
            if validator.error is not None:  # a data pipeline puts a traceback into the message
                raise validator.error from None
            raise

    return validating


class Validator:
    """Checks what one call of a method is given, and converts it.

    Args:
        model: The model, with `prepare_inputs`.
        method: The method's name.

    Attributes:
        of_all_examples: Whether the method takes data sets, and tensors are checked.
        error: What was wrong with a batch of a data set; None so far.
    """

    def __init__(self, model: keras.Model, method: str) -> None:
        self.model = model
        self.method = method
        self.of_all_examples = method in OF_ALL_EXAMPLES
        self.error: Exception | None = None

    def data(self, x: Any) -> Any:
        """Inputs, or a data set whose batches will be checked."""
        mapped = _backend.map_batches(x, self) if self.of_all_examples else None
        return self.inputs(x) if mapped is None else mapped

    def inputs(self, x: Any) -> Any:
        """Inputs of one array, alone or in the structures that Keras takes; anything else passes as it is."""
        if not keras.ops.is_tensor(x):
            x = _only_one(x, len(self.model.input_shape))
        if _backend.is_string_tensor(x):
            x = _backend.decode_strings(x)
        if keras.ops.is_tensor(x):
            self._check_tensor(x)
            return x
        if not isinstance(x, str):
            if isinstance(x, keras.KerasTensor) or not (is_array_like(x) or isinstance(x, Iterator)):
                return x
            x = as_array("x", x)
        x = self.model.prepare_inputs(x)
        if not len(x):
            raise ValueError("There must be at least one example. Received: none.")
        return x

    def labels(self, y: Any) -> Any:
        """Labels; where the loss is a sparse cross entropy, checked to be classes of the model."""
        if isinstance(y, dict) and len(y) == 1:
            return {name: self.labels(value) for name, value in y.items()}
        y = _only_one(y, 1)
        is_tensor = keras.ops.is_tensor(y)
        # JAX trains on with a wrong class where the other backends raise an error; its arrays are read without waiting for a step.
        is_read = self.of_all_examples or (keras.backend.backend() == "jax" and is_tensor and _backend.has_value(y))
        if y is None or (is_tensor and not (self.loss and is_read)):
            return y
        array = keras.ops.convert_to_numpy(y) if is_tensor else as_numbers("y", y)
        if self.loss:
            check_labels(array, self.model.output_shape[-1], getattr(self.loss, "ignore_class", None))
        return y if is_tensor else array

    def weights(self, sample_weight: Any) -> Any:
        """Weights of the examples, as an array."""
        sample_weight = _only_one(sample_weight, 1)
        return as_array("sample_weight", sample_weight) if is_array_like(sample_weight) else sample_weight

    @property
    def loss(self) -> Any:
        """The sparse cross entropy that the model was compiled with, or None."""
        return sparse_loss(getattr(self.model, "loss", None))

    def batch(self, batch: Any) -> tuple[Any, ...]:
        """A batch of a data set: a tuple of inputs, and of labels and weights where it has them."""
        is_texts = isinstance(batch, (list, tuple)) and all(isinstance(item, str) for item in batch)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight((batch,) if is_texts else batch)
        if self.method == "predict":  # which takes no notice of labels
            return (self.inputs(x),)
        checked = self.inputs(x), self.labels(y), self.weights(sample_weight)
        return checked[: 3 if sample_weight is not None else 2 if y is not None else 1]

    def guard(self, function: Callable[..., Any], *args: Any) -> Any:
        """`function(*args)` inside a data set; what it raises is kept as `error`."""
        try:
            return function(*args)
        except (TypeError, ValueError) as error:
            self.error = error
            raise

    def _check_tensor(self, x: Tensor) -> None:
        """Check the values of a tensor for a model of integers: of all examples, and floats that Keras would cast."""
        is_float = keras.backend.is_float_dtype(x.dtype)
        if not (self.of_all_examples or is_float) or not keras.backend.is_int_dtype(self.model.inputs[0].dtype):
            return
        if _backend.has_value(x):
            array = keras.ops.convert_to_numpy(x)
            is_whole = is_float and (array == array.round()).all()
            self.model.prepare_inputs(array.astype("int64") if is_whole else array)


def _only_one(x: Any, rank: int) -> Any:
    """The array in a list or dict of one, in which Keras takes it too."""
    if isinstance(x, dict) and len(x) == 1:
        return _only_one(next(iter(x.values())), rank)
    if not isinstance(x, (list, tuple)) or len(x) != 1 or not hasattr(x[0], "shape"):
        return x
    is_text = getattr(x[0].dtype, "kind", None) in ("O", "U", "S", "T")
    return x[0] if len(x[0].shape) >= rank or is_text else x  # else a list of one example


def sparse_loss(losses: Any) -> Any:
    """The sparse cross entropy among one or several losses or their names, or None."""
    for loss in keras.tree.flatten(losses):
        loss = keras.losses.get(loss)
        is_class = isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
        if is_class or loss is keras.losses.sparse_categorical_crossentropy:
            return loss
    return None
