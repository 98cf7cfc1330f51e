"""Wrong flags of the recipe of images end with one sentence."""

import re
import time

import cifar10
import pytest

from tests.recipes.runs import TINY, run, run_here

BAD = [
    (["--depth", "21"], "--depth must be 6n + 2. Received: --depth 21. The nearest: 20 or 26."),
    (["--depth", "0"], "Received: --depth 0"),
    (
        ["--h", "-0.1"],
        "--h must be a finite number >= 0. Received: --h -0.1. Use --h 1.0 for the ordinary "
        "ResNet.",
    ),
    (["--h", "nan"], "Received: --h nan"),
    (["--h", "1/D"], "Received: --h '1/D'"),
    (["--h", "0.1,0.2"], "Received: 2 numbers"),
    (["--noise", "-1"], "--noise must be at least 0. Received: -1."),
    (
        ["--train-size", "1000"],
        "--train-size must be between 1 and 60, the number of examples. Received: 1000.",
    ),
    (["--milestones", "60", "40"], "--milestones must increase"),
    (["--learning-rate", "-1"], "--learning-rate must be more than 0. Received: -1."),
    (["--data-dir", "nowhere"], "nowhere"),
    (
        ["--log-weights", "conv9"],
        "--log-weights must name layers with trainable variables. Received: 'conv9'",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_values_end_with_one_sentence(arguments, message, data, tmp_path, capsys):
    assert run_here(cifar10, "--data-dir", data, "--out", tmp_path / "run", *TINY, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(case for case in BAD if case[0][0] not in ("--train-size", "--log-weights")),
        (["--seed", "-1"], "--seed must be at least 0. Received: -1."),
        (["--seed", "99999999999"], "--seed must be at most 2.14748e+09. Received"),
        (["--widths", "16", "32"], "expected 3 arguments"),
        (["--image-size", "20"], "invalid choice: 20"),
        (
            ["--norm", "group", "--widths", "4", "8", "8"],
            "--widths must be multiples of 8 with --norm group",
        ),
        (["--zero-gamma", "--norm", "none"], "--zero-gamma needs a norm"),
        (["--log-per", "epoch"], "--log-per epoch needs --log-gradients or --log-weights"),
        (
            ["--quick", "--data-dir", ".", "--dataset", "synthetic"],
            "--dataset synthetic takes no --data-dir",
        ),
        (["--depht", "20"], "unrecognized arguments: --depht 20"),
        (["--depth", "deep"], "argument --depth: invalid int value: 'deep'"),
        (["--backend", "mxnet"], "argument --backend: invalid choice: 'mxnet'"),
        (["--norm", "instance"], "argument --norm: invalid choice"),
        (["--optimizer", "lamb"], "argument --optimizer: invalid choice"),
        (["--epochs", "0"], "--epochs must be at least 1. Received: 0."),
        (
            ["--train-size", "60000"],
            "--train-size must be between 1 and 50000, the number of examples. Received: 60000.",
        ),
        (["--quick", "--test-size", "501"], "--test-size must be between 1 and 500"),
        (
            ["--backend", "jax", "--devices", "3", "--batch-size", "3"],
            "the size of the last batch must be a multiple of 3",
        ),
        (["--compare", "--h", "1"], "--compare needs another --h than 1, such as 0.1."),
    ],
)
def test_bad_flags_end_before_keras_is_imported(arguments, message, monkeypatch):
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # a line for each module
    start = time.monotonic()
    done = run(*arguments, backend=None)
    assert done.returncode == 2 and message in done.stderr and "usage:" not in done.stderr
    assert time.monotonic() - start < 10  # two seconds on an idle machine
    imported = re.findall(r"\| +(\w+)\n", done.stderr)
    assert "argparse" in imported and "keras" not in imported


def test_help_explains_itself():
    done = run("--help", backend=None)
    assert done.returncode == 0
    assert (
        "python recipes/cifar10.py --quick --compare" in done.stdout
        and "(default: 110)" in done.stdout
    )
    assert "A small h is for deep networks" in done.stdout
