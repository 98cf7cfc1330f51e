"""Callbacks that report the logs of an epoch and precede those that add to them."""

import warnings

import keras
import pytest

from keras_euler import GradientLogger, GradientRecorder, MultiStepDecay, WeightLogger
from tests import dense
from tests.callbacks.test_norm_loggers import train

callbacks = keras.callbacks


class Reporter(callbacks.Callback):
    """A callback like that of a tracking service."""

    def on_epoch_end(self, epoch, logs=None):
        self.seen = list(logs)


class Counter(callbacks.Callback):
    """A callback that overrides the hook and ignores the logs."""

    def on_epoch_end(self, epoch, logs=None):
        self.epoch = epoch


def csv_logger(folder):
    return callbacks.CSVLogger(folder / "log.csv")


REPORTERS = {
    "CSVLogger": csv_logger,
    "History": lambda folder: callbacks.History(),
    "LambdaCallback": lambda folder: callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: dict(logs)
    ),
    "Reporter": lambda folder: Reporter(),
}
OTHERS = [
    lambda folder: callbacks.BackupAndRestore(folder / "backup"),
    lambda folder: callbacks.EarlyStopping("loss"),
    lambda folder: callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch)),
    lambda folder: callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: print(logs)),
    lambda folder: callbacks.LearningRateScheduler(lambda epoch: 0.1),
    lambda folder: callbacks.ModelCheckpoint(folder / "model.keras"),
    lambda folder: callbacks.ReduceLROnPlateau("loss"),
    lambda folder: Counter(),
]
OURS = {
    "gradient_norm`, `gradient_norm_max": lambda folder: GradientLogger(folder / "g.csv"),
    "weight_norm": lambda folder: WeightLogger(folder / "w.csv"),
    "learning_rate": lambda folder: MultiStepDecay((1,)),
}


@pytest.mark.parametrize("name", REPORTERS)
@pytest.mark.parametrize("added", OURS)
def test_reporter_is_named_where_it_comes_first(tmp_path, name, added):
    ours = OURS[added](tmp_path)
    message = (
        f"^{name} will not see `{added}`: in the list of callbacks, pass "
        f"{type(ours).__name__} first.$"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        train(dense.network(GradientRecorder("sgd")), REPORTERS[name](tmp_path), ours, epochs=1)
    assert [warning.category for warning in caught].count(UserWarning) == 1


def test_reporter_behind_sees_everything_without_a_warning(tmp_path):
    reporter = Reporter()
    ours = [make(tmp_path) for make in OURS.values()]
    train(dense.network(GradientRecorder("sgd")), *ours, csv_logger(tmp_path), reporter, epochs=1)
    assert {"gradient_norm", "gradient_norm_max", "weight_norm", "learning_rate"} <= set(
        reporter.seen
    )


def test_other_callbacks_may_come_first(tmp_path):
    others = [make(tmp_path) for make in OTHERS]
    ours = [make(tmp_path) for make in OURS.values()]
    train(dense.network(GradientRecorder("sgd")), *others, *ours, epochs=1)


class Board(callbacks.TensorBoard):
    """A TensorBoard callback that writes nothing, because writing needs another package."""

    def do_nothing(self, *args, **kwargs):
        pass

    set_model = on_train_begin = on_train_end = on_epoch_begin = on_epoch_end = do_nothing
    on_train_batch_begin = on_train_batch_end = do_nothing


def test_tensorboard_asks_the_optimizer_for_the_learning_rate(tmp_path):
    train(dense.network(), Board(), MultiStepDecay((1,)), epochs=1)
    with pytest.warns(UserWarning, match="^Board will not see `weight_norm`"):
        train(dense.network(), Board(), WeightLogger(tmp_path / "w.csv"), epochs=1)


def test_hooks_called_by_hand_know_no_list(tmp_path):
    logger = WeightLogger(tmp_path / "w.csv")
    logger.set_model(dense.network())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.on_train_begin()
