"""Fixtures of all tests. The backend under test is KERAS_BACKEND's."""

import os

import keras
import numpy as np
import pytest

EXPECTED = os.environ.get("KERAS_EULER_EXPECTED_BACKEND")  # set by `python -m tests`
if EXPECTED and keras.backend.backend() != EXPECTED:
    raise RuntimeError(f"The tests were to run on {EXPECTED}, but keras runs on {keras.backend.backend()}.")


@pytest.fixture(autouse=True, scope="module")
def _fresh_session():
    """Every file starts without what others left; for every test it would take longer than most of them."""
    keras.backend.clear_session()


@pytest.fixture(autouse=True)
def _fresh_keras():
    """Every test starts from the same seed and Keras' default settings."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")


@pytest.fixture
def rng():
    """A seeded generator of NumPy's."""
    return np.random.default_rng(0)
