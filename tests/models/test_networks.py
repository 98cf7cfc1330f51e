"""Properties of both networks: numbers from the formulas, initial values, names, precision,
errors."""

import math

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler.layers import BatchNormalization
from tests.models.networks import (
    ARRAY,
    BLOCKS,
    BUILDS,
    EVERY_BUILD,
    NETWORKS,
    ORACLES,
    arrays,
    inputs,
    scramble,
)

DEPTHS = {"resnet": 8, "vdcnn": 9}


@pytest.fixture(params=NETWORKS)
def network(request):
    return request.param


@EVERY_BUILD
def test_forward_pass_is_the_formula(network, build, rng):
    """This compares inference, training mode, and the moving statistics after training."""
    build = BUILDS[build]
    model = NETWORKS[network](**build)
    weights, x = scramble(model, rng), inputs(model, rng)
    for training in (False, True):
        judge = ORACLES[network](weights, DEPTHS[network], **{"h": 0.1, **build}, training=training)
        np.testing.assert_allclose(
            ARRAY(model(x, training=training)), judge(x), rtol=1e-4, atol=1e-4
        )
    after = arrays(model)
    assert bool(judge.moving) == (build.get("norm", "batch") == "batch")
    for path, expected in judge.moving.items():
        np.testing.assert_allclose(after[path], expected, rtol=1e-4, atol=1e-5, err_msg=path)


def test_kernels_and_biases_start_as_in_pytorch(network):
    model = NETWORKS[network](
        norm=None,
        num_classes=100,
        widths={"resnet": (16, 32, 64), "vdcnn": (64, 64, 128, 128)}[network],
    )
    layers = {
        path.rpartition("/")[0]: value
        for path, value in arrays(model).items()
        if path.endswith("kernel")
    }
    biases = {
        path.rpartition("/")[0]: value
        for path, value in arrays(model).items()
        if path.endswith("bias")
    }
    # A bare 1x1 shortcut has none.
    assert set(biases) == {name for name in layers if "shortcut" not in name}
    for layer, kernel in layers.items():
        bound = 1 / math.sqrt(math.prod(kernel.shape[:-1]))
        assert np.abs(kernel).max() <= bound * (1 + 1e-6), layer
        assert abs(kernel.std() / (bound / math.sqrt(3)) - 1) < 0.15, layer
    for layer, bias in biases.items():
        # Of the kernel, not of the bias' own length.
        bound = 1 / math.sqrt(math.prod(layers[layer].shape[:-1]))
        assert 0.4 * bound < np.abs(bias).max() <= bound * (1 + 1e-6), layer


@pytest.mark.once
@pytest.mark.parametrize(
    "initializer",
    [
        None,
        "he_normal",
        keras.initializers.HeNormal(seed=3),
        keras.initializers.HeNormal(seed=keras.random.SeedGenerator(3)),
        keras.initializers.GlorotUniform(),
    ],
)
def test_no_two_kernels_start_equal(network, initializer):
    model = NETWORKS[network](kernel_initializer=initializer)
    first = [
        float(value.ravel()[0]) for path, value in arrays(model).items() if path.endswith("kernel")
    ]
    assert len(set(first)) == len(first)


def test_batch_norm_has_the_papers_constants_everywhere(network):
    norms = [
        layer
        for layer in NETWORKS[network]()._flatten_layers()
        if isinstance(layer, BatchNormalization)
    ]
    assert len(norms) == {"resnet": 9, "vdcnn": 11}[network]
    assert {(norm.momentum, norm.epsilon) for norm in norms} == {(0.9, 1e-5)}


@pytest.mark.once
def test_h_reaches_every_block(network):
    num_blocks = BLOCKS[network]
    for h, expected in (
        (0.25, [0.25] * num_blocks),
        ("1/sqrt(L)", [num_blocks**-0.5] * num_blocks),
        ("1/L", [1 / num_blocks] * num_blocks),
        ([i / 10 for i in range(num_blocks)],) * 2,
    ):
        model = NETWORKS[network](h=h)
        blocks = [layer for layer in model.layers if isinstance(layer, keras_euler.EulerResidual)]
        np.testing.assert_allclose([block.h for block in blocks], expected)


def test_zero_gamma_starts_every_block_as_its_shortcut(network, rng):
    block = NETWORKS[network](zero_gamma=True).get_layer("stage1_block1")
    x = np.abs(rng.normal(size=(2, *block.input.shape[1:]))).astype("float32")
    np.testing.assert_allclose(ARRAY(block(x)), x)


@pytest.mark.once
def test_drop_path_grows_linearly_to_the_last_block(network):
    """Huang et al. (2016): block l of L drops its branch with the rate p l / L."""
    model = NETWORKS[network](drop_path=0.5)
    rates = [
        layer.drop_path for layer in model.layers if isinstance(layer, keras_euler.EulerResidual)
    ]
    np.testing.assert_allclose(rates, 0.5 * np.arange(1, len(rates) + 1) / len(rates))


@pytest.mark.parametrize("trainable_h", ["scalar", "channel"])
def test_trainable_h_is_one_weight_per_block(network, trainable_h):
    model = NETWORKS[network](trainable_h=trainable_h)
    shapes = {v.path: tuple(v.shape) for v in model.trainable_weights if v.path.endswith("add/h")}
    channels = [(w,) for w in {"resnet": (16, 32, 64), "vdcnn": (8, 16, 24, 32)}[network]]
    assert list(shapes.values()) == (channels if trainable_h == "channel" else [()] * len(channels))
    assert next(iter(shapes)) == "stage1_block1/add/h"


def test_channels_first_gives_the_same_numbers(network, rng):
    if keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no channels_first convolution on the CPU")
    last, first = (NETWORKS[network](data_format=f"channels_{end}") for end in ("last", "first"))
    first.set_weights(last.get_weights())
    x = inputs(last, rng)
    y = x if network == "vdcnn" else np.moveaxis(x, -1, 1)
    np.testing.assert_allclose(ARRAY(first(y)), ARRAY(last(x)), atol=1e-5)


def test_mixed_float16_scales_the_loss_and_gives_float32(network, rng):
    model = NETWORKS[network](dtype="mixed_float16")
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    assert keras.backend.standardize_dtype(model(inputs(model, rng)).dtype) == "float32"
    assert model.get_layer("stage1_block1").compute_dtype == "float16"
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    decay = keras_euler.MultiStepDecay((0,))
    model.optimizer.build(model.trainable_variables)
    variables = [variable.path for variable in model.optimizer.variables]
    model.fit(inputs(model, rng), np.arange(4), batch_size=4, verbose=0, callbacks=[decay])
    assert [variable.path for variable in model.optimizer.variables] == variables


BAD = [
    ({"depth": 0}, ValueError, "Received: depth=0. The nearest: "),
    ({"depth": "110"}, TypeError, "`depth` must be an integer. Received: depth='110'."),
    ({"h": -0.1}, ValueError, "`h` must be a finite number >= 0. Received: h=-0.1. Use h=1.0 for "
        "the ordinary ResNet."),
    ({"h": math.nan}, ValueError, "Received: h=nan"),
    ({"h": math.inf}, ValueError, "Received: h=inf"),
    ({"h": "1/D"}, ValueError, "a rule: '1/sqrt\\(L\\)' or '1/L'. Received: h='1/D'."),
    ({"h": [0.1, 0.2]}, ValueError, "residual blocks. Received: 2 numbers"),
    ({"h": None}, TypeError, "Received: h=None"),
    ({"norm": "instance"}, ValueError, "`norm` must be one of 'batch', 'group', 'layer', None."),
    ({"shortcut": "C"}, ValueError, "`shortcut` must be one of 'projection', 'padding'. Received: "
        "shortcut='C'."),
    ({"trainable_h": "row"}, ValueError, "`trainable_h` must be one of None, 'scalar', 'channel'."),
    ({"scheme": "rk2"}, ValueError, "`scheme` must be one of 'euler', 'heun', 'rk4'. Received: "
        "scheme='rk2'."),
    ({"skip": -1.0}, ValueError, "`skip` must be a finite number >= 0. Received: skip=-1.0."),
    ({"drop_path": 1}, ValueError, "`drop_path` must be below 1. Received: drop_path=1."),
    ({"drop_path": [0.1]}, TypeError, "Received: drop_path=\\[0.1\\]"),
    ({"zero_gamma": True, "norm": None}, ValueError, "`zero_gamma` needs a norm"),
    ({"zero_gamma": True, "preactivation": True}, ValueError, "`zero_gamma` needs a norm"),
    ({"widths": (16, 32)}, ValueError, "`widths` must be [34] numbers of filters, one per stage"),
    ({"num_classes": 0}, ValueError, "`num_classes` must be an integer >= 1. Received: "
        "num_classes=0."),
    ({"preactivation": "no"}, ValueError, "`preactivation` must be one of True, False. Received: "
        "preactivation='no'."),
    ({"include_top": 1}, ValueError, "`include_top` must be one of True, False"),
    ({"data_format": "NHWC"}, ValueError, "`data_format` must be one of 'channels_last', "
        "'channels_first'."),
    ({"weights": "nowhere.weights.h5"}, (ValueError, OSError), "nowhere.weights.h5"),
]  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_arguments_get_a_clear_error(network, arguments, error, message):
    with pytest.raises(error, match=message):
        NETWORKS[network](**arguments)
