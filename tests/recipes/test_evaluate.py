"""The recipe that evaluates a trained classifier."""

import importlib
import json
from pathlib import Path

import _attack
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
# The toolbox closes logging's handlers at its import, with the stderr that they have then.
if keras.backend.backend() == "torch":
    importlib.import_module("art")


def run(tmp_path, *flags):
    out = tmp_path / "out" / Path(flags[0]).name
    evaluate.main(["--test-size", "40", "--out", str(out), *BACKEND, *map(str, flags)])
    return json.loads((out / "evaluation.json").read_text())


def test_preset_on_clean_and_noisy_images(tmp_path, capsys):
    found = run(tmp_path, NAME, "--noise", "0.5", "3")
    printed = capsys.readouterr().out
    assert found["settings"]["dataset"] == "cifar10"
    assert "airplane" in printed and "noise 0.5" in printed
    x, y = keras_euler.datasets.synthetic.images()[1]
    predicted = keras_euler.list_presets()[NAME].load().predict(x[:40], verbose=0).argmax(-1)
    assert found["accuracy"] == pytest.approx((predicted == y[:40]).mean())
    assert np.sum(found["confusion"]) == 40
    assert np.trace(found["confusion"]) == round(40 * found["accuracy"])
    assert list(found["noise"]) == ["0", "0.5", "3"]
    assert (tmp_path / "out" / NAME / "evaluation.png").stat().st_size > 10_000


def test_noise_is_that_of_normalized_pixels(rng):
    """By the largest of three features of an image, each of one random pixel's colours."""
    x = rng.integers(0, 256, (200, 32, 32, 3)).astype("uint8")
    images = keras_euler.datasets.cifar10
    layers = [
        keras.Input((32, 32, 3), dtype="uint8"),
        keras.layers.Normalization(mean=images.MEAN, variance=np.square(images.STDDEV)),
    ]
    model = keras.Sequential([*layers, keras.layers.Flatten()])
    options = evaluate.EvaluationOptions()
    for level in (0.0, 0.5):
        mean, std = np.float32(images.MEAN), np.float32(images.STDDEV)
        noisy = keras_euler.AdditiveGaussianNoise(level, "always", seed=7)((x - mean) / std)
        wanted = keras.ops.convert_to_numpy(noisy).reshape(len(x), -1).argmax(-1)
        found = evaluate.predict_images(model, x, level, options)
        assert (found == wanted).mean() > 0.9 if level == 0 else len({*found.tolist()}) > 100


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
    (tmp_path / "torn.keras").write_bytes(b"PK")
    refused = {
        ("nowhere.keras",): "MODEL must be a file or one of euler_resnet_20_cifar10",
        (tmp_path / "torn.keras",): "torn.keras",
        (NAME, "--noise", "-1"): "`stddev` must be",
        (NAME, "--pgd", "1", "--backend", "jax"): "--pgd needs --backend torch",
    }
    for flags, message in refused.items():
        with pytest.raises(SystemExit) as end:
            run(tmp_path, *flags)
        error = capsys.readouterr().err
        assert end.value.code == 2 and message in error, error
