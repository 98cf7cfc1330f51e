"""Weight norms by layer, as a file."""

from keras import ops

from keras_euler._backend import norm_reader
from keras_euler.callbacks._norm_logger import NormLogger, innermost


class WeightLogger(NormLogger):
    """Write the norms of the trainable weights by layer to a CSV file: `sqrt(sum_i |w_i|_2 ** 2)` over the layer's variables `w_i`.

    Works with any optimizer. Columns: `iteration`, one per layer, `total`; row n is after the n-th update, row 0 before the first
    (not on TensorFlow for a model without an Input, which lacks weights then). With `per="epoch"`: `epoch`, from 0, and the norms
    at its end. With `steps_per_execution` above 1 there is a row for each call of the training function. The logs of each epoch
    get `weight_norm`, the total at its end, for the progress bar, History and callbacks behind this one in the list. Norms are
    computed on the device and fetched once per `flush` rows.

    For training that is killed and goes on, see `GradientLogger`: the file grows by whole lines and has no iteration twice.

    Args:
        path: The file; its folder is made.
        layers: As for `GradientLogger`.
        per: `"iteration"` or `"epoch"`: what a row is.
        flush: Rows between two readings, an integer >= 1.

    Raises:
        ValueError: A layer isn't there, the file is of another model, or the model is compiled without an optimizer.
        TypeError: An argument is of another type.
        OSError: The file cannot be written.

    Example:

    >>> dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="dense")
    >>> model = keras.Sequential([keras.Input((2,)), dense])
    >>> model.compile(keras.optimizers.SGD(0.1), loss="mse")
    >>> file = pathlib.Path(tempfile.mkdtemp(), "weights.csv")
    >>> history = model.fit(np.array([[3.0, 4.0]]), np.array([[1.0]]), verbose=0, callbacks=[WeightLogger(file)])
    >>> print(file.read_text().strip())  # one step of 0.1 against the gradient -2 (3, 4)
    iteration,dense,total
    0,0,0
    1,1,1
    """

    totals = ("weight_norm",)

    def __init__(self, path, layers=None, per="iteration", flush=100):
        super().__init__(path, layers, per, flush)
        self._reading = None

    def last_iteration(self):
        optimizer = self.model.optimizer
        if optimizer is None:
            raise ValueError(
                "WeightLogger counts the updates of the model's optimizer. Received: optimizer=None. "
                "Pass the one that trains to `compile`."
            )
        self._iterations = innermost(optimizer)._iterations  # of batches, also where gradients accumulate
        return int(ops.convert_to_numpy(self._iterations))

    def begin(self, variables):
        reading = [*map(id, variables), id(self._iterations)]
        if reading != self._reading:  # a second `fit` compiles nothing again
            self._reading, self._read = reading, norm_reader(self._model, variables, self._iterations)
        self._pending = []

    def between_steps(self, batch):
        if self.per == "iteration":
            self._measure()
            if len(self._pending) >= self.flush:
                self._write()

    def end_epoch(self, epoch):
        self._measure()
        row = self._write()
        if self.per == "epoch":
            self._rows.append([[epoch, *row]])
        return dict(zip(self.totals, row[-1:], strict=True))

    def _measure(self):
        self._pending.append(self._read())

    def _write(self):
        """Fetch what was measured, write what isn't in the file yet, and return the norms of the last row."""
        rows = []
        for iteration, norms in self._pending:
            number, row = int(ops.convert_to_numpy(iteration)), self._layers.norms(ops.convert_to_numpy(norms))
            last = rows[-1][0] if rows else self._rows.last
            if last is None or number > last:
                rows.append([number, *row])
        if self.per == "iteration":
            self._rows.append(rows)
        self._pending = []
        return row
