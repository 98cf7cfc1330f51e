"""`training.fit` with custom training steps and callbacks."""

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler import training
from tests.models.networks import vdcnn
from tests.training.test_fit import TEST, TRAIN, Killed, X, killed_after, make, state, without_times

BACKEND = keras.backend.backend()


class Halving(keras.callbacks.Callback):
    """Keep a number in an attribute named like its argument."""

    def __init__(self, rate=0.1):
        super().__init__()
        self.rate = rate

    def on_epoch_begin(self, epoch, logs=None):
        self.rate *= 0.5
        self.model.optimizer.learning_rate = self.rate


def test_callback_remembers_under_the_name_of_its_argument(tmp_path):
    shared = dict(epochs=4, batch_size=16, verbose=0)
    whole = training.fit(
        make("sgd"), TRAIN, TEST, tmp_path / "whole", callbacks=[Halving()], **shared
    )
    with pytest.raises(Killed):
        training.fit(
            make("sgd"),
            TRAIN,
            TEST,
            tmp_path / "killed",
            callbacks=[Halving()],
            after_epoch=killed_after(2),
            **shared,
        )
    result = training.fit(
        make("sgd"), TRAIN, TEST, tmp_path / "killed", callbacks=[Halving()], **shared
    )
    assert without_times(result.history) == without_times(whole.history)


@pytest.mark.skipif(BACKEND != "torch", reason="a training step written in PyTorch")
def test_second_optimizer_is_resumed_too(tmp_path):
    import torch

    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.second = keras.layers.Dense(1), keras.optimizers.Adam(0.05)

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data
            loss = keras.ops.mean((self(x, training=True) - y) ** 2)
            self.zero_grad()
            loss.backward()
            with torch.no_grad():
                if not self.second.built:
                    self.second.build(self.trainable_variables)
                for optimizer in (self.optimizer, self.second):
                    optimizer.apply(
                        [v.value.grad for v in self.trainable_weights], self.trainable_weights
                    )
            return {"loss": loss}

    def built():
        keras.utils.set_random_seed(1)
        model = Two()
        model.compile("sgd")
        model(X[:2])
        model.second.build(model.trainable_variables)
        return model

    data, shared = (X, X[:, :1]), dict(epochs=4, batch_size=16, verbose=0)
    whole, halves = built(), built()
    training.fit(whole, data, None, tmp_path / "whole", **shared)
    with pytest.raises(Killed):
        training.fit(halves, data, None, tmp_path / "halves", after_epoch=killed_after(2), **shared)
    halves = built()
    training.fit(halves, data, None, tmp_path / "halves", **shared)
    for ours, theirs in zip(
        [*state(halves), *halves.second.variables],
        [*state(whole), *whole.second.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs)
        )


def test_run_that_failed_in_its_first_epoch_starts_again_from_its_weights(tmp_path):
    def fit(model, folder, **changes):
        shared = dict(epochs=2, batch_size=16, verbose=0, settings={})
        return training.fit(model, TRAIN, TEST, tmp_path / folder, **shared, **changes)

    whole, model, callbacks = make(), make(), [Halving()]
    expected = fit(whole, "whole", callbacks=[Halving()])
    wrong = "`monitor` must be a column of the history: train_.*Received: 'test_acuracy'"
    with pytest.raises(ValueError, match=wrong):
        fit(model, "failed", monitor="test_acuracy", callbacks=callbacks)
    result = fit(model, "failed", callbacks=callbacks)
    assert without_times(result.history) == without_times(expected.history) and not result.resumed
    for ours, theirs in zip(state(model), state(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.skipif(not hasattr(keras.optimizers, "OptimizerMap"), reason="an older Keras")
def test_several_optimizers_lists_of_inputs_and_strings_train_as_in_fit(tmp_path, rng):
    adam = keras.optimizers.OptimizerMap(
        keras.optimizers.SGD(0.1), {"a/.*": keras.optimizers.Adam()}
    )
    inputs = [keras.Input((2,)), keras.Input((2,))]
    outputs = keras.layers.Dense(1, name="a")(keras.layers.Add()(inputs))
    x, y = list(rng.normal(size=(2, 8, 2))), np.ones((8, 1))
    for optimizer in (keras.optimizers.MultiOptimizer(adam), "sgd"):
        model = keras.Model(inputs, outputs)
        model.compile(optimizer, "mse")
        folder = tmp_path / model.optimizer.name
        result = training.fit(model, (x, y), (x, y), folder, epochs=1, batch_size=4, verbose=0)
        assert np.isfinite(result.history[0]["test_loss"])
    texts = keras_euler.CharacterClassifier(vdcnn())
    texts.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    data = (np.array(["a text", "another"], object), np.array([0, 1]))
    training.fit(texts, data, None, tmp_path / "texts", epochs=1, batch_size=2, verbose=0)
