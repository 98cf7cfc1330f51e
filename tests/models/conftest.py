"""Fixtures of the tests of networks."""

import keras
import pytest


@pytest.fixture
def both(monkeypatch):
    """A function that runs another one, from the same seed, with layers called
    as Keras does and directly, and
    returns both results."""

    def run(function):
        results = []
        for on in (False, True):
            monkeypatch.setenv("KERAS_EULER_DIRECT", str(int(on)))
            keras.utils.set_random_seed(0)
            results.append(function())
        return results

    return run
