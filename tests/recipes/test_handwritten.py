"""The networks that `recipes/benchmark.py` compares with compute what keras_euler computes."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_euler

RECIPES = pathlib.Path(__file__).resolve().parents[2] / "recipes"
DEPTH = 8
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}

on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="the network written in PyTorch")
on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="the network written in JAX")


@pytest.fixture(autouse=True)
def recipes_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPES))


@pytest.fixture
def model():
    """A network whose moving statistics and scales are not those it starts with."""
    keras.utils.set_random_seed(0)
    model = keras_euler.EulerResNet(DEPTH, h=0.1, data_format="channels_last")
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


def outputs(model, images, training):
    return keras.ops.convert_to_numpy(model(images, training=training))


def losses_of_fit(model, images, labels):
    """The losses of two SGD steps and of the state after them, in training mode."""
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return [model.train_on_batch(images, labels) for _ in range(3)]


def torch_trainer(model, channels_last):
    """Both networks list their arrays in the same order: convolution, norm, ..., linear."""
    import _handwritten_torch
    import torch

    trainer = _handwritten_torch.Trainer(DEPTH, 0.1, channels_last, device="cpu")
    names = [name for name in trainer.network.state_dict() if "num_batches_tracked" not in name]
    axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
    arrays = [keras.ops.convert_to_numpy(variable) for variable in model.weights]
    state = {name: torch.tensor(array.transpose(axes[array.ndim])) for name, array in zip(names, arrays, strict=True)}
    trainer.network.load_state_dict(state, strict=False)
    return trainer


def jax_trainer(model):
    import _handwritten_jax
    import jax.numpy as jnp

    trainer = _handwritten_jax.Trainer(DEPTH, 0.1)
    parameters, statistics, _velocities = trainer.state
    for arrays, variables in ((parameters, model.trainable_weights), (statistics, model.non_trainable_weights)):
        new = {variable.path: jnp.array(variable.numpy()) for variable in variables}
        assert {name: array.shape for name, array in arrays.items()} == {name: new[name].shape for name in new}
        arrays.update(new)
    return trainer


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


@on_jax
@pytest.mark.parametrize("training", [False, True])
def test_jax_network_gives_our_outputs(model, batch, training):
    import _handwritten_jax

    images, _ = batch
    parameters, statistics, _ = jax_trainer(model).state
    theirs, new_statistics = _handwritten_jax.forward(parameters, statistics, images, DEPTH, 0.1, training)
    np.testing.assert_allclose(theirs, outputs(model, images, training), **TOLERANCE)
    for variable in model.non_trainable_weights:
        np.testing.assert_allclose(new_statistics[variable.path], variable.numpy(), **TOLERANCE)


@on_jax
def test_jax_network_trains_as_ours(model, batch):
    images, labels = batch
    trainer = jax_trainer(model)
    theirs = [float(trainer.train_step(images, labels)) for _ in range(3)]
    np.testing.assert_allclose(theirs, losses_of_fit(model, images, labels), **TOLERANCE)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--depth", "21"], "--depth must be 6n+2"),
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
