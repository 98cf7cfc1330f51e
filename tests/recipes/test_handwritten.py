"""The networks that `recipes/benchmark.py` compares with compute what keras_euler computes."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler.models import euler_vdcnn

RECIPES = pathlib.Path(__file__).resolve().parents[2] / "recipes"
DEPTH = 8
TEXT_DEPTH = 9
TEXT = {"widths": (8, 8, 16, 24), "dense_units": 16, "num_classes": 5}  # one pooling without a change of width
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}

on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="the network written in PyTorch")
on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="the network written in JAX")


@pytest.fixture(autouse=True)
def recipes_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPES))


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return with_other_norms(keras_euler.EulerResNet(DEPTH, h=0.1, data_format="channels_last"))


@pytest.fixture
def text_model():
    keras.utils.set_random_seed(0)
    model = keras_euler.EulerVDCNN(TEXT_DEPTH, h=0.1, sequence_length=64, data_format="channels_last", **TEXT)
    return with_other_norms(model)


def with_other_norms(model):
    """The network, its moving statistics and scales not those it starts with."""
    generator = np.random.default_rng(0)
    for variable in model.weights:
        if variable.path.endswith(("moving_variance", "gamma")):
            variable.assign(generator.uniform(0.5, 1.5, variable.shape))
        elif variable.path.endswith(("moving_mean", "beta")):
            variable.assign(generator.normal(0, 0.1, variable.shape))
    return model


@pytest.fixture
def batch():
    generator = np.random.default_rng(1)
    return generator.normal(size=(16, 32, 32, 3)).astype("float32"), generator.integers(0, 10, 16)


@pytest.fixture
def text_batch():
    """Half of the texts end in padding."""
    generator = np.random.default_rng(1)
    ids = generator.integers(1, 70, (16, 64))
    ids[::2, 50:] = 0
    return ids, generator.integers(0, 5, 16)


def outputs(model, inputs, training):
    return keras.ops.convert_to_numpy(model(inputs, training=training))


def losses_of_fit(model, inputs, labels):
    """The losses of two SGD steps and of the state after them, in training mode."""
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return [model.train_on_batch(inputs, labels) for _ in range(3)]


def torch_trainer(model, channels_last):
    """Both networks list their arrays in the same order: convolution, norm, ..., linear."""
    import _handwritten_torch
    import torch

    trainer = _handwritten_torch.Trainer(_handwritten_torch.ResNet(DEPTH, 0.1), channels_last, device="cpu")
    names = [name for name in trainer.network.state_dict() if "num_batches_tracked" not in name]
    axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
    arrays = [keras.ops.convert_to_numpy(variable) for variable in model.weights]
    state = {name: torch.tensor(array.transpose(axes[array.ndim])) for name, array in zip(names, arrays, strict=True)}
    trainer.network.load_state_dict(state, strict=False)
    return trainer


def text_torch_trainer(model):
    """Fills the model from the network, by the names of the authors' checkpoints."""
    import _handwritten_torch
    import torch

    torch.manual_seed(0)
    network = _handwritten_torch.VDCNN(TEXT_DEPTH, 0.1, **TEXT)
    for name, array in network.state_dict().items():
        if "running_var" in name or ("bn" in name and "weight" in name):
            array.uniform_(0.5, 1.5)
        elif "running_mean" in name:
            array.normal_(0, 0.1)
    keras_euler.load_torch_state_dict(model, network.state_dict())
    return _handwritten_torch.Trainer(network, device="cpu")


def jax_trainer(model, network):
    import _handwritten_jax
    import jax.numpy as jnp

    trainer = _handwritten_jax.Trainer(network)
    parameters, statistics, _velocities = trainer.state
    for arrays, variables in ((parameters, model.trainable_weights), (statistics, model.non_trainable_weights)):
        new = {variable.path: jnp.array(variable.numpy()) for variable in variables}
        assert {name: array.shape for name, array in arrays.items()} == {name: new[name].shape for name in new}
        arrays.update(new)
    return trainer


def jax_case(kind, request):
    """Of the image or the text network ours, a batch, and the one written by hand."""
    import _handwritten_jax
    import _handwritten_jax_text

    if kind == "image":
        names, network = ("model", "batch"), _handwritten_jax.ResNet(DEPTH, 0.1)
    else:
        names, network = ("text_model", "text_batch"), _handwritten_jax_text.VDCNN(TEXT_DEPTH, 0.1, **TEXT)
    return *map(request.getfixturevalue, names), network


@on_torch
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_torch_network_gives_our_outputs(model, batch, training, channels_last):
    import torch

    images, _ = batch
    trainer = torch_trainer(model, channels_last)
    trainer.network.train(training)
    with torch.no_grad():
        theirs = trainer.network(torch.from_numpy(images.transpose(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(theirs, outputs(model, images, training), **TOLERANCE)


@on_torch
@pytest.mark.parametrize("channels_last", [False, True])
def test_torch_network_trains_as_ours(model, batch, channels_last):
    images, labels = batch
    trainer = torch_trainer(model, channels_last)
    nchw = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    theirs = [float(trainer.train_step(nchw, labels)) for _ in range(3)]
    np.testing.assert_allclose(theirs, losses_of_fit(model, images, labels), **TOLERANCE)


@on_torch
@pytest.mark.parametrize("training", [False, True])
def test_torch_text_network_gives_our_outputs(text_model, text_batch, training):
    import torch

    ids, _ = text_batch
    trainer = text_torch_trainer(text_model)
    trainer.network.train(training)
    with torch.no_grad():
        theirs = trainer.network(torch.from_numpy(ids)).numpy()
    np.testing.assert_allclose(theirs, outputs(text_model, ids, training), **TOLERANCE)


@on_torch
def test_torch_text_network_trains_as_ours(text_model, text_batch):
    trainer = text_torch_trainer(text_model)
    theirs = [float(trainer.train_step(*text_batch)) for _ in range(3)]
    np.testing.assert_allclose(theirs, losses_of_fit(text_model, *text_batch), **TOLERANCE)
    embeddings = trainer.network.embed.weight.detach().numpy()
    np.testing.assert_allclose(embeddings, text_model.get_layer("embedding").embeddings.numpy(), **TOLERANCE)
    assert not embeddings[0].any()


@on_jax
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", ["image", "text"])
def test_jax_network_gives_our_outputs(kind, training, request):
    import _handwritten_jax

    model, (inputs, _), network = jax_case(kind, request)
    parameters, statistics, _ = jax_trainer(model, network).state
    theirs, new_statistics = _handwritten_jax.forward(network, parameters, statistics, inputs, training)
    np.testing.assert_allclose(theirs, outputs(model, inputs, training), **TOLERANCE)
    for variable in model.non_trainable_weights:
        np.testing.assert_allclose(new_statistics[variable.path], variable.numpy(), **TOLERANCE)


@on_jax
@pytest.mark.parametrize("kind", ["image", "text"])
def test_jax_network_trains_as_ours(kind, request):
    model, batch, network = jax_case(kind, request)
    trainer = jax_trainer(model, network)
    theirs = [float(trainer.train_step(*batch)) for _ in range(3)]
    np.testing.assert_allclose(theirs, losses_of_fit(model, *batch), **TOLERANCE)
    for variable in model.trainable_weights:
        np.testing.assert_allclose(trainer.state[0][variable.path], variable.numpy(), **TOLERANCE)
    if kind == "text":
        assert not trainer.state[0]["embedding/embeddings"][0].any()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--depth", "21"], "--depth must be 6n+2"),
        (["--network", "vdcnn", "--depth", "20"], "--depth must be 9, 17, 29, 49, 65 or 69"),
        (["--network", "vdcnn", "--sequence-length", "100"], "--sequence-length must be a multiple of 64"),
        (["--sequence-length", "64"], "--sequence-length is of --network vdcnn"),
        (["--steps", "0"], "--steps: invalid positive value"),
        (["--backends", "theano"], "--backends: invalid choice"),
        (["--augmentation", "--second-start"], "not allowed with"),
    ],
)
def test_wrong_arguments_leave_with_status_2(arguments, words, capsys):
    import benchmark

    with pytest.raises(SystemExit) as exit:
        benchmark.parse_arguments(arguments)
    assert exit.value.code == 2
    assert words in capsys.readouterr().err


def test_every_network_is_measured_at_depths_of_its_own():
    import benchmark

    settings = benchmark.parse_arguments(["--network", "vdcnn"])
    assert (settings.depth, settings.batch_size, settings.sequence_length) == ([9, 29], 64, 1024)
    settings = benchmark.parse_arguments([])
    assert (settings.depth, settings.batch_size, settings.sequence_length) == ([20, 56, 110], 128, None)


@pytest.mark.parametrize("depth", euler_vdcnn.BLOCKS)
def test_the_benchmark_takes_every_depth_of_the_text_network(depth):
    import benchmark

    assert benchmark.parse_arguments(["--network", "vdcnn", "--depth", str(depth)]).depth == [depth]


@on_torch
def test_torch_text_networks_have_our_blocks():
    import _handwritten_torch

    assert _handwritten_torch.BLOCKS == euler_vdcnn.BLOCKS


@on_jax
def test_jax_text_networks_have_our_blocks():
    import _handwritten_jax_text

    assert _handwritten_jax_text.BLOCKS == euler_vdcnn.BLOCKS


def test_a_missing_backend_is_one_sentence(monkeypatch, capsys):
    import benchmark

    monkeypatch.setattr(benchmark.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as exit:
        benchmark.parse_arguments(["--backends", "jax"])
    assert exit.value.code == 2
    assert "The backend jax is not installed" in capsys.readouterr().err


def test_help_does_not_import_keras():
    code = "import sys, benchmark\ntry: benchmark.main(['--help'])\nexcept SystemExit: sys.exit('keras' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=RECIPES, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "--second-start" in result.stdout
