"""PyTorch checkpoints: all naming schemes, every array used exactly once, and the same outputs."""

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler.convert import read_state_dict
from tests import oracle
from tests.models.networks import inputs, vdcnn

ARRAY = keras.ops.convert_to_numpy
NAMINGS = {  # stage, shortcut, dense layer, prefix
    "authors": ("stack", "shortcut", "linear", ""),
    "common": ("layer", "downsample", "fc", ""),
    "DataParallel": ("layer", "shortcut", "linear", "module."),
}


def checkpoint(rng, naming="authors", depth=8, option_a=False, norm=True):
    """Make arrays with the names and shapes of PyTorch's state_dict(), from the definition of the
    network."""
    stage_name, shortcut, dense, prefix = NAMINGS[naming]
    arrays = {}

    def put(name, *shape, low=-0.3, high=0.3):
        arrays[prefix + name] = rng.uniform(low, high, shape).astype("float32")

    def put_norm(name, width):
        if norm:
            put(f"{name}.weight", width, low=0.5, high=1.5)
            put(f"{name}.bias", width)
            put(f"{name}.running_mean", width)
            put(f"{name}.running_var", width, low=0.5, high=1.5)
            arrays[f"{prefix}{name}.num_batches_tracked"] = np.array(7)

    def put_conv(name, channels, filters, size=3):
        put(f"{name}.weight", filters, channels, size, size)
        if not norm and size == 3:
            put(f"{name}.bias", filters)

    put_conv("conv1", 3, 16)
    put_norm("bn1", 16)
    channels = 16
    for stage, filters in enumerate((16, 32, 64), start=1):
        for block in range((depth - 2) // 6):
            path = f"{stage_name}{stage}.{block}"
            for i, width in ((1, channels), (2, filters)):
                put_conv(f"{path}.conv{i}", width, filters)
                put_norm(f"{path}.bn{i}", filters)
            if channels != filters and not option_a:
                put_conv(f"{path}.{shortcut}.0", channels, filters, 1)
                put_norm(f"{path}.{shortcut}.1", filters)
            channels = filters
    put(f"{dense}.weight", 10, 64)
    put(f"{dense}.bias", 10)
    return arrays


@pytest.mark.parametrize("norm", ["batch", None])
@pytest.mark.parametrize("shortcut", ["projection", "padding"])
@pytest.mark.parametrize("naming", NAMINGS)
def test_loaded_model_computes_what_the_checkpoint_says(naming, shortcut, norm, rng):
    arrays = checkpoint(rng, naming, 14, option_a=shortcut == "padding", norm=norm == "batch")
    model = keras_euler.EulerResNet(14, h=0.3, shortcut=shortcut, norm=norm)
    keras_euler.load_torch_state_dict(model, arrays)
    weights = {variable.path: ARRAY(variable) for variable in model.weights}
    prefix = NAMINGS[naming][3]
    stage = NAMINGS[naming][0]
    for name, path in (
        (f"{stage}2.1.conv2", "stage2_block2/conv2"),
        (f"{stage}3.0.conv1", "stage3_block1/conv1"),
    ):
        torch_kernel = arrays[f"{prefix}{name}.weight"]  # (out, in, height, width)
        np.testing.assert_array_equal(weights[f"{path}/kernel"], torch_kernel.transpose(2, 3, 1, 0))
    x = rng.normal(size=(2, 32, 32, 3)).astype("float32")
    expected = oracle.ResNet(weights, 14, 0.3, norm, shortcut)(x)
    np.testing.assert_allclose(ARRAY(model(x)), expected, rtol=1e-3, atol=1e-4)


def text_checkpoint(rng, norm=True, prefix=""):
    """Make arrays like those of the authors' text network of depth 17, with widths 8, 16, 24, 32
    and 16 dense units."""
    arrays = {}

    def put(name, *shape, low=-0.3, high=0.3):
        arrays[prefix + name] = rng.uniform(low, high, shape).astype("float32")

    def put_norm(name, width):
        for array in ("weight", "bias", "running_mean", "running_var") if norm else ():
            put(f"{name}.{array}", width, low=0.5, high=1.5)

    put("embed.weight", 70, 16)
    arrays[f"{prefix}embed.weight"][0] = 0
    put("layers.0.weight", 8, 16, 3)
    put("layers.0.bias", 8)
    # Two blocks a stage and, between the stages, a pooling without arrays that takes a number.
    numbers, channels = [(1, 2), (4, 5), (7, 8), (10, 11)], 8
    for pair, filters in zip(numbers, (8, 16, 24, 32), strict=True):
        for number in pair:
            for i, width in ((1, channels), (2, filters)):
                put(f"layers.{number}.conv{i}.weight", filters, width, 3)
                put(f"layers.{number}.conv{i}.bias", filters)
                put_norm(f"layers.{number}.bn{i}", filters)
            if channels != filters:
                put(
                    f"layers.{number}.downsample{'.0' if norm else ''}.weight", filters, channels, 1
                )
                put_norm(f"layers.{number}.downsample.1", filters)
            channels = filters
    for number, rows, columns in ((0, 16, 32 * 8), (2, 16, 16), (4, 4, 16)):
        put(f"fc_layers.{number}.weight", rows, columns)
        put(f"fc_layers.{number}.bias", rows)
    return arrays


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("norm", "prefix"), [("batch", ""), ("batch", "module."), (None, "")])
def test_loaded_text_model_computes_what_the_checkpoint_says(norm, prefix, data_format, rng):
    """torch flattens channels before positions: `x.flatten(1) @ weight.T` of `(n, channels,
    positions)`."""
    model = vdcnn(depth=17, norm=norm, data_format=data_format)
    checkpoint = text_checkpoint(rng, norm == "batch", prefix)
    keras_euler.load_torch_state_dict(model, checkpoint)
    weights = {variable.path: ARRAY(variable) for variable in model.weights}
    np.testing.assert_array_equal(
        weights["embedding/embeddings"], checkpoint[f"{prefix}embed.weight"]
    )
    np.testing.assert_array_equal(
        weights["stage3_block2/conv1/kernel"],
        checkpoint[f"{prefix}layers.8.conv1.weight"].transpose(2, 1, 0),
    )
    features = rng.normal(size=(5, 32, 8))  # (n, channels, positions)
    theirs = features.reshape(5, -1) @ checkpoint[f"{prefix}fc_layers.0.weight"].T
    np.testing.assert_allclose(
        features.swapaxes(1, 2).reshape(5, -1) @ weights["dense1/kernel"], theirs, rtol=1e-4
    )
    if data_format == "channels_last" or keras.backend.backend() != "tensorflow":
        ids = inputs(model, rng, 2)
        expected = oracle.VDCNN(weights, 17, 0.1, norm)(ids)
        np.testing.assert_allclose(ARRAY(model(ids)), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("layers.3.conv1.weight", "has no place in the model .*stage1_pool/conv1"),
        ("layers.99.conv1.weight", "'layers.99.conv1.weight' has no place in the model"),
        ("stack1.0.conv1.weight", "'stack1.0.conv1.weight' has no place"),
    ],
)
def test_text_arrays_without_a_place_are_named(name, message, rng):
    arrays = {**text_checkpoint(rng), name: np.zeros((8, 8, 3))}
    with pytest.raises(ValueError, match=message):
        keras_euler.load_torch_state_dict(vdcnn(depth=17), arrays)


def without(name):
    return lambda arrays: {key: value for key, value in arrays.items() if key != name}


def plus(name, shape):
    return lambda arrays: {**arrays, name: np.zeros(shape)}


BAD = [
    (
        without("stack2.0.conv1.weight"),
        "lacks arrays for 1 of the model's .* stage2_block1/conv1/kernel",
    ),
    (
        plus("stack1.7.conv1.weight", (16, 16, 3, 3)),
        "'stack1.7.conv1.weight' has no place in the model .*stage1_block8",
    ),
    (
        plus("mystery", (1,)),
        "'mystery' has no place in the model: its name is not understood. Leave it out",
    ),
    (
        plus("linear.weight", (100, 64)),
        r"'linear.weight' gives logits/kernel the shape \(64, 100\).*has \(64, 10\)",
    ),
    (
        lambda arrays: {f"module.{n}": a for n, a in without("conv1.weight")(arrays).items()},
        "lacks arrays for 1 of the model's .* stem_conv/kernel",
    ),
    (
        lambda arrays: {**arrays, "linear.bias": np.ones(10, complex)},
        "'linear.bias' is not an array of real numbers. Received: ndarray of complex",
    ),
    (lambda arrays: {"net_g": arrays}, r"holds a dict under 'net_g'. Pass .*checkpoint\['net_g'\]"),
    (plus("fc.weight", (10, 64)), "logits/kernel twice: as 'linear.weight' and as 'fc.weight'"),
]


@pytest.mark.once
@pytest.mark.parametrize(("change", "message"), BAD)
def test_what_does_not_fit_is_named_and_nothing_changes(change, message, rng):
    model = keras_euler.EulerResNet(8)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        keras_euler.load_torch_state_dict(model, change(checkpoint(rng)))
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.once
def test_some_names_have_a_prefix_and_row_zero_of_texts_is_zero(rng):
    arrays = checkpoint(rng)
    mixed = {f"module.{n}" if n.startswith("bn1") else n: a for n, a in arrays.items()}
    plain, other = keras_euler.EulerResNet(8), keras_euler.EulerResNet(8)
    keras_euler.load_torch_state_dict(plain, arrays)
    keras_euler.load_torch_state_dict(other, mixed)
    for a, b in zip(plain.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    texts = text_checkpoint(rng)
    texts["embed.weight"] = texts["embed.weight"] + 1
    with pytest.raises(ValueError, match="'embed.weight' must have zeros in row 0"):
        keras_euler.load_torch_state_dict(vdcnn(depth=17), texts)
    for wrong in (None, [1], {1: np.ones(2)}):
        with pytest.raises(TypeError, match="`state_dict` must be a dict of name -> array"):
            keras_euler.load_torch_state_dict(plain, wrong)


class Trainer:
    """An object that some scripts save as a whole."""


@pytest.mark.once
@pytest.mark.parametrize("name", ["arrays.pth", "wrapped.pt", "arrays.safetensors"])
def test_files_give_the_arrays(name, rng, tmp_path):
    import torch
    from safetensors.numpy import save_file

    arrays = checkpoint(rng, "common", 14, option_a=True)
    tensors = {key: torch.tensor(array) for key, array in arrays.items()}
    if name == "arrays.safetensors":
        save_file(arrays, tmp_path / name)
    else:
        saved = {"state_dict": tensors, "epoch": 3} if name == "wrapped.pt" else tensors
        torch.save(saved, tmp_path / name)
    models = [keras_euler.EulerResNet(14, h=1.0, shortcut="padding") for _ in range(2)]
    for model, loaded in zip(models, (arrays, read_state_dict(tmp_path / name)), strict=True):
        keras_euler.load_torch_state_dict(model, loaded)
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.once
def test_other_files_are_refused(tmp_path):
    import torch

    torch.save({"a": torch.ones(9)}, tmp_path / "whole.pth")
    torch.save({"model": Trainer()}, tmp_path / "code.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "torn.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:500])
    (tmp_path / "torn.safetensors").write_bytes(b"12345678")
    for name, message in {
        "code.pth": "it holds more than arrays",
        "list.pth": "it holds a list",
        "text.pth": "text.pth cannot be read as a file of arrays: .*",
        "torn.pth": "torn.pth cannot be read as a file of arrays: .*",
        "torn.safetensors": "torn.safetensors cannot be read as a file of arrays: .*",
    }.items():
        with pytest.raises(ValueError, match=message):
            read_state_dict(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_state_dict(tmp_path / "nowhere.pth")
