"""What every callback inherits. Add new ones to `CALLBACKS`."""

import keras
import numpy as np
import pytest

from keras_euler import GradientLogger, GradientRecorder, MultiStepDecay, WeightLogger, callbacks
from keras_euler.callbacks import weight_logger
from tests import dense

CALLBACKS = {
    "gradients": lambda folder: GradientLogger(folder / "g.csv", flush=3),
    "gradients per epoch": lambda folder: GradientLogger(folder / "g.csv", per="epoch"),
    "weights": lambda folder: WeightLogger(folder / "w.csv", flush=3),
    "decay": lambda folder: MultiStepDecay((1, 3), 0.5),
}
EVERY = pytest.mark.parametrize("make", CALLBACKS.values(), ids=CALLBACKS)


class Stop(keras.callbacks.Callback):
    """A callback that kills the process at the beginning of an epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def network(**settings):
    return dense.network(GradientRecorder(keras.optimizers.SGD(0.125)), **settings)


def train(model, *own, epochs=4, start=0):
    return model.fit(
        dense.X, dense.Y, 8, epochs, 0, list(own), initial_epoch=start, shuffle=False
    ).history


def written(folder, model):
    """Return what a training leaves: weights, rate and files."""
    files = [path.read_text() for path in sorted(folder.glob("*.csv"))]
    return [w.tolist() for w in dense.weights(model)], float(model.optimizer.learning_rate), files


def test_every_public_callback_is_in_the_list(tmp_path):
    made = {type(make(tmp_path)).__name__ for make in CALLBACKS.values()}
    assert made == {name for name in callbacks.__all__ if name[0].isupper()}


@EVERY
@pytest.mark.parametrize("order", [1, -1])
def test_resume_by_backup_and_restore_equals_an_uninterrupted_run(make, order, tmp_path):
    def run(folder, *more):
        folder.mkdir(exist_ok=True)
        model, backup = network(), keras.callbacks.BackupAndRestore(tmp_path / "backup")
        train(model, *[make(folder), backup][::order], *more)
        return written(folder, model)

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "resumed", Stop())
    assert run(tmp_path / "resumed") == whole


@EVERY
def test_a_second_fit_goes_on(make, tmp_path):
    found = []
    for parts in ((4,), (1, 4)):
        folder, model, start = tmp_path / str(len(parts)), network(), 0
        folder.mkdir()
        for end in parts:
            train(model, make(folder), epochs=end, start=start)
            start = end
        found.append(written(folder, model))
    assert found[0] == found[1]


@pytest.mark.parametrize("make", list(CALLBACKS.values())[:3])
@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_loggers_leave_training_in_mixed_precision_as_it_is(make, dtype, tmp_path):
    plain, model = network(dtype=dtype), network(dtype=dtype)
    train(plain)
    assert {len(values) for values in train(model, make(tmp_path)).values()} == {4}
    for one, other in zip(dense.weights(plain), dense.weights(model), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
@pytest.mark.parametrize("make", [CALLBACKS["gradients"], CALLBACKS["weights"]])
def test_a_model_without_trainable_variables_has_the_norm_zero(make, tmp_path):
    model = network()
    model.trainable = False
    model.compile(model.optimizer, model.loss)
    assert set(train(model, make(tmp_path), epochs=1).get("weight_norm", [0])) == {0}


def test_a_second_fit_reads_the_weights_by_the_same_function(monkeypatch, tmp_path):
    made, make = [], weight_logger.norm_reader
    monkeypatch.setattr(weight_logger, "norm_reader", lambda *a: made.append(a) or make(*a))
    model, logger = network(), CALLBACKS["weights"](tmp_path)
    for _ in range(2):
        train(model, logger, epochs=1)
    assert len(made) == 1


def test_the_logged_rate_is_exact():
    logs = train(dense.network("sgd"), MultiStepDecay((1,), 0.1, 0.003), epochs=1)
    assert logs["learning_rate"] == [0.003]
