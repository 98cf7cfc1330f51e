"""The image network: parameters, names and shapes."""

import pytest

import keras_euler
from tests.models.networks import count, resnet

# Trainable parameters of the paper's network, counted from its definition (PAPER.md).
PARAMETERS = {
    8: 78_042,
    20: 272_474,
    32: 466_906,
    44: 661_338,
    56: 855_770,
    110: 1_730_714,
    218: 3_480_602,
}
OPTION_A = {20: 269_722, 56: 853_018, 110: 1_727_962, 218: 3_477_850}


@pytest.mark.once
@pytest.mark.parametrize("depth", PARAMETERS)
def test_parameters_are_the_papers(depth):
    assert count(keras_euler.EulerResNet(depth)) == PARAMETERS[depth]
    if depth in OPTION_A:
        assert count(keras_euler.EulerResNet(depth, shortcut="padding")) == OPTION_A[depth]


def test_list_models_builds_each_prebuilt_depth():
    builders = keras_euler.list_models()
    for name in (
        "euler_resnet_20",
        "euler_resnet_110",
        "euler_resnet_218",
        "euler_vdcnn_9",
        "euler_vdcnn_49",
    ):
        assert name in builders
    images = [int(name.removeprefix("euler_resnet_")) for name in builders if "resnet" in name]
    assert min(images) == 20 and max(images) == 218
    model = builders["euler_resnet_32"]("1/L")
    assert count(model) == PARAMETERS[32]
    assert model.get_layer("stage3_block5").h == pytest.approx(1 / 15)
    assert builders["euler_vdcnn_17"](h=0.3, dense_units=8).get_layer("stage4_block2").h == 0.3


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


@pytest.mark.once
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
    model = resnet(**arguments)
    x = rng.normal(size=(2, 32, 32, 3)).astype("float32")
    assert tuple(model(x).shape) == shape == (2, *model.output_shape[1:])


def test_channels_first_takes_images_in_that_order():
    assert resnet(data_format="channels_first").input_shape == (None, 3, 32, 32)


BAD = [
    ({"depth": 21}, "`depth` must be 6n \\+ 2. Received: depth=21. The nearest: 20 or 26."),
    ({"h": [0.1, 0.2, -1]}, "Received: h\\[2\\]=-1"),
    ({"input_shape": (32, 32)}, "`input_shape` must be \\(height, width, channels\\)"),
    ({"input_shape": (32, 32, None)}, "number of channels must be known"),
    ({"input_shape": (32, 0, 3)}, "input_shape\\[1\\]"),
    ({"widths": (16, 32, 0)}, "`widths` must be an integer >= 1. Received: widths=0."),
    ({"widths": (12, 32, 64), "norm": "group"}, "must be a multiple of 8"),
    ({"pooling": None}, "`pooling` must be one of 'avg', 'max'."),
]


@pytest.mark.once
@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_get_a_clear_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        resnet(**arguments)
