"""Fixtures of the tests of recipes."""

import numpy as np
import pytest

from keras_euler import datasets


@pytest.fixture
def synthetic_as_real(monkeypatch):
    """Let the readers of real data give synthetic examples."""
    monkeypatch.setattr(datasets.cifar10, "load_data", lambda folder: datasets.synthetic.images())
    monkeypatch.setattr(datasets.ag_news, "load_data", lambda folder: datasets.synthetic.texts())


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Write 60 training and 30 test images to an .npz file."""
    rng = np.random.default_rng(0)
    arrays = {
        f"{name}_{split}": rng.integers(0, high, size=shape).astype(dtype)
        for split, n in (("train", 60), ("test", 30))
        for name, high, shape, dtype in (
            ("x", 256, (n, 32, 32, 3), "uint8"),
            ("y", 10, (n,), "int64"),
        )
    }
    file = tmp_path_factory.mktemp("data") / "cifar10.npz"
    np.savez(file, **arrays)
    return file
