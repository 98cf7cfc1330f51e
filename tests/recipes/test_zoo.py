"""The table of all networks, and presets made of finished runs."""

import json
from pathlib import Path

import cifar10
import keras
import pytest
import zoo

import keras_euler
from tests.recipes.runs import BACKEND, run_here

pytestmark = pytest.mark.once

README = Path(__file__).parents[2] / "recipes" / "results" / "README.md"
once = pytest.mark.once


@once
def test_table_of_the_results_is_the_measured_one():
    assert zoo.table() in README.read_text()


def test_multiply_adds_by_hand():
    """Stem 3 -> 16; three blocks of 9 * (c * d + d * d), at 32, 16 and 8 pixels, two with a 1x1
    shortcut; dense 64 -> 10."""
    stem, dense = 9 * 3 * 16 * 32**2, 64 * 10
    blocks = [(16, 16, 32), (16, 32, 16), (32, 64, 8)]
    convolutions = sum(9 * (c * d + d * d) * size**2 for c, d, size in blocks)
    shortcuts = sum(c * d * size**2 for c, d, size in blocks[1:])
    network = keras_euler.EulerResNet(8)
    assert keras_euler.analysis.multiply_adds(network) == stem + convolutions + shortcuts + dense
    assert keras_euler.analysis.multiply_adds(
        keras.Sequential([keras.Input((32, 32, 3)), network])
    ) == (stem + convolutions + shortcuts + dense)
    rk4 = keras_euler.EulerResNet(8, scheme="rk4")  # the first block computes its branch four times
    assert (
        keras_euler.analysis.multiply_adds(rk4) - keras_euler.analysis.multiply_adds(network)
        == 3 * 9 * 2 * 16 * 16 * 32**2
    )
    # 6 channels of 9 for each of 30 x 30 pixels.
    depthwise = keras.layers.DepthwiseConv2D(3, depth_multiplier=2)
    assert (
        keras_euler.analysis.multiply_adds(keras.Sequential([keras.Input((32, 32, 3)), depthwise]))
        == 9 * 6 * 30**2
    )
    with pytest.raises(ValueError, match="sizes of the model's input must be known"):
        keras_euler.analysis.multiply_adds(keras_euler.EulerResNet(8, input_shape=(None, None, 3)))


def test_run_becomes_a_preset(tmp_path, monkeypatch, capsys):
    sizes = [
        "--depth",
        8,
        "--epochs",
        1,
        "--train-size",
        16,
        "--test-size",
        16,
        "--batch-size",
        16,
        "--h",
        0.2,
    ]
    assert run_here(cifar10, *sizes, "--dataset", "synthetic", "--out", tmp_path / "run") == 0
    flags = [
        "--name",
        "small",
        "--data",
        "made-up images",
        "--zoo",
        str(tmp_path / "zoo"),
        "--backend",
        BACKEND,
    ]
    zoo.main(["--add", str(tmp_path / "run"), *flags])
    (entry,) = json.loads((tmp_path / "zoo" / "presets.json").read_text()).values()
    shape = [32, 32, 3]
    assert entry["arguments"] == {"depth": 8, "h": 0.2, "input_shape": shape, "num_classes": 10}
    assert entry["limits"] == zoo.LIMITS["synthetic"]
    assert entry["command"].startswith(
        "python recipes/cifar10.py --depth 8 --h 0.2 --epochs 1 --batch-size 16 --seed 7"
    )
    assert entry["command"].endswith(f" --backend {BACKEND}")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert entry["metrics"]["test_accuracy"] == pytest.approx(
        result["last_test_accuracy"], abs=1e-4
    )
    refused = {
        str(tmp_path): "--add needs the folder of a finished run",
        str(tmp_path / "run"): "--name must be a new name",
    }
    for folder, message in refused.items():
        with pytest.raises(SystemExit) as end:
            zoo.main(["--add", folder, *flags])
        assert end.value.code == 2 and message in capsys.readouterr().err
