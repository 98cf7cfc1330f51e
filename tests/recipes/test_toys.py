"""The small recipes: Euler's method, the two moons, a recurrent cell, an eulerized ResNet50."""

import json
import math

import euler_method
import euler_rnn
import eulerize_resnet
import keras
import pytest
import two_moons

pytestmark = pytest.mark.once

BACKEND = ["--backend", keras.backend.backend()]


def test_euler_converges_to_the_exact_solution_with_order_one():
    errors = []
    for h in (0.1, 0.05, 0.025):
        t, x = euler_method.euler(h, 1.0)
        assert t[-1] == pytest.approx(1) and len(t) == round(1 / h) + 1
        errors.append(abs(x[-1] - math.exp(-2.3)))
    assert [errors[i] / errors[i + 1] for i in (0, 1)] == pytest.approx([2, 2], abs=0.25)
    assert abs(euler_method.euler(1.0, 20)[1][-1]) > 100
    assert abs(euler_method.euler(0.8, 20)[1][-1]) < 1e-1
    assert min(euler_method.euler(0.4, 5)[1]) > 0 > min(euler_method.euler(0.5, 5)[1])


def test_two_moons_are_trained_and_drawn(tmp_path, capsys):
    two_moons.main(["--epochs", "15", "--out", str(tmp_path / "moons.json"), *BACKEND])
    assert (tmp_path / "moons.png").stat().st_size > 10_000
    written = json.loads((tmp_path / "moons.json").read_text())
    assert min(written["results"]["h = 0.1"].values()) > 0.75
    assert written["settings"]["epochs"] == 15
    assert "h = 0.1: {'noisy': 0." in capsys.readouterr().out


def test_recurrent_network_is_trained(tmp_path, capsys):
    out = ["--out", str(tmp_path / "rnn.json")]
    euler_rnn.main(["--quick", "--length", "5", *out, *BACKEND])
    found = json.loads((tmp_path / "rnn.json").read_text())["results"]["h = 0.1"]
    assert found["test_error"] < 2 and found["first_gradient"] > 0
    assert "h = 0.1: {'first_gradient'" in capsys.readouterr().out


def test_resnet50_is_trained(tmp_path):
    flags = ["--quick", "--train-size", "32", "--h", "0.1", "--out", str(tmp_path / "a.json")]
    eulerize_resnet.main([*flags, *BACKEND])
    (row,) = json.loads((tmp_path / "a.json").read_text())["results"]["h = 0.1"]
    assert row["first_gradient"] > 0 and not row["diverged"] and 0 <= row["value"] <= 1
