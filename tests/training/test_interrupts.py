"""Interrupts that a framework drops."""

import argparse
import contextlib
import signal

import _cli
import keras
import numpy as np
import pytest

from keras_euler.training import Interruptible, RaiseDropped


@pytest.fixture(autouse=True)
def interrupts():
    """Restore the interrupt handler, as in a terminal: background jobs of a shell ignore
    interrupts, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Swallower(keras.callbacks.Callback):
    """Drop an interrupt, like JAX if it arrives in a callback of JAX."""

    def on_train_batch_end(self, batch, logs=None):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            self.swallowed = True


def test_interrupt_that_was_dropped_is_raised_again():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    swallower = Swallower()
    with pytest.raises(KeyboardInterrupt), Interruptible():
        model.fit(
            np.ones((4, 1)), np.ones((4, 1)), 2, verbose=0, callbacks=[swallower, RaiseDropped()]
        )
    assert swallower.swallowed


def test_interrupt_that_was_dropped_outside_of_fit_is_raised_in_the_end():
    with pytest.raises(KeyboardInterrupt), Interruptible(), contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_interrupt_that_was_dropped_before_training_is_raised_at_its_start():
    began = False
    with pytest.raises(KeyboardInterrupt), Interruptible():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with Interruptible():
            began = True
    assert not began
    with Interruptible():  # the next run knows nothing of it
        began = True
    assert began


@pytest.mark.once
def test_interrupt_that_was_dropped_by_a_recipe_ends_it_with_one_sentence(capsys):
    errors = _cli.errors_in_one_line(argparse.ArgumentParser())
    with pytest.raises(SystemExit) as end, errors, contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert end.value.code == 130
    assert (
        capsys.readouterr().err
        == "\nInterrupted. Run the same command again to resume a training.\n"
    )


def test_interrupts_are_as_before_after_training():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    for handler in (signal.default_int_handler, signal.SIG_IGN):
        signal.signal(signal.SIGINT, handler)
        with Interruptible():
            model.fit(np.ones((4, 1)), np.ones((4, 1)), verbose=0, callbacks=[RaiseDropped()])
        assert signal.getsignal(signal.SIGINT) is handler
