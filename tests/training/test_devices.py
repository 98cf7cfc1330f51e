"""Devices and processes of a training."""

import keras
import pytest

from keras_euler import training
from tests.training.test_fit import TRAIN, make

BACKEND = keras.backend.backend()


def fit(folder):
    return training.fit(make(), TRAIN, None, folder, epochs=1, batch_size=16, verbose=0)


@pytest.mark.once
def test_several_processes_of_torchrun_are_refused_and_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(
        ValueError,
        match="A training is one process.* Received: WORLD_SIZE=2. Start it without torchrun",
    ):
        fit(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert fit(tmp_path / "run").history


@pytest.mark.once
@pytest.mark.skipif(BACKEND != "jax", reason="processes of JAX")
def test_several_processes_of_jax_are_refused(tmp_path, monkeypatch):
    import jax

    monkeypatch.setattr(jax, "process_count", lambda: 3)
    with pytest.raises(ValueError, match="Received: 3 JAX processes"):
        fit(tmp_path / "run")


@pytest.mark.once
@pytest.mark.skipif(BACKEND != "torch", reason="a limit of torch")
def test_data_parallelism_on_torch_is_refused():
    with pytest.raises(
        ValueError, match="no data parallelism on torch. Use the backend jax or tensorflow"
    ):
        training.data_parallel(2)
