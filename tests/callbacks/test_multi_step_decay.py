"""The learning rate of an epoch depends only on its number, resumed or not."""

import keras
import numpy as np
import pytest

from keras_euler import MultiStepDecay

X, Y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")


def model(learning_rate=1.0, optimizer=keras.optimizers.SGD, dtype=None):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, dtype=dtype)])
    model.compile(optimizer(learning_rate), "mse")
    return model


def rates(model, epochs, start=0, callbacks=(), **kwargs):
    decay = MultiStepDecay(milestones=(2, 4), factor=0.5, **kwargs)
    callbacks = [decay, *callbacks]
    return model.fit(
        X, Y, epochs=epochs, initial_epoch=start, verbose=0, callbacks=callbacks
    ).history["learning_rate"]


EXPECTED = [1, 1, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("optimizer", [keras.optimizers.SGD, keras.optimizers.Adam])
def test_rates_by_epoch(optimizer):
    trained = model(optimizer=optimizer)
    assert rates(trained, 6) == EXPECTED
    assert float(trained.optimizer.learning_rate) == 0.25


def test_default_is_the_papers_schedule():
    decay = MultiStepDecay(learning_rate=0.1)
    assert [round(decay.rate(epoch), 6) for epoch in (0, 39, 40, 59, 60, 79)] == [
        0.1,
        0.1,
        0.01,
        0.01,
        0.001,
        0.001,
    ]


def test_fresh_model_that_begins_later():
    assert rates(model(), 6, start=3) == EXPECTED[3:]


def test_loaded_model_goes_on(tmp_path):
    trained = model()
    rates(trained, 3)
    trained.save(tmp_path / "model.keras")
    assert rates(keras.models.load_model(tmp_path / "model.keras"), 6, start=3) == EXPECTED[3:]


def test_given_rate_holds_whatever_the_optimizer_has():
    assert rates(model(17.0), 6, start=3, learning_rate=1.0) == EXPECTED[3:]


BAD = [
    (
        dict(milestones=40),
        TypeError,
        "`milestones` must be a list of epoch numbers. Received: milestones=40.",
    ),
    (
        dict(milestones=(60, 40)),
        ValueError,
        r"`milestones` must increase. Received: milestones=\(60, 40\).",
    ),
    (dict(milestones=(-1,)), ValueError, "Received: milestones=-1"),
    (dict(factor=-1), ValueError, "`factor` must be a finite number >= 0. Received: factor=-1."),
    (dict(learning_rate="0.1"), TypeError, "Received: learning_rate='0.1'"),
]


@pytest.mark.once
@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_arguments_get_a_clear_error(arguments, error, message):
    with pytest.raises(error, match=message):
        MultiStepDecay(**arguments)


def test_rate_is_unknown_before_fit():
    with pytest.raises(ValueError, match="unknown before `fit`"):
        MultiStepDecay().rate(0)


def test_schedule_in_the_optimizer_is_an_error():
    with pytest.raises(TypeError, match="LearningRateSchedule"):
        rates(model(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)), 1)
