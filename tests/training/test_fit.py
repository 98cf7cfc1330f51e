"""`training.fit` with custom models: exact resume, files, ownership, errors."""

import json
import multiprocessing

import keras
import numpy as np
import pytest

from keras_euler import MultiStepDecay, training

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(48, 4)).astype("float32"), rng.integers(0, 3, 48)
TRAIN, TEST = (X, Y), (X[:16], Y[:16])


def make(optimizer="adam", metrics=("accuracy",)):
    """A model with the layers whose state Keras does not save: noise and dropout."""
    keras.utils.set_random_seed(1)
    layers = [
        keras.layers.GaussianNoise(0.1),
        keras.layers.Dense(8, "relu"),
        keras.layers.BatchNormalization(),
    ]
    model = keras.Sequential(
        [keras.Input((4,)), *layers, keras.layers.Dropout(0.3), keras.layers.Dense(3)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=list(metrics))
    return model


class Batches(keras.utils.PyDataset):
    """Six batches of eight."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        rows = slice(8 * index, 8 * index + 8)
        return X[rows], Y[rows]


class Threads(Batches):
    """The batches in an order that must stay, although two threads prepare them."""

    def __init__(self):
        super().__init__(workers=2)


class Killed(Exception):
    pass


def killed_after(num_epochs):
    def after_epoch(rows):
        if len(rows) == num_epochs:
            raise Killed

    return after_epoch


def state(model):
    return [
        keras.ops.convert_to_numpy(variable)
        for variable in (*model.variables, *model.optimizer.variables)
    ]


def without_times(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def never_better():
    plateau = dict(monitor="val_loss", min_delta=10.0)
    return [
        keras.callbacks.ReduceLROnPlateau(patience=2, **plateau),
        keras.callbacks.EarlyStopping(patience=4, **plateau),
    ]


CASES = {
    "arrays": dict(train=TRAIN, batch_size=16),
    "callbacks that count": dict(train=TRAIN, batch_size=16, callbacks=never_better, epochs=8),
    "sample weights": dict(train=(X, Y, np.linspace(0, 1, 48)), batch_size=20),
    "dataset": dict(train=Batches()),
    "dataset with threads": dict(train=Threads()),
    "rates": dict(
        train=TRAIN,
        batch_size=16,
        optimizer=lambda: keras.optimizers.SGD(0.1),
        callbacks=lambda: [MultiStepDecay((1, 2), 0.1)],
    ),
    "no test data": dict(train=TRAIN, batch_size=16, test=None),
    "steps": dict(
        train=TRAIN, batch_size=16, optimizer=lambda: keras.optimizers.SGD(0.1, momentum=0.9)
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_killed_run_ends_as_an_uninterrupted_one(case, tmp_path):
    arguments = {"test": TEST, "epochs": 4, "seed": 3, "verbose": 0, **CASES[case]}
    optimizer = arguments.pop("optimizer", lambda: "adam")
    train, test, callbacks = (
        arguments.pop("train"),
        arguments.pop("test"),
        arguments.pop("callbacks", lambda: []),
    )
    whole, halves = make(optimizer()), make(optimizer())
    expected = training.fit(
        whole, train, test, tmp_path / "whole", callbacks=callbacks(), **arguments
    )
    arguments["after_epoch"] = killed_after(2)
    with pytest.raises(Killed):
        training.fit(halves, train, test, tmp_path / "halves", callbacks=callbacks(), **arguments)
    halves = make(optimizer())
    arguments["after_epoch"] = None
    result = training.fit(
        halves, train, test, tmp_path / "halves", callbacks=callbacks(), **arguments
    )
    assert result.resumed and not expected.resumed
    assert without_times(result.history) == without_times(expected.history)
    for ours, theirs in zip(state(halves), state(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_files_and_summary(tmp_path):
    result = training.fit(
        make(),
        TRAIN,
        TEST,
        tmp_path / "run",
        epochs=2,
        batch_size=16,
        verbose=0,
        settings={"h": 0.1},
    )
    names = {
        "config.json",
        "history.csv",
        "checkpoint.npz",
        "model.keras",
        "curves.png",
        "result.json",
        ".lock",
    }
    assert {file.name for file in result.folder.iterdir()} == names
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    own = {
        "epochs": 2,
        "batch_size": 16,
        "seed": 0,
        "backend": keras.backend.backend(),
        "replicas": 1,
    }
    assert config["settings"] == {**own, "h": 0.1} and config["data"]["train"]["examples"] == 48
    columns = [
        "epoch",
        "learning_rate",
        "train_accuracy",
        "train_loss",
        "test_accuracy",
        "test_loss",
        "seconds",
    ]
    assert list(result.history[0]) == columns
    accuracies = [row["test_accuracy"] for row in result.history]
    assert result.summary["best_test_accuracy"] == max(accuracies)
    assert result.summary["last_test_accuracy"] == accuracies[-1]
    assert result.summary == json.loads((tmp_path / "run" / "result.json").read_text())


def test_divergence_is_a_result(tmp_path):
    model = make(keras.optimizers.SGD(1e30))
    result = training.fit(model, TRAIN, TEST, tmp_path, epochs=9, batch_size=16, verbose=0)
    assert result.diverged and len(result.history) < 9 and result.summary["last_train_loss"] is None
    assert not (tmp_path / "model.keras").exists()
    assert training.fit(
        make(keras.optimizers.SGD(1e30)), TRAIN, TEST, tmp_path, epochs=9, batch_size=16
    ).diverged


def test_the_monitored_metric_tells_the_best_epoch(tmp_path):
    metrics = ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2")]
    shared = dict(epochs=3, batch_size=16, verbose=0)
    result = training.fit(
        make(metrics=metrics), TRAIN, TEST, tmp_path / "top2", monitor="test_top2", **shared
    )
    assert result.summary["best_test_top2"] == max(row["test_top2"] for row in result.history)
    result = training.fit(make(metrics=()), TRAIN, TEST, tmp_path / "loss", **shared)
    assert result.summary["best_test_loss"] == min(row["test_loss"] for row in result.history)


def test_several_inputs_and_outputs(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = {name: keras.Input((2,), name=name) for name in ("a", "b")}
    hidden = keras.layers.Concatenate()(list(inputs.values()))
    outputs = {name: keras.layers.Dense(1, name=name)(hidden) for name in ("u", "v")}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {"u": "mse", "v": "mse"})
    data = {"a": X[:, :2], "b": X[:, 2:]}, {"u": X[:, :1], "v": X[:, 1:2]}
    result = training.fit(model, data, data, tmp_path, epochs=2, batch_size=16, verbose=0)
    assert {"train_u_loss", "test_v_loss", "best_test_loss"} <= {
        *result.history[0],
        *result.summary,
    }


def owner(folder, started, end):
    training.fit(
        make(),
        TRAIN,
        None,
        folder,
        epochs=1,
        batch_size=16,
        verbose=0,
        after_epoch=lambda rows: (started.set(), end.wait()),
    )


@pytest.mark.once
def test_second_process_is_refused_and_touches_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    started, end = context.Event(), context.Event()
    process = context.Process(target=owner, args=(tmp_path / "run", started, end))
    process.start()
    try:
        assert started.wait(300)
        before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "run").iterdir()}
        with pytest.raises(training.FolderInUse, match="Another process is training in"):
            training.fit(make(), TRAIN, None, tmp_path / "run", epochs=1, batch_size=16, verbose=0)
        assert {
            file.name: file.stat().st_mtime_ns for file in (tmp_path / "run").iterdir()
        } == before
    finally:
        end.set()
        process.join()
    assert process.exitcode == 0


def with_subclassed_model():
    class Mine(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    model = Mine()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def test_subclassed_model_is_built_by_a_batch(tmp_path):
    result = training.fit(
        with_subclassed_model(), TRAIN, TEST, tmp_path, epochs=1, batch_size=16, verbose=0
    )
    assert np.isfinite(result.summary["last_test_loss"])


REFUSED = [
    (dict(train=X), TypeError, r"`train` must be a tuple \(x, y\)"),
    (dict(train=(X, Y[:5])), ValueError, "arrays of .* examples"),
    (dict(train=(X[:0], Y[:0])), ValueError, "at least one example"),
    (dict(test=()), TypeError, "`test` must be a tuple"),
    (dict(callbacks=["x"]), TypeError, "`callbacks` must be Keras callbacks"),
    (dict(after_epoch=3), TypeError, "`after_epoch` must be a function"),
    (dict(test_batch_size=0), ValueError, "`test_batch_size` must be an integer >= 1"),
    (dict(epochs=0), ValueError, "`epochs` must be an integer >= 1"),
    (dict(batch_size=None), TypeError, "`batch_size` must be an integer >= 1"),
    (dict(callbacks=[keras.callbacks.BackupAndRestore("b")]), ValueError, "must not restore"),
    (dict(seed=-1), ValueError, "`seed` must be an integer >= 0"),
    (dict(train=Batches()), ValueError, "A PyDataset makes its own batches"),
    (dict(settings=[1]), TypeError, "`settings` must be a dataclass or a dict"),
    (dict(settings={"x": object()}), TypeError, "`settings` must be JSON-serializable"),
    (
        dict(model=keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])),
        ValueError,
        "a compiled Keras model",
    ),
]


@pytest.mark.once
@pytest.mark.parametrize(("change", "kind", "message"), REFUSED)
def test_bad_arguments_are_one_sentence_and_write_nothing(change, kind, message, tmp_path):
    arguments = {
        "model": make(),
        "train": TRAIN,
        "test": TEST,
        "epochs": 1,
        "batch_size": 16,
        "verbose": 0,
        **change,
    }
    positional = [arguments.pop(name) for name in ("model", "train", "test")]
    with pytest.raises(kind, match=message):
        training.fit(*positional, tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.once
def test_another_run_is_refused_with_the_difference(tmp_path):
    shared = dict(epochs=1, batch_size=16, verbose=0)
    training.fit(make(), TRAIN, TEST, tmp_path, **shared)
    for change, difference in (
        (dict(optimizer=keras.optimizers.Adam(0.5)), "learning_rate: 0.001.* stored, 0.5 now"),
        (dict(train=(X + 1, Y)), "train: .* stored"),
        (dict(seed=5), "seed: 0 stored, 5 now"),
        (dict(epochs=2), "epochs: 1 stored, 2 now"),
    ):
        model, train = make(change.pop("optimizer", "adam")), change.pop("train", TRAIN)
        with pytest.raises(ValueError, match=difference):
            training.fit(model, train, TEST, tmp_path, **{**shared, **change})
