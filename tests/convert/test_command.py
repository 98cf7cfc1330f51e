"""The command that converts PyTorch checkpoints to Keras models."""

import re

import keras
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import keras_euler
from keras_euler.convert import command as convert
from tests.convert.test_state_dict import checkpoint, text_checkpoint

pytestmark = pytest.mark.once


class Trainer:
    """An object that some scripts save as a whole."""


@pytest.fixture
def arrays(rng):
    return checkpoint(rng, "common", 14, option_a=True)


def expected(arrays):
    model = keras_euler.EulerResNet(14, h=1.0, shortcut="padding")
    keras_euler.load_torch_state_dict(model, arrays)
    return model


def tensors(arrays):
    return {name: torch.tensor(array) for name, array in arrays.items()}


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_checkpoint_becomes_a_model_that_computes_the_same(
    suffix, wrapped, arrays, tmp_path, rng, capsys
):
    file, output = tmp_path / f"checkpoint{suffix}", tmp_path / "model.keras"
    if suffix == ".pth":
        torch.save(
            {"state_dict": tensors(arrays), "epoch": 3} if wrapped else tensors(arrays), file
        )
    else:
        save_file(arrays, file)
    convert.main([str(file), "--depth", "14", "--shortcut", "padding", "-o", str(output)])
    model, x = keras.models.load_model(output), rng.normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), expected(arrays).predict(x, verbose=0)
    )
    assert capsys.readouterr().out == f"wrote {output}: euler_resnet_14, 173,434 numbers, h = 1.0\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([file.name, output.name])


def test_weights_file_and_step_factor(arrays, tmp_path, capsys):
    torch.save(tensors(arrays), tmp_path / "a.pth")
    output = tmp_path / "a.weights.h5"
    convert.main(
        [
            str(tmp_path / "a.pth"),
            "--depth=14",
            "--shortcut=padding",
            "--h=1/sqrt(L)",
            "-o",
            str(output),
        ]
    )
    model = keras_euler.EulerResNet(14, h="1/sqrt(L)", shortcut="padding", weights=output)
    for one, other in zip(model.weights, expected(arrays).weights, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other)
        )


def test_texts(tmp_path, rng):
    torch.save(tensors(text_checkpoint(rng)), tmp_path / "texts.pt")
    flags = [
        "--network=vdcnn",
        "--depth=17",
        "--h=0.1",
        "--dense-units=16",
        "--sequence-length=64",
        "--widths",
    ]
    flags += ["8", "16", "24", "32"]
    convert.main([str(tmp_path / "texts.pt"), *flags, "-o", str(tmp_path / "texts.keras")])
    model = keras.models.load_model(tmp_path / "texts.keras")
    assert model.name == "euler_vdcnn_17" and model.get_layer("stage1_block1").h == 0.1


def test_what_cannot_be_converted_is_one_line(arrays, tmp_path, capsys):
    torch.save(tensors(arrays), tmp_path / "whole.pth")
    torch.save({"model": Trainer()}, tmp_path / "code.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "torn.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:5000])
    (tmp_path / "torn.safetensors").write_bytes(b"12345678")
    (tmp_path / "folder").mkdir()
    output = tmp_path / "model.keras"
    refused = {
        ("nowhere.pth", "14", "padding"): "No such file or directory: .*nowhere.pth",
        ("folder", "14", "padding"): "Is a directory",
        (
            "code.pth",
            "14",
            "padding",
        ): "cannot be read as a PyTorch checkpoint of arrays alone .*: it holds more than arrays",
        (
            "text.pth",
            "14",
            "padding",
        ): r"text.pth cannot be read as a PyTorch checkpoint of .*: it has another format",
        ("list.pth", "14", "padding"): "Received: list",
        ("torn.pth", "14", "padding"): "torn.pth cannot be read as",
        (
            "torn.safetensors",
            "14",
            "padding",
        ): "torn.safetensors cannot be read as a safetensors file",
        (
            "whole.pth",
            "15",
            "padding",
        ): "`depth` must be 6n . 2. Received: depth=15. The nearest: 14 or 20",
        ("whole.pth", "20", "padding"): "lacks arrays for",
        ("whole.pth", "14", "projection"): "lacks arrays for",
    }

    for (name, depth, shortcut), message in refused.items():
        with pytest.raises(SystemExit) as stop:
            convert.main(
                [str(tmp_path / name), "--depth", depth, "--shortcut", shortcut, "-o", str(output)]
            )
        errors = capsys.readouterr().err
        assert stop.value.code == 2 and re.search(message, errors) and errors.count("\n") == 1, (
            errors
        )
        assert not output.exists()
