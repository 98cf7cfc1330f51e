"""An optimizer that records the norms of the gradients it applies."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_euler._backend import l2_norms, moments, sum_over_replicas, wide_dtype
from keras_euler._checks import check_choice, check_integer
from keras_euler._types import Array, Config, Tensor
from keras_euler.optimizers.outer_optimizer import OuterOptimizer

TOTAL = "total"


@keras.saving.register_keras_serializable(package="keras_euler")
class GradientRecorder(OuterOptimizer):
    """Train with another optimizer and record the gradient norms of every step, inside the compiled
    step.

    For each variable `w_i` the norm is `g_i = |dL/dw_i|_2`, where `L` is the loss of the batch; for
    all variables together it is `total = sqrt(sum_i g_i ** 2)`. Gradients are recorded as the loss
    gives them: unscaled under mixed precision, and **before** the inner optimizer clips,
    accumulates or averages them.

    The norms stay on the device, in variables of the optimizer: those of the last `capacity`
    iterations in a ring buffer, and the sum and maximum over all iterations. The recorder therefore
    works in eager and compiled training and is saved and loaded with the optimizer (in `.keras`
    files, not in legacy `.h5` files). In data-parallel training it records the gradient of the
    whole batch.

    An iteration is one call of `apply`, which is one batch, also with
    `gradient_accumulation_steps`. Steps that the loss scaling of mixed_float16 skips are not
    counted. `keras_euler.GradientLogger` writes the records to a file.

    Args:
        inner_optimizer: The Keras optimizer that trains, or its name. Learning rate, `iterations`
            and weight averages are those of this optimizer.
        capacity: Number of iterations in the ring buffer, an integer >= 1. The buffer takes 4 bytes
            (8 with float64 variables) times `capacity` times the number of variables, and four
            times that with `moments`. A saved recorder loads only into the same `capacity` and
            `moments`.
        moments: Whether to record mean, standard deviation and share of zeros of each gradient too.
        name, paths: As for `OuterOptimizer`.

    Raises:
        TypeError: `inner_optimizer` is not an optimizer, or `capacity` is not an integer.
        ValueError: `inner_optimizer` is a `LossScaleOptimizer` or another recorder, or `capacity`
            is less than 1.

    Example:

    >>> dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="dense")
    >>> model = keras.Sequential([keras.Input((2,)), dense])
    >>> model.compile(GradientRecorder(keras.optimizers.SGD(0.1)), loss="mse")
    >>> history = model.fit(
    ...     np.array([[3.0, 4.0]]), np.array([[1.0]]), verbose=0
    ... )  # dL/dw = 2 (wx - y) x = -2 x
    >>> iterations, norms = model.optimizer.recent()
    >>> model.optimizer.paths, iterations.tolist(), norms.tolist()
    (['sequential.../dense/kernel', 'total'], [1], [[10.0, 10.0]])
    """

    def __init__(
        self,
        inner_optimizer: keras.optimizers.Optimizer | str,
        capacity: int = 100,
        moments: bool = False,
        name: str | None = None,
        paths: Sequence[str] | None = None,
    ) -> None:
        super().__init__(inner_optimizer, name, paths)
        self.capacity = check_integer("capacity", capacity, 1)
        self.moments = check_choice("moments", moments, (False, True))

    def build(self, variables: list[keras.Variable]) -> None:
        """Create the variables of the inner optimizer and of the records."""
        width = len(variables) + 1
        # All replicas record the same norms.
        settings = dict(
            dtype=wide_dtype(variable.dtype for variable in variables),
            aggregation="only_first_replica",
        )
        ring_width = width + 3 * len(variables) if self.moments else width
        self._ring = self.add_variable((self.capacity, ring_width), name="ring", **settings)
        self._sum = self.add_variable((width,), name="sum", **settings)
        self._maximum = self.add_variable((width,), name="maximum", **settings)
        super().build(variables)

    def _record(self, grads: Sequence[Tensor], variables: list[keras.Variable]) -> None:
        gradient_of = dict(zip(map(self._var_key, variables), grads, strict=True))
        grads = [gradient_of.get(self._var_key(variable)) for variable in self._trainable_variables]
        grads = sum_over_replicas(grads)
        scale = self.loss_scale_factor or 1.0
        norms = ops.cast(l2_norms(grads), self._ring.dtype) / scale
        norms = ops.append(norms, ops.sqrt(ops.sum(ops.square(norms))))
        row = norms
        if self.moments:
            means, stddevs, zeros = ops.unstack(ops.cast(moments(grads), self._ring.dtype))
            row = ops.concatenate([norms, means / scale, stddevs / scale, zeros])
        # A mask, because indexing by a changing number makes torch wait for the device. Both sides
        # are int32 by name: the default dtype of integers depends on `floatx`, and TensorFlow
        # compares only equal dtypes.
        is_row = ops.arange(self.capacity, dtype="int32") == ops.cast(
            self._iterations % self.capacity, "int32"
        )
        self._ring.assign(ops.where(is_row[:, None], row, ops.convert_to_tensor(self._ring)))
        self._sum.assign(self._sum + norms)
        self._maximum.assign(ops.maximum(self._maximum, norms))
        self._iterations.assign_add(1)

    @property
    def paths(self) -> list[str]:
        """Names of the columns of the norms: the paths of the variables and `"total"`."""
        return [*self._paths, TOTAL]

    @property
    def recorded_variables(self) -> list[keras.Variable]:
        """The variables in the order of the norms; empty before the optimizer is built."""
        return list(self._trainable_variables)

    @property
    def num_recorded(self) -> int:
        """Number of recorded iterations."""
        return int(ops.convert_to_numpy(self._iterations))

    def recent(self, after: int = 0) -> tuple[Array, Array]:
        """Numbers and norms of the iterations in the ring buffer, oldest first.

        Args:
            after: Leave out the iterations up to this number.

        Returns:
            `(iterations, norms)`: int array `(n,)` that counts from 1, and float array `(n,
            len(paths))`.
        """
        iterations, rows = self._recent(after)
        return iterations, rows[:, : len(self.paths)]

    def recent_moments(self, after: int = 0) -> tuple[Array, Array]:
        """Numbers and moments of the iterations in the ring buffer, oldest first.

        Args:
            after: Leave out the iterations up to this number.

        Returns:
            `(iterations, moments)`: int array `(n,)` that counts from 1, and float array `(n, 3,
            variables)` with mean, standard deviation and share of zeros of each gradient, in the
            order of `paths`.

        Raises:
            ValueError: The recorder has `moments=False`.
        """
        if not self.moments:
            raise ValueError(
                "No moments are recorded. Use GradientRecorder(optimizer, moments=True)."
            )
        iterations, rows = self._recent(after)
        return iterations, rows[:, len(self.paths) :].reshape(len(rows), 3, len(self.paths) - 1)

    def _recent(self, after: int) -> tuple[Array, Array]:
        """Return numbers and rows of the iterations in the ring buffer."""
        if not self.built:  # TensorFlow applies nothing where nothing is trainable
            return np.arange(0), np.zeros((0, len(self.paths)))
        last = self.num_recorded
        iterations = np.arange(max(after, last - self.capacity), last)
        return iterations + 1, ops.convert_to_numpy(self._ring)[iterations % self.capacity]

    def statistics(self) -> dict[str, dict[str, float]]:
        """Mean and maximum of the norms over all recorded iterations.

        Returns:
            Dict of path -> `{"mean": float, "maximum": float}`.

        Raises:
            ValueError: Nothing has been recorded yet.
        """
        count = self.num_recorded
        if not count:
            raise ValueError(
                "No gradients have been recorded yet. Train with this optimizer first."
            )
        means, maxima = ops.convert_to_numpy(self._sum) / count, ops.convert_to_numpy(self._maximum)
        return {
            path: {"mean": float(mean), "maximum": float(maximum)}
            for path, mean, maximum in zip(self.paths, means, maxima, strict=True)
        }

    def get_config(self) -> Config:
        return {**super().get_config(), "capacity": self.capacity, "moments": self.moments}
