"""Networks on torch run as recorded programs: the same bits as the layers, called one by one, whatever changes."""

import copy
import gc
import pickle
import threading
import weakref

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler import _backend
from tests.models.networks import BUILDS, NETWORKS, arrays, inputs, resnet, vdcnn

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="the other backends compile")


def small(**arguments):
    return resnet(**{"input_shape": (8, 8, 3), **arguments})


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
    **{f"{name}, {build}": lambda make=make, arguments=arguments: make(**arguments)
       for name, make in (("resnet", small), ("vdcnn", vdcnn)) for build, arguments in BUILDS.items()},
    "trained h": lambda: small(trainable_h="scalar"),
    "trained h per channel": lambda: small(trainable_h="channel"),
    "channels_first": lambda: small(data_format="channels_first", input_shape=(3, 8, 8)),
    "k-max": lambda: vdcnn(head_pooling="k_max"),
    "bfloat16": lambda: small(dtype="mixed_bfloat16"),
    "float16": lambda: small(dtype="mixed_float16"),
    "eulerized": lambda: keras_euler.eulerize(dense_resnet(), h=0.3, verbose=False),
    "folded": lambda: keras_euler.fold(small()),
    "folded, eulerized": lambda: keras_euler.fold(keras_euler.eulerize(dense_resnet(), verbose=False)),
}  # fmt: skip


@pytest.fixture
def switch(monkeypatch):
    """A function that switches tracing on or off."""
    return lambda on: monkeypatch.setenv("KERAS_EULER_TRACE", str(int(on)))


@pytest.fixture
def both(switch):
    """A function that runs another one, from the same seed, without tracing and with it, and returns both results."""

    def run(function):
        results = []
        for on in (False, True):
            switch(on)
            keras.utils.set_random_seed(0)
            results.append(function())
        return results

    return run


def programs(model):
    """The kinds of calls of which a model has a program."""
    return [kind for kind, program in model._tracer().programs.items() if callable(program)]


def assert_same(one, other):
    for a, b in zip(keras.tree.flatten(one), keras.tree.flatten(other), strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))


def batch(model, n=4):
    rng = np.random.default_rng(0)
    if keras.backend.is_int_dtype(model.inputs[0].dtype):
        return keras.ops.convert_to_tensor(inputs(model, rng, n)), np.arange(n) % 4
    return keras.ops.convert_to_tensor(rng.normal(size=(n, *model.input_shape[1:])).astype("float32")), np.arange(n) % 4


def compiled(model, optimizer=None):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"])
    return model


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
        return list(history.values()), recent, model.evaluate(x, y, verbose=0), model.predict(x, 4, verbose=0), model.get_weights()

    assert_same(*both(run))


def freeze(model):
    model.get_layer("stage2_block1").trainable = False


def change_weights(model):
    model.set_weights([weight * 1.5 for weight in model.get_weights()])


def assign(model):
    for variable in model.weights:
        variable.assign(variable * 0.5)


def move_weights(model):
    for variable in model.weights:
        variable.value.data = variable.value.data.clone() * 0.5


def replace_layer(model):
    block = model.get_layer("stage1_block1")
    block.branch[2] = keras.layers.Activation("tanh")


def set_on(path, name, value):
    def change(model):
        layer = model.get_layer(path[0])
        for position in path[1:]:
            layer = layer.branch[position]
        setattr(layer, name, value)

    return change


def set_h(model):
    model.get_layer("stage1_block1").add.h = 0.7


def add_lora(model):
    model.get_layer("logits").enable_lora(2)


CHANGES = {
    "frozen": freeze,
    "frozen model": lambda model: setattr(model, "trainable", False),
    "frozen variable": lambda model: setattr(model.weights[0], "trainable", False),
    "set_weights": change_weights,
    "assign": assign,
    "other memory": move_weights,
    "h": set_h,
    "momentum": set_on(["stage1_block1", 1], "momentum", 0.5),
    "epsilon": set_on(["stem_norm"], "epsilon", 0.1),
    "activation": set_on(["stem_relu"], "activation", keras.activations.tanh),
    "activation of a block": set_on(["stage1_block1"], "activation", keras.activations.gelu),
    "replaced layer": replace_layer,
    "dtype": lambda model: setattr(model.get_layer("stage1_block1").branch[0], "dtype_policy", "bfloat16"),
    "lora": add_lora,
    "quantized": lambda model: model.quantize("int8"),
    "a call of its own": lambda model: setattr(model.get_layer("stem_relu"), "call", lambda x: x * 0.5),
    "a user's activation": set_on(["stem_relu"], "activation", lambda x: x * np.random.default_rng(0).normal()),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("training", [False, True])
def test_a_change_is_seen_at_the_next_call(name, training, both):
    def run():
        model, outputs = small(), []
        x, _ = batch(model)
        for step in range(9):
            outputs.append(model(x, training=training))
            if step == 3:
                CHANGES[name](model)
        return outputs, model.get_weights()

    one, other = both(run)
    assert_same(one, other)
    if name != "frozen" and "variable" not in name and not (training and name == "epsilon"):
        assert (keras.ops.convert_to_numpy(one[0][3]) != keras.ops.convert_to_numpy(one[0][4])).any() or name == "momentum"


@pytest.mark.parametrize("name", ["frozen", "frozen model", "frozen variable", "h", "momentum", "set_weights"])
def test_a_change_in_the_middle_of_training_has_the_same_bits(name, both):
    def run():
        model = compiled(small())
        x, y = batch(model)
        logs = []
        for step in range(9):
            logs.append(model.train_on_batch(x, y) if model.trainable_weights else model.test_on_batch(x, y))
            if step == 3:
                CHANGES[name](model)
                compiled(model)
        return logs, model.get_weights()

    assert_same(*both(run))


def test_files_and_copies_run_and_have_programs_of_their_own(tmp_path):
    model = small()
    x, _ = batch(model)
    expected = [model(x) for _ in range(3)][-1]
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    other = small()
    [other(x) for _ in range(3)]
    other.load_weights(tmp_path / "model.weights.h5")
    assert_same(other(x), expected)
    copies = keras.models.load_model(tmp_path / "model.keras"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    for copied in copies:
        assert_same([copied(x) for _ in range(3)], [expected] * 3)
        assert len(programs(copied)) == 1 and copied._tracer() is not model._tracer()


@pytest.mark.parametrize("kind", [keras_euler.fold, keras_euler.block_features])
def test_a_traced_functional_model_is_saved_and_copied_as_a_plain_one(kind, tmp_path):
    model = kind(small())
    plain = keras.Model(model.input, model.output, name=model.name)
    plain.dtype_policy = model.dtype_policy
    assert model.to_json() == plain.to_json() and repr(model) == repr(plain)
    x, _ = batch(model)
    expected = [model(x) for _ in range(3)][-1]
    assert len(programs(model)) == 1
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for copied in (loaded, clone, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(copied) is type(plain)
        assert_same(copied(x), expected)


def test_features_come_in_the_same_order_and_structure(both):
    def run():
        features = keras_euler.block_features(keras.Sequential([keras.Input((8, 8, 3)), small()]))
        x, _ = batch(features)
        return [features(x) for _ in range(3)]

    one, other = both(run)
    assert [list(features) for features in one] == [list(features) for features in other]
    assert [type(features) for features in one] == [type(features) for features in other]
    assert_same(one, other)


def test_hooks_are_called_while_they_are_there():
    model, seen = small(), []
    x, _ = batch(model)
    [model(x) for _ in range(3)]
    handle = model.get_layer("stage2_block1").branch[1].register_forward_hook(lambda *_: seen.append(1))
    [model(x) for _ in range(3)]
    handle.remove()
    [model(x) for _ in range(3)]
    assert len(seen) == 3 and len(programs(model)) == 1


def test_what_cannot_be_recorded_runs_as_always(both):
    """Random layers in training, code of users, masks and arguments that no program knows."""

    def run():
        model = vdcnn(dropout=0.5)
        x, _ = batch(model)
        outputs = [[model(x, training=training) for _ in range(4)] for training in (True, False)]
        assert not any(kind[0] for kind in programs(model))
        lambdas = keras_euler.fold(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x + len(outputs))]))
        images, _ = batch(lambdas)
        for _ in range(4):
            outputs.append(lambdas(images))
        assert not programs(lambdas)
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
            gradients.append([x.grad.clone(), *(weight.value.grad for weight in model.trainable_weights)])
        total = model(x, training=True).sum() + model(2 * x, training=True).sum()  # two graphs, then one backward pass
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
    jacobian = torch.func.jvp(model, (x,), (torch.ones_like(x),))[0]
    traced = torch.jit.trace(model, x, check_trace=False)(x)
    mapped = torch.func.vmap(lambda image: model(image[None])[0])(x)
    for outputs in (exported, jacobian, traced, mapped, model(x)):
        np.testing.assert_allclose(outputs.detach(), expected, atol=1e-5)
    assert model(keras.Input((8, 8, 3))).shape == (None, 10)
    assert model.compute_output_spec(keras.KerasTensor((2, 8, 8, 3))).shape == (2, 10)
    state = [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]
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


def test_the_network_within_another_model_is_traced():
    network = small()
    model = compiled(keras_euler.ImageClassifier([keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255), network]))
    x, y = np.full((4, 8, 8, 3), 9.0, "float32"), np.arange(4)
    for _ in range(4):
        model.train_on_batch(x, y)
    assert len(programs(network)) == 1


def test_a_program_holds_what_it_says():
    """Permutations of images are gone but for those of inputs and kernels, and statistics are updated by a few calls."""
    from keras_euler._backend import program
    from keras_euler._backend.recording import Recorder

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
    assert names.count("permute") == num_kernels + 6  # the input, before and after the two paddings, before the pooling
    assert "copy_" not in names and sum("foreach" in name for name in names) <= 20
    assert _backend.Traced.call is type(model).call


def test_weights_are_found_again_when_layers_change():
    model = small()
    assert [w.path for w in model.weights] == [w.path for w in super(_backend.Traced, model).weights]
    logits = model.get_layer("logits")
    logits.enable_lora(2)
    assert [id(w) for w in model.weights] == [id(w) for w in super(_backend.Traced, model).weights]
    assert NETWORKS["resnet"] is resnet and any("lora" in weight.path for weight in model.weights)
