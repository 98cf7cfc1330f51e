"""The KerasHub models: the same numbers as the networks, presets saved, found and loaded, raw
inputs."""

import json
import warnings

import keras
import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras_hub

import keras_euler
from keras_euler import hub
from tests.models.networks import resnet, scramble, vdcnn

ARRAY = keras.ops.convert_to_numpy
NAME = "euler_resnet_20_cifar10"
TEXTS = ["Wall St. Bears Claw Back", "Goal! 3:1", "", "x" * 200]
# Of TensorFlow Text and KerasHub's pipelines, and of Keras where an optimizer is new; none of ours.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"
)
SMALL = dict(depth=9, sequence_length=64, widths=(8, 16, 24, 32))


def images(rng, n=4):
    return rng.integers(0, 256, (n, 32, 32, 3)).astype("uint8")


@pytest.fixture
def classifier(rng):
    backbone = hub.EulerResNetBackbone(8, h=0.3, shortcut="padding")
    scramble(backbone, rng)
    converter = hub.EulerResNetImageConverter(image_size=(32, 32), scale=1 / 255)
    preprocessor = hub.EulerResNetImageClassifierPreprocessor(converter)
    return hub.EulerResNetImageClassifier(backbone, 5, preprocessor=preprocessor)


@pytest.fixture
def text_classifier(rng):
    backbone = hub.EulerVDCNNBackbone(h=0.3, **SMALL)
    scramble(backbone, rng)
    preprocessor = hub.EulerVDCNNTextClassifierPreprocessor(sequence_length=64)
    return hub.EulerVDCNNTextClassifier(backbone, 4, preprocessor=preprocessor, dense_units=16)


def test_image_classifier_is_the_network_of_the_core(classifier, rng):
    core = resnet(h=0.3, shortcut="padding", num_classes=5)
    core.set_weights([*classifier.backbone.get_weights(), *classifier.output_dense.get_weights()])
    x = images(rng)
    expected = core.predict(x.astype("float32") / 255, verbose=0)
    np.testing.assert_allclose(classifier.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_text_classifier_is_the_network_of_the_core(text_classifier):
    core = vdcnn(h=0.3)
    core.set_weights(text_classifier.get_weights())
    expected = keras_euler.CharacterClassifier(core).predict(TEXTS, verbose=0)
    np.testing.assert_allclose(
        text_classifier.predict(TEXTS, verbose=0), expected, rtol=1e-4, atol=1e-5
    )


def test_image_preset_is_found_by_kerashub(classifier, tmp_path, rng):
    x = images(rng)
    expected = classifier.predict(x, verbose=0)
    classifier.save_to_preset(str(tmp_path / "preset"))
    again = keras_hub.models.ImageClassifier.from_preset(str(tmp_path / "preset"))
    assert type(again) is hub.EulerResNetImageClassifier
    np.testing.assert_allclose(again.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
    other = keras_hub.models.ImageClassifier.from_preset(str(tmp_path / "preset"), num_classes=3)
    assert other.predict(x, verbose=0).shape == (4, 3)
    for one, same in zip(other.backbone.weights, classifier.backbone.weights, strict=True):
        np.testing.assert_array_equal(ARRAY(one), ARRAY(same))


def test_text_preset_is_found_by_kerashub(text_classifier, tmp_path):
    expected = text_classifier.predict(TEXTS, verbose=0)
    text_classifier.save_to_preset(str(tmp_path / "preset"))
    again = keras_hub.models.TextClassifier.from_preset(str(tmp_path / "preset"))
    assert type(again) is hub.EulerVDCNNTextClassifier
    np.testing.assert_allclose(again.predict(TEXTS, verbose=0), expected, rtol=1e-5, atol=1e-6)
    preprocessor = keras_hub.models.TextClassifierPreprocessor.from_preset(str(tmp_path / "preset"))
    assert np.asarray(preprocessor("ab"))[:3].tolist() == [1, 2, 0]


def test_raw_inputs_are_trained_and_evaluated(classifier, text_classifier, rng):
    for task, x in ((classifier, images(rng)), (text_classifier, TEXTS)):
        before = task.backbone.get_weights()[0]
        task.fit(x, np.array([0, 1, 2, 3]), batch_size=2, verbose=0)
        assert np.abs(task.backbone.get_weights()[0] - before).max() > 0
        loss, accuracy = task.evaluate(x, np.array([0, 1, 2, 3]), verbose=0)
        assert loss > 0 and 0 <= accuracy <= 1


def test_images_are_not_scaled_twice(classifier, rng):
    x = images(rng) / 255
    for enter in (
        classifier.predict,
        lambda x: classifier.fit(x, np.zeros(4)),
        classifier.predict_on_batch,
    ):
        with pytest.raises(
            ValueError,
            match=r"^Images must be raw pixels, numbers from 0 to 255. Received: float64",
        ):
            enter(x)
    whole = hub.EulerResNetImageClassifier(classifier.backbone, 5)
    assert whole.predict(x, verbose=0).shape == (4, 5)  # no preprocessor scales them


def test_a_direct_call_takes_what_the_preprocessor_returns(classifier, text_classifier, rng):
    for task, raw in ((classifier, images(rng)), (text_classifier, TEXTS)):
        expected = task.predict(raw, verbose=0)
        prepared = task.preprocessor(raw)
        for x in (prepared, np.asarray(ARRAY(prepared))):
            np.testing.assert_allclose(ARRAY(task(x)), expected, rtol=1e-4, atol=1e-5)
    for raw in (images(rng), [images(rng)], {"images": images(rng)}):
        with pytest.raises(ValueError, match="takes what `preprocessor` returns. Received: uint8"):
            classifier(raw)
    for gray in (images(rng)[..., 0], images(rng)[..., :1]):
        with pytest.raises(ValueError, match="Images must have 3 channels"):
            classifier.predict(gray, verbose=0)


@pytest.mark.once
def test_a_task_within_a_model_is_a_part_of_its_graph(classifier):
    x = keras.Input((32, 32, 3))
    model = keras.Model(x, keras.layers.Softmax()(classifier(x)))
    assert len(keras_euler.block_features(model).output) == 3
    sizes = [keras_euler.analysis.multiply_adds(one) for one in (model, classifier.backbone)]
    assert sizes[0] > sizes[1] > 0
    assert keras_euler.fold(model).count_params() < model.count_params()


def test_backbone_without_weights_and_in_another_precision():
    trained = hub.EulerResNetBackbone.from_preset(NAME)
    fresh = hub.EulerResNetBackbone.from_preset(NAME, load_weights=False, dtype="mixed_bfloat16")
    assert fresh.dtype_policy.name == "mixed_bfloat16" and fresh.depth == trained.depth == 20
    assert np.abs(fresh.get_weights()[0] - trained.get_weights()[0]).max() > 0
    task = hub.EulerResNetImageClassifier.from_preset(NAME, dtype="mixed_float16")
    assert task.backbone.compute_dtype == "float16"
    assert task.predict(np.zeros((1, 32, 32, 3), "uint8"), verbose=0).dtype == "float32"


@pytest.mark.once
def test_config_gives_the_backbone_back():
    settings = dict(
        norm=None,
        trainable_h="scalar",
        widths=(4, 8, 8),
        kernel_initializer="he_normal",
        trainable=False,
    )
    settings |= dict(scheme="heun", skip=0.5, drop_path=0.25)
    backbone = hub.EulerResNetBackbone(14, h="1/L", image_shape=(16, 16, 1), name="own", **settings)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(backbone)["config"]))
    again = hub.EulerResNetBackbone.from_config(config)
    one, other = (json.dumps(each.get_config(), default=str) for each in (again, backbone))
    assert one == other
    assert again.name == "own" and not again.trainable
    assert [weight.path for weight in again.weights] == [weight.path for weight in backbone.weights]


def test_trained_weights_are_not_put_into_another_network():
    with pytest.raises(ValueError, match="Received: h=1.0, the weights have 0.1"):
        hub.EulerResNetBackbone.from_preset(NAME, h=1.0)
    with pytest.raises(ValueError, match="depth=56, the weights have 20"):
        hub.EulerResNetBackbone.from_preset(NAME, depth=56)
    assert NAME in hub.EulerResNetImageClassifier.presets


@pytest.mark.once
def test_what_does_not_fit_is_one_sentence(text_classifier):
    classifier, text = hub.EulerResNetImageClassifier, text_classifier.backbone
    backbone = hub.EulerResNetBackbone(8, 0.5)
    preprocessor = hub.EulerResNetImageClassifierPreprocessor.from_preset(NAME)
    for call, error, message in (
        (lambda: preprocessor(np.zeros((2, 32, 32, 1), "uint8")), ValueError, "have 3 channels"),
        (lambda: classifier(5, 3), TypeError, "`backbone` must be an EulerResNetBackbone"),
        (lambda: classifier(text, 3), TypeError, "Received: EulerVDCNNBackbone"),
        (lambda: classifier.from_preset("euler_resnet_21_cifar10"), ValueError, f"one of {NAME}"),
        (lambda: classifier.from_preset("euler_vdcnn_9_ag_news"), ValueError, "is an EulerVDCNN"),
        (
            lambda: classifier.from_preset(NAME, backbone=backbone, dtype="bfloat16"),
            TypeError,
            "dtype belongs to the backbone",
        ),
    ):
        with pytest.raises(error, match=message):
            call()
    assert classifier.from_preset(NAME, backbone=backbone).backbone is backbone
