"""A log of the gradient norms by layer."""

import keras
import numpy as np

from keras_euler._types import Config, PathLike
from keras_euler.callbacks._extremes import Extremes
from keras_euler.callbacks._layers import Selection
from keras_euler.callbacks._norm_logger import NormLogger
from keras_euler.callbacks._rows import StepFunction
from keras_euler.optimizers import GradientRecorder


class GradientLogger(NormLogger):
    """Write the gradient norms of training by layer to a CSV file, or pass them to a function.

    The norm of a layer is `g_layer = sqrt(sum_i g_i ** 2)` over its variables `w_i`, where `g_i =
    |dL/dw_i|_2` is measured on the device by `keras_euler.GradientRecorder`, which must be the
    optimizer. This callback reads the recorder's ring buffer once per `flush` steps.

    Columns: `iteration`, one per layer, `total`. Iteration n is the n-th update, from 1. With
    `per="epoch"` the first column is `epoch`, from 0. The others are means over the iterations of
    the epoch, and maxima in columns that end in `_max`. With `GradientRecorder(..., moments=True)`,
    mean, standard deviation and share of zeros of each layer's gradient follow in the columns
    `layer/mean`, `layer/stddev` and `layer/zeros`.

    A function is called once per row, with the number of the iteration or epoch and a dict of the
    other columns. One line sends them to an experiment tracker: `lambda step, norms:
    wandb.log(norms, step=step)`.

    The logs of each epoch get `gradient_norm` and `gradient_norm_max`, the mean and maximum of the
    total. The progress bar and History show them. CSVLogger, TensorBoard and other callbacks see
    them only if they come after this one in the list.

    Training from the start creates the file or replaces an earlier log; it rejects any other file.
    Training that resumes from a checkpoint cuts off the rows after the checkpoint and appends, so
    that no iteration is logged twice. A kill loses the rows since the last flush and leaves no
    partial line. Resumed training writes those lost rows that are still in the ring buffer. A
    function gets the rows after the checkpoint; those that it got before the kill come again, with
    the same numbers.

    A warning names layers whose gradients explode or vanish, each layer once per training. Norms
    are compared when they are read anyway.

    Args:
        output: The file, whose missing folders are created; or a function `f(step, norms)`.
        layers: None for all layers with trainable variables, or a list of names
            (`"stage1_block1/conv1"`), patterns (`"stage1_*/conv1"`) and positions. Positions are
            integers from 1 and count the layers with a kernel (a variable of two or more axes): 2
            is the paper's "layer 2" in `EulerResNet`.
        per: What a row covers: `"iteration"` or `"epoch"`.
        flush: Steps between two readings, an integer >= 1; at most the recorder's `capacity`.
        explode: Warn of a layer whose norm is larger or not finite. None: no such warning.
        vanish: Warn of a layer whose norm is smaller, but not exactly 0, which frozen layers and
            `h=0` have. None: no such warning.

    Raises:
        ValueError: The optimizer is not a recorder, a layer is missing, or the file is not a log of
            this model and these layers.
        TypeError: An argument has the wrong type.
        OSError: The file cannot be written.

    Example:

    >>> dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="dense")
    >>> model = keras.Sequential([keras.Input((2,)), dense])
    >>> model.compile(keras_euler.GradientRecorder("sgd"), loss="mse")
    >>> file = pathlib.Path(tempfile.mkdtemp(), "gradients.csv")
    >>> history = model.fit(
    ...     np.array([[3.0, 4.0]]), np.array([[1.0]]), verbose=0, callbacks=[GradientLogger(file)]
    ... )
    >>> print(file.read_text().strip())
    iteration,dense,total
    1,10,10
    >>> history = model.fit(
    ...     np.array([[3.0, 4.0]]), np.array([[1.0]]), verbose=0, callbacks=[GradientLogger(print)]
    ... )
    2 {'dense': 5.0, 'total': 5.0}
    """

    def __init__(
        self,
        output: PathLike | StepFunction,
        layers: Selection = None,
        per: str = "iteration",
        flush: int = 100,
        explode: float | None = 10.0,
        vanish: float | None = 1e-7,
    ) -> None:
        super().__init__(output, layers, per, flush)
        self.explode, self.vanish = explode, vanish
        self._extremes = Extremes(explode, vanish)

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        recorder = model.optimizer
        if not isinstance(recorder, GradientRecorder):
            # Under mixed_float16 `compile` wraps the recorder in a LossScaleOptimizer.
            recorder = getattr(recorder, "inner_optimizer", None)
        if not isinstance(recorder, GradientRecorder):
            raise ValueError(
                "GradientLogger needs a GradientRecorder as the optimizer. Received: "
                f"optimizer={type(model.optimizer).__name__}. Compile with "
                "model.compile(keras_euler.GradientRecorder(optimizer), ...)."
            )
        if model.steps_per_execution > recorder.capacity:
            raise ValueError(
                "The recorder's capacity must be at least `steps_per_execution`. Received: "
                f"capacity={recorder.capacity}, steps_per_execution={model.steps_per_execution}. "
                f"Use GradientRecorder(optimizer, capacity={model.steps_per_execution}) or more."
            )
        self._recorder, self.moments = recorder, recorder.moments

    def columns(self) -> list[str]:
        """Names of the columns after the first."""
        names = super().columns()
        return names if self.per == "iteration" else names + [f"{name}_max" for name in names]

    def logged_variables(self) -> list[keras.Variable]:
        # A layer may have been frozen after the recorder was built. An unbuilt recorder has no
        # variables.
        return self._recorder.recorded_variables or super().logged_variables()

    def last_iteration(self) -> int:
        return self._recorder.num_recorded

    def begin(self, variables: list[keras.Variable]) -> None:
        self._extremes.begin()
        self._read_to = self.last_iteration() if self._start else 0
        if self.per == "iteration" and self._rows.last is not None:
            self._read_to = min(self._read_to, self._rows.last)

    def on_epoch_begin(self, epoch: int, logs: Config | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._unread = self._count = 0
        self._sum, self._maximum = np.zeros(()), np.array(-np.inf)

    def between_steps(self) -> None:
        steps = self._model.steps_per_execution  # on JAX `model` would copy all state back
        if self._unread and self._unread + steps > min(self.flush, self._recorder.capacity):
            self._read()
        self._unread += steps

    def end_epoch(self, epoch: int) -> dict[str, float]:
        self._read()
        if not self._count:  # the loss scaling of mixed_float16 skipped every step
            return {}
        means, total = self._sum / self._count, len(self._layers.names)
        if self.per == "epoch":
            self._rows.append([[epoch, *means, *self._maximum]])
        return {
            "gradient_norm": float(means[total]),
            "gradient_norm_max": float(self._maximum[total]),
        }

    def save_epoch(self) -> Config:
        self._read()
        return {"_count": self._count, "_sum": self._sum, "_maximum": self._maximum}

    def restore_epoch(self, saved: Config) -> None:
        self.__dict__.update(saved)
        self._read_to = self.last_iteration()

    def _read(self) -> None:
        self.model  # noqa: B018 (on JAX this copies the training state back to the variables)
        iterations, norms = self._recorder.recent(after=self._read_to)
        rows = self._layers.norms(norms[:, :-1])
        self._extremes.check(self._layers.names, iterations, rows[:, :-1])
        if self.moments:
            _, moments = self._recorder.recent_moments(after=self._read_to)
            rows = np.concatenate([rows, self._layers.moments(moments)], axis=1)
        for row in rows:
            self._count, self._sum = self._count + 1, self._sum + row
            self._maximum = np.maximum(self._maximum, row)
        if self.per == "iteration":
            pairs = zip(iterations.tolist(), rows.tolist(), strict=True)
            self._rows.append([[number, *row] for number, row in pairs])
        self._read_to = self._recorder.num_recorded
        self._unread = 0
