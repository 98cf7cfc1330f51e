"""Functions that use Keras' private names agree with Keras' public behaviour and have a
fallback."""

import types

import keras
import numpy as np
import pytest

from keras_euler import EulerResidual, _backend
from keras_euler._backend.keras_private import training_state

pytestmark = pytest.mark.once


def dense(name):
    return keras.layers.Dense(3, name=name)


def test_layers_within_a_layer_come_once_each():
    shared = dense("shared")
    block = EulerResidual(
        [shared, keras.Sequential([shared, dense("inner")], name="model")],
        shortcut=dense("shortcut"),
    )
    direct = {layer.name for layer in _backend.inner_layers(block)}
    assert direct == {"shared", "model", "shortcut", "add"}
    names = [layer.name for layer in _backend.all_layers(block)]
    assert sorted(names) == sorted([block.name, "shared", "model", "inner", "shortcut", "add"])


def test_without_the_private_name_the_layers_of_models_are_found():
    inner = types.SimpleNamespace(layers=[types.SimpleNamespace(name="dense")])
    model = types.SimpleNamespace(layers=[inner, inner])
    assert _backend.inner_layers(model) == [inner, inner]
    assert _backend.all_layers(model) == [model, inner, inner.layers[0]]


@pytest.mark.parametrize("has_own", [False, True])
def test_a_mask_is_attached_for_a_while_and_passed_on(has_own):
    x, other = (keras.ops.convert_to_tensor(np.ones((1, 2, 3), "float32")) for _ in range(2))
    before = None
    if has_own:
        x = keras.layers.Masking(0.0)(x)
        before = _backend.mask_of(x)
    mask = keras.ops.convert_to_tensor([[False, True]])
    with pytest.raises(RuntimeError), _backend.masked(x, mask):
        assert _backend.mask_of(x) is mask
        _backend.pass_mask(x, other)
        raise RuntimeError
    assert _backend.mask_of(x) is before and _backend.mask_of(other) is mask
    with _backend.masked(x, None):
        assert _backend.mask_of(x) is before


def test_updates_in_groups_need_the_private_name():
    with pytest.raises(NotImplementedError, match=keras.__version__):
        _backend.group_updates(types.SimpleNamespace(), None)


def test_arrays_in_training_are_found_in_training_alone():
    model = types.SimpleNamespace(_jax_state={"trainable_variables": [1]}, _jax_state_synced=False)
    assert training_state(model) == {"trainable_variables": [1]}
    model._jax_state_synced = True
    assert training_state(model) is None and training_state(types.SimpleNamespace()) is None
