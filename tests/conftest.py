"""Fixtures of all tests. KERAS_BACKEND selects the backend."""

import gc
import os

import keras
import numpy as np
import pytest

EXPECTED = os.environ.get("KERAS_EULER_EXPECTED_BACKEND")  # set by `python -m tests`
if EXPECTED and keras.backend.backend() != EXPECTED:
    raise RuntimeError(
        f"The tests were to run on {EXPECTED}, but keras runs on {keras.backend.backend()}."
    )


def pytest_collection_modifyitems(config, items):
    """Begin with the files of the longest tests, so that no worker ends with one alone; leave out
    tests marked `once`, which no backend changes, unless this is PyTorch."""
    longest = ("test_readme.py", "test_kills.py", "test_steps.py", "test_cifar10.py")
    items.sort(key=lambda item: item.path.name not in longest)
    if keras.backend.backend() == "torch":
        return
    once = [item for item in items if item.get_closest_marker("once")]
    config.hook.pytest_deselected(items=once)
    items[:] = [item for item in items if item not in once]


@pytest.fixture(autouse=True, scope="module")
def _fresh_session():
    """Clear Keras' state before every file; before every test it would take longer than most tests.

    What is left then, imports and what TensorFlow keeps of other files, is no garbage: without it
    the collections, of which `clear_session` is one, are several times faster.
    """
    keras.backend.clear_session()
    gc.freeze()


@pytest.fixture(autouse=True)
def _fresh_keras():
    """Start every test from the same seed and Keras' default settings."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")


@pytest.fixture
def rng():
    """A seeded NumPy generator."""
    return np.random.default_rng(0)
