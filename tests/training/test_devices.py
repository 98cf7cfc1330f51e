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


@pytest.mark.skipif(BACKEND != "jax", reason="the others keep no programs")
def test_compiled_programs_are_kept_where_no_cache_is_configured(tmp_path, monkeypatch):
    import jax

    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        fit(tmp_path / "run")
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "home/jax_compilation_cache")
        jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
        fit(tmp_path / "second")
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "mine")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
