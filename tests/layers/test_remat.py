"""Blocks that are computed again in the backward pass train like blocks that keep their inside."""

import keras
import numpy as np
import pytest

import keras_euler
from tests.models.networks import inputs, vdcnn

CASES = {
    "batch norm": {},
    "group norm, channel": {"norm": "group", "trainable_h": "channel"},
    "drop-path": {"drop_path": 0.5},
    "heun": {"scheme": "heun"},
    "rk4, preactivation": {"scheme": "rk4", "preactivation": True},
    "texts": {},
    "mixed precision": {"dtype": "mixed_bfloat16", "scheme": "heun", "trainable_h": "scalar"},
}


def trained(remat, name):
    """Train a network for four steps, and return its losses, its variables and the norms of the
    gradients."""
    keras.utils.set_random_seed(0)
    shared = dict(input_shape=(8, 8, 3), widths=(8, 8, 8), data_format="channels_last")
    if name == "texts":
        model = vdcnn(remat=remat)
    else:
        model = keras_euler.EulerResNet(8, 0.5, remat=remat, **shared, **CASES[name])
    recorder = keras_euler.GradientRecorder(keras.optimizers.SGD(0.1, momentum=0.9))
    model.compile(recorder, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(0)
    x, y = inputs(model, rng, 8), np.arange(8) % 4
    losses = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history["loss"]
    variables = [keras.ops.convert_to_numpy(v) for v in model.variables]
    return losses, variables, recorder.recent()[1]


# The step of a scheme and the kinds of a norm are computed alike on every backend.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=pytest.mark.once if name in ("heun", "group norm, channel") else []
        )
        for name in CASES
    ],
)
def test_training_is_that_of_blocks_that_keep_their_inside(name):
    """Statistics of batch norm and states of random numbers included."""
    plain, again = (trained(remat, name) for remat in (False, True))
    for expected, found in zip(plain, again, strict=True):
        keras.tree.map_structure(
            lambda a, b: np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6), expected, found
        )


def test_a_branch_with_dropout_draws_the_same_numbers_again(rng):
    """A linear branch without bias: where dropout has set zeros, the gradient is zero too."""
    block = keras_euler.EulerResidual([keras.layers.Dropout(0.5, seed=3)], h=1.0, remat=True)
    layer = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, use_bias=False), block])
    layer.layers[0].kernel.assign(np.eye(64))
    layer.compile(keras.optimizers.SGD(1.0), keras.losses.MeanSquaredError(reduction="sum"))
    x = np.eye(64, dtype="float32")
    layer.fit(x, np.zeros((64, 64)), batch_size=64, verbose=0)
    # y = k * d with d = 1 (dropped) or 3, so the new kernel is 1 - 2 * d ** 2 / 64.
    moved = np.diagonal(keras.ops.convert_to_numpy(layer.layers[0].kernel))
    values = {round(float(v), 4) for v in (1 - moved) * 32}
    assert values == {1.0, 9.0}


class Wrapper(keras.layers.Layer):
    """A layer that leaves `training` to Keras, and adds a loss."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def build(self, input_shape):
        self.inner.build(input_shape)

    def call(self, x):
        y = self.inner(x)
        self.add_loss(keras.ops.mean(y**2))
        return y

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_layers_of_others_train_as_without_it(dtype, rng):
    """With losses, a `training` that they do not pass on, and a dtype of their own."""
    x = rng.normal(size=(8, 6)).astype("float32")

    def losses(remat):
        keras.utils.set_random_seed(0)
        own = keras.layers.Dense(6, activity_regularizer="l2", dtype="float32")
        norm = keras.layers.BatchNormalization(dtype="float32")
        branch = [own, Wrapper(keras.layers.Dropout(0.5, seed=1)), Wrapper(norm)]
        block = keras_euler.EulerResidual(branch, 0.5, remat=remat, dtype=dtype)
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6), block])
        model.compile("sgd", "mse")
        return model.fit(x, x, batch_size=4, epochs=3, shuffle=False, verbose=0).history["loss"]

    np.testing.assert_allclose(losses(True), losses(False), rtol=1e-6)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="there it is computed as without it")
def test_a_branch_that_assigns_what_is_trained_is_refused():
    block = keras_euler.EulerResidual(
        [keras.layers.SpectralNormalization(keras.layers.Dense(3))], remat=True
    )
    with pytest.raises(NotImplementedError, match="assigns its trainable variable .*kernel"):
        block(np.ones((2, 3), "float32"), training=True)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts what torch keeps")
def test_less_is_kept_for_the_gradient():
    import torch

    def kept(remat):
        model = keras_euler.EulerResNet(56, 0.1, input_shape=(8, 8, 3), remat=remat)
        own, sizes = {parameter.data_ptr() for parameter in model.parameters()}, {}

        def pack(tensor):
            sizes[tensor.data_ptr()] = tensor.numel() * (tensor.data_ptr() not in own)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(np.zeros((64, 8, 8, 3), "float32"), training=True).sum()
        return sum(sizes.values())

    assert kept(True) < 0.3 * kept(False)


def test_the_argument_is_kept_in_files_and_checked(tmp_path):
    keras_euler.EulerVDCNN(9, remat=True, sequence_length=128).save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    blocks = [each for each in model.layers if isinstance(each, keras_euler.EulerResidual)]
    assert blocks and all(block.remat for block in blocks)
    with pytest.raises(ValueError, match="`remat` must be one of True, False"):
        keras_euler.EulerResNet(8, remat="full")
