"""What the loggers of norms share: when a row is written, and to which file."""

import os

import keras

from keras_euler._backend import all_layers
from keras_euler._checks import check_choice, check_integer
from keras_euler.callbacks._layers import Layers
from keras_euler.callbacks._log_order import warn_of_earlier_reporters
from keras_euler.callbacks._rows import Rows

PERIODS = ("iteration", "epoch")


class NormLogger(keras.callbacks.Callback):
    """Writes norms by layer to a CSV file. Abstract: a subclass says what is measured and fetches it.

    Everything is read at the **beginning** of the next step, because Keras makes a callback with a hook at the end of a step
    wait for the device each time.
    """

    def __init__(self, path, layers=None, per="iteration", flush=100):
        super().__init__()
        if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
            raise TypeError(f"`path` must be the path of a file to write. Received: path={path!r}.")
        self.path = os.fspath(path)
        self.layers = layers
        self.per = check_choice("per", per, PERIODS)
        self.flush = check_integer("flush", flush, 1)

    def on_train_begin(self, logs=None):
        self._start = self._rows = None
        warn_of_earlier_reporters(self, self.totals)

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
        """Begin or continue the file. On TensorFlow a model without an Input lacks variables before its first step."""
        if self._rows is None and self._is_built():
            variables = self.logged_variables(self.model.trainable_variables)
            self._layers = Layers(self.model, variables, self.layers)
            self._rows = Rows(self.path, [self.per, *self.columns()], self._start)
            self.begin(variables)
        return self._rows is not None

    def _is_built(self):
        if innermost(self.model.optimizer).built:  # with all that the training step uses
            return True
        return self.model.built and all(layer.built for layer in all_layers(self.model))

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


def innermost(optimizer):
    """The optimizer that trains: loss scaling and recording wrap it, and count in their own ways."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer
