"""Wrong flags of the recipe of images end with one sentence."""

import json
import re

import cifar10
import pytest

from tests.recipes.runs import BACKEND, TINY, run, run_here

pytestmark = pytest.mark.once

PACKAGE = [  # what the package checks, in its own words
    (["--depth", "21"], "`depth` must be 6n + 2. Received: depth=21. The nearest: 20 or 26."),
    (["--h", "-0.1"], "`h` must be a finite number >= 0. Received: h=-0.1. Use h=1.0 for"),
    (["--h", "1/D"], "Received: h='1/D'"),
    (["--h", "0.1,0.2"], "Received: 2"),
    (["--train-size", "1000"], "--train-size must be from 1 to 60, the number of examples"),
    (["--milestones", "60", "40"], "`milestones` must"),
    (["--log-weights", "conv9"], "`layers` must name layers with trainable variables"),
    (
        ["--norm", "group", "--widths", "4", "8", "8"],
        "each width must be a multiple of 8. Received: widths=(4, 8, 8)",
    ),
    (["--zero-gamma", "--norm", "none"], "`zero_gamma`"),
    (["--noise", "-1"], "`stddev` must be a finite number >= 0. Received: stddev=-1.0."),
    (["--widths", "16", "32"], "`widths` must be 3 numbers"),
    (["--batch-size", "0"], "--batch-size must be from 1"),
    (["--label-smoothing", "2"], "--label-smoothing must be from 0 to 1. Received: 2.0."),
    (["--warmup", "2"], "--warmup needs --schedule cosine"),
    (["--devices", "2"], "Keras has no data parallelism on torch"),
]


@pytest.mark.parametrize(("arguments", "message"), PACKAGE)
def test_values_that_the_package_refuses_end_with_one_sentence(
    arguments, message, data, tmp_path, capsys
):
    if arguments[0] == "--devices" and BACKEND != "torch":
        pytest.skip("others have data parallelism")
    assert run_here(cifar10, "--data-dir", data, "--out", tmp_path / "run", *TINY, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


PARSER = [  # what the command line alone knows
    (["--data-dir", "nowhere"], "must be an existing file or folder. Received: nowhere."),
    (["--image-size", "20"], "invalid choice: 20"),
    (["--depht", "20"], "unrecognized arguments: --depht 20"),
    (["--depth", "deep"], "argument --depth: invalid int value: 'deep'"),
    (["--norm", "instance"], "argument --norm: invalid choice"),
]


@pytest.mark.parametrize(("arguments", "message"), PARSER)
def test_wrong_flags_end_with_one_sentence(arguments, message, capsys):
    assert run_here(cifar10, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_wrong_flag_ends_before_keras_is_imported(monkeypatch):
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # a line for each module
    done = run("--backend", "mxnet", backend=None)
    assert done.returncode == 2 and "usage:" not in done.stderr
    assert "argument --backend: invalid choice: 'mxnet'" in done.stderr
    imported = re.findall(r"\| +(\w+)\n", done.stderr)
    assert "argparse" in imported and "keras" not in imported


def test_standard_training_is_one_flag_whose_values_others_override(data, tmp_path):
    flags = ["--data-dir", data, *TINY, "--depth", 8, "--epochs", 3, "--out", tmp_path]
    assert run_here(cifar10, "--standard", *flags) == 0
    settings = json.loads((tmp_path / "config.json").read_text())["settings"]
    assert {**cifar10.STANDARD, "epochs": 3}.items() <= settings.items()


def test_help_explains_itself():
    done = run("--help", backend=None)
    assert done.returncode == 0
    assert "python recipes/cifar10.py --quick --compare" in done.stdout
    assert "(default: 110)" in done.stdout
    assert "A small h is for deep networks" in done.stdout
