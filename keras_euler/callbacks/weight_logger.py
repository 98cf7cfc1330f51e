"""A log of the weight norms by layer."""

import keras
from keras import ops

from keras_euler._backend import batches_seen, norm_reader
from keras_euler._checks import check_choice
from keras_euler._types import Config, PathLike, Tensor
from keras_euler.callbacks._layers import Selection
from keras_euler.callbacks._norm_logger import NormLogger, innermost
from keras_euler.callbacks._rows import StepFunction


class WeightLogger(NormLogger):
    """Write the norms of the trainable weights by layer to a CSV file, or pass them to a function.

    The norm of a layer is `sqrt(sum_i |w_i|_2 ** 2)` over its variables `w_i`. Norms are computed
    on the device and read once per `flush` rows. It works with any optimizer.

    Columns: `iteration`, one per layer, `total`. Row n holds the norms after the n-th update, row 0
    those before the first. On TensorFlow, a model without an Input has no weights then, and no row
    0. With `steps_per_execution` above 1 there is one row per call of the training function. With
    `per="epoch"` the first column is `epoch`, from 0, and the norms are those at its end. With
    `moments=True`, mean, standard deviation and share of zeros of each layer's weights follow in
    the columns `layer/mean`, `layer/stddev` and `layer/zeros`.

    The logs of each epoch get `weight_norm`, the total at its end. `keras_euler.GradientLogger`
    describes which callbacks see it, what a function gets, and what happens when training is killed
    and resumed.

    Args:
        output: The file, whose missing folders are created; or a function `f(step, norms)`.
        layers: As for `GradientLogger`.
        per: What a row covers: `"iteration"` or `"epoch"`.
        flush: Rows between two readings, an integer >= 1.
        moments: Whether to log mean, standard deviation and share of zeros too.

    Raises:
        ValueError: A layer is missing, the file is not a log of this model and these layers, or the
            model is compiled without an optimizer.
        TypeError: An argument has the wrong type.
        OSError: The file cannot be written.

    Example:

    >>> dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="dense")
    >>> model = keras.Sequential([keras.Input((2,)), dense])
    >>> model.compile(keras.optimizers.SGD(0.1), loss="mse")
    >>> file = pathlib.Path(tempfile.mkdtemp(), "weights.csv")
    >>> history = model.fit(
    ...     np.array([[3.0, 4.0]]), np.array([[1.0]]), verbose=0, callbacks=[WeightLogger(file)]
    ... )
    >>> print(file.read_text().strip())  # one step of 0.1 against the gradient -2 (3, 4)
    iteration,dense,total
    0,0,0
    1,1,1
    """

    def __init__(
        self,
        output: PathLike | StepFunction,
        layers: Selection = None,
        per: str = "iteration",
        flush: int = 100,
        moments: bool = False,
    ) -> None:
        super().__init__(output, layers, per, flush)
        self.moments = check_choice("moments", moments, (False, True))
        self._reading: list[int] = []

    def last_iteration(self) -> int:
        if self.model.optimizer is None:
            raise ValueError(
                "WeightLogger needs an optimizer, whose updates it counts. Received: "
                "optimizer=None. Pass one to `compile`."
            )
        self._iterations = batches_seen(innermost(self.model.optimizer))
        return int(ops.convert_to_numpy(self._iterations))

    def begin(self, variables: list[keras.Variable]) -> None:
        reading = [*map(id, variables), id(self._iterations)]
        if reading != self._reading:  # a second `fit` uses the function that the first has compiled
            self._reading = reading
            self._read = norm_reader(self._model, variables, self._iterations, self.moments)
        self._pending: list[tuple[Tensor, ...]] = []

    def between_steps(self) -> None:
        if self.per == "iteration":
            self._pending.append(self._read())
            if len(self._pending) >= self.flush:
                self._write()

    def end_epoch(self, epoch: int) -> dict[str, float]:
        self._pending.append(self._read())
        row = self._write()
        if self.per == "epoch":
            self._rows.append([[epoch, *row]])
        return {"weight_norm": row[len(self._layers.names)]}

    def save_epoch(self) -> Config:
        if self._pending:
            self._write()
        return {}

    def _write(self) -> list[float]:
        """Read the pending norms, write those that the file lacks, and return the last row."""
        rows: list[list[float]] = []
        for iteration, norms, *moments in self._pending:
            number = int(ops.convert_to_numpy(iteration))
            row = self._layers.norms(ops.convert_to_numpy(norms)).tolist()
            for array in moments:
                row += self._layers.moments(ops.convert_to_numpy(array)).tolist()
            last = rows[-1][0] if rows else self._rows.last
            if last is None or number > last:
                rows.append([number, *row])
        if self.per == "iteration":
            self._rows.append(rows)
        self._pending = []
        return row
