"""What surrounds a traced network: gradient checkpoints, models of users within it, torch's own
parameters, alternate freezing."""

import keras
import numpy as np
import pytest

import keras_euler

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="tracing is for torch")


def network():
    return keras_euler.EulerResNet(depth=8, input_shape=(8, 8, 3))


def images(batch_size=2):
    return keras.random.normal((batch_size, 8, 8, 3), seed=1)


@pytest.mark.parametrize("num_calls_before", [0, 1, 2, 3])
def test_checkpoints(both, num_calls_before):
    from torch.utils.checkpoint import checkpoint

    def run():
        model = network()
        for _ in range(num_calls_before):
            model(images(), training=True)
        for _ in range(3):
            model.zero_grad()
            checkpoint(
                lambda x: model(x, training=True), images(), use_reentrant=False
            ).sum().backward()
        return model.get_weights() + [v.value.grad.numpy() for v in model.trainable_weights]

    for plain, traced in zip(*both(run), strict=True):
        np.testing.assert_array_equal(traced, plain)


@pytest.mark.parametrize("preactivation", [False, True])
def test_images_of_one_pixel_in_the_last_stage(both, preactivation):
    def run():
        keras.utils.set_random_seed(0)
        model = keras_euler.EulerResNet(8, input_shape=(4, 4, 3), preactivation=preactivation)
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        x = np.random.default_rng(0).normal(size=(16, 4, 4, 3)).astype("float32")
        for _ in range(6):
            model.train_on_batch(x, np.arange(16) % 10)
        return model.get_weights()

    for plain, traced in zip(*both(run), strict=True):
        np.testing.assert_array_equal(traced, plain)


class Counting(keras.Model):
    def build(self, input_shape):
        self.calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs * self.calls


def test_models_of_users_within(both):
    def run():
        x = keras.Input((4,))
        y = Counting()(keras.layers.BatchNormalization()(keras.layers.Dense(4)(x)))
        folded = keras_euler.fold(keras.Model(x, y))
        return [folded(np.ones((1, 4), "float32")).detach().numpy() for _ in range(5)]

    plain, traced = both(run)
    np.testing.assert_array_equal(traced, plain)


def test_zero_grad_of_parameters_of_torch():
    import torch

    model = network()
    model.own = torch.nn.Parameter(torch.ones(2))
    model.own.grad = torch.ones(2)
    model.zero_grad()
    assert model.own.grad is None


def test_variables_that_take_the_place_of_others():
    model = network()
    layer = model.layers[-1]
    assert len(model.weights) == len(keras.Model.weights.fget(model))
    layer._trainable_variables[0] = other = keras.Variable(np.ones(layer.kernel.shape))
    assert any(weight is other for weight in model.weights)


def test_programs_that_are_not_used_are_not_made(monkeypatch):
    from keras_euler._backend.on_torch.tracer import Tracer

    made, record = [], Tracer._record
    monkeypatch.setattr(
        Tracer, "_record", lambda self, *args: made.append(1) or record(self, *args)
    )
    model = network()
    for _ in range(30):  # as the discriminator of a GAN
        for trainable in (False, True, True):
            model.trainable = trainable
            model(images(1), training=True)
    assert 0 < len(made) < 15


def test_losses_are_those_of_the_layers():
    def number(tensor):
        return float(keras.ops.convert_to_numpy(tensor))

    model = network()
    assert model.losses == []
    model(images(), training=True)
    convolution = model.get_layer("stem_conv")
    convolution._kernel.regularizer = keras.regularizers.L2(0.5)
    expected = 0.5 * np.sum(keras.ops.convert_to_numpy(convolution.kernel) ** 2)
    assert number(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
    convolution.add_loss(keras.ops.ones(()))
    assert len(model.losses) == 2 and number(keras.Sequential([model]).losses[0]) == 1
    model._clear_losses()
    assert len(model.losses) == 1 and convolution._losses == []
    convolution._kernel.regularizer = None
    assert model.losses == []


def test_error_in_the_recorded_call_leaves_the_kind_to_the_next_call(monkeypatch):
    model = network()
    model(images())
    layer, call = model.get_layer("stem_conv"), type(model.get_layer("stem_conv")).call

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(layer), "call", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model(images())
    monkeypatch.setattr(type(layer), "call", call)
    model(images())
    assert all(map(callable, model._own_tracer.programs.values()))
