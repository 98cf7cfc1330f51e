"""The base class of the loggers of norms: when to write rows, and where to."""

import keras

from keras_euler._backend import all_layers
from keras_euler._checks import check_choice, check_integer
from keras_euler._types import Config, PathLike
from keras_euler.callbacks._layers import MOMENTS, Layers, Selection
from keras_euler.callbacks._rows import Calls, Rows, StepFunction

PERIODS = ("iteration", "epoch")


class NormLogger(keras.callbacks.Callback):
    """Write norms by layer to a CSV file or pass them to a function.

    Norms are read at the **beginning** of the next step: with a hook at the end of a step, Keras
    would wait for the device every time.

    A subclass has `moments`, whether columns with mean, standard deviation and share of zeros
    follow, and the methods

    - `last_iteration()`: number of the last iteration before this training, or 0;
    - `begin(variables)`: prepare to read the norms of these variables; the file is open;
    - `between_steps()`: read or write norms before a step;
    - `end_epoch(epoch)`: write the remaining rows, and return totals for the logs, name -> float;
    - `save_epoch()`: write the rows so far, and return what the rest of the epoch needs of them.
    """

    def __init__(
        self,
        output: PathLike | StepFunction,
        layers: Selection = None,
        per: str = "iteration",
        flush: int = 100,
    ) -> None:
        super().__init__()
        self.output = output
        self._rows: Rows | Calls = Calls(output) if callable(output) else Rows(output)
        self.layers = layers
        self.per = check_choice("per", per, PERIODS)
        self.flush = check_integer("flush", flush, 1)

    def on_train_begin(self, logs: Config | None = None) -> None:
        self._start: int | None = None
        self._is_open = False

    def on_epoch_begin(self, epoch: int, logs: Config | None = None) -> None:
        if self._start is None:  # not in on_train_begin, where other callbacks restore checkpoints
            last = self.last_iteration()
            self._start = epoch if self.per == "epoch" else last and last + 1
        self._open()

    def on_train_batch_begin(self, batch: int, logs: Config | None = None) -> None:
        if self._open():
            self.between_steps()

    def on_epoch_end(self, epoch: int, logs: Config | None = None) -> None:
        totals = self.end_epoch(epoch) if self._open() else {}
        if logs is not None:
            logs.update(totals)

    def _open(self) -> bool:
        """Create or continue the file, and return whether it is open.

        On TensorFlow a model without an Input has no variables before its first step.
        """
        if not self._is_open and (
            innermost(self.model.optimizer).built  # it knows all trainable variables
            or (self.model.built and all(layer.built for layer in all_layers(self.model)))
        ):
            variables = self.logged_variables()
            self._layers = Layers(self.model, variables, self.layers)
            self._rows.begin([self.per, *self.columns()], self._start)
            self._is_open = True
            self.begin(variables)
        return self._is_open

    def check(self, model: keras.Model) -> None:
        """Raise the error that `fit` would raise if `model` lacks one of the layers; write
        nothing."""
        Layers(model, model.trainable_variables, self.layers)

    def restore_epoch(self, saved: Config) -> None:
        """Go on in the middle of an epoch with the result of `save_epoch`; the epoch has begun."""

    def logged_variables(self) -> list[keras.Variable]:
        """The variables whose norms are logged."""
        return self.model.trainable_variables

    def columns(self) -> list[str]:
        """Names of the columns after the first."""
        names = [*self._layers.names, "total"]
        return names + [f"{name}/{moment}" for moment in MOMENTS for name in names if self.moments]


def innermost(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return the optimizer inside loss scaling and recording, which count iterations
    differently."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer
