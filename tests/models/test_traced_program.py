"""Networks on torch run as recorded programs: the same bits as the layers, called one by one,
whatever changes."""

import copy
import gc
import threading
import weakref

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler import _backend
from tests.models.networks import BUILDS, arrays, vdcnn
from tests.models.tracing import assert_same, batch, compiled, programs, small

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the other backends compile"
)


def dense_resnet():
    """A functional model of Keras' own layers, with a residual connection."""
    x = inputs = keras.Input((8, 8, 3))
    for _ in range(2):
        x = keras.layers.Conv2D(4, 3, padding="same")(x)
        x = keras.layers.BatchNormalization()(x)
        y = keras.layers.ReLU(max_value=6)(keras.layers.DepthwiseConv2D(3, padding="same")(x))
        x = keras.layers.Add()([x, y])
    return keras.Model(inputs, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x)))


MODELS = {
    **{
        f"{name}, {build}": lambda make=make, arguments=arguments: make(**arguments)
        for name, make in (("resnet", small), ("vdcnn", vdcnn))
        for build, arguments in BUILDS.items()
    },
    "trained h": lambda: small(trainable_h="scalar"),
    "trained h per channel": lambda: small(trainable_h="channel"),
    "channels_first": lambda: small(data_format="channels_first", input_shape=(3, 8, 8)),
    "rk4": lambda: small(scheme="rk4", trainable_h="channel", skip=0.5),
    "heun without norm": lambda: small(scheme="heun", norm=None),
    "k-max": lambda: vdcnn(head_pooling="k_max"),
    "bfloat16": lambda: small(dtype="mixed_bfloat16"),
    "float16": lambda: small(dtype="mixed_float16"),
    "eulerized": lambda: keras_euler.eulerize(dense_resnet(), h=0.3, verbose=False),
    "folded": lambda: keras_euler.fold(small()),
    "folded, rk4": lambda: keras_euler.fold(small(scheme="rk4", h=0.5)),
    "folded, eulerized": lambda: keras_euler.fold(
        keras_euler.eulerize(dense_resnet(), verbose=False)
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_training_and_inference_have_the_same_bits(name, both):
    def run():
        model = compiled(MODELS[name]())
        x, y = batch(model)
        logs = [model.train_on_batch(x, y) for _ in range(4)]
        predictions = [model.predict_on_batch(x) for _ in range(3)]
        return logs, predictions, list(arrays(model).values()), len(programs(model))

    one, other = both(run)
    assert_same(one[:3], other[:3])
    assert (one[3], other[3]) == (0, 2)


def test_fit_evaluate_and_predict_have_the_same_bits_with_a_last_smaller_batch(both):
    def run():
        model = compiled(small(), keras_euler.GradientRecorder(keras.optimizers.Adam()))
        x, y = batch(model, 10)
        x = keras.ops.convert_to_numpy(x)
        history = model.fit(x, y, batch_size=4, epochs=3, validation_data=(x, y), verbose=0).history
        recent = model.optimizer.recent()[1]
        return (
            list(history.values()),
            recent,
            model.evaluate(x, y, verbose=0),
            model.predict(x, 4, verbose=0),
            model.get_weights(),
        )

    assert_same(*both(run))


def test_features_come_in_the_same_order_and_structure(both):
    def run():
        features = keras_euler.block_features(keras.Sequential([keras.Input((8, 8, 3)), small()]))
        x, _ = batch(features)
        return [features(x) for _ in range(3)]

    one, other = both(run)
    assert [list(features) for features in one] == [list(features) for features in other]
    assert [type(features) for features in one] == [type(features) for features in other]
    assert_same(one, other)


def test_what_cannot_be_recorded_runs_as_always(both):
    """Random layers in training, code of users, masks and arguments that no program knows."""

    def run():
        outputs = []
        for model in (vdcnn(dropout=0.5), small(drop_path=0.5, scheme="heun")):
            x, _ = batch(model)
            outputs += [
                [model(x, training=training) for _ in range(4)] for training in (True, False)
            ]
            assert not any(kind[0] for kind in programs(model))
        lambdas = keras_euler.fold(
            keras.Sequential(
                [keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x + len(outputs))]
            )
        )
        images, _ = batch(lambdas)
        x = keras.Input((8, 8, 3))
        y = keras.layers.Conv2D(3, 3, padding="same", activity_regularizer="l2")(x)
        regularized = keras_euler.eulerize(
            keras.Model(x, keras.layers.Add()([x, y])), verbose=False
        )
        for _ in range(4):
            outputs += [lambdas(images), regularized(images), *regularized.losses]
        assert not programs(lambdas) and not programs(regularized)
        return outputs

    assert_same(*both(run))


def test_a_custom_loop_has_the_same_gradients_and_no_gradients_are_taken_without(both):
    import torch

    def run():
        model = small()
        x, _ = batch(model)
        x.requires_grad_()
        gradients = []
        for _ in range(4):
            model.zero_grad()
            model(x, training=True).square().sum().backward()
            gradients.append(
                [x.grad.clone(), *(weight.value.grad for weight in model.trainable_weights)]
            )
        total = (
            model(x, training=True).sum() + model(2 * x, training=True).sum()
        )  # two graphs, then one backward pass
        total.backward()
        with torch.no_grad():
            outputs = [model(x) for _ in range(4)]
        with torch.inference_mode():
            outputs += [model(x) for _ in range(4)]
        assert not any(output.requires_grad for output in outputs) and model(x).requires_grad
        return gradients, [weight.value.grad for weight in model.trainable_weights], outputs

    assert_same(*both(run))


def test_torch_exports_and_transforms_a_traced_model():
    import torch

    model = small()
    x, _ = batch(model)
    expected = [model(x) for _ in range(3)][-1].detach()
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


def test_other_shapes_dtypes_and_layouts_have_programs_of_their_own_up_to_a_limit(both):
    import torch

    def run():
        model = small(input_shape=(None, None, 3))
        x = torch.randn(20, 8, 12, 3)
        last = x.permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)
        views = [x[:n] for n in range(1, 20)] + [x.transpose(1, 2), last, x.double()]
        outputs = [model(view) for view in views for _ in range(3)]
        with torch.device("cpu"):
            outputs.append(model(x))
        with keras.device("cpu"):
            outputs += [model(x) for _ in range(3)]
        assert len(programs(model)) <= 16
        return outputs

    assert_same(*both(run))


def test_threads_share_a_model():
    model = small()
    xs = [batch(model, n)[0] for n in (1, 2, 3, 4)]
    expected = [model(x) for x in xs]
    results = {}

    def work(i):
        results[i] = [model(xs[i]) for _ in range(10)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for i in range(4):
        assert_same(results[i], [expected[i]] * 10)


def test_nothing_of_a_call_is_kept():
    model = small()
    for _ in range(4):
        x, _ = batch(model)
        output = model(x, training=True)
        references = weakref.ref(x), weakref.ref(output)
        del x, output
        gc.collect()
        assert [reference() for reference in references] == [None, None]
    assert len(programs(model)) == 1
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


def test_arrays_are_traced_too_and_a_shallow_copy_has_programs_of_its_own():
    model = small()
    x = keras.ops.convert_to_numpy(batch(model)[0])
    outputs = [model(x) for _ in range(4)]
    assert_same(outputs, outputs[:1] * 4)
    assert len(programs(model)) == 1 and not programs(copy.copy(model))


def test_the_network_within_another_model_is_traced():
    network = small()
    model = compiled(
        keras_euler.ImageClassifier(
            [keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255), network]
        )
    )
    x, y = np.full((4, 8, 8, 3), 9.0, "float32"), np.arange(4)
    for _ in range(4):
        model.train_on_batch(x, y)
    assert len(programs(network)) == 1


def test_a_program_holds_what_it_says():
    """Permutations of images are gone but for those of inputs and kernels, and statistics are
    updated by a few calls."""
    from keras_euler._backend.on_torch import program
    from keras_euler._backend.on_torch.recording import Recorder

    model = small(depth=14)
    x, _ = batch(model)
    model(x, training=True)
    weights = [variable.value for variable in model.weights]
    recorder = Recorder([x], weights)
    with recorder:
        outputs = model(x, training=True)
    assert recorder.problem is None
    kinds, results = list(recorder.kinds), [recorder.number(outputs)]
    calls, results = program.without_permutations(recorder.calls, kinds, True, results)
    calls = program.with_joined_statistics(calls, kinds)
    names = [call.name for call in calls]
    num_kernels = sum(len(weight.shape) == 4 for weight in weights)
    assert (
        names.count("permute") == num_kernels + 6
    )  # the input, before and after the two paddings, before the pooling
    assert "copy_" not in names and sum("foreach" in name for name in names) <= 20
    assert _backend.Traced.call is type(model).call
