"""The image network: numbers, shapes, names, configuration."""

import inspect
import math

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler.layers import BatchNormalization
from tests import oracle

# Trainable parameters of the paper's network, counted from its definition (PAPER.md).
PARAMETERS = {8: 78_042, 20: 272_474, 32: 466_906, 44: 661_338, 56: 855_770, 110: 1_730_714, 218: 3_480_602}
OPTION_A = {20: 269_722, 56: 853_018, 110: 1_727_962, 218: 3_477_850}
BUILDS = {
    "plain": {},
    "h=1": {"h": 1.0},
    "no norm": {"norm": None},
    "group": {"norm": "group"},
    "layer": {"norm": "layer"},
    "option A": {"shortcut": "padding"},
    "preactivation": {"preactivation": True},
    "preactivation without norm": {"preactivation": True, "norm": None},
    "preactivation, option A": {"preactivation": True, "shortcut": "padding"},
}


def count(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def images(rng, n=4, shape=(32, 32, 3)):
    return rng.normal(size=(n, *shape)).astype("float32")


def scramble(model, rng):
    """Random values everywhere, so that no gamma = 1 or beta = 0 hides a mistake."""
    for variable in model.weights:
        name = variable.path.rpartition("/")[2]
        if name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif name != "kernel":
            variable.assign(rng.normal(size=variable.shape) * 0.1)
    return {variable.path: keras.ops.convert_to_numpy(variable) for variable in model.weights}


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_forward_pass_is_the_formula(build, training, rng):
    model = keras_euler.EulerResNet(8, **build)
    judge = oracle.ResNet(scramble(model, rng), 8, **{"h": 0.1, **build}, training=training)
    x = images(rng)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(x, training=training)), judge(x), rtol=1e-4, atol=1e-4)
    after = {variable.path: keras.ops.convert_to_numpy(variable) for variable in model.weights}
    assert bool(judge.moving) == (training and build.get("norm", "batch") == "batch")
    for path, expected in judge.moving.items():
        np.testing.assert_allclose(after[path], expected, rtol=1e-4, atol=1e-5, err_msg=path)


@pytest.mark.parametrize("depth", PARAMETERS)
def test_parameters_are_the_papers(depth):
    assert count(keras_euler.EulerResNet(depth)) == PARAMETERS[depth]


@pytest.mark.parametrize("depth", OPTION_A)
def test_parameters_of_option_a(depth):
    assert count(keras_euler.EulerResNet(depth, shortcut="padding")) == OPTION_A[depth]


def test_list_models_builds_each_prebuilt_depth():
    builders = keras_euler.list_models()
    for depth in (20, 110, 218):
        assert f"euler_resnet_{depth}" in builders
    assert all(20 <= int(name.removeprefix("euler_resnet_")) <= 218 for name in builders)
    model = builders["euler_resnet_32"]("1/L")
    assert (count(model), model.h) == (PARAMETERS[32], "1/L")


def test_kernels_and_biases_start_as_in_pytorch():
    model = keras_euler.EulerResNet(20, norm=None)
    kernels = {v.path.rpartition("/")[0]: keras.ops.convert_to_numpy(v) for v in model.weights if v.name == "kernel"}
    biases = {v.path.rpartition("/")[0]: keras.ops.convert_to_numpy(v) for v in model.weights if v.name == "bias"}
    assert set(biases) == {name for name in kernels if "shortcut" not in name}  # a bare 1x1 shortcut has none
    for layer, kernel in kernels.items():
        bound = 1 / math.sqrt(math.prod(kernel.shape[:-1]))
        assert np.abs(kernel).max() <= bound * (1 + 1e-6), layer
        assert abs(kernel.std() / (bound / math.sqrt(3)) - 1) < 0.15, layer
    for layer, bias in biases.items():
        bound = 1 / math.sqrt(math.prod(kernels[layer].shape[:-1]))  # of the kernel, not of the bias' own length
        assert 0.5 * bound < np.abs(bias).max() <= bound * (1 + 1e-6), layer


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
def test_no_two_kernels_start_equal(initializer):
    model = keras_euler.EulerResNet(20, kernel_initializer=initializer)
    first = [float(keras.ops.convert_to_numpy(v).ravel()[0]) for v in model.weights if v.name == "kernel"]
    assert len(set(first)) == len(first)


def test_seeded_initializer_gives_the_same_kernels_twice():
    first, second = (
        keras_euler.EulerResNet(8, kernel_initializer=keras.initializers.HeNormal(seed=3)) for _ in range(2)
    )
    kernels = [[v for v in model.weights if v.name == "kernel"] for model in (first, second)]
    for a, b in zip(*kernels, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))


def test_names_say_where_a_variable_is():
    paths = [variable.path for variable in keras_euler.EulerResNet(14).weights]
    for path in (
        "stem_conv/kernel",
        "stem_norm/moving_variance",
        "stage1_block1/conv1/kernel",
        "stage2_block1/shortcut_conv/kernel",
        "stage2_block1/shortcut_norm/gamma",
        "stage3_block2/norm2/beta",
        "logits/bias",
    ):
        assert path in paths
    assert len(set(paths)) == len(paths)


def test_batch_norm_has_the_papers_constants_everywhere():
    model = keras_euler.EulerResNet(8)
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, BatchNormalization)]
    assert len(norms) == 9
    assert {(norm.momentum, norm.epsilon) for norm in norms} == {(0.9, 1e-5)}


@pytest.mark.parametrize(
    ("h", "expected"),
    [
        (0.25, [0.25] * 9),
        ("1/sqrt(L)", [1 / 3] * 9),
        ("1/L", [1 / 9] * 9),
        ([i / 10 for i in range(9)], [i / 10 for i in range(9)]),
    ],
)
def test_h_reaches_every_block(h, expected):
    model = keras_euler.EulerResNet(20, h=h)
    blocks = [layer for layer in model.layers if isinstance(layer, keras_euler.EulerResidual)]
    np.testing.assert_allclose([block.h for block in blocks], expected)


def test_zero_gamma_starts_every_block_as_its_shortcut(rng):
    model = keras_euler.EulerResNet(8, zero_gamma=True)
    block = model.get_layer("stage1_block1")
    x = np.abs(images(rng, shape=(32, 32, 16)))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(block(x)), x)


@pytest.mark.parametrize("trainable_h", ["scalar", "channel"])
def test_trainable_h_is_one_weight_per_block(trainable_h):
    model = keras_euler.EulerResNet(8, trainable_h=trainable_h)
    shapes = {v.path: tuple(v.shape) for v in model.trainable_weights if v.path.endswith("add/h")}
    expected = {"scalar": [(), (), ()], "channel": [(16,), (32,), (64,)]}[trainable_h]
    assert list(shapes.values()) == expected
    assert next(iter(shapes)) == "stage1_block1/add/h"


def test_channels_first_gives_the_same_numbers(rng):
    if keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no channels_first convolution on the CPU")
    last, first = (keras_euler.EulerResNet(8, data_format=f"channels_{end}") for end in ("last", "first"))
    assert first.input_shape == (None, 3, 32, 32)
    first.set_weights(last.get_weights())
    x = images(rng)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(first(np.moveaxis(x, -1, 1))), keras.ops.convert_to_numpy(last(x)), atol=1e-5
    )


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"include_top": False}, (2, 64)),
        ({"include_top": False, "pooling": "max"}, (2, 64)),
        ({"include_top": False, "pooling": None}, (2, 8, 8, 64)),
        ({"num_classes": 7, "widths": (8, 16, 24), "norm": "group"}, (2, 7)),
        ({"classifier_activation": "softmax"}, (2, 10)),
    ],
)
def test_output_shapes(arguments, shape, rng):
    model = keras_euler.EulerResNet(8, **arguments)
    assert tuple(model(images(rng, 2)).shape) == shape == (2, *model.output_shape[1:])


def test_images_of_unknown_size(rng):
    model = keras_euler.EulerResNet(8, input_shape=(None, None, 1))
    assert tuple(model(images(rng, 2, (17, 40, 1))).shape) == (2, 10)


CONFIGS = {
    **BUILDS,
    "everything": dict(
        h=[0.1, 0.2, 0.3],
        num_classes=3,
        input_shape=(16, 24, 1),
        widths=(8, 8, 16),
        trainable_h="channel",
        zero_gamma=True,
        kernel_initializer="he_normal",
        include_top=True,
        pooling="max",
        classifier_activation="softmax",
        dtype="mixed_bfloat16",
        name="mine",
    ),
}


@pytest.mark.parametrize("build", CONFIGS.values(), ids=CONFIGS)
def test_config_and_file_give_the_model_back(build, tmp_path, rng):
    model = keras_euler.EulerResNet(8, **build)
    config = model.get_config()
    assert set(config) == set(inspect.signature(keras_euler.EulerResNet).parameters)
    again = keras_euler.EulerResNet.from_config(config)
    assert again.get_config() == config
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is keras_euler.EulerResNet
    assert loaded.get_config() == config
    x = images(rng, 2, model.input_shape[1:])
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(loaded(x)), keras.ops.convert_to_numpy(model(x)), strict=True
    )


def test_numpy_numbers_are_saved_as_plain_ones(tmp_path):
    model = keras_euler.EulerResNet(np.int64(8), np.float32(0.5), np.int32(3))
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").get_config() == model.get_config()
    for h in ((0.1, np.float32(0.5), 1), np.array([0.1, 0.5, 1.0])):
        assert keras_euler.EulerResNet(8, h=h).get_config()["h"] == [0.1, 0.5, 1.0]
    assert keras_euler.EulerResNet(8, input_shape=tuple(np.array([16, 16, 3]))).input_shape == (None, 16, 16, 3)


def test_weights_argument_loads_a_file(tmp_path, rng):
    model = keras_euler.EulerResNet(8)
    model.save_weights(tmp_path / "model.weights.h5")
    again = keras_euler.EulerResNet(8, weights=tmp_path / "model.weights.h5")
    x = images(rng, 2)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(again(x)), keras.ops.convert_to_numpy(model(x)))
    assert again.get_config()["weights"] is None


def test_clone_is_an_equal_plain_model():
    model = keras_euler.EulerResNet(8)
    clone = keras.models.clone_model(model)
    assert type(clone) is not keras_euler.EulerResNet
    assert [tuple(w.shape) for w in clone.weights] == [tuple(w.shape) for w in model.weights]


def test_mixed_float16_scales_the_loss_and_gives_float32(rng):
    model = keras_euler.EulerResNet(8, dtype="mixed_float16")
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    assert keras.backend.standardize_dtype(model(images(rng, 2)).dtype) == "float32"
    assert model.get_layer("stage1_block1").compute_dtype == "float16"
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    decay = keras_euler.MultiStepDecay((0,))
    model.optimizer.build(model.trainable_variables)
    variables = [variable.path for variable in model.optimizer.variables]
    model.fit(images(rng, 4), np.arange(4), batch_size=4, verbose=0, callbacks=[decay])
    assert [variable.path for variable in model.optimizer.variables] == variables


BAD = [
    ({"depth": 21}, ValueError, "`depth` must be 6n \\+ 2. Received: depth=21. The nearest: 20 or 26."),
    ({"depth": 0}, ValueError, "Received: depth=0. The nearest: 8."),
    ({"depth": "110"}, TypeError, "`depth` must be an integer. Received: depth='110'."),
    ({"h": -0.1}, ValueError, "`h` must be a finite number >= 0. Received: h=-0.1. Use h=1.0 for the ordinary ResNet."),
    ({"h": math.nan}, ValueError, "Received: h=nan"),
    ({"h": math.inf}, ValueError, "Received: h=inf"),
    ({"h": "1/D"}, ValueError, "a rule: '1/sqrt\\(L\\)' or '1/L'. Received: h='1/D'."),
    ({"h": [0.1, 0.2]}, ValueError, "each of the 3 residual blocks. Received: 2 numbers"),
    ({"h": [0.1, 0.2, -1]}, ValueError, "Received: h\\[2\\]=-1"),
    ({"h": None}, TypeError, "Received: h=None"),
    ({"norm": "instance"}, ValueError, "`norm` must be one of 'batch', 'group', 'layer', None."),
    ({"shortcut": "C"}, ValueError, "`shortcut` must be one of 'projection', 'padding'. Received: shortcut='C'."),
    ({"trainable_h": "row"}, ValueError, "`trainable_h` must be one of None, 'scalar', 'channel'."),
    ({"zero_gamma": True, "norm": None}, ValueError, "`zero_gamma` needs a norm"),
    ({"zero_gamma": True, "preactivation": True}, ValueError, "`zero_gamma` needs a norm"),
    ({"input_shape": (32, 32)}, ValueError, "`input_shape` must be \\(height, width, channels\\)"),
    ({"input_shape": (3, 32, 32)}, ValueError, "It looks like the other order"),
    ({"input_shape": (32, 32, 3), "data_format": "channels_first"}, ValueError, "It looks like the other order"),
    ({"input_shape": (32, 32, None)}, ValueError, "number of channels must be known"),
    ({"input_shape": (32, 0, 3)}, ValueError, "Received: input_shape=\\(32, 0, 3\\)"),
    ({"widths": (16, 32)}, ValueError, "`widths` must be three numbers of filters"),
    ({"widths": (16, 32, 0)}, ValueError, "`widths` must be an integer >= 1. Received: widths=0."),
    ({"widths": (12, 32, 64), "norm": "group"}, ValueError, "must be a multiple of 8"),
    ({"num_classes": 0}, ValueError, "`num_classes` must be an integer >= 1. Received: num_classes=0."),
    ({"preactivation": "no"}, ValueError, "`preactivation` must be one of True, False. Received: preactivation='no'."),
    ({"include_top": 1}, ValueError, "`include_top` must be one of True, False"),
    ({"pooling": None}, ValueError, "`pooling` must be one of 'avg', 'max'."),
    ({"data_format": "NHWC"}, ValueError, "`data_format` must be one of 'channels_last', 'channels_first'."),
    ({"weights": "nowhere.weights.h5"}, (ValueError, OSError), "nowhere.weights.h5"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_arguments_get_a_clear_error(arguments, error, message):
    with pytest.raises(error, match=message):
        keras_euler.EulerResNet(**{"depth": 8, **arguments})
