"""The recipe of the first iterations: its numbers, its files, its errors."""

import argparse
import json

import first_iterations
import keras
import numpy as np
import pytest

ARGUMENTS = ["--depth", "8", "--iterations", "2", "--batch-size", "16", "--backend", keras.backend.backend()]


def test_first_gradient_is_that_of_the_loss(monkeypatch):
    """Read from the velocity; one step of plain SGD moves the weights by learning_rate * gradient."""
    args = argparse.Namespace(depth=8, iterations=1, batch_size=16, seed=7, data_dir=None)
    expected = first_iterations.measure(args, 1.0)
    before = after = None
    step = keras.Sequential.train_on_batch

    def recorded(model, x, y):
        nonlocal before, after
        (kernel,) = (v for v in model.trainable_variables if v.path == first_iterations.LAYER_2)
        before = keras.ops.convert_to_numpy(kernel).copy()
        loss = step(model, x, y)
        after = keras.ops.convert_to_numpy(kernel)
        return loss

    monkeypatch.setattr(keras.Sequential, "train_on_batch", recorded)
    assert first_iterations.measure(args, 1.0) | {"seconds": 0} == expected | {"seconds": 0}
    gradient = np.linalg.norm((before.astype("float64") - after) / first_iterations.LEARNING_RATE)
    assert gradient == pytest.approx(expected["first_gradient_norm"], rel=1e-3)


def test_writes_numbers_with_their_provenance_and_the_figure(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())
    first_iterations.main([*ARGUMENTS, "--h", "1", "0.1", "--out", str(tmp_path / "numbers.json")])
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert set(numbers) == {"settings", "data", "versions", "device", "runs"}
    assert [len(numbers["runs"][h]["loss"]) for h in ("1.0", "0.1")] == [2, 2]
    assert (tmp_path / "numbers.png").stat().st_size > 10_000
    assert "first gradient" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--depth", "21"], "`depth` must be 6n + 2"),
        (["--h", "-1"], "`h` must be a finite number >= 0"),
        (["--iterations", "0"], "--iterations and --batch-size must be at least 1"),
        (["--data-dir", "nowhere"], "nowhere"),
        (["--out", "nowhere/numbers.json"], "the folder nowhere is not there or cannot be written"),
    ],
)
def test_bad_arguments_end_with_one_sentence(arguments, message, capsys, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())
    with pytest.raises(SystemExit) as end:
        first_iterations.main([*ARGUMENTS, *arguments])
    assert end.value.code == 2 and message in capsys.readouterr().err
