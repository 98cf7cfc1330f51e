"""Gradient norms by layer, as a file."""

import numpy as np

from keras_euler.callbacks._norm_logger import NormLogger
from keras_euler.optimizers import GradientRecorder


class GradientLogger(NormLogger):
    """Write the norms of the training gradients by layer to a CSV file.

    `g_layer = sqrt(sum_i g_i ** 2)` over the layer's variables `w_i`, with `g_i = |dL/dw_i|_2` as `keras_euler.GradientRecorder`
    measures them on the device: it must be the optimizer. This callback reads its ring once per `flush` steps.

    Columns: `iteration`, one per layer, `total`; iteration n is the n-th update, from 1. With `per="epoch"`: `epoch` (from 0, as
    Keras counts), for each layer the mean over the epoch's iterations and, in a column that ends in `_max`, the maximum. The
    logs of each epoch get `gradient_norm` and `gradient_norm_max`, mean and maximum of the total: the progress bar and
    History show them, and so do callbacks that stand behind this one in the list (CSVLogger, TensorBoard).

    Training that starts at iteration or epoch 0 begins the file anew. Training that goes on from a checkpoint cuts off the rows
    behind the checkpoint and appends, so that no iteration stands there twice. A kill loses the rows since the last flush
    and tears no line; those that the recorder still has in its ring when training goes on are written after all.

    Args:
        path: The file; its folder is made.
        layers: None for all layers with trainable variables, or a list of names (`"stage1_block1/conv1"`), patterns
            (`"stage1_*/conv1"`) and positions: integers from 1 among the layers with a kernel (a variable of two or more axes), so
            that 2 is the paper's "layer 2" in `EulerResNet`.
        per: `"iteration"` or `"epoch"`: what a row is.
        flush: Steps between two readings, an integer >= 1; at most the recorder's `capacity` is taken.

    Raises:
        ValueError: The optimizer is not a recorder, a layer isn't there, or the file is of another model.
        TypeError: An argument is of another type.
        OSError: The file cannot be written.

    Example:

    >>> dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="dense")
    >>> model = keras.Sequential([keras.Input((2,)), dense])
    >>> model.compile(keras_euler.GradientRecorder("sgd"), loss="mse")
    >>> file = pathlib.Path(tempfile.mkdtemp(), "gradients.csv")
    >>> history = model.fit(np.array([[3.0, 4.0]]), np.array([[1.0]]), verbose=0, callbacks=[GradientLogger(file)])
    >>> print(file.read_text().strip())
    iteration,dense,total
    1,10,10
    """

    totals = ("gradient_norm", "gradient_norm_max")

    def set_model(self, model):
        super().set_model(model)
        # Under mixed_float16 `compile` wraps the recorder once more.
        candidates = (model.optimizer, getattr(model.optimizer, "inner_optimizer", None))
        self._recorder = next((o for o in candidates if isinstance(o, GradientRecorder)), None)
        if self._recorder is None:
            raise ValueError(
                "GradientLogger needs an optimizer that records. "
                f"Received: optimizer={type(model.optimizer).__name__}. "
                "Compile with model.compile(keras_euler.GradientRecorder(optimizer), ...)."
            )
        if model.steps_per_execution > self._recorder.capacity:
            raise ValueError(
                f"The recorder keeps {self._recorder.capacity} iterations, but one call of the training function makes "
                f"{model.steps_per_execution}. Use GradientRecorder(optimizer, capacity={model.steps_per_execution}) or more."
            )

    def columns(self):
        """Names of the columns after the first."""
        names = super().columns()
        return names if self.per == "iteration" else names + [f"{name}_max" for name in names]

    def logged_variables(self, trainable_variables):
        # Those of the recorder, which may be older than a layer's being frozen; on TensorFlow there may be none as yet.
        return self._recorder.recorded_variables or trainable_variables

    def last_iteration(self):
        return self._recorder.num_recorded

    def begin(self, variables):
        self._norms = []  # of this epoch, a row per iteration
        self._read_to = self.last_iteration() if self._start else 0
        if self.per == "iteration" and self._rows.continues:
            self._read_to = min(self._read_to, self._rows.last or 0)

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self._last_batch = self._unread = 0

    def between_steps(self, batch):
        steps = batch - self._last_batch  # in the last call
        self._last_batch = batch
        self._unread += steps
        if self._unread and self._unread + max(steps, 1) > min(self.flush, self._recorder.capacity):
            self._read()

    def end_epoch(self, epoch):
        self._read()
        norms = np.array(self._norms).reshape(len(self._norms), len(super().columns()))
        self._norms = []
        if not len(norms):  # mixed_float16 skipped every step
            return {}
        means, maxima = norms.mean(axis=0), norms.max(axis=0)
        if self.per == "epoch":
            self._rows.append([[epoch, *means, *maxima]])
        return dict(zip(self.totals, (float(means[-1]), float(maxima[-1])), strict=True))

    def _read(self):
        self.model  # noqa: B018 (on JAX brings the state back to the variables)
        iterations, norms = self._recorder.recent(after=self._read_to)
        rows = [self._layers.norms(row[:-1]) for row in norms]
        self._norms += rows
        if self.per == "iteration":
            self._rows.append([[int(number), *row] for number, row in zip(iterations, rows, strict=True)])
        self._read_to = self._recorder.num_recorded
        self._unread = 0
