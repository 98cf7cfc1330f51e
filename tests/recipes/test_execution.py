"""How a run is carried out: one process, checkpoints within an epoch."""

import cifar10
import numpy as np
import pytest

from keras_euler import training
from keras_euler.training.checkpoint import ResumableCallbacks
from tests.recipes.runs import run_here
from tests.training.test_fit import without_times

TINY = [
    "--dataset",
    "synthetic",
    "--image-size",
    "8",
    "--widths",
    "2",
    "2",
    "2",
    "--depth",
    "8",
    "--batch-size",
    "16",
]
TINY += [
    "--train-size",
    "64",
    "--test-size",
    "20",
    "--epochs",
    "2",
    "--milestones",
    "1",
    "--log-gradients",
    "--log-weights",
    "2",
]


@pytest.mark.once  # tests/training does so on every backend
def test_run_that_is_killed_within_an_epoch_ends_as_an_uninterrupted_one(
    tmp_path, monkeypatch, capsys
):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run_here(cifar10, *TINY, "--out", whole) == 0
    save, saved = ResumableCallbacks.save, []

    def then_stop(self, step=0):
        save(self, step)
        if step:
            saved.append(step)
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ResumableCallbacks, "save", then_stop)
        for _ in range(4):
            assert run_here(cifar10, *TINY, "--out", killed, "--checkpoint-steps", 2) in (0, 130)
    assert saved == [2, 2]  # once in each epoch of four steps
    assert "Resuming after epoch 1 of 2, step 2 of 4" in capsys.readouterr().out
    one, other = (training.RunFolder(folder).load() for folder in (whole, killed))
    assert without_times(one["history"]) == without_times(other["history"])
    for ours, theirs in zip(one["variables"], other["variables"], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for name in ("gradients.csv", "weights.csv"):
        assert (whole / name).read_text() == (killed / name).read_text()


@pytest.mark.once
@pytest.mark.parametrize("size", ["2", "16"])
def test_launcher_of_several_processes_is_refused(size, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", size)
    assert run_here(cifar10, *TINY, "--out", tmp_path / "run") == 2
    assert f"WORLD_SIZE={size}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
