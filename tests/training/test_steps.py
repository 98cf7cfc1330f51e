"""Checkpoints within an epoch: a run that is killed there ends as an uninterrupted one, to the last
bit."""

import collections
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_euler import (
    EulerResidual,
    GradientLogger,
    GradientRecorder,
    MultiStepDecay,
    WeightLogger,
    training,
)
from tests.training.test_fit import (
    TEST,
    TRAIN,
    Batches,
    Killed,
    Threads,
    X,
    Y,
    make,
    never_better,
    state,
    without_times,
)

BACKEND = keras.backend.backend()
ROOT = Path(__file__).parents[2]


class KillAt(keras.callbacks.Callback):
    """Raise an error before a step of the training, counted from 0 over all epochs of this
    process."""

    def __init__(self, step):
        super().__init__()
        self.step, self._done = step, 0

    def on_train_batch_begin(self, batch, logs=None):
        if self._done == self.step:
            raise Killed
        self._done += 1


class CountSteps(keras.callbacks.Callback):
    """Count the steps of the training, and report their number."""

    def __init__(self):
        super().__init__()
        self.steps = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.steps += 1

    def on_epoch_end(self, epoch, logs=None):
        logs["steps"] = self.steps


class RateByBatch(keras.callbacks.Callback):
    """Set the learning rate by the number of the batch, as a warm-up does."""

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = 0.01 * (batch + 1)


class DecayEvery4(keras.callbacks.Callback):
    """Count to four, lower the learning rate and start again."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def on_train_batch_end(self, batch, logs=None):
        self.count = (self.count + 1) % 4
        if not self.count:
            self.model.optimizer.learning_rate = 0.7 * float(
                keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
            )


class RandomRate(keras.callbacks.Callback):
    """Draw the learning rate from the global generators of NumPy and Python."""

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = 0.01 * (np.random.normal() ** 2 + random.gauss() ** 2)


class Shadow(keras.callbacks.Callback):
    """Average the weights in a second model and in tensors, and count them in a metric."""

    def on_train_begin(self, logs=None):
        self.shadow, self.mean = keras.models.clone_model(self.model), keras.metrics.Mean()
        self.tensors, self.seen = None, []
        self.shadow.set_weights(self.model.get_weights())
        self.same_seen = self.seen

    def on_epoch_end(self, epoch, logs=None):
        pairs = zip(self.shadow.get_weights(), self.model.get_weights(), strict=True)
        self.shadow.set_weights([0.5 * one + 0.5 * other for one, other in pairs])
        now = [keras.ops.stop_gradient(keras.ops.copy(v.value)) for v in self.model.weights]
        self.tensors = [a + b for a, b in zip(self.tensors or now, now, strict=True)]
        self.mean.update_state(self.tensors[0])
        self.seen.append(float(keras.ops.convert_to_numpy(self.mean.result())))
        logs["seen"] = sum(self.same_seen)

    def on_train_end(self, logs=None):
        self.model.set_weights(self.shadow.get_weights())


CASES = {
    "arrays": {},
    "a last batch of another size": dict(
        batch_size=20, checkpoint_steps=1, epochs=6, train=(X, Y, np.linspace(0, 1, 48))
    ),
    "dataset": dict(train=Batches(), batch_size=None),
    "dataset with threads": dict(train=Threads(), batch_size=None),
    "averages": dict(
        optimizer=lambda: keras.optimizers.SGD(
            0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=4
        )
    ),
    "schedule by step": dict(
        optimizer=lambda: keras.optimizers.Adam(
            keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5)
        )
    ),
    "schedule by epoch": dict(
        optimizer=lambda: keras.optimizers.SGD(0.1), callbacks=lambda: [MultiStepDecay((1, 2), 0.1)]
    ),
    "callbacks that count": dict(callbacks=never_better, epochs=8),
    "callback that counts steps": dict(callbacks=lambda: [CountSteps()]),
    "callback that changes the rate": dict(
        callbacks=lambda: [keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)]
    ),
    "callback that knows the batch": dict(callbacks=lambda: [RateByBatch()]),
    "callback that counts and starts again": dict(callbacks=lambda: [DecayEvery4()]),
    "callback that draws numbers": dict(callbacks=lambda: [RandomRate()]),
    "averages that are swapped": dict(
        optimizer=lambda: keras.optimizers.Adam(use_ema=True, ema_momentum=0.5),
        callbacks=lambda: [keras.callbacks.SwapEMAWeights()],
    ),
    "averages in another optimizer": dict(
        optimizer=lambda: GradientRecorder(keras.optimizers.Adam(use_ema=True, ema_momentum=0.5)),
        callbacks=lambda: [keras.callbacks.SwapEMAWeights()],
    ),
    "callback with a model, a metric and tensors": dict(callbacks=lambda: [Shadow()]),
    "no test data": dict(test=None),
}


def run(
    folder,
    kill=None,
    optimizer=lambda: "adam",
    callbacks=lambda: [],
    train=TRAIN,
    test=TEST,
    **changes,
):
    """Train six steps per epoch, with a checkpoint every two steps; return model and result."""
    keras.backend.clear_session()  # the layers get the same names again
    model = make(optimizer())
    arguments = {
        "epochs": 4,
        "batch_size": 8,
        "seed": 3,
        "verbose": 0,
        "checkpoint_steps": 2,
        **changes,
    }
    kills = [] if kill is None else [KillAt(kill)]
    return model, training.fit(
        model, train, test, folder, callbacks=[*callbacks(), *kills], **arguments
    )


def step_of(folder):
    """Return the number of steps within an epoch that the checkpoint of a run has."""
    saved = training.RunFolder(folder).load()
    return saved["step"] if saved else 0


def assert_equal_runs(found, expected):
    assert without_times(found[1].history) == without_times(expected[1].history)
    for ours, theirs in zip(state(found[0]), state(expected[0]), strict=True):
        np.testing.assert_array_equal(ours, theirs)


# The state of a callback in Python is read and written alike on every backend.
OF_PYTHON = [name for name in CASES if name.startswith("callback") and " that " in name]


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.once if c in OF_PYTHON else []) for c in CASES]
)
def test_a_run_that_is_killed_within_epochs_ends_as_an_uninterrupted_one(case, tmp_path):
    whole = run(tmp_path / "whole", **{**CASES[case], "checkpoint_steps": None})
    found = False
    for kill in (3, 7):  # within an epoch; after going on from there, within a later one
        with pytest.raises(Killed):
            run(tmp_path / "killed", kill, **CASES[case])
        found |= step_of(tmp_path / "killed") > 0
    assert found
    killed = run(tmp_path / "killed", **CASES[case])
    assert killed[1].resumed and not step_of(tmp_path / "killed")
    assert_equal_runs(killed, whole)


def test_run_goes_on_at_the_step_and_not_at_the_epoch(tmp_path, capsys):
    with pytest.raises(Killed):
        run(tmp_path, 11)

    class Count(keras.callbacks.Callback):
        steps = ()

        def on_train_batch_end(self, batch, logs=None):
            Count.steps += (int(keras.ops.convert_to_numpy(self.model.optimizer.iterations)),)

    run(tmp_path, epochs=4, callbacks=lambda: [Count()], verbose=2)
    assert Count.steps == tuple(range(11, 25))  # ten steps were done
    assert "Resuming after epoch 1 of 4, step 4 of 6" in capsys.readouterr().out


@pytest.mark.parametrize("per", ["iteration", "epoch"])
def test_loggers_and_their_totals(per, tmp_path):
    def with_loggers(folder, kill=None, **changes):
        def loggers():
            made = (
                GradientLogger(folder / "g.csv", per=per, flush=3),
                WeightLogger(folder / "w.csv", per=per, flush=4),
            )
            return [*made, GradientLogger(lambda step, norms: calls.append(step), per=per)]

        folder.mkdir(exist_ok=True)
        recorder = lambda: GradientRecorder(keras.optimizers.SGD(0.1), capacity=4, moments=True)
        return run(tmp_path / f"run of {folder.name}", kill, recorder, loggers, **changes)

    calls = []
    whole = with_loggers(tmp_path / "whole", checkpoint_steps=None)
    expected, calls = calls, []
    for kill in (3, 3, 5, 6):
        with pytest.raises(Killed):
            with_loggers(tmp_path / "killed", kill)
    assert_equal_runs(with_loggers(tmp_path / "killed"), whole)
    assert "gradient_norm_max" in whole[1].history[0] and sorted({*calls}) == expected
    for name in ("g.csv", "w.csv"):
        assert (tmp_path / "killed" / name).read_text() == (tmp_path / "whole" / name).read_text()


@pytest.mark.skipif(BACKEND == "torch", reason="Keras refuses several steps per execution on torch")
def test_several_steps_per_execution(tmp_path):
    def train(folder, kill=None, every=2):
        model = make()
        model.compile("adam", model.loss, metrics=["accuracy"], steps_per_execution=3)
        kills = [] if kill is None else [KillAt(kill)]
        shared = dict(epochs=3, batch_size=8, verbose=0, checkpoint_steps=every)
        return model, training.fit(model, TRAIN, TEST, tmp_path / folder, callbacks=kills, **shared)

    whole = train("whole", every=None)
    for kill in (1, 2):
        with pytest.raises(Killed):
            train("killed", kill)
    assert_equal_runs(train("killed"), whole)


@pytest.mark.once
def test_script_of_a_user_survives_kills(tmp_path):
    """Killed within an epoch, a script ends with the numbers of a whole run."""
    shared = dict(env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, stdout=subprocess.PIPE)
    script = Path(__file__).with_name("user_script.py")
    done = subprocess.run([sys.executable, script, tmp_path / "whole"], check=True, **shared)
    command = [sys.executable, script, tmp_path / "killed"]
    with subprocess.Popen(command, **shared) as process:
        while process.poll() is None and not step_of(tmp_path / "killed"):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    again = subprocess.run(command, check=True, **shared)
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]


@pytest.mark.once
def test_what_cannot_be_saved_is_named_once(tmp_path):
    class Remembers(keras.callbacks.Callback):
        last = late = None

        def on_epoch_end(self, epoch, logs=None):
            self.last = self.last or collections.deque(maxlen=3)
            self.late = keras.metrics.Mean()

    with pytest.warns(UserWarning, match="new values of Remembers") as warned:
        run(tmp_path, epochs=3, callbacks=lambda: [Remembers()])
    texts = [str(item.message) for item in warned if "new values" in str(item.message)]
    assert len(texts) == 2 and "Remembers.last:" in texts[0] and "Remembers.late:" in texts[1]


def test_best_weights_in_bfloat16_and_numbers_are_restored_after_a_kill(tmp_path):
    def train(folder, kill=None):
        keras.backend.clear_session()
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Dense(units, dtype="bfloat16") for units in (8, 3)]
        layers.insert(1, EulerResidual(keras.layers.Dense(8), trainable_h="scalar"))
        model = keras.Sequential([keras.Input(X.shape[1:]), *layers])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        stop = keras.callbacks.EarlyStopping("val_loss", mode="max", restore_best_weights=True)
        kills = [] if kill is None else [KillAt(kill)]
        shared = dict(epochs=4, batch_size=8, seed=3, verbose=0, callbacks=[stop, *kills])
        training.fit(model, TRAIN, TEST, folder, **shared)
        return state(model)

    whole = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "killed", 8)
    for ours, theirs in zip(train(tmp_path / "killed"), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)
