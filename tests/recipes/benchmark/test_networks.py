"""The hand-written networks of the benchmark compute what keras_euler computes."""

import functools

import keras
import numpy as np
import pytest

import keras_euler

DEPTH, BLOCKS = 8, (1, 1, 1)
TEXT_DEPTH, TEXT_BLOCKS = 9, (1, 1, 1, 1)
# One pooling without a change of width.
TEXT = {"widths": (8, 8, 16, 24), "dense_units": 16, "num_classes": 5}
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}

on_torch = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the network written in PyTorch"
)
on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="the network written in JAX")


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return with_other_norms(keras_euler.EulerResNet(DEPTH, h=0.1, data_format="channels_last"))


@pytest.fixture
def text_model():
    keras.utils.set_random_seed(0)
    model = keras_euler.EulerVDCNN(
        TEXT_DEPTH, h=0.1, sequence_length=64, data_format="channels_last", **TEXT
    )
    return with_other_norms(model)


def with_other_norms(model):
    """Return the network with changed moving statistics and scales."""
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
    """Make a batch in which half of the texts end with padding."""
    generator = np.random.default_rng(1)
    ids = generator.integers(1, 70, (16, 64))
    ids[::2, 50:] = 0
    return ids, generator.integers(0, 5, 16)


def losses_of_fit(model, inputs, labels):
    """Return the losses of two SGD steps and of the resulting state, in training mode."""
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return [model.train_on_batch(inputs, labels) for _ in range(3)]


def torch_runner(model, channels_last=False):
    """Both networks list their arrays in the same order: convolution, norm, ..., linear."""
    import torch
    import torch_networks

    runner = torch_networks.Runner(torch_networks.ResNet(BLOCKS, 0.1), channels_last, device="cpu")
    names = [name for name in runner.network.state_dict() if "num_batches_tracked" not in name]
    axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
    arrays = [keras.ops.convert_to_numpy(variable) for variable in model.weights]
    state = {
        name: torch.tensor(array.transpose(axes[array.ndim]))
        for name, array in zip(names, arrays, strict=True)
    }
    runner.network.load_state_dict(state, strict=False)
    return runner


def jax_case(kind, request):
    """Return our network, a batch, and the hand-written network with our arrays, for images or
    texts."""
    import jax.numpy as jnp
    import jax_networks

    if kind == "image":
        names, network = ("model", "batch"), functools.partial(jax_networks.resnet, blocks=BLOCKS)
    else:
        names, network = (
            ("text_model", "text_batch"),
            functools.partial(jax_networks.vdcnn, blocks=TEXT_BLOCKS, **TEXT),
        )
    model, batch = map(request.getfixturevalue, names)
    trainer = jax_networks.Trainer(network, batch[0][:1])
    parameters, statistics, _velocities = trainer.state
    for arrays, variables in (
        (parameters, model.trainable_weights),
        (statistics, model.non_trainable_weights),
    ):
        new = {variable.path: jnp.array(variable.numpy()) for variable in variables}
        assert {name: array.shape for name, array in arrays.items()} == {
            name: new[name].shape for name in new
        }
        arrays.update(new)
    return model, batch, trainer


@on_torch
@pytest.mark.parametrize("channels_last", [False, True])
def test_torch_network_trains_as_ours(model, batch, channels_last):
    images, labels = batch
    runner = torch_runner(model, channels_last)
    nchw = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    theirs = [float(runner.train_step(nchw, labels)) for _ in range(3)]
    np.testing.assert_allclose(theirs, losses_of_fit(model, images, labels), **TOLERANCE)


@on_jax
@pytest.mark.parametrize("kind", ["image", "text"])
def test_jax_network_trains_as_ours(kind, request):
    model, batch, trainer = jax_case(kind, request)
    theirs = [float(trainer.train_step(*batch)) for _ in range(3)]
    np.testing.assert_allclose(theirs, losses_of_fit(model, *batch), **TOLERANCE)
    for variable in model.trainable_weights:
        np.testing.assert_allclose(trainer.state[0][variable.path], variable.numpy(), **TOLERANCE)
    if kind == "text":
        assert not trainer.state[0]["embedding/embeddings"][0].any()
