"""The recipe of texts: defaults, noise, files, kill and resume. test_cifar10.py tests the shared
parts."""

import csv
import json

import ag_news
import keras
import numpy as np
import pytest

from keras_euler import CharacterClassifier
from tests.recipes.runs import run_here, run_one_epoch, settings_of

TINY = ["--depth", "9", "--sequence-length", "64", "--dense-units", "16", "--batch-size", "16"]
SMALL = [*TINY, "--train-size", "32", "--test-size", "16"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Write 40 training and 20 test rows in a pair of CSV files."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for name, rows in (("train", 40), ("test", 20)):
        with open(folder / f"{name}.csv", "w", newline="") as file:
            for _ in range(rows):
                words = ["".join(rng.choice(list("abc XYZ"), 40)) for _ in range(2)]
                csv.writer(file, quoting=csv.QUOTE_ALL).writerow([rng.integers(1, 5), *words])
    return folder


def test_defaults_are_the_papers():
    """PAPER: 15 epochs, SGD with momentum 0.9 and the constant rate 0.1, batch 64, 1024 characters,
    noise once at load."""
    expected = dict(
        h=0.1,
        batch_size=64,
        epochs=15,
        optimizer="sgd",
        momentum=0.9,
        learning_rate=0.1,
        milestones=(),
    )
    expected |= dict(
        norm="batch",
        initializer="torch",
        sequence_length=1024,
        alphabet="authors",
        head_pooling="max",
    )
    expected |= dict(dense_units=1024, noise_mode="static", noise=0.0, depth=29)
    args = vars(settings_of(ag_news))
    assert {name: args[name] for name in expected} == expected


@pytest.mark.once
def test_a_killed_run_ends_as_an_uninterrupted_one_and_takes_strings(
    data, tmp_path, monkeypatch, capsys
):
    noisy = ["--noise", "0.3", "--noise-mode", "training", "--dropout", "0.2"]
    results = []
    for name in ("whole", "killed"):
        arguments = ("--data-dir", data, "--epochs", 2, "--out", tmp_path / name, *SMALL, *noisy)
        if name == "killed":
            assert run_one_epoch(ag_news, monkeypatch, *arguments) == 130
        assert run_here(ag_news, *arguments) == 0
        with np.load(tmp_path / name / "checkpoint.npz") as arrays:
            results.append({key: arrays[key] for key in arrays.files if key != "state"})
        with open(tmp_path / name / "history.csv", newline="") as file:
            rows = [
                {key: value for key, value in row.items() if key != "seconds"}
                for row in csv.DictReader(file)
            ]
        results[-1]["history"] = rows
    assert "Resuming after epoch 1 of 2" in capsys.readouterr().out
    for name, expected in results[0].items():
        np.testing.assert_array_equal(results[1][name], expected)
    config = json.loads((tmp_path / "killed" / "config.json").read_text())
    assert config["settings"]["noise"] == 0.3 and config["data"]["train"]["examples"] == 32
    model = keras.models.load_model(tmp_path / "killed" / "model.keras")
    assert type(model) is CharacterClassifier
    assert model.classify(["Wall St. Bears"])[0][0] in ("World", "Sports", "Business", "Sci/Tech")


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--depth", "10"], "`depth` must be one of 9, 17, 29, 49, 65, 69. Received: depth=10."),
        (["--sequence-length", "63"], "`sequence_length` must be"),
        (["--noise", "1.5"], "`rate` must be a finite number >= 0 and <= 1. Received: rate=1.5."),
        (
            ["--noise", "-1", "--noise-mode", "training"],
            "`rate` must be a finite number >= 0 and <= 1. Received: rate=-1.0.",
        ),
        (["--dropout", "1"], "`dropout` must be"),
        (["--dense-units", "0"], "`dense_units` must be"),
        (["--data-dir", "nowhere"], "nowhere"),
        (["--alphabet", "greek"], "argument --alphabet: invalid choice: 'greek'"),
    ],
)
def test_bad_values_end_with_one_sentence(arguments, message, data, tmp_path, capsys):
    assert run_here(ag_news, "--data-dir", data, "--out", tmp_path / "run", *TINY, *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
