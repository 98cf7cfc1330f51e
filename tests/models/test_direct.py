"""On torch a network calls the torch functions of its layers: the same bits as the layers, called
one by one, whatever changes."""

import copy
import gc
import pickle
import weakref

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler import _backend
from keras_euler._backend import calls
from keras_euler.models.euler_model import EulerModel
from tests.models.direct import assert_same, batch, compiled, small
from tests.models.networks import BUILDS, arrays, vdcnn

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the other backends compile"
)


def dense_resnet():
    """A functional model of Keras' own layers, with a residual connection."""
    x = inputs = keras.Input((8, 8, 3))
    for _ in range(2):
        x = keras.layers.Conv2D(4, 3, padding="same", activation="tanh")(x)
        x = keras.layers.BatchNormalization()(x)
        y = keras.layers.ReLU(max_value=6)(keras.layers.DepthwiseConv2D(3, padding="same")(x))
        x = keras.layers.Add()([x, y])
    return keras.Model(inputs, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x)))


def application(name, **arguments):
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=(32, 32, 3), classes=4, **arguments)
    return keras_euler.eulerize(model, h=0.3, verbose=False)


def backbone():
    kinds = keras_euler.hub
    backbone = kinds.EulerResNetBackbone(depth=8, image_shape=(8, 8, 3))
    return kinds.EulerResNetImageClassifier(backbone, num_classes=4)


def foreign_parts():
    """Blocks with layers that have no function here, masks and an inner block."""
    x = keras.Input((8, 6))
    y = keras_euler.EulerResidual([keras_euler.layers.Conv1D(6, 3, padding="same")], h=0.5)(x)
    inner = keras_euler.EulerResidual([keras.layers.Dense(6, "gelu")], h=0.3)
    y = keras_euler.EulerResidual(
        [keras.layers.Dense(6), inner, keras.layers.LayerNormalization()],
        activation=keras.layers.LeakyReLU(),
    )(keras.layers.Masking(0.0)(y))
    return EulerModel(x, keras.layers.GlobalAveragePooling1D()(y))


def hooked():
    """A layer that hooks its input and returns it, and a norm that is used twice."""

    class Hook(keras.layers.Layer):
        def call(self, x):
            if getattr(x, "requires_grad", False):
                x.register_hook(lambda gradient: 0.1 * gradient)
            return x

    x = keras.Input((8, 8, 4))
    block = lambda: keras_euler.EulerResidual(keras_euler.layers.Conv2D(4, 3, padding="same"))
    norm = keras_euler.layers.BatchNormalization()
    y = block()(Hook()(block()(norm(x))))
    y = norm(keras.layers.AveragePooling2D(8)(y))
    return EulerModel(x, keras.layers.Dense(4)(keras.layers.Flatten()(y)))


def another_order():
    """A normalization of a view whose memory has another order."""
    x = keras.Input((6, 8))
    y = keras.layers.BatchNormalization()(keras.layers.Permute((2, 1))(x))
    y = keras_euler.EulerResidual([keras.layers.Dense(6, "gelu")], h=0.5)(y)
    y = keras.layers.Bidirectional(keras.layers.GRU(3))(y)
    return EulerModel(x, keras.layers.Dense(4)(y))


def changed(change):
    def build():
        model = small()
        change(model)
        return model

    return build


def partial(model):
    import functools

    model.get_layer("stem_relu").activation = functools.partial(keras.activations.relu)


MODELS = {
    **{f"resnet, {name}": lambda build=build: small(**build) for name, build in BUILDS.items()},
    **{f"vdcnn, {name}": lambda build=build: vdcnn(**build) for name, build in BUILDS.items()},
    "trained h": lambda: small(trainable_h="scalar"),
    "trained h per channel": lambda: small(trainable_h="channel"),
    "channels_first": lambda: small(data_format="channels_first", input_shape=(3, 8, 8)),
    "one pixel": lambda: small(input_shape=(4, 4, 3)),
    "rk4": lambda: small(scheme="rk4", trainable_h="channel", skip=0.5),
    "drop path": lambda: small(drop_path=0.5),
    "dropout": lambda: vdcnn(dropout=0.5),
    "k-max": lambda: vdcnn(head_pooling="k_max"),
    "mixed_bfloat16": lambda: small(dtype="mixed_bfloat16"),
    "mixed_float16": lambda: vdcnn(dtype="mixed_float16"),
    "bfloat16": lambda: small(dtype="bfloat16"),
    "float64": lambda: small(dtype="float64"),
    "eulerized": lambda: keras_euler.eulerize(dense_resnet(), h=0.3, verbose=False),
    "ResNet50": lambda: application("ResNet50"),
    "MobileNetV2": lambda: application("MobileNetV2", alpha=0.35),
    "folded": lambda: keras_euler.fold(small()),
    "folded, rk4": lambda: keras_euler.fold(small(scheme="rk4", h=0.5)),
    "folded, eulerized": lambda: keras_euler.fold(
        keras_euler.eulerize(dense_resnet(), verbose=False)
    ),
    "hub": backbone,
    "foreign parts": foreign_parts,
    "hooked": hooked,
    "another order in memory": another_order,
    "partial": changed(partial),
    "LoRA": changed(lambda model: model.get_layer("stage2_block1").branch[1].enable_lora(2)),
    "int8": changed(lambda model: model.get_layer("logits").quantize("int8")),
    "frozen": changed(lambda model: setattr(model.get_layer("stage2_block1"), "trainable", False)),
    "regularizer": changed(
        lambda model: setattr(
            model.get_layer("stem_conv").kernel, "regularizer", keras.regularizers.L2()
        )
    ),
    "activity": changed(
        lambda model: setattr(
            model.get_layer("stage2_block1").branch[1],
            "activity_regularizer",
            keras.regularizers.L2(),
        )
    ),
    "a call of its own": changed(
        lambda model: setattr(model.get_layer("stem_relu"), "call", lambda x: x * 0.5)
    ),
    "a policy of its own": changed(
        lambda model: setattr(
            model.get_layer("stage1_block1").branch[0], "dtype_policy", "mixed_bfloat16"
        )
    ),
    "replaced layer": changed(
        lambda model: model.get_layer("stage1_block1").branch.__setitem__(
            2, keras.layers.Activation("tanh")
        )
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_training_and_inference_have_the_same_bits(name, both):
    def run():
        model = compiled(MODELS[name](), keras.optimizers.SGD(0.01, momentum=0.9))
        x, y = batch(model)
        logs = [model.train_on_batch(x, y) for _ in range(4)]
        return logs, model.predict_on_batch(x), list(arrays(model).values())

    assert_same(*both(run))


def test_fit_has_the_same_bits_with_a_last_smaller_batch_and_a_recorder(both):
    def run():
        model = compiled(small(), keras_euler.GradientRecorder(keras.optimizers.Adam()))
        x, y = batch(model, 10)
        x = keras.ops.convert_to_numpy(x)
        history = model.fit(x, y, batch_size=4, epochs=3, validation_data=(x, y), verbose=0).history
        return list(history.values()), model.optimizer.recent()[1], model.get_weights()

    assert_same(*both(run))


def test_the_layers_are_called_directly(monkeypatch):
    """One layer of a user, or a hook, costs its own call and no other's."""
    called = []
    call = keras.layers.Layer.__call__
    model = small()
    monkeypatch.setattr(
        keras.layers.Layer,
        "__call__",
        lambda self, *args, **kwargs: called.append(self.name) or call(self, *args, **kwargs),
    )
    x, _ = batch(model)
    model(x)
    assert called == [model.name, "logits"] or called == [model.name]
    model.get_layer("stage2_block1").branch[1].register_forward_hook(lambda *_: None)
    called.clear()
    model(x)
    assert called[1:] == ["conv1"]
    monkeypatch.setenv("KERAS_EULER_DIRECT", "0")
    called.clear()
    model(x)
    assert len(called) > 20


def test_torch_exports_and_transforms_a_model():
    import torch

    model = small()
    x, _ = batch(model)
    expected = model(x).detach()
    exported = torch.export.export(model, (x,)).module()(x)
    derivative = torch.func.vjp(model, x)[0]
    mapped = torch.func.vmap(lambda image: model(image[None])[0])(x)
    for outputs in (exported, derivative, mapped, model(x)):
        np.testing.assert_allclose(outputs.detach(), expected, atol=1e-5)
    assert model(keras.Input((8, 8, 3))).shape == (None, 10)
    assert model.compute_output_spec(keras.KerasTensor((2, 8, 8, 3))).shape == (2, 10)
    state = (
        [v.value for v in model.trainable_variables],
        [v.value for v in model.non_trainable_variables],
    )
    assert_same(model.stateless_call(*state, x)[0], expected)


def test_nothing_of_a_call_is_kept_and_an_error_leaves_none():
    model = small()
    x, _ = batch(model)
    output = model(x, training=True)
    references = weakref.ref(x), weakref.ref(output)
    del x, output
    gc.collect()
    assert [reference() for reference in references] == [None, None]
    model.get_layer("logits").activation = lambda x: 1 / 0
    with pytest.raises(ZeroDivisionError):
        model(batch(model)[0], training=True)
    assert calls._local.direct is None


def test_files_and_copies_have_the_same_outputs_and_class(tmp_path):
    model = small()
    x, _ = batch(model)
    model.save(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for copied in (loaded, clone, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(copied) is type(model)
        assert_same(copied(x), model(x))


def test_a_compiled_convolution_is_that_of_keras(monkeypatch, rng):
    """Views of a kernel and images of any size together are too much for torch's compiler."""
    import torch

    layer, x = keras_euler.layers.Conv2D(4, 3, padding="same"), rng.normal(size=(2, 8, 8, 3))
    expected = layer(x)
    monkeypatch.setattr(_backend, "convolution", None)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    found, expected = map(keras.ops.convert_to_numpy, (layer(x), expected))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("training", [None, False, True])
def test_training_of_the_model_comes_before_that_of_the_graph_as_in_keras(training, rng):
    x = keras.Input((4,))
    y = keras_euler.layers.BatchNormalization()(keras.layers.Dense(3)(x), training=True)
    data = rng.normal(size=(5, 4)).astype("float32")
    plain, direct = keras.Model(x, y), EulerModel(x, y)
    expected, found = (one(data, training=training) for one in (plain, direct))
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (found, expected)))
