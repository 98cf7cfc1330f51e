"""An optimizer that keeps the norms of the gradients it is given."""

import keras
import numpy as np
from keras import ops

from keras_euler._backend import l2_norms, sum_over_replicas, wide_dtype
from keras_euler._checks import check_integer

TOTAL = "total"


@keras.saving.register_keras_serializable(package="keras_euler")
class GradientRecorder(keras.optimizers.Optimizer):
    """Record the gradient norms of every training step, inside the compiled step, and train as the wrapped optimizer does.

    For each variable `w_i` the norm is `g_i = |dL/dw_i|_2`, L being the loss of the batch, and for all of them together
    `total = sqrt(sum_i g_i ** 2)`. These are the gradients as they come from the loss: unscaled under mixed precision, and
    **before** the wrapped optimizer clips, accumulates or averages anything. The norms stay on the device, in variables of
    the optimizer, until somebody reads them: a ring with the last `capacity` iterations, and sum and maximum over all.
    So the recorder works eager and compiled, is saved and restored with the optimizer (in `.keras` files, not in the old
    `.h5`), and in a data parallel step records the gradient of the whole batch.

    An iteration is one call of `apply`: one batch, also with `gradient_accumulation_steps`; one that mixed_float16's loss
    scaling skips is not counted. `keras_euler.GradientLogger` writes what is recorded to a file.

    Args:
        inner_optimizer: A Keras optimizer, or its name. It trains; learning rate, `iterations` and weight averages are its own.
        capacity: How many iterations the ring keeps, an integer >= 1. It takes 4 bytes times `capacity` times the number of
            variables. Saved optimizers load into the same capacity.
        name: Name of the optimizer.

    Raises:
        TypeError: `inner_optimizer` is not an optimizer.
        ValueError: `inner_optimizer` is a `LossScaleOptimizer` or a recorder itself; `capacity` is less than 1.

    Example:

    >>> dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="dense")
    >>> model = keras.Sequential([keras.Input((2,)), dense])
    >>> model.compile(GradientRecorder(keras.optimizers.SGD(0.1)), loss="mse")
    >>> history = model.fit(np.array([[3.0, 4.0]]), np.array([[1.0]]), verbose=0)  # dL/dw = 2 (wx - y) x = -2 x
    >>> iterations, norms = model.optimizer.recent()
    >>> model.optimizer.paths, iterations.tolist(), norms.tolist()
    (['sequential.../dense/kernel', 'total'], [1], [[10.0, 10.0]])
    """

    def __init__(self, inner_optimizer, capacity=100, name=None):
        inner_optimizer = keras.optimizers.get(inner_optimizer)
        if inner_optimizer is None:
            raise TypeError("`inner_optimizer` must be a Keras optimizer or its name. Received: None.")
        if isinstance(inner_optimizer, (keras.optimizers.LossScaleOptimizer, GradientRecorder)):
            raise ValueError(
                f"`inner_optimizer` must not be a {type(inner_optimizer).__name__}: it would hide or scale the gradients. "
                "Use LossScaleOptimizer(GradientRecorder(optimizer)), which is also what `compile` makes under mixed_float16."
            )
        super().__init__(0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.capacity = check_integer("capacity", capacity, 1)

    def build(self, variables):
        """Create the variables: those of the inner optimizer, and the records."""
        self.inner_optimizer.build(variables)
        width = len(variables) + 1
        # Every replica records the same.
        same = dict(dtype=wide_dtype(variable.dtype for variable in variables), aggregation="only_first_replica")
        self._ring = self.add_variable((self.capacity, width), name="ring", **same)
        self._sum = self.add_variable((width,), name="sum", **same)
        self._maximum = self.add_variable((width,), name="maximum", **same)
        super().build(variables)

    def apply(self, grads, trainable_variables=None):
        """Record the norms of `grads`, and let the inner optimizer apply them."""
        grads = list(grads)
        if not grads:
            return
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
            if not self.built:
                with keras.name_scope(self.name):
                    self.build(trainable_variables)
        self._record(grads, trainable_variables or self._trainable_variables)
        self.inner_optimizer.apply(grads, trainable_variables)

    def _record(self, grads, variables):
        gradient_of = dict(zip(map(self._var_key, variables), grads, strict=True))
        grads = [gradient_of.get(self._var_key(variable)) for variable in self._trainable_variables]
        norms = ops.cast(l2_norms(sum_over_replicas(grads)), self._ring.dtype)
        if self.loss_scale_factor is not None:
            norms = norms / self.loss_scale_factor
        norms = ops.append(norms, ops.sqrt(ops.sum(ops.square(norms))))
        # A mask, because a row of a changing number would make torch wait for the device. The dtype of integers is named, because
        # the default one depends on `floatx` and TensorFlow compares only equal ones.
        is_row = ops.arange(self.capacity, dtype="int32") == ops.cast(self._iterations % self.capacity, "int32")
        self._ring.assign(ops.where(is_row[:, None], norms, ops.convert_to_tensor(self._ring)))
        self._sum.assign(self._sum + norms)
        self._maximum.assign(ops.maximum(self._maximum, norms))
        self._iterations.assign_add(1)

    @property
    def paths(self):
        """What the columns of the norms are: the paths of the variables, and `"total"`."""
        return [variable.path for variable in self._trainable_variables] + [TOTAL]

    @property
    def recorded_variables(self):
        """The variables, in the order of the norms; empty before the optimizer is built."""
        return list(self._trainable_variables)

    @property
    def num_recorded(self):
        """How many iterations have been recorded."""
        return int(ops.convert_to_numpy(self._iterations))

    def recent(self, after=0):
        """The iterations in the ring with a number above `after`, oldest first.

        Args:
            after: An integer.

        Returns:
            `(iterations, norms)`: int array `(n,)`, which counts from 1, and float32 array `(n, len(paths))`.
        """
        last = self.num_recorded
        iterations = np.arange(max(after, last - self.capacity) + 1, last + 1)
        if not len(iterations):
            return iterations, np.zeros((0, len(self.paths)), "float32")
        return iterations, ops.convert_to_numpy(self._ring)[(iterations - 1) % self.capacity]

    def statistics(self):
        """Mean and maximum of the norms over all recorded iterations: dict of path -> `{"mean": float, "maximum": float}`.

        Raises:
            ValueError: Nothing has been recorded yet.
        """
        count = self.num_recorded
        if not count:
            raise ValueError("No gradients have been recorded yet. Train with this optimizer first.")
        means, maxima = ops.convert_to_numpy(self._sum) / count, ops.convert_to_numpy(self._maximum)
        return {
            path: {"mean": float(mean), "maximum": float(maximum)}
            for path, mean, maximum in zip(self.paths, means, maxima, strict=True)
        }

    # What others ask of an optimizer, the inner one answers; its settings (clipnorm, momentum, ...) are read and set there.

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """As for the inner optimizer."""
        self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)

    @property
    def variables(self):
        return self._variables + self.inner_optimizer.variables

    @property
    def iterations(self):
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self):
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        self.inner_optimizer.learning_rate = learning_rate

    @property
    def loss_scale_factor(self):
        return self.inner_optimizer.loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, factor):  # LossScaleOptimizer sets None
        if getattr(self, "inner_optimizer", None):  # not yet there in the base class's __init__
            self.inner_optimizer.loss_scale_factor = factor

    @property
    def _model_variables_moving_average(self):  # SwapEMAWeights looks for it, one level deep
        return self.inner_optimizer._model_variables_moving_average

    def finalize_variable_values(self, var_list):
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self):
        inner_optimizer = keras.optimizers.serialize(self.inner_optimizer)
        return {"inner_optimizer": inner_optimizer, "capacity": self.capacity, "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        inner_optimizer = keras.optimizers.deserialize(config.pop("inner_optimizer"), custom_objects)
        return cls(inner_optimizer, **config)
