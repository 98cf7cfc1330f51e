"""Settings that are newer than finished runs: their defaults change no identity, other values are
part of it."""

import dataclasses
import math
from pathlib import Path

import _cli
import _plan
import _run
import cifar10
import keras
import pytest
import report
import study
from _claims import why_not
from _settings import Execution, ImageSettings, TextSettings, identity, run_folder

from keras_euler.training import TrainingResult

BACKEND = keras.backend.backend()
NETWORK = {"scheme": "heun", "skip": 0.9, "drop_path": 0.2}
TRAINING = {"nesterov": True, "schedule": "cosine", "label_smoothing": 0.1}
NEWER = {**NETWORK, **TRAINING, "weight_decay": 0.005, "warmup": 2}
RULE = "1/sqrt(L)"
MEASURED = Path(__file__).parents[2] / "recipes" / "results" / "trials_scaled_cpu_torch.json"
once = pytest.mark.skipif(BACKEND != "torch", reason="the same on all; tried once")


def plan_of(*words):
    return _plan.make_plan(*study.parse([*map(str, words)]))


@once
def test_runs_without_them_keep_their_folders():
    """The names are those of the recipes before these settings."""
    assert (
        str(run_folder(ImageSettings(), Execution(backend="torch")))
        == "runs/cifar10-depth110-h0.1-seed7-torch-cd9a4416"
    )
    assert (
        str(run_folder(TextSettings(), Execution(backend="jax")))
        == "runs/ag_news-depth29-h0.1-seed7-jax-29df06dc"
    )
    assert not set(NEWER) & set(identity(ImageSettings(), Execution()))


@once
def test_other_values_are_part_of_the_identity():
    plain = ImageSettings(h=RULE)
    folders = {
        run_folder(dataclasses.replace(plain, **{name: value}), Execution())
        for name, value in NEWER.items()
        if name != "warmup"
    }
    assert len({run_folder(plain, Execution()), *folders}) == len(NEWER)
    settings = dataclasses.replace(plain, **NEWER)
    assert NEWER.items() <= identity(settings, Execution()).items()


def test_they_reach_the_network():
    settings = ImageSettings(depth=14, image_size=8, h=RULE, **NEWER)
    model = cifar10.RECIPE.build_model(settings)
    last = model.get_layer("euler_resnet_14").get_layer("stage3_block2")
    assert (last.scheme, last.skip, round(last.drop_path, 6)) == ("heun", 0.9, 0.2)
    assert NETWORK.items() <= TextSettings(**NETWORK).network_arguments().items()
    optimizer = _run.compile_model(model, settings, num_train=64).optimizer
    assert optimizer.nesterov and optimizer.weight_decay == 0.005


@once
@pytest.mark.parametrize(
    "arguments", [["depth", "--depths", "20"], ["skip", "--line", "skip", "1"]]
)
def test_finished_trials_from_before_them_are_taken(arguments, monkeypatch, tmp_path):

    def train_again(*args, **kwargs):
        raise RuntimeError("a finished trial was trained again")

    monkeypatch.setattr(study, "run_trial", train_again)  # before it downloads the data
    for check in ("_check_sizes", "_check_data"):
        monkeypatch.setattr(study, check, lambda *arguments: None)
    study.main(
        [
            *arguments,
            "--scaled",
            "--backend",
            "torch",
            "--out",
            str(tmp_path),
            "--import",
            str(MEASURED),
        ]
    )


@once
def test_a_study_with_them_says_so_and_judges_no_claim():
    description = plan_of(
        "depth", "--backend", "torch", *("--scheme", "heun", "--skip", 0.9)
    ).description()
    assert _plan.cuts(description, []) == ["scheme heun (euler)", "skip 0.9 (1.0)"]
    assert why_not(description) == ["it has scheme heun, the paper euler"]


@once
@pytest.mark.parametrize(
    ("study", "trials"), [("scheme", 45), ("transfer", 40), ("drop-path", 15), ("skip", 15)]
)
def test_studies_that_are_not_of_the_paper_have_a_scaled_plan(study, trials):
    plan = plan_of(study, "--scaled", "--backend", "torch")
    assert plan.base.image_size == 16 and math.prod(map(len, plan.varied.values())) == trials


@once
def test_study_of_schemes_has_a_line_for_each(monkeypatch, tmp_path):
    trained = []

    def pretend(recipe, settings, execution, data=None, after_epoch=None):
        trained.append((settings.scheme, settings.depth))
        after_epoch([{"test_accuracy": 0.5}])
        summary = {
            "best_test_accuracy": 0.5,
            "last_test_accuracy": 0.5,
            "seconds": 1.0,
            "diverged": False,
        }
        return TrainingResult(execution.out, [{"test_accuracy": 0.5}], summary)

    monkeypatch.setattr(study, "train", pretend)
    study.main(
        [
            "scheme",
            "--quick",
            "--depths",
            "8",
            "--seeds",
            "1",
            "--backend",
            BACKEND,
            "--out",
            str(tmp_path / "study"),
        ]
    )
    assert sorted(trained) == [("euler", 8), ("heun", 8), ("rk4", 8)]
    report.main([str(tmp_path / "study"), "--out", str(tmp_path)])
    text = (tmp_path / "report.md").read_text()
    assert all(
        f"scheme = {scheme}" in text or f"| {scheme} |" in text
        for scheme in ("euler", "heun", "rk4")
    )


@once
def test_a_comparison_has_the_ordinary_network_first(monkeypatch, tmp_path):
    seen = []

    def pretend(recipe, settings, execution):
        seen.append(settings.h)
        return TrainingResult(tmp_path, [], {"best_test_accuracy": 0.5, "last_test_accuracy": 0.5})

    monkeypatch.setattr(_run, "train", pretend)
    monkeypatch.setattr(_cli, "save_figure", lambda *args: None)
    _run.compare(cifar10.RECIPE, ImageSettings(h=RULE), Execution())
    assert seen == [1.0, RULE]


BAD = [
    (["--scheme", "midpoint"], "invalid choice: 'midpoint'"),
    (["--skip", "-1"], "--skip must be at least 0. Received: -1."),
    (["--drop-path", "1"], "--drop-path must be less than 1. Received: 1."),
]


@once
@pytest.mark.parametrize(("flags", "message"), BAD)
def test_bad_values_end_with_one_sentence(flags, message, capsys):
    with pytest.raises(SystemExit) as end:
        plan_of("depth", "--backend", "torch", *flags)
    assert end.value.code == 2 and message in capsys.readouterr().err
