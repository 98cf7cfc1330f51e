"""Checks of a model's inputs before the compiled step, which can neither read strings nor reject a
wrong class."""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import keras

from keras_euler import _backend
from keras_euler._checks import as_array, as_numbers, check_labels, is_array_like
from keras_euler._types import Tensor

DATA_SET_METHODS = ("fit", "evaluate", "predict")
ModelClass = TypeVar("ModelClass", bound=type[keras.Model])
METHODS = (*DATA_SET_METHODS, "train_on_batch", "test_on_batch", "predict_on_batch")


def validates_inputs(cls: ModelClass) -> ModelClass:
    """Class decorator: pass inputs through the model's `prepare_inputs`; labels of a sparse cross
    entropy must be classes.

    `prepare_inputs(x)` gets a NumPy array or a single string and returns what the network takes, or
    raises. `fit`, `evaluate`, `predict`, their `*_on_batch` and a call take arrays, columns of a
    table, lists and other sequences. `fit`, `evaluate` and `predict` also check tensors and every
    batch of a generator, `PyDataset`, `DataLoader` or `tf.data.Dataset`. A tensor of one batch is
    checked only if the model would cast floats to integers: reading it stops the device.
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
        arguments = bound.arguments
        validator = Validator(args[0], method.__name__)
        for name, validate in (
            ("x", validator.data),
            ("y", validator.labels),
            ("sample_weight", validator.weights),
        ):
            if name in arguments:
                arguments[name] = validate(arguments[name])
        validation_data = arguments.get("validation_data")
        if isinstance(validation_data, (tuple, list)):
            arguments["validation_data"] = validator.batch(validation_data)
        elif validation_data is not None:
            arguments["validation_data"] = validator.data(validation_data)
        if not validator.takes_data_sets:
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
    """Check and convert the arguments of one call of a method.

    Args:
        model: The model, with `prepare_inputs`.
        method: Name of the method.

    Attributes:
        takes_data_sets: Whether the method takes data sets; then tensors are checked too.
        error: The error that a batch of a data set raised, or None.
    """

    def __init__(self, model: keras.Model, method: str) -> None:
        self.model = model
        self.method = method
        self.takes_data_sets = method in DATA_SET_METHODS
        self.error: Exception | None = None

    def data(self, x: Any) -> Any:
        """Convert inputs, or return a data set that checks its batches."""
        mapped = _backend.map_batches(x, self) if self.takes_data_sets else None
        return self.inputs(x) if mapped is None else mapped

    def inputs(self, x: Any) -> Any:
        """Convert inputs of one array, alone or in the structures that Keras takes; return anything
        else unchanged."""
        if not keras.ops.is_tensor(x):
            x = _unwrap_single(x, len(self.model.input_shape))
        if _backend.is_string_tensor(x):
            x = _backend.decode_strings(x)
        if keras.ops.is_tensor(x):
            self._check_tensor(x)
            return x
        if not isinstance(x, str):
            if isinstance(x, keras.KerasTensor) or not (
                is_array_like(x) or isinstance(x, Iterator)
            ):
                return x
            x = as_array("x", x)
        x = self.model.prepare_inputs(x)
        if not len(x):
            raise ValueError("There must be at least one example. Received: none.")
        return x

    def labels(self, y: Any) -> Any:
        """Convert labels; for a sparse cross entropy, require that they are classes of the
        model."""
        if isinstance(y, dict) and len(y) == 1:
            return {name: self.labels(value) for name, value in y.items()}
        y = _unwrap_single(y, 1)
        is_tensor = keras.ops.is_tensor(y)
        # JAX silently trains with a wrong class where the other backends raise an error. Reading
        # its arrays waits for no step.
        is_read = self.takes_data_sets or (
            keras.backend.backend() == "jax" and is_tensor and _backend.has_value(y)
        )
        if y is None or (is_tensor and not (self.loss and is_read)):
            return y
        array = keras.ops.convert_to_numpy(y) if is_tensor else as_numbers("y", y)
        if self.loss:
            check_labels(
                array, self.model.output_shape[-1], getattr(self.loss, "ignore_class", None)
            )
        return y if is_tensor else array

    def weights(self, sample_weight: Any) -> Any:
        """Convert the weights of the examples to an array."""
        sample_weight = _unwrap_single(sample_weight, 1)
        return (
            as_array("sample_weight", sample_weight)
            if is_array_like(sample_weight)
            else sample_weight
        )

    @property
    def loss(self) -> Any:
        """The sparse cross entropy that the model was compiled with, or None."""
        return sparse_loss(getattr(self.model, "loss", None))

    def batch(self, batch: Any) -> tuple[Any, ...]:
        """Convert a batch of a data set to a tuple of inputs and, if it has them, labels and
        weights."""
        is_texts = isinstance(batch, (list, tuple)) and all(isinstance(item, str) for item in batch)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight((batch,) if is_texts else batch)
        if self.method == "predict":  # which ignores labels
            return (self.inputs(x),)
        converted = self.inputs(x), self.labels(y), self.weights(sample_weight)
        return converted[: 3 if sample_weight is not None else 2 if y is not None else 1]

    def guard(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call `function(*args)` inside a data set and keep the exception it raises as `error`."""
        try:
            return function(*args)
        except (TypeError, ValueError) as error:
            self.error = error
            raise

    def _check_tensor(self, x: Tensor) -> None:
        """Check the values of a tensor for a model of integers: floats that Keras would cast, and
        in data-set methods all."""
        is_float = keras.backend.is_float_dtype(x.dtype)
        if not (self.takes_data_sets or is_float) or not keras.backend.is_int_dtype(
            self.model.inputs[0].dtype
        ):
            return
        if _backend.has_value(x):
            array = keras.ops.convert_to_numpy(x)
            is_whole = is_float and (array == array.round()).all()
            self.model.prepare_inputs(array.astype("int64") if is_whole else array)


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
