"""study.py and report.py: the grid, the search, the trials in one table, the report."""

import dataclasses
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import _plan
import _run
import _trials
import keras
import pandas as pd
import pytest
import report
import study
from _paper import STUDIES
from _settings import Execution, TextSettings

from keras_euler import training

BACKEND = keras.backend.backend()
RECIPES = Path(study.__file__).parent
TINY = [
    *("--quick", "--widths", "2", "2", "2", "--image-size", "8", "--train-size", "32"),
    *("--test-size", "16", "--batch-size", "16", "--epochs", "2", "--backend", BACKEND),
]
once = pytest.mark.once


def run(*arguments):
    """Run study.py here and return its exit status."""
    try:
        study.main([*map(str, arguments)])
    except SystemExit as end:
        return end.code
    return 0


def plan_of(*words):
    return study.parse([*map(str, words), "--backend", BACKEND])[2]


@pytest.fixture
def pretended(monkeypatch):
    """Replace trainings by records of their settings; the accuracy is best at h = 0.1, and h = 5
    diverges."""
    trained = []

    def pretend(recipe, settings, execution, after_epoch):
        trained.append(settings)
        accuracy = 0.9 - 0.1 * abs(math.log10(settings.h / 0.1)) - settings.depth / 1000
        history = [{"test_accuracy": accuracy}]
        after_epoch(history)
        summary = {"best_test_accuracy": accuracy, "last_test_accuracy": accuracy, "seconds": 1.0}
        summary["diverged"] = settings.h == 5
        return training.TrainingResult(execution.out, history, summary)

    class Folder:
        config = staticmethod(
            lambda: {
                "device": "a device",
                "versions": {"keras": "3.0"},
                "data": {"test": {"examples": 16, "crc32": [1, 2]}},
            }
        )

    monkeypatch.setattr(_trials, "train", pretend)
    monkeypatch.setattr("keras_euler.training.RunFolder", lambda folder: Folder)
    return trained


@once
def test_grid_is_seed_after_seed_and_grows_by_flags(pretended, tmp_path):
    words = ["h", *TINY, "--depths", 8, 14, "--seeds", 2, "--out", tmp_path, "--axis", "h", 0.1, 5]
    assert run(*words) == 0
    points = [(settings.seed, settings.h, settings.depth) for settings in pretended]
    assert points == [(seed, h, depth) for seed in (7, 8) for h in (0.1, 5.0) for depth in (8, 14)]
    assert run(*words, 1) == 0 and len(pretended) == 12


@once
def test_search_finds_the_best_h_and_goes_on(pretended, tmp_path, capsys):
    words = ["h", *TINY, "--depths", 8, "--sampler", "tpe", "--out", tmp_path]
    assert run(*words, "--trials", 6) == 0 and run(*words, "--trials", 15) == 0
    assert len(pretended) == 15
    assert 0.02 < float(capsys.readouterr().out.rpartition("best: h = ")[2].split(",")[0]) < 0.5
    report.main([str(tmp_path)])
    assert "h 15 values from 0.0" in (tmp_path / "report.md").read_text()


@once
def test_failed_trials_are_named_retried_and_stand_in_the_report(pretended, monkeypatch, tmp_path):
    words = ["depth", *TINY, "--depths", 8, "--seeds", 1, "--out", tmp_path]
    with monkeypatch.context() as patch:
        patch.setattr(_trials, "train", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("no")))
        assert "trials that failed: 2" in run(*words)
    report.main([str(tmp_path)])
    text = (tmp_path / "report.md").read_text()
    assert "Unfinished: 0 trials, 2 failed, n = 0." in text
    assert "'h': 1.0, 'state': 'failed', 'error': 'RuntimeError: no'" in text
    assert run(*words) == 0 and len(pretended) == 2


@once
def test_finished_trials_are_taken_from_a_table(pretended, tmp_path, capsys):
    words = ["depth", *TINY, "--seeds", 1, "--noise-mode", "static"]
    assert run(*words, "--depths", 8, "--out", tmp_path / "here") == 0
    file = tmp_path / "here" / "trials.csv"
    table = _trials.read_trials(file)
    assert sorted(table[["depth", "h", "widths", "augmentation"]].values.tolist()) == [
        [8, h, [2, 2, 2], False] for h in (0.1, 1.0)
    ]
    # Of another study, with another constant.
    words = ["learning-rate", *TINY, "--depths", 8, "--axis", "learning_rate", 0.1, "--seeds", 1]
    words += ["--noise-mode", "static", "--import", file, "--out"]
    assert run(*words, tmp_path / "there") == 0 and len(pretended) == 4
    assert "2 trials of" in (output := capsys.readouterr().out) and "on other data" in output
    _, test = _run.prepare_data(_plan.RECIPES["cifar10"], pretended[0], Execution())
    found = training.fingerprint(test)
    _trials.write_trials(file, table.assign(test_data=_trials.checksum(found)))
    assert run(*words, tmp_path / "again") == 0 and len(pretended) == 4
    assert "2 of 2 points taken" in capsys.readouterr().out


@once
def test_table_keeps_types_and_gives_defaults_to_settings_that_it_lacks(tmp_path):
    row = {"recipe": "ag_news", "h": "1/sqrt(L)", "widths": [1, 2, 3, 4], "train_size": None}
    row |= {"nesterov": True, "commit": "67e12", "seconds": 1.5, "test_accuracies": [0.5]}
    _trials.write_trials(tmp_path / "a.csv", pd.DataFrame([row]))
    (found,) = _trials.read_trials(tmp_path / "a.csv").to_dict("records")
    assert row.items() <= found.items()
    defaults = dataclasses.asdict(TextSettings()) | {"milestones": []}
    for name in set(defaults) - set(row):
        assert found[name] == defaults[name]


@once
def test_report_of_each_folder_stands_in_it(pretended, tmp_path, capsys):
    words = ["h", *TINY, "--depths", 110, "--axis", "h", 0.001, 0.1, 1, 5, "--seeds", 3]
    assert run(*words, "--out", tmp_path / "study") == 0
    (tmp_path / "other").mkdir()
    report.main([str(tmp_path / "study"), str(tmp_path / "other"), "--data", "moons"])
    text = (tmp_path / "study" / "report.md").read_text()
    assert "moons" in text and "The paper names no values of h: all of them are our choice" in text
    assert "| h = 5 | 0.620 ± 0.000 (n = 3, 3 failed) |" in text
    assert "dataset synthetic (cifar10); augmentation" in text and "epochs 2 (80)" in text
    assert "seeds 3 (5)" in text and "other: no study" in capsys.readouterr().out
    assert (tmp_path / "study" / "study_study.png").stat().st_size > 5_000


@once
@pytest.mark.parametrize(("name", "dataset"), STUDIES)
def test_every_study_is_one_of_known_settings(name, dataset):
    plan = plan_of(name, "--dataset", dataset, "--seeds", 1)
    paper = STUDIES[name, dataset]
    roles = [pair for pair in (paper.panel, paper.line, paper.axis) if pair]
    assert plan.varied == {"seed": (7,), **dict(roles)}
    scaled = plan_of(name, "--dataset", dataset, "--scaled")
    assert scaled.base.train_size == 10_000
    assert math.prod(map(len, scaled.varied.values())) in range(15, 281)


BAD = [
    (["size"], "invalid choice: 'size'"),
    (["depth", "--seeds", "0"], "`points` must have at least one point"),
    (["depth", "--axis", "colour", "red"], "--axis needs a setting and its values"),
    (["depth", "--axis", "depth"], "--axis needs a setting and its values. Received: depth"),
    (["depth", "--line", "milestones", "1", "2"], "--line needs a setting"),
    (["depth", "--h", "0.5"], "--h: this study varies h; see --seeds, --depths, --line"),
    (["depth", "--depth", "20"], "--depth: this study varies depth; see"),
    (["no-norm", "--norm", "batch"], "--norm: this study always has norm none"),
    (["depth", "--seed=3"], "--seed: this study varies seed; see --seeds"),
    (["depth", "--axis", "momentum", "x"], "--axis momentum: could not convert string"),
    (["depth", "--axis", "h", "1", "0.1"], "h has two roles"),
    (["depth", "--line", "h", "0.1", "0.10"], "`h` has a value twice. Received: [0.1, 0.1]."),
    (["depth", "--line", "h", "0.1,0.2"], "`h` must have numbers, strings, booleans or None as"),
    (["h", "--sampler", "tpe", "--depths", "8", "14"], "choose one value of ['depth']"),
    (["depth", "--import", "no.csv"], "must be an existing file or folder. Received: no.csv."),
    (["depth", "--nonsense"], "unrecognized arguments: --nonsense"),
]


@once
@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_wrong_arguments_end_with_one_sentence(arguments, message, pretended, tmp_path, capsys):
    name, *rest = arguments
    assert run(name, *TINY, "--seeds", 1, "--out", tmp_path / "study", *rest) == 2
    assert message in capsys.readouterr().err and not pretended


@once
def test_study_that_texts_lack_is_refused(capsys):
    assert run("adam", "--dataset", "ag_news") == 2
    assert "invalid choice: 'adam' (choose from 'depth', 'no-norm'" in capsys.readouterr().err


@pytest.mark.once
def test_killed_study_goes_on_from_the_checkpoint_and_reports(tmp_path, capsys):
    folder = tmp_path / "study"
    words = ["depth", *TINY, "--epochs", 3, "--depths", 8, "--seeds", 1, "--line", "h", 0.1]
    command = [sys.executable, RECIPES / "study.py", *words, "--out", folder]
    environment = {**os.environ, "PYTHONPATH": str(RECIPES.parent)}
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with subprocess.Popen([*map(str, command)], env=environment, **pipes) as process:
        end = time.monotonic() + 200
        while not list(folder.glob("points/*/run/history.csv")):
            assert process.poll() is None and time.monotonic() < end, process.communicate()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    begun = list(folder.glob("points/*/run/checkpoint.npz"))
    assert run(*words, "--out", folder) == 0 and len(begun) == 1
    output = capsys.readouterr().out
    assert "epoch 1 of 3" not in output and "(1 of 1 done" in output
    report.main([str(folder)])
    text = (folder / "report.md").read_text()
    assert "batch_size 16 (128); dataset synthetic (cifar10); depth 8 (14 values" in text
    assert "**not yet measured**" in text and "(n = 1" in text
    (trial,) = _trials.read_trials(folder / "trials.csv").to_dict("records")
    assert len(trial["test_accuracies"]) == 3 and trial["backend"] == BACKEND
