"""Make sure that Ctrl-C is never lost.

Python drops an exception that is raised in a callback of the garbage collector, and JAX has such a
callback. An interrupt is therefore recorded, and raised again at the next point where a run can
stop.
"""

import signal
import sys
import threading
from typing import Any

import keras

from keras_euler._types import Config


class Interruptible:
    """Context manager that records interrupts and ends with `KeyboardInterrupt`, even if a
    framework raised another error.

    Contexts can be nested: an interrupt ends all of them. Outside the main thread, where Python
    delivers no signals, the context does nothing.

    Example:

    >>> with Interruptible():
    ...     print("training")
    training
    """

    interrupted = False  # shared by all contexts of the process

    def __enter__(self) -> "Interruptible":
        raise_pending_interrupt()
        self._is_active = threading.current_thread() is threading.main_thread()
        if self._is_active:
            self._handler, self._report = signal.getsignal(signal.SIGINT), sys.unraisablehook
            if self._handler is not signal.SIG_IGN:  # shells set this for background jobs
                signal.signal(signal.SIGINT, record_interrupt)
                sys.unraisablehook = self._skip_interrupts
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._is_active:
            return
        signal.signal(signal.SIGINT, self._handler)
        sys.unraisablehook = self._report
        interrupted = Interruptible.interrupted
        if self._handler is not record_interrupt:  # the outermost context
            Interruptible.interrupted = False
        if interrupted and kind is not SystemExit:
            raise KeyboardInterrupt

    def _skip_interrupts(self, unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            self._report(unraisable)


def raise_pending_interrupt() -> None:
    """Raise `KeyboardInterrupt` if an interrupt was recorded and dropped.

    Example:

    >>> raise_pending_interrupt()
    """
    if Interruptible.interrupted:
        raise KeyboardInterrupt


def record_interrupt(*_: object) -> None:
    """Signal handler: record an interrupt and raise it."""
    Interruptible.interrupted = True
    raise KeyboardInterrupt


class RaiseDropped(keras.callbacks.Callback):
    """Raise an interrupt that was dropped during a step at the next step.

    Example:

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((4, 1))
    >>> with keras_euler.training.Interruptible():
    ...     history = model.fit(x, x, verbose=0, callbacks=[RaiseDropped()])
    """

    def _raise(self, *_: object, logs: Config | None = None) -> None:
        raise_pending_interrupt()

    # Not at the end of a batch: that hook would make Keras wait for the device.
    on_epoch_begin = on_train_batch_begin = on_test_batch_begin = on_epoch_end = _raise
