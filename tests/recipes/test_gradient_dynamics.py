"""The recipe of gradients and weights over iterations: numbers, files, resume, errors."""

import json

import gradient_dynamics
import keras
import pytest

pytestmark = pytest.mark.once

BACKEND = keras.backend.backend()
TINY = [
    "--depth",
    "8",
    "--iterations",
    "3",
    "--batch-size",
    "16",
    "--test-size",
    "16",
    "--dataset",
    "synthetic",
]
TINY += ["--backend", BACKEND, "--verbose", "0"]


def run(*arguments):
    """Run the recipe and return its exit status."""
    try:
        gradient_dynamics.main([*TINY, *map(str, arguments)])
    except SystemExit as end:
        return end.code
    return 0


def test_trains_each_h_and_seed_once_and_writes_table_and_figure(tmp_path, capsys, monkeypatch):
    assert run("--h", "1.0", "0.1", "--seeds", 1, "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "first_gradient" in printed and "stage1_block1/conv1" in printed
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [(row["h"], row["seed"], row["iterations"]) for row in summary["runs"]] == [
        ("1.0", 1, 3),
        ("0.1", 1, 3),
    ]
    assert {"settings", "data", "versions", "device"} <= set(summary)
    assert (tmp_path / "gradient_dynamics.png").stat().st_size > 10_000
    for name in ("gradients.csv", "weights.csv"):
        lines = (tmp_path / "h1.0-seed1" / name).read_text().splitlines()
        assert (
            lines[0]
            == "iteration,stage1_block1/conv1,stage2_block1/conv1,stage3_block1/conv2,total"
        )
    # The same seed: the same first weights, for each h.
    first = [
        (tmp_path / f"h{h}-seed1" / "weights.csv").read_text().splitlines()[1:3]
        for h in ("1.0", "0.1")
    ]
    assert first[0][0] == first[1][0] and first[0][1] != first[1][1]
    # The same command again trains nothing.
    monkeypatch.setattr(keras.Model, "fit", None)
    assert run("--h", "1.0", "0.1", "--seeds", 1, "--out", tmp_path) == 0


BAD = [
    (["--seeds", "-1"], "Seed must be between 0 and 2**32 - 1"),
    (["--seed=1"], "unrecognized arguments: --seed"),
    (["--seed", "1"], "unrecognized arguments: --seed"),
    (["--h", "-1"], "`h` must be a finite number >= 0"),
    (["--h", "x"], "Received: h='x'"),
    (["--layers", "conv9"], "Received: 'conv9', which matches none of 19"),
    (["--depth", "21"], "`depth` must be 6n + 2"),
    (["--nonsense"], "unrecognized arguments: --nonsense"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_end_with_one_sentence(arguments, message, capsys, tmp_path):
    assert run("--out", tmp_path / "run", *arguments) == 2
    assert message in capsys.readouterr().err
