"""Runs that have ended, and runs of older versions: what a second call gives."""

import keras
import numpy as np
import pytest

from keras_euler import training
from tests.training.test_fit import TEST, TRAIN, Killed, killed_after, make, state, without_times


def test_a_finished_run_has_the_averaged_weights(tmp_path):
    def fit(folder, **changes):
        model = make(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
        training.fit(
            model, TRAIN, None, tmp_path / folder, epochs=2, batch_size=16, verbose=0, **changes
        )
        return model

    expected = fit("whole")
    with pytest.raises(Killed):
        fit("killed", after_epoch=killed_after(2))
    for model in (
        fit("whole"),
        fit("killed"),
        keras.models.load_model(tmp_path / "killed" / "model.keras"),
    ):
        for ours, theirs in zip(model.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_run_that_was_stopped_early_is_not_trained_on(tmp_path):
    shared = dict(epochs=20, batch_size=16, verbose=0)
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", min_delta=10.0, patience=1)
    with pytest.raises(Killed):  # after the last epoch was saved, before the result
        training.fit(
            make(), TRAIN, TEST, tmp_path, callbacks=[stop], after_epoch=killed_after(2), **shared
        )
    assert len(training.fit(make(), TRAIN, TEST, tmp_path, **shared).history) == 2


def test_finished_run_gives_its_result_and_its_weights(tmp_path, monkeypatch):
    arguments = (TRAIN, TEST, tmp_path)
    trained = make()
    first = training.fit(trained, *arguments, epochs=2, batch_size=16, verbose=0)
    monkeypatch.setattr(keras.Model, "fit", None)
    model = make()
    again = training.fit(model, *arguments, epochs=2, batch_size=16, verbose=0)
    assert again.summary == first.summary and again.history == first.history and again.resumed
    for ours, theirs in zip(model.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.once
def test_a_result_counts_only_with_its_checkpoint(tmp_path):
    shared = dict(epochs=3, batch_size=16, verbose=0)
    first = training.fit(make(), TRAIN, TEST, tmp_path, **shared)
    (tmp_path / "checkpoint.npz").unlink()
    with pytest.raises(Killed):
        training.fit(make(), TRAIN, TEST, tmp_path, after_epoch=killed_after(1), **shared)
    again = training.fit(make(), TRAIN, TEST, tmp_path, **shared)
    assert without_times(again.history) == without_times(first.history)


@pytest.mark.once
def test_a_full_disk_at_the_end_does_not_end_the_training_twice(tmp_path, monkeypatch):
    class Halve(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            self.model.set_weights([weight / 2 for weight in self.model.get_weights()])

    def fit(folder):
        model, shared = make(), dict(epochs=1, batch_size=16, verbose=0, callbacks=[Halve()])
        training.fit(model, TRAIN, TEST, tmp_path / folder, **shared)
        return model.get_weights()

    whole = fit("whole")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(keras.Model, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        fit("part")
    (tmp_path / "part" / "history.csv").unlink()  # killed before it was written
    for ours, theirs in zip(fit("part"), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (tmp_path / "part" / "history.csv").exists()


@pytest.mark.parametrize("epochs", [2, 20])
def test_a_kill_at_the_end_keeps_what_callbacks_did_there(tmp_path, epochs):
    """EarlyStopping restores the best weights, of the first epoch, when training has ended."""

    class KillAtTheEnd(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            raise Killed

    def train(folder, *others):
        model = make(keras.optimizers.SGD(use_ema=True))
        stop = keras.callbacks.EarlyStopping(
            "val_loss", patience=3, mode="max", restore_best_weights=True
        )
        shared = dict(epochs=epochs, batch_size=8, verbose=0)
        return model, training.fit(
            model, TRAIN, TEST, tmp_path / folder, callbacks=[stop, *others], **shared
        )

    whole = train("whole")
    with pytest.raises(Killed):
        train("killed", KillAtTheEnd())
    for _ in range(2):  # the second time the run is finished
        model, result = train("killed")
        assert without_times(result.history) == without_times(whole[1].history)
        for ours, theirs in zip(state(model), state(whole[0]), strict=True):
            np.testing.assert_array_equal(ours, theirs)
