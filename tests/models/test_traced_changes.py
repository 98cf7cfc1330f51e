"""Networks on torch that run as recorded programs follow every change, and their copies are those
of plain models."""

import copy
import pickle

import keras
import pytest

import keras_euler
from keras_euler import _backend
from tests.models.tracing import assert_same, batch, compiled, programs, small

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the other backends compile"
)


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


def set_activation(model):
    numbers = iter(range(1, 100))
    model.get_layer("stem_relu").activation = lambda x: x * next(numbers)


CHANGES = {
    "frozen": freeze,
    "frozen model": lambda model: setattr(model, "trainable", False),
    "frozen variable": lambda model: setattr(model.weights[0], "trainable", False),
    "set_weights": change_weights,
    "assign": assign,
    "other memory": move_weights,
    "h": set_h,
    "scheme": set_on(["stage1_block1"], "scheme", "heun"),
    "skip": lambda model: setattr(model.get_layer("stage1_block1").add, "skip", 0.5),
    "momentum": set_on(["stage1_block1", 1], "momentum", 0.5),
    "epsilon": set_on(["stem_norm"], "epsilon", 0.1),
    "activation": set_on(["stem_relu"], "activation", keras.activations.tanh),
    "activation of a block": set_on(["stage1_block1"], "activation", keras.activations.gelu),
    "replaced layer": replace_layer,
    "dtype": lambda model: setattr(
        model.get_layer("stage1_block1").branch[0], "dtype_policy", "mixed_bfloat16"
    ),
    "lora": add_lora,
    "quantized": lambda model: model.get_layer("logits").quantize("int8"),
    "a call of its own": lambda model: setattr(
        model.get_layer("stem_relu"), "call", lambda x: x * 0.5
    ),
    "a user's activation": set_activation,
}


SAME_OUTPUTS = (
    "frozen",
    "frozen model",
    "frozen variable",
    "momentum",
    "lora",
)  # in inference, at first


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
    before, after = map(keras.ops.convert_to_numpy, one[0][3:5])
    assert training or name in SAME_OUTPUTS or (before != after).any()


@pytest.mark.parametrize(
    "name", ["frozen", "frozen model", "frozen variable", "h", "momentum", "set_weights"]
)
def test_a_change_in_the_middle_of_training_has_the_same_bits(name, both):
    def run():
        model = compiled(small())
        x, y = batch(model)
        logs = []
        for step in range(9):
            logs.append(
                model.train_on_batch(x, y) if model.trainable_weights else model.test_on_batch(x, y)
            )
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
    copies = (
        keras.models.load_model(tmp_path / "model.keras"),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
    )
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
        assert repr(copied) == repr(plain) and copied.to_json() == model.to_json()
        assert_same(copied(x), expected)


def test_hooks_are_called_while_they_are_there():
    model, seen = small(), []
    x, _ = batch(model)
    [model(x) for _ in range(3)]
    handle = (
        model.get_layer("stage2_block1").branch[1].register_forward_hook(lambda *_: seen.append(1))
    )
    [model(x) for _ in range(3)]
    handle.remove()
    [model(x) for _ in range(3)]
    assert len(seen) == 3 and len(programs(model)) == 1


def test_weights_are_found_again_when_layers_change():
    model = small()
    assert [w.path for w in model.weights] == [
        w.path for w in super(_backend.Traced, model).weights
    ]
    logits = model.get_layer("logits")
    logits.enable_lora(2)
    assert [id(w) for w in model.weights] == [id(w) for w in super(_backend.Traced, model).weights]
    assert any("lora" in weight.path for weight in model.weights)
