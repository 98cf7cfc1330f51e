"""The error of a misspelt argument names the right one."""

import pytest

from keras_euler import EulerResNet, EulerVDCNN, list_models

SPELT = [
    (
        lambda: EulerResNet(8, classes=10),
        "EulerResNet has no argument `classes`. Did you mean `num_classes`?",
    ),
    (
        lambda: EulerVDCNN(9, n_classes=4),
        "EulerVDCNN has no argument `n_classes`. Did you mean `num_classes`?",
    ),
    (
        lambda: EulerResNet(8, num_class=3),
        "EulerResNet has no argument `num_class`. Did you mean `num_classes`?",
    ),
    (
        lambda: EulerVDCNN(9, dropout_rate=0.1),
        "EulerVDCNN has no argument `dropout_rate`. Did you mean `dropout`?",
    ),
    (
        lambda: list_models()["euler_resnet_20"](classes=3),
        "EulerResNet has no argument `classes`. Did you mean `num_classes`?",
    ),
    (
        lambda: EulerResNet(8, xyz=1),
        "EulerResNet has no argument `xyz`. Arguments are: depth, h, num_classes, ",
    ),
]


@pytest.mark.parametrize(("build", "message"), SPELT)
def test_misspelt_argument_is_told_by_its_right_name(build, message):
    with pytest.raises(TypeError) as error:
        build()
    assert message in str(error.value)
