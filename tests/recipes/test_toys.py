"""The small recipes: Euler's method, the two moons, a recurrent cell, an eulerized ResNet50."""

import json
import math

import euler_method
import euler_rnn
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
    assert (
        abs(euler_method.euler(1.0, 20)[1][-1]) > 100
        and abs(euler_method.euler(0.8, 20)[1][-1]) < 1e-1
    )
    assert min(euler_method.euler(0.4, 5)[1]) > 0 > min(euler_method.euler(0.5, 5)[1])


def test_two_moons_are_trained_and_drawn(tmp_path, capsys):
    flags = [
        "--blocks",
        "4",
        "--epochs",
        "30",
        "--h",
        "0.1",
        "--out",
        str(tmp_path / "moons.png"),
        *BACKEND,
    ]
    two_moons.main(flags)
    assert (tmp_path / "moons.png").stat().st_size > 10_000
    noisy, clean = map(float, capsys.readouterr().out.splitlines()[2].split()[1:])
    assert noisy > 0.75 and clean > 0.75
    written = json.loads((tmp_path / "moons.json").read_text())
    assert written["results"]["h = 0.1"]["noisy"] == pytest.approx(noisy, abs=1e-4)
    assert written["settings"]["epochs"] == 30
    for flags in (["--blocks", "0"], ["--out", str(tmp_path / "x.pdf")]):
        with pytest.raises(SystemExit) as end:
            two_moons.main([*flags, *BACKEND])
        assert end.value.code == 2 and flags[0] in capsys.readouterr().err


def test_recurrent_network_is_trained(tmp_path, capsys):
    out = ["--out", str(tmp_path / "rnn.json")]
    euler_rnn.main(
        ["--quick", "--length", "5", "--train-size", "100", "--h", "0.1", *out, *BACKEND]
    )
    assert json.loads((tmp_path / "rnn.json").read_text())["results"]["h = 0.1"]["test_error"] < 2
    h, gradient, error = map(float, capsys.readouterr().out.splitlines()[2].split())
    assert h == 0.1 and gradient > 0 and error < 2
