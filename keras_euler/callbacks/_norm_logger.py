"""What the loggers of norms share: when a row is written, and to which file."""

import os

import keras

from keras_euler._checks import check_choice, check_integer
from keras_euler.callbacks._layers import Layers
from keras_euler.callbacks._rows import Rows

PERIODS = ("iteration", "epoch")


class NormLogger(keras.callbacks.Callback):
    """Writes norms by layer to a CSV file. Abstract: a subclass says what is measured and fetches it.

    Everything is read at the **beginning** of the next step, because Keras makes a callback with a hook at the end of a step
    wait for the device each time.
    """

    def __init__(self, path, layers=None, per="iteration", flush=100):
        super().__init__()
        self.path = os.fspath(path)
        self.layers = layers
        self.per = check_choice("per", per, PERIODS)
        self.flush = check_integer("flush", flush, 1)

    def on_train_begin(self, logs=None):
        self._start = self._rows = None

    def on_epoch_begin(self, epoch, logs=None):
        if self._start is None:  # not earlier: other callbacks restore a checkpoint when training begins
            last = self.last_iteration()
            self._start = epoch if self.per == "epoch" else last and last + 1
        self._open()

    def on_train_batch_begin(self, batch, logs=None):
        if self._open():
            self.between_steps(batch)

    def on_epoch_end(self, epoch, logs=None):
        totals = self.end_epoch(epoch) if self._open() else {}
        if logs is not None:
            logs.update(totals)

    def _open(self):
        """Begin or continue the file. On TensorFlow a model without an Input has no variables before its first step."""
        if self._rows is None and (variables := self.model.trainable_variables):
            variables = self.logged_variables(variables)
            self._layers = Layers(self.model, variables, self.layers)
            self._rows = Rows(self.path, [self.per, *self.columns()], self._start)
            self.begin(variables)
        return self._rows is not None

    def check(self, model):
        """Raise what `fit` would where the layers are not there, before anything is written."""
        Layers(model, model.trainable_variables, self.layers)

    def logged_variables(self, trainable_variables):
        """The variables whose norms `Layers.norms` gets."""
        return trainable_variables

    def columns(self):
        """Names of the columns after the first."""
        return [*self._layers.names, "total"]

    def last_iteration(self):
        """The number of the last iteration before this training, 0 before the first."""
        raise NotImplementedError

    def begin(self, variables):
        """Get ready to read, now that the file is open."""
        raise NotImplementedError

    def between_steps(self, batch):
        """Read or write, before the step of this number."""
        raise NotImplementedError

    def end_epoch(self, epoch):
        """Write what is left to write and return the epoch's totals, a dict of name -> float."""
        raise NotImplementedError
