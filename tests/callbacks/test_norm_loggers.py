"""The loggers' files: correct numbers, no partial lines, no iteration twice."""

import csv

import keras
import numpy as np
import pytest

from keras_euler import GradientLogger, GradientRecorder, WeightLogger
from tests import dense

BACKEND = keras.backend.backend()
SGD = keras.optimizers.SGD
SEVERAL = [1, 3] if BACKEND != "torch" else [1]  # steps per execution; torch refuses more than one


def columns(path):
    """Read a log as a dict of name -> list of floats."""
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    return {name: [float(row[i]) for row in rows] for i, name in enumerate(header)}


def train(model, *callbacks, epochs=2, start=0):
    """Train on four batches per epoch."""
    return model.fit(
        dense.X,
        dense.Y,
        8,
        epochs,
        initial_epoch=start,
        verbose=0,
        shuffle=False,
        callbacks=list(callbacks),
    )


def by_hand(epochs, rate=0.1):
    """Return gradient and weight norms of every iteration, from NumPy's gradients."""
    kernels = [kernel.astype("float64") for kernel in dense.weights(dense.network())]
    gradients, weights = [], [dense.norms_of(kernels)]
    for _ in range(epochs):
        for i in range(0, 32, 8):
            step = dense.gradients(kernels, dense.X[i : i + 8], dense.Y[i : i + 8])
            kernels = [
                kernel - rate * gradient for kernel, gradient in zip(kernels, step, strict=True)
            ]
            gradients.append(dense.norms_of(step))
            weights.append(dense.norms_of(kernels))
    return np.array(gradients), np.array(weights)


@pytest.mark.parametrize("flush", [1, 3, 100])
@pytest.mark.parametrize("steps", SEVERAL)
def test_rows_per_iteration_are_the_norms_of_numpy(tmp_path, steps, flush):
    model = dense.network(GradientRecorder(SGD(0.1), capacity=6), steps_per_execution=steps)
    logs = (
        GradientLogger(tmp_path / "new" / "g.csv", flush=flush),
        WeightLogger(tmp_path / "w.csv", flush=flush),
    )
    history = train(model, *logs).history
    gradients, weights = by_hand(2)
    written = columns(tmp_path / "new" / "g.csv")
    assert list(written) == ["iteration", *dense.LAYERS, "total"]
    assert written["iteration"] == list(range(1, 9))
    np.testing.assert_allclose(np.array(list(written.values())[1:]).T, gradients, rtol=1e-4)
    written = columns(tmp_path / "w.csv")
    numbers = [int(number) for number in written["iteration"]]
    assert numbers == (list(range(9)) if steps == 1 else [0, 3, 4, 7, 8])
    np.testing.assert_allclose(np.array(list(written.values())[1:]).T, weights[numbers], rtol=1e-5)
    totals = gradients[:, -1].reshape(2, 4)
    np.testing.assert_allclose(history["gradient_norm"], totals.mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(history["gradient_norm_max"], totals.max(axis=1), rtol=1e-4)
    np.testing.assert_allclose(history["weight_norm"], weights[[4, 8], -1], rtol=1e-5)


def test_rows_per_epoch(tmp_path):
    model = dense.network(GradientRecorder(SGD(0.1), capacity=2))
    logs = (
        GradientLogger(tmp_path / "g.csv", per="epoch"),
        WeightLogger(tmp_path / "w.csv", "c", per="epoch"),
    )
    train(model, *logs)
    gradients, weights = by_hand(2)
    written = columns(tmp_path / "g.csv")
    assert written.pop("epoch") == [0, 1]
    names = [*dense.LAYERS, "total"]
    assert list(written) == [*names, *(f"{name}_max" for name in names)]
    gradients = gradients.reshape(2, 4, 4)
    expected = np.concatenate([gradients.mean(axis=1), gradients.max(axis=1)], axis=1)
    np.testing.assert_allclose(np.array(list(written.values())).T, expected, rtol=1e-4)
    written = columns(tmp_path / "w.csv")
    assert list(written) == ["epoch", "c", "total"]
    np.testing.assert_allclose(written["c"], weights[[4, 8], 2], rtol=1e-5)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(tmp_path, dtype):
    model = dense.network(GradientRecorder(SGD(0.1)), dtype=dtype)
    train(model, GradientLogger(tmp_path / "g.csv"), WeightLogger(tmp_path / "w.csv"))
    gradients, weights = by_hand(2)
    np.testing.assert_allclose(columns(tmp_path / "g.csv")["total"], gradients[:, -1], rtol=3e-2)
    np.testing.assert_allclose(columns(tmp_path / "w.csv")["total"], weights[:, -1], rtol=1e-3)


class Stop(keras.callbacks.Callback):
    """A callback that kills the process at the beginning of an epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("order", [1, -1])
def test_resume_equals_an_uninterrupted_run(tmp_path, order):
    def run(folder, *more):
        logs = [
            GradientLogger(tmp_path / folder / "g.csv", flush=3),
            WeightLogger(tmp_path / folder / "w.csv", flush=3),
        ]
        logs += [
            GradientLogger(tmp_path / folder / "e.csv", per="epoch"),
            keras.callbacks.BackupAndRestore(tmp_path / "b"),
        ]
        train(dense.network(GradientRecorder(SGD(0.1))), *logs[::order], *more, epochs=4)

    run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("resumed", Stop())
    for name in "gw":  # what a kill after the checkpoint leaves: rows behind it, and half a line
        with open(tmp_path / "resumed" / f"{name}.csv", "a") as file:
            file.write("9,1,1,1,1\n10,1,1,1,1\n11,1,1")
    run("resumed")
    for name in "gwe":
        assert (tmp_path / "resumed" / f"{name}.csv").read_text() == (
            tmp_path / "whole" / f"{name}.csv"
        ).read_text()


def test_rows_lost_in_a_kill_come_back_from_the_ring(tmp_path):
    model = dense.network(GradientRecorder(SGD(0.1)))
    path = tmp_path / "g.csv"
    train(model, GradientLogger(path), epochs=1)
    whole = path.read_text()
    path.write_text("".join(whole.splitlines(keepends=True)[:3]))
    train(model, GradientLogger(path), epochs=2, start=1)
    assert path.read_text().startswith(whole)
    assert columns(path)["iteration"] == list(range(1, 9))


class Interrupted(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if batch == 3:
            raise KeyboardInterrupt


def test_rows_of_an_interrupt_before_the_first_flush_come_back_too(tmp_path):
    model, path = dense.network(GradientRecorder(SGD(0.1))), tmp_path / "g.csv"
    with pytest.raises(KeyboardInterrupt):
        train(model, GradientLogger(path), Interrupted())
    assert columns(path)["iteration"] == []
    train(model, GradientLogger(path), epochs=1)
    assert columns(path)["iteration"] == list(range(1, 8))


def test_weights_are_read_without_bringing_jax_state_back(tmp_path, monkeypatch):
    model, synced = dense.network(GradientRecorder(SGD(0.1))), []
    if BACKEND == "jax":
        sync = model.jax_state_sync
        monkeypatch.setattr(
            model, "jax_state_sync", lambda: synced.append(model._jax_state_synced) or sync()
        )
    train(model, WeightLogger(tmp_path / "w.csv"), epochs=2)
    assert synced.count(False) <= 2  # at the end of each epoch, by Keras itself
    np.testing.assert_allclose(
        columns(tmp_path / "w.csv")["total"], by_hand(2)[1][:, -1], rtol=1e-5
    )


def test_new_training_begins_the_file_anew(tmp_path):
    path = tmp_path / "g.csv"
    for _ in range(2):
        train(dense.network(GradientRecorder("sgd")), GradientLogger(path), epochs=1)
    assert columns(path)["iteration"] == [1, 2, 3, 4]


def test_callbacks_do_not_make_keras_wait_for_the_device(tmp_path):
    loggers = [GradientLogger(tmp_path / "g.csv"), WeightLogger(tmp_path / "w.csv")]
    for hook in ("on_batch_end", "on_train_batch_end"):
        assert all(keras.src.utils.is_default(getattr(logger, hook)) for logger in loggers)
