"""The recipe that evaluates a trained classifier."""

import importlib
import json
from pathlib import Path

import _attack
import _predictors
import evaluate
import keras
import numpy as np
import pytest

import keras_euler

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("synthetic_as_real")]

BACKEND = ["--backend", keras.backend.backend()]
NAME = "euler_resnet_20_cifar10"
on_torch = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the toolbox attacks torch modules"
)
if (
    keras.backend.backend() == "torch"
):  # at its import it closes logging's handlers, with the stderr that they have then
    importlib.import_module("art")


def run(tmp_path, *flags):
    out = tmp_path / "out" / Path(flags[0]).name
    evaluate.main(["--test-size", "40", "--out", str(out), *BACKEND, *map(str, flags)])
    return json.loads((out / "evaluation.json").read_text())


def test_preset_on_clean_noisy_and_shifted_images(tmp_path, capsys):
    images = keras_euler.datasets.synthetic.images(1, 40)[1]
    np.save(tmp_path / "labels.npy", np.tile(images[1], 5).astype("uint8"))
    np.save(tmp_path / "fog.npy", np.tile(images[0], (5, 1, 1, 1)))
    found = run(tmp_path, NAME, "--noise", "0.5", "3", "--shifted", tmp_path)
    printed = capsys.readouterr().out
    assert found["settings"]["dataset"] == "cifar10"
    assert "airplane" in printed and "noise 0.5" in printed and "fog 5" in printed
    x, y = keras_euler.datasets.synthetic.images()[1]
    predicted = keras_euler.list_presets()[NAME].load().predict(x[:40], verbose=0).argmax(-1)
    assert found["accuracy"] == pytest.approx((predicted == y[:40]).mean())
    assert np.sum(found["confusion"]) == 40 and np.trace(found["confusion"]) == round(
        40 * found["accuracy"]
    )
    assert list(found["noise"]) == ["0", "0.5", "3"] and len(set(found["shifted"].values())) == 1
    assert (tmp_path / "out" / NAME / "evaluation.png").stat().st_size > 10_000


def test_noise_is_that_of_normalized_pixels(rng):
    mean, variance = (
        keras_euler.datasets.cifar10.MEAN,
        [s**2 for s in keras_euler.datasets.cifar10.STDDEV],
    )
    x = rng.integers(0, 256, (4, 32, 32, 3)).astype("uint8")
    layers = [
        keras.Input((32, 32, 3), dtype="uint8"),
        keras.layers.Normalization(mean=mean, variance=variance),
    ]
    whole = keras.Sequential([*layers, keras.layers.Flatten()])
    bare = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()])
    for model, given in ((whole, x), (bare, x / np.float32(255))):
        difference = _predictors.with_noise(model, 0.5, 7).predict(
            given, verbose=0
        ) - model.predict(given, verbose=0)
        assert difference.std() == pytest.approx(0.5, rel=0.03)
    twice = keras.Sequential(
        [*layers, keras.layers.Normalization(mean=0.0, variance=0.01), keras.layers.Flatten()]
    )
    difference = _predictors.with_noise(twice, 0.5, 7).predict(x, verbose=0) - twice.predict(
        x, verbose=0
    )
    assert difference.std() == pytest.approx(5, rel=0.03)  # the first one's, ten times
    inner = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Normalization(mean=mean, variance=variance)]
    )
    with pytest.raises(ValueError, match="a Normalization layer in its graph so that noise"):
        _predictors.with_noise(
            keras.Sequential([keras.Input((32, 32, 3)), inner, keras.layers.Flatten()]), 0.5, 7
        )
    without = keras.Sequential(
        [keras.Input((32, 32, 3), dtype="uint8"), keras.layers.Rescaling(1 / 255)]
    )
    with pytest.raises(ValueError, match="a Normalization layer in its graph so that noise"):
        _predictors.with_noise(without, 0.5, 7)


@on_torch
def test_attack_on_a_linear_network_finds_the_worst_case(rng):
    """The margin of the right class falls by the radius times the sum of the absolute weights."""
    model = keras.Sequential(
        [keras.Input((32, 32, 3), dtype="uint8"), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    x, y = rng.integers(100, 150, (50, 32, 32, 3)).astype("uint8"), np.tile([0, 1], 25)
    kernel = 1e-3 * rng.normal(size=(3072, 2)).astype("float32")
    difference = (kernel[:, 0] - kernel[:, 1]).astype("float64")
    logits = x.reshape(50, -1) @ difference
    bias = np.median(logits)
    model.set_weights([kernel, np.array([-bias, 0], "float32")])
    margin = np.where(y == 0, 1, -1) * (logits - bias)
    for radius in (0.1, 0.3, 1):
        right = _attack.predict_attacked(model, x, y, radius, 20, seed=1) == y
        np.testing.assert_array_equal(right, margin > radius * np.abs(difference).sum())
    assert (margin > 0.1 * np.abs(difference).sum()).any()


def test_what_cannot_be_evaluated_is_one_sentence(tmp_path, capsys):
    keras.Sequential(
        [keras.Input((12, 12, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
    ).save(tmp_path / "small.keras")
    code = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x)])
    code.save(tmp_path / "code.keras")
    (tmp_path / "torn.keras").write_bytes((tmp_path / "small.keras").read_bytes()[:500])
    refused = {
        (
            "nowhere.keras",
        ): "MODEL must be a .keras file or the name of a preset. Received: nowhere.keras",
        ("nowhere",): "MODEL must be a .keras file or one of euler_resnet_20_cifar10",
        (tmp_path / "small.keras",): "MODEL must take images (n, 32, 32, 3)",
        (tmp_path / "code.keras",): "ambda",
        (tmp_path / "torn.keras",): "torn.keras is no .keras file, or is truncated.",
        (NAME, "--quick"): f"evaluate.py {NAME} --dataset cifar10 --test-size 500",
        (NAME, "--dataset", "ag_news"): "MODEL must be a CharacterClassifier",
        (NAME, "--noise", "-1"): "--noise: must be a finite number above 0. Received: -1.",
        (NAME, "--dataset", "ag_news", "--noise", "2"): "--noise of texts must be at most 1",
        (NAME, "--dataset", "ag_news", "--pgd", "2"): "--pgd is for --dataset cifar10",
        (NAME, "--pgd", "300"): "--pgd: must be above 0 and at most 255. Received: 300.",
        (NAME, "--pgd", "1", "--backend", "jax"): "--pgd needs --backend torch",
        (NAME, "--test-size", "0"): "--test-size: must be at least 1. Received: 0.",
        (
            NAME,
            "--shifted",
            tmp_path / "no",
        ): f"must be an existing file or folder. Received: {tmp_path / 'no'}.",
    }
    for flags, message in refused.items():
        with pytest.raises(SystemExit) as end:
            run(tmp_path, *flags)
        error = capsys.readouterr().err
        assert end.value.code == 2 and message in error, error
