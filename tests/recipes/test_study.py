"""Studies as commands: the grid, the differences from the paper, the report, a kill, wrong
arguments.

Networks are tiny, most trainings pretended.
"""

import json
import math
import signal
from pathlib import Path

import _plan
import keras
import optuna
import pandas as pd
import pytest
import report
import study
from _paper import STUDIES

from keras_euler import studies
from keras_euler.training import TrainingResult

RECIPES = Path(__file__).parents[2] / "recipes"
BACKEND = keras.backend.backend()
once = pytest.mark.skipif(
    BACKEND != "torch", reason="pretended trainings have no backend; tried once"
)
TINY = [
    "--quick",
    "--epochs",
    "2",
    "--train-size",
    "32",
    "--test-size",
    "16",
    "--batch-size",
    "16",
    "--backend",
    BACKEND,
]


def run(*arguments):
    """Run a study and return its exit status."""
    try:
        study.main([*map(str, arguments)])
    except SystemExit as end:
        return end.code
    return 0


@pytest.fixture
def pretended(monkeypatch):
    """Replace trainings by records of their settings; the accuracy is best at h = 0.1, and h = 5
    diverges."""
    trained = []

    def pretend(recipe, settings, execution, data=None, after_epoch=None):
        trained.append((settings, execution))
        accuracy = 0.9 - 0.1 * abs(math.log10(settings.h / 0.1)) - settings.depth / 1000
        history = [{"test_accuracy": accuracy}]
        after_epoch(history)
        summary = {"best_test_accuracy": accuracy, "last_test_accuracy": accuracy, "seconds": 1.0}
        return TrainingResult(execution.out, history, {**summary, "diverged": settings.h == 5})

    monkeypatch.setattr(study, "train", pretend)
    return trained


def trials(folder):
    """Return the trials of the study in a folder."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}")
    (name,) = optuna.get_all_study_names(storage)
    found = optuna.load_study(study_name=name, storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    return found


@once
def test_grid_is_seed_after_seed_and_cut_by_flags(pretended, tmp_path):
    assert (
        run("h", *TINY, "--depths", 8, 14, "--axis", "h", 0.1, 5, "--seeds", 2, "--out", tmp_path)
        == 0
    )
    points = [(settings.seed, settings.h, settings.depth) for settings, _ in pretended]
    assert points == [(seed, h, depth) for seed in (7, 8) for h in (0.1, 5.0) for depth in (8, 14)]
    assert (
        run(
            "h", *TINY, "--depths", 8, 14, "--axis", "h", 0.1, 1, 5, "--seeds", 2, "--out", tmp_path
        )
        == 0
    )
    assert len(pretended) == 12
    assert {execution.out.parent for _, execution in pretended} == {tmp_path / "runs"}


@once
def test_axis_of_ones_own(pretended, tmp_path):
    arguments = ["--depths", 8, "--axis", "momentum", 0.5, 0.9, "--seeds", 1, "--out", tmp_path]
    assert run("noise", *TINY, *arguments) == 0
    assert [(settings.momentum, settings.h) for settings, _ in pretended] == [
        (0.5, 1.0),
        (0.5, 0.1),
        (0.9, 1.0),
        (0.9, 0.1),
    ]


@once
def test_search_for_h_finds_it_and_goes_on_where_it_was(pretended, tmp_path, capsys):
    arguments = ["h", *TINY, "--depths", 8, "--sampler", "tpe", "--seeds", 1, "--out", tmp_path]
    assert run(*arguments, "--trials", 6) == 0
    assert run(*arguments, "--trials", 15) == 0
    assert len(pretended) == 15
    best = float(capsys.readouterr().out.rpartition("best: h = ")[2].split(",")[0])
    assert 0.02 < best < 0.5


@once
def test_search_ends_though_every_trial_fails(monkeypatch, tmp_path, capsys):
    def broken(*_, **__):
        raise RuntimeError("no memory")

    monkeypatch.setattr(study, "train", broken)
    arguments = [
        "h",
        *TINY,
        "--depths",
        8,
        "--sampler",
        "tpe",
        "--trials",
        3,
        "--out",
        tmp_path / "study",
    ]
    assert "trials that failed: 3" in run(*arguments)
    assert "3 new" in capsys.readouterr().out
    assert "trials that failed: 6" in run(*arguments)
    assert "best: none" in capsys.readouterr().out
    report.main([str(tmp_path / "study"), "--out", str(tmp_path)])
    assert "RuntimeError: no memory" in (tmp_path / "report.md").read_text()


@once
def test_status_is_that_of_the_trials_of_the_command(pretended, monkeypatch, tmp_path):
    arguments = ["depth", *TINY, "--seeds", 1, "--out", tmp_path / "study"]
    real = study.train

    def broken(*_, **__):
        raise RuntimeError("no memory")

    monkeypatch.setattr(study, "train", broken)
    assert "trials that failed: 2" in run(*arguments, "--depths", 8)
    monkeypatch.setattr(study, "train", real)
    assert run(*arguments, "--depths", 14) == 0
    assert len(pretended) == 2


@once
def test_report_of_a_search(pretended, tmp_path):
    arguments = [
        "h",
        *TINY,
        "--depths",
        8,
        "--sampler",
        "gp",
        "--trials",
        4,
        "--out",
        tmp_path / "study",
    ]
    assert run(*arguments) == 0
    report.main([str(tmp_path / "study"), "--out", str(tmp_path)])
    text = (tmp_path / "report.md").read_text()
    assert "| depth | h | n |" in text and text.count("\n| 8 | ") == 4 and "seeds 1 (5)" in text
    assert "h searched from 0.001 to 20" in text and "A search. Best: h = " in text


@once
def test_settings_of_the_paper_that_a_flag_changes_are_cuts(pretended, tmp_path):
    assert (
        run(
            "noise",
            *TINY,
            "--noise-mode",
            "static",
            "--depths",
            8,
            "--seeds",
            1,
            "--out",
            tmp_path / "study",
        )
        == 0
    )
    assert (
        run(
            "noise",
            *TINY,
            "--noise-mode",
            "static",
            "--depths",
            8,
            "--seeds",
            2,
            "--out",
            tmp_path / "study",
        )
        == 0
    )
    report.main([str(tmp_path / "study"), "--out", str(tmp_path)])
    text = (tmp_path / "report.md").read_text()
    assert (
        "depth 8 (218)" in text and "noise_mode static (training)" in text and "seeds 2 (5)" in text
    )


@once
def test_report_says_what_is_our_choice_and_what_is_not_finished(pretended, tmp_path):
    count = []

    def third(*arguments, **names):
        count.append(arguments)
        if len(count) > 3:
            raise KeyboardInterrupt
        return real(*arguments, **names)

    real, study.train = study.train, third
    arguments = [
        "noise",
        *TINY,
        "--depths",
        8,
        "--axis",
        "noise",
        0,
        0.5,
        "--seeds",
        2,
        "--out",
        tmp_path / "study",
    ]
    assert run(*arguments) == 130
    report.main([str(tmp_path / "study" / "study.db"), "--out", str(tmp_path), "--data", "moons"])
    text = (tmp_path / "report.md").read_text()
    assert (
        "names no values of noise: all of them are our choice. Unfinished: 3 of 8 trials, n = 1."
        in text
    )
    assert "1 interrupted" in text and " fail" not in text.split("Trials: ")[1].split("\n")[0]
    assert "Data: moons." in text and "Synthetic images and text" in text


@once
def test_termination_is_an_interrupt(monkeypatch, tmp_path):
    monkeypatch.setattr(study, "train", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    assert run("depth", *TINY, "--depths", 8, "--seeds", 1, "--out", tmp_path) == 130
    assert [trial.state.name for trial in trials(tmp_path)].count("WAITING") == 2
    assert signal.getsignal(signal.SIGTERM) is before


@once
def test_last_epoch_is_not_pruned(pretended, monkeypatch, tmp_path):
    monkeypatch.setattr(optuna.trial.Trial, "should_prune", lambda self: True)
    flags = [
        "h",
        *TINY,
        "--epochs",
        1,
        "--depths",
        8,
        "--sampler",
        "tpe",
        "--trials",
        2,
        "--out",
        tmp_path,
    ]
    assert run(*flags) == 0
    assert [trial.state.name for trial in trials(tmp_path)] == ["COMPLETE"] * 2


@once
def test_smaller_command_leaves_the_rest_of_the_queue(pretended, tmp_path, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    arguments = ["depth", *TINY, "--seeds", 1, "--out", tmp_path]
    real, study.train = study.train, stop
    assert run(*arguments, "--depths", 8, 14) == 130
    study.train = real
    assert run(*arguments, "--depths", 8, "--line", "h", 0.1) == 0
    assert [(settings.depth, settings.h) for settings, _ in pretended] == [(8, 0.1)]
    assert "3 trials with other values left in this study" in capsys.readouterr().out


@once
def test_report_lists_every_claim_and_skips_folders_that_are_no_study(pretended, tmp_path, capsys):
    assert (
        run(
            "depth",
            *TINY,
            "--depths",
            8,
            "--seeds",
            1,
            "--name",
            "a/b",
            "--out",
            tmp_path / "study",
        )
        == 0
    )
    (tmp_path / "other").mkdir()
    report.main([str(tmp_path / "study"), str(tmp_path / "other"), "--out", str(tmp_path)])
    text = (tmp_path / "report.md").read_text()
    assert text.count("| not yet measured: ") == 7
    assert (
        "other holds no study.db" in capsys.readouterr().out
        and (tmp_path / "a_b_best.png").exists()
    )


@once
def test_failures_and_divergence_are_in_report_and_claims(pretended, tmp_path):
    run(
        "h",
        *TINY,
        "--depths",
        110,
        "--axis",
        "h",
        0.001,
        0.1,
        1,
        5,
        "--seeds",
        3,
        "--out",
        tmp_path / "study",
    )
    report.main([str(tmp_path / "study"), "--out", str(tmp_path)])
    text = (tmp_path / "report.md").read_text()
    assert "synthetic data say nothing" in text
    assert "| 110 | 5 | 3 |" in text and "| 3 |\n" in text


@once
@pytest.mark.parametrize(("name", "dataset"), STUDIES)
def test_every_study_of_the_table_is_one_of_known_settings(name, dataset, tmp_path):
    flags = ["--dataset", dataset, "--out", str(tmp_path), "--seeds", "1", "--backend", BACKEND]
    plan = _plan.make_plan(*study.parse([name, *flags]))
    points = studies.grid(**plan.varied)
    assert _plan.cuts(plan.description(), points) == ["seeds 1 (5)"]
    paper = STUDIES[name, dataset]
    roles = [pair for pair in (paper.panel, paper.line, paper.axis) if pair]
    assert len(points) == math.prod(len(values) for _, values in roles)


BAD = [
    (["size"], "invalid choice: 'size'"),
    (["adam", "--dataset", "ag_news"], "there is no study adam on ag_news"),
    (["depth", "--seeds", "0"], "--seeds must be at least 1. Received: 0."),
    (["depth", "--axis", "colour", "red"], "the setting 'colour' is unknown. Axes are: depth, h"),
    (["depth", "--line", "backend", "jax", "torch"], "the setting 'backend' cannot be an axis"),
    (["depth", "--line", "milestones", "1", "2"], "the setting 'milestones' cannot be an axis"),
    (["depth", "--h", "0.5"], "--h: this study varies h; choose its values by --line h ..."),
    (
        ["depth", "--depth", "20"],
        "--depth: this study varies depth; choose its values by --depths ...",
    ),
    (["no-norm", "--norm", "batch"], "--norm: this study always has norm none"),
    (["depth", "--seed=3"], "--seed: every trial has its own seed; see --seeds"),
    (["depth", "--trials", "3"], "--trials is for a search; see --sampler"),
    (
        ["depth", "--axis", "momentum", "0.9", "2", "--line", "h", "0.1", "--depths", "8"],
        "--momentum must be at most 1. Received: 2.",
    ),
    (["depth", "--axis", "depth", "20", "--depths", "8"], "both name depths"),
    (["depth", "--axis", "h", "1", "0.1"], "h has two roles in this study, --line and --axis"),
    (["depth", "--line", "h", "0.1", "0.10"], "h names a value twice. Received: 0.1 0.1"),
    (
        ["learning-rate", "--axis", "learning_rate", "nan"],
        "--learning-rate must be finite. Received: nan.",
    ),
    (
        ["h", "--depths", "8", "--sampler", "tpe", "--seeds", "3"],
        "--sampler trains each value once. Received: 3.",
    ),
    (["depth", "--axis", "depth"], "--axis needs a setting and its values"),
    (["depth", "--seed", "3"], "--seed: every trial has its own seed; see --seeds"),
    (
        ["depth", "--depths", "21", "8"],
        "Nothing was run. Invalid: 2 trials: --depth must be 6n + 2",
    ),
    (
        ["depth", "--line", "h", "-1", "0.1"],
        "trials: --h must be a finite number >= 0. Received: --h -1.0.",
    ),
    (["depth", "--line", "h", "1/L"], "h must be a finite number in a study. Received: '1/L'"),
    (["h", "--sampler", "tpe", "--depths", "8", "14"], "choose one value of depth (8, 14)"),
    (
        ["depth", "--storage", "postgresql://me:secret@127.0.0.1:1/x"],
        "postgresql at 127.0.0.1, port 1 cannot be used",
    ),
    (["depth", "--test-size", "100000000"], "--test-size must be between 1 and"),
    (["noise", "--axis", "noise", "-0.5"], "--noise must be at least 0. Received: -0.5."),
    (["depth", "--storage", ""], "--storage must be a database URL such as sqlite:///study.db"),
    (["depth", "--nonsense"], "unrecognized arguments: --nonsense"),
]


@once
@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_wrong_arguments_end_with_one_sentence_before_anything_runs(
    arguments, message, pretended, tmp_path, capsys
):
    name, *rest = arguments
    assert run(name, *TINY, "--seeds", 1, "--out", tmp_path / "study", *rest) == 2
    errors = capsys.readouterr().err
    assert message in errors and "secret" not in errors and not pretended


@once
def test_size_that_is_no_size_is_refused_before_anything_runs(pretended, tmp_path, capsys):
    arguments = [
        "--quick",
        "--depths",
        8,
        "--axis",
        "train_size",
        0,
        32,
        "--seeds",
        1,
        "--backend",
        BACKEND,
    ]
    assert run("depth", *arguments, "--out", tmp_path / "study") == 2
    message = "Invalid: 2 trials: --train-size must be at least 1. Received: 0."
    assert message in capsys.readouterr().err and not pretended


def test_report_of_nothing_says_so(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        report.main([str(tmp_path)])
    assert end.value.code == 2 and "holds no study.db" in capsys.readouterr().err


@once
def test_finished_trials_go_on_elsewhere(pretended, tmp_path, capsys):
    arguments = ["depth", *TINY, "--depths", 8, "--seeds", 1]
    assert run(*arguments, "--out", tmp_path / "here") == 0
    assert run(*arguments, "--out", tmp_path / "here", "--export", tmp_path / "trials.json") == 0
    assert run(*arguments, "--out", tmp_path / "there", "--import", tmp_path / "trials.json") == 0
    assert (
        len(pretended) == 2 and "2 finished trials taken from the file" in capsys.readouterr().out
    )
    assert run(*arguments, "--out", tmp_path / "there", "--import", tmp_path / "no.json") == 2
    exported = json.loads((tmp_path / "trials.json").read_text())
    for trial in exported[min(exported)]["trials"]:
        trial["user_attrs"]["record"]["data"] = {"test": {"examples": 16, "crc32": [0, 0]}}
    (tmp_path / "others.json").write_text(json.dumps(exported))
    assert run(*arguments, "--out", tmp_path / "new", "--import", tmp_path / "others.json") == 2
    assert (
        "2 trials of" in (error := capsys.readouterr().err) and "were tested on other data" in error
    )
    assert not (tmp_path / "new").exists() and len(pretended) == 2


def test_repeated_trial_of_a_grid_is_no_result():
    table = pd.DataFrame({"depth": [8, 14, 20], "state": ["complete", "pruned", "failed"]})
    assert study._num_missing(table, [{"depth": depth} for depth in (8, 14, 20)]) == 2
