"""The recipe of images as a command: runs, what they print, kill and resume."""

import csv
import json
import signal
import subprocess
import time

import _run
import cifar10
import keras
import numpy as np
import pytest
from _settings import Execution

import keras_euler  # noqa: F401  registers the layers of the saved model
from keras_euler import training
from keras_euler.datasets.cifar10 import STDDEV
from tests.recipes.runs import TINY, command, run, run_here, run_one_epoch, settings_of
from tests.training.test_fit import without_times

BACKEND = keras.backend.backend()
NOISY = ["--noise", "0.3", "--noise-mode", "training", "--log-gradients", "2", "--log-weights"]


def history(folder):
    with open(folder / "history.csv", newline="") as file:
        return [
            {k: float(v) for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)
        ]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """An uninterrupted run of four epochs."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = run("--data-dir", data, "--epochs", 4, "--out", folder, *TINY, *NOISY)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no lines of a framework
    return folder, done.stdout


def test_a_run_writes_what_it_promises(whole, data):
    folder, output = whole
    assert {f.name for f in folder.iterdir()} == {
        "config.json",
        "checkpoint.npz",
        "history.csv",
        "result.json",
        "model.keras",
        "curves.png",
        "gradients.csv",
        "weights.csv",
        ".lock",
    }
    config = json.loads((folder / "config.json").read_text())
    assert config["settings"]["h"] == 0.1 and config["settings"]["backend"] == BACKEND
    assert {"python", "keras", "keras_euler", "numpy", BACKEND} == set(config["versions"])
    assert [row["learning_rate"] for row in history(folder)] == pytest.approx(
        [0.1, 0.1, 0.01, 0.01]
    )
    result = json.loads((folder / "result.json").read_text())
    assert result["best_test_accuracy"] == max(row["test_accuracy"] for row in history(folder))
    assert result["last_test_accuracy"] == history(folder)[-1]["test_accuracy"]
    first, second, *_, last = output.splitlines()
    assert first == f"backend: {BACKEND}"
    assert second == (
        "training on 40 examples of cifar10 with 10 classes (chance: 0.10), depth 8, h = 0.1, "
        "78,042 parameters, 4 epochs" + ". The first step compiles." * (BACKEND != "torch")
    )
    best = max(history(folder), key=lambda row: row["test_accuracy"])
    assert (
        f"best test accuracy   {best['test_accuracy']:.4f} (epoch {best['epoch'] + 1:.0f} of 4)"
        in output
    )
    assert last == f"next: {cifar10.NEXT['cifar10'].format(folder=folder)}"
    logs = [(folder / name).read_text().splitlines() for name in ("gradients.csv", "weights.csv")]
    assert logs[0][0] == "iteration,stage1_block1/conv1,total"
    assert logs[1][0].startswith("iteration,stem_conv,")
    assert [len(lines) for lines in logs] == [1 + 4 * 3, 1 + 1 + 4 * 3]
    assert {"gradient_norm", "gradient_norm_max", "weight_norm"} < set(history(folder)[0])
    model = keras.models.load_model(folder / "model.keras")  # from raw pixels to logits
    with np.load(data) as arrays:
        assert model.predict(arrays["x_test"][:2], verbose=0).shape == (2, 10)


@pytest.mark.once
def test_h_and_the_ordinary_network_are_compared(data, tmp_path, capsys):
    flags = [
        "--data-dir",
        data,
        "--epochs",
        1,
        *TINY,
        "--out",
        tmp_path / "both",
        "--compare",
        "--h",
        0.2,
    ]
    assert run_here(cifar10, *flags) == 0
    lines = capsys.readouterr().out.splitlines()
    results = [
        json.loads((tmp_path / "both" / name / "result.json").read_text())
        for name in ("h1", "h0.2")
    ]
    (row,) = (line.split()[3:] for line in lines if line.startswith("last test accuracy"))
    assert row == [f"{result['last_test_accuracy']:.4f}" for result in results]
    assert (tmp_path / "both" / "h0.2" / "comparison.png").stat().st_size > 10_000
    configs = [
        json.loads((tmp_path / "both" / name / "config.json").read_text())["settings"]
        for name in ("h1", "h0.2")
    ]
    assert configs[0] == {**configs[1], "h": 1.0}


def test_a_finished_run_is_not_trained_again(whole, data, capsys):
    folder, _ = whole
    before = (folder / "checkpoint.npz").stat().st_mtime_ns
    assert run_here(cifar10, "--data-dir", data, "--epochs", 4, "--out", folder, *TINY, *NOISY) == 0
    assert "This run was trained before" in capsys.readouterr().out
    assert (folder / "checkpoint.npz").stat().st_mtime_ns == before


@pytest.mark.once
def test_another_configuration_is_refused_with_the_difference(whole, data, capsys):
    folder, _ = whole
    assert (
        run_here(
            cifar10, "--data-dir", data, "--epochs", 4, "--out", folder, *TINY, *NOISY, "--h", "1.0"
        )
        == 2
    )
    assert "h: 0.1 stored, 1.0 now" in capsys.readouterr().err


def kill_when(condition, process, how=signal.SIGKILL, timeout=300):
    end = time.monotonic() + timeout
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.002)
    process.send_signal(how)
    process.wait()


@pytest.mark.once  # tests/training does so on every backend
def test_a_killed_run_ends_as_an_uninterrupted_one(whole, data, tmp_path):
    """A run killed during a save, or just after it, ends with a difference of 0.0."""
    folder = tmp_path / "run"
    arguments = ("--data-dir", data, "--epochs", 4, "--out", folder, *TINY, *NOISY)

    def saves():
        epochs = len(history(folder)) if (folder / "history.csv").exists() else 0
        # A busy machine may not see the file in the making.
        return epochs > 1 or (epochs == 1 and any(folder.glob(".*.checkpoint.npz")))

    with subprocess.Popen(**command(*arguments)) as process:
        kill_when(saves, process)
    assert not (folder / "result.json").exists()
    done = run(*arguments)
    assert done.returncode == 0 and "Resuming after epoch" in done.stdout, done.stderr
    assert history(folder) == history(whole[0])
    for name in ("gradients.csv", "weights.csv"):
        assert (folder / name).read_text() == (whole[0] / name).read_text()
    with np.load(folder / "checkpoint.npz") as ours, np.load(whole[0] / "checkpoint.npz") as theirs:
        assert ours.files == theirs.files
        for name in set(ours.files) - {"state"}:
            np.testing.assert_array_equal(ours[name], theirs[name])
    assert {file.name for file in folder.glob(".*")} == {".lock"}


@pytest.mark.once
def test_interrupt_ends_with_one_sentence(data, tmp_path):
    folder = tmp_path / "run"
    line = command("--data-dir", data, "--epochs", 50, "--out", folder, *TINY)
    # A shell starts jobs in the background with the interrupt ignored, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(**line)
    finally:
        signal.signal(signal.SIGINT, before)
    kill_when((folder / "history.csv").exists, process, signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "Run the same command again to resume" in errors and "Traceback" not in errors


@pytest.mark.once
def test_averaged_weights_are_tested_saved_and_resumed(data, tmp_path, monkeypatch):
    flags = ["--data-dir", data, "--epochs", 2, *TINY, "--ema", 0.9, "--schedule", "cosine"]
    whole, part = tmp_path / "whole", tmp_path / "part"
    assert run_here(cifar10, *flags, "--out", whole) == 0
    assert run_one_epoch(cifar10, monkeypatch, *flags, "--out", part) == 130
    assert run_here(cifar10, *flags, "--out", part) == 0
    one, other = (training.RunFolder(folder).load() for folder in (whole, part))
    assert without_times(one["history"]) == without_times(other["history"])
    models = [keras.models.load_model(folder / "model.keras") for folder in (whole, part)]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)
    settings = settings_of(cifar10, *flags[2:])
    _, (x, y) = _run.prepare_data(cifar10.RECIPE, settings, Execution(data_dir=data))
    accuracy = (models[0].predict(x, verbose=0).argmax(-1) == y).mean()
    np.testing.assert_allclose(accuracy, history(whole)[-1]["test_accuracy"], atol=1e-6)


def test_defaults_are_the_papers():
    """PAPER: batch 128, 80 epochs, SGD with momentum 0.9 and rate 0.1, divided by 10 at 40 and 60,
    BN, torch's initial values."""
    expected = dict(
        depth=110,
        h=0.1,
        batch_size=128,
        epochs=80,
        optimizer="sgd",
        momentum=0.9,
        learning_rate=0.1,
    )
    expected |= dict(
        milestones=(40, 60),
        norm="batch",
        initializer="torch",
        shortcut="projection",
        augmentation=True,
    )
    args = vars(settings_of(cifar10))
    assert {name: args[name] for name in expected} == expected
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(10)])
    _run.compile_model(model, settings_of(cifar10))
    assert (model.optimizer.momentum, round(float(model.optimizer.learning_rate), 6)) == (0.9, 0.1)
    _run.compile_model(model, settings_of(cifar10, "--optimizer", "adam", "--learning-rate", "0.3"))
    assert model.optimizer.name == "adam"


def test_pixels_are_cropped_raw_and_then_normalized():
    """Padded pixels are black, (0 - mean) / std, and not the mean; the numbers are PAPER's."""
    mean, std = np.array([0.4914, 0.4822, 0.4465]), np.array([0.2023, 0.1994, 0.2010])
    layers = cifar10.build_model(settings_of(cifar10, "--depth", "8")).layers[:-1]
    x = y = np.full((8, 32, 32, 3), 255, "uint8")
    for layer in layers:
        x = layer(x, training=True)
        y = layer(y, training=False)
    x, y = keras.ops.convert_to_numpy(x), keras.ops.convert_to_numpy(y)
    np.testing.assert_allclose(y, np.broadcast_to((1 - mean) / std, y.shape), rtol=1e-4)
    white, black = (
        np.isclose(x, (1 - mean) / std, rtol=1e-4),
        np.isclose(x, (0 - mean) / std, rtol=1e-4),
    )
    assert (white | black).all() and white.any() and black.any()


def test_static_noise_is_that_of_normalized_pixels_and_of_training_alone():
    args = settings_of(
        cifar10,
        "--dataset",
        "synthetic",
        "--noise",
        "0.5",
        "--noise-mode",
        "static",
        "--depth",
        "8",
    )
    clean = settings_of(cifar10, "--dataset", "synthetic")
    (noisy, _), (test, _) = cifar10.load_data(args)
    (images, _), (clean_test, _) = cifar10.load_data(clean)
    noise = (noisy - images) / np.array(STDDEV)
    assert abs(noise.std() - 0.5) < 0.01
    np.testing.assert_array_equal(test, clean_test)
