"""Data sets of every kind that Keras takes, with each batch checked and converted."""

import contextlib
import copy
import functools
import types

import keras
import numpy as np

from keras_euler._backend.files import on_strings_of_tensorflow


def map_batches(data, validator):
    """Return a data set whose batches pass a validator.

    Args:
        data: Inputs as passed to `fit`.
        validator: A `keras_euler.models.inputs.Validator`.

    Returns:
        A data set of the same kind; `data` itself if its kind has no `map`; None if it is not a
        data set.
    """
    if isinstance(data, types.GeneratorType):
        return (validator.guard(validator.batch, batch) for batch in data)
    if isinstance(data, keras.utils.PyDataset):
        return _CheckedPyDataset(data, validator)
    parents = [f"{parent.__module__}.{parent.__name__}" for parent in type(data).__mro__]
    if any(
        name.startswith("torch.utils.data.") and name.endswith(".DataLoader") for name in parents
    ):
        data = copy.copy(data)
        data.collate_fn = _Collate(data.collate_fn, validator)
        return data
    if any(name.startswith("tensorflow.") and name.endswith(".DatasetV2") for name in parents):
        return _map_in_tensorflow(data, validator)
    is_other = any(name.startswith(("grain.", "tensorflow.")) for name in parents)
    return data if is_other and not hasattr(data, "__array__") else None


@contextlib.contextmanager
def weights_kept(model, trains):
    """Restore the weights of a model when an error ends `fit`, `evaluate` or `predict` on JAX.

    Keras 3.15 removes them from the variables during an epoch, and loses them if the first batch
    raises an error.

    Args:
        model: A Keras model.
        trains: Whether the optimizer's variables are removed too.
    """
    if keras.backend.backend() != "jax":
        yield
        return
    variables = [*model.variables, *model.metrics_variables]
    if trains and getattr(model, "optimizer", None):
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        variables += model.optimizer.variables
    values = [variable._value for variable in variables]
    try:
        yield
    except Exception:
        model.jax_state_sync()
        for variable, value in zip(variables, values, strict=True):
            if variable._value is None:
                variable.assign(value)
        raise


class _CheckedPyDataset(keras.utils.PyDataset):
    """A `PyDataset` whose batches pass a validator."""

    def __init__(self, data, validator):
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self.data, self.validator = data, validator

    def __getitem__(self, index):
        return self.validator.guard(self.validator.batch, self.data[index])

    @property
    def num_batches(self):
        return self.data.num_batches

    def on_epoch_begin(self):
        self.data.on_epoch_begin()

    def on_epoch_end(self):
        self.data.on_epoch_end()


class _Collate:
    """The `collate_fn` of a `DataLoader`, followed by a validator. It is a class because worker
    processes pickle it."""

    def __init__(self, collate, validator):
        self.collate, self.validator = collate, validator

    def __call__(self, examples):
        import torch

        batch = self.validator.guard(self.validator.batch, self.collate(examples))
        return torch.utils.data.default_convert(batch)


def _map_in_tensorflow(data, validator):
    """Encode strings as ids, and check ids, pixels and labels with NumPy on the host."""
    import tensorflow as tf

    model = validator.model
    preprocessor = getattr(model, "preprocessor", None)  # a KerasHub task passes strings to it
    has_values_to_check = preprocessor or keras.backend.is_int_dtype(model.inputs[0].dtype)

    def checked_on_host(function, tensor):
        def check(array):
            validator.guard(function, array)
            return np.int64(0)

        with tf.control_dependencies([tf.numpy_function(check, [tensor], tf.int64)]):
            return tf.identity(tensor)

    def inputs(tensor):
        if tensor.dtype != tf.string:
            return checked_on_host(validator.inputs, tensor) if has_values_to_check else tensor
        if preprocessor:
            return tensor
        if len(model.input_shape) != 2:
            return checked_on_host(validator.inputs, tensor)
        encode = functools.partial(validator.guard, validator.inputs)
        return on_strings_of_tensorflow(encode, tensor, model.input_shape[1])

    def labels(tensor):
        return (
            checked_on_host(validator.labels, tensor)
            if validator.loss or tensor.dtype == tf.string
            else tensor
        )

    def dense(structure):
        tensors = tf.nest.flatten(structure)
        return tensors[0] if len(tensors) == 1 and isinstance(tensors[0], tf.Tensor) else None

    def mapped(*batch):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        if dense(x) is not None:
            x = inputs(dense(x))
        if validator.method == "predict":
            return x
        if dense(y) is not None:
            y = tf.nest.pack_sequence_as(y, [labels(dense(y))])
        return (x, y, sample_weight)[: len(batch)] if len(batch) > 1 else x

    return data.map(mapped)
