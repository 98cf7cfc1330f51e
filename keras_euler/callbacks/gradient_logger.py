"""A log of the gradient norms by layer."""

import keras
import numpy as np

from keras_euler._types import Config
from keras_euler.callbacks._norm_logger import NormLogger
from keras_euler.optimizers import GradientRecorder


class GradientLogger(NormLogger):
    """Write the gradient norms of training by layer to a CSV file.

    The norm of a layer is `g_layer = sqrt(sum_i g_i ** 2)` over its variables `w_i`, where `g_i = |dL/dw_i|_2` is measured on
    the device by `keras_euler.GradientRecorder`, which must be the optimizer. This callback reads the recorder's ring buffer
    once per `flush` steps.

    Columns: `iteration`, one per layer, `total`. Iteration n is the n-th update, from 1. With `per="epoch"` the first column
    is `epoch`, from 0. The others are means over the iterations of the epoch, and maxima in columns that end in `_max`.

    The logs of each epoch get `gradient_norm` and `gradient_norm_max`, the mean and maximum of the total. The progress bar
    and History show them. CSVLogger, TensorBoard and other callbacks see them only if they come after this one in the list;
    a warning names those that precede it.

    Training from the start creates the file or replaces an earlier log; it rejects any other file. Training that resumes from a
    checkpoint cuts off the rows after the checkpoint and appends, so that no iteration is logged twice. A kill loses the rows
    since the last flush and leaves no partial line. Resumed training writes those lost rows that are still in the ring buffer.

    Args:
        path: The file. Missing folders are created.
        layers: None for all layers with trainable variables, or a list of names (`"stage1_block1/conv1"`), patterns
            (`"stage1_*/conv1"`) and positions. Positions are integers from 1 and count the layers with a kernel (a variable
            of two or more axes): 2 is the paper's "layer 2" in `EulerResNet`.
        per: What a row covers: `"iteration"` or `"epoch"`.
        flush: Steps between two readings, an integer >= 1; at most the recorder's `capacity`.

    Raises:
        ValueError: The optimizer is not a recorder, a layer is missing, or the file is not a log of this model and these layers.
        TypeError: An argument has the wrong type.
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

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        # Under mixed_float16 `compile` wraps the recorder in a LossScaleOptimizer.
        candidates = (model.optimizer, getattr(model.optimizer, "inner_optimizer", None))
        recorder = next((o for o in candidates if isinstance(o, GradientRecorder)), None)
        if recorder is None:
            raise ValueError(
                "GradientLogger needs a GradientRecorder as the optimizer. "
                f"Received: optimizer={type(model.optimizer).__name__}. "
                "Compile with model.compile(keras_euler.GradientRecorder(optimizer), ...)."
            )
        if model.steps_per_execution > recorder.capacity:
            raise ValueError(
                "The recorder's capacity must be at least `steps_per_execution`. "
                f"Received: capacity={recorder.capacity}, steps_per_execution={model.steps_per_execution}. "
                f"Use GradientRecorder(optimizer, capacity={model.steps_per_execution}) or more."
            )
        self._recorder = recorder

    def columns(self) -> list[str]:
        """Names of the columns after the first."""
        names = super().columns()
        return names if self.per == "iteration" else names + [f"{name}_max" for name in names]

    def logged_variables(self, trainable_variables: list[keras.Variable]) -> list[keras.Variable]:
        # A layer may have been frozen after the recorder was built. An unbuilt recorder has no variables.
        return self._recorder.recorded_variables or trainable_variables

    def last_iteration(self) -> int:
        return self._recorder.num_recorded

    def begin(self, variables: list[keras.Variable]) -> None:
        self._norms: list[list[float]] = []  # one row per iteration of this epoch
        self._read_to = self.last_iteration() if self._start else 0
        if self.per == "iteration" and self._rows.continues:
            self._read_to = min(self._read_to, self._rows.last or 0)

    def on_epoch_begin(self, epoch: int, logs: Config | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._last_batch = self._unread = 0

    def between_steps(self, batch: int) -> None:
        steps = batch - self._last_batch  # of the last call of the training function
        self._last_batch = batch
        self._unread += steps
        if self._unread and self._unread + max(steps, 1) > min(self.flush, self._recorder.capacity):
            self._read()

    def end_epoch(self, epoch: int) -> dict[str, float]:
        self._read()
        norms = np.array(self._norms).reshape(len(self._norms), len(super().columns()))
        self._norms = []
        if not len(norms):  # the loss scaling of mixed_float16 skipped every step
            return {}
        means, maxima = norms.mean(axis=0), norms.max(axis=0)
        if self.per == "epoch":
            self._rows.append([[epoch, *means, *maxima]])
        return dict(zip(self.totals, (float(means[-1]), float(maxima[-1])), strict=True))

    def _read(self) -> None:
        self.model  # noqa: B018 (on JAX this copies the training state back to the variables)
        iterations, norms = self._recorder.recent(after=self._read_to)
        rows = [self._layers.norms(row[:-1]) for row in norms]
        self._norms += rows
        if self.per == "iteration":
            self._rows.append([[int(number), *row] for number, row in zip(iterations, rows, strict=True)])
        self._read_to = self._recorder.num_recorded
        self._unread = 0
