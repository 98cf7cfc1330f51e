"""Data sets of every kind train like their arrays, and the error of a bad batch is one sentence."""

import keras
import numpy as np
import pytest

from tests.models.classifiers import (
    INPUTS,
    LABELS,
    LENGTH,
    SMALL_MODELS,
    TEXTS,
    compiled,
    images_model,
    pixels,
    texts_model,
)

# Keras does not know the length of a generator.
pytestmark = pytest.mark.filterwarnings("ignore:Your input ran out of data")


class Sequence(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches
        self.epochs = []

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]

    def on_epoch_begin(self):
        self.epochs.append("begin")

    def on_epoch_end(self):
        self.epochs.append("end")


def tf_data(x, y):
    tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    return tf.data.Dataset.from_tensor_slices(x if y is None else (x, y)).batch(2)


def data_loader(x, y):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    return torch.utils.data.DataLoader(
        list(x) if y is None else list(zip(x, y, strict=True)), batch_size=2
    )


def batches(x, y):
    return [
        (x[i : i + 2],) if y is None else (x[i : i + 2], np.array(y[i : i + 2])) for i in (0, 2)
    ]


DATA_SETS = {
    "generator": lambda x, y: (batch for batch in batches(x, y)),
    "PyDataset": lambda x, y: Sequence(batches(x, y)),
    "tf.data": tf_data,
    "DataLoader": data_loader,
}
EVERY_DATA_SET = pytest.mark.parametrize("data_set", DATA_SETS)


@EVERY_DATA_SET
@SMALL_MODELS
def test_data_set_trains_as_its_arrays_do(build, data_set, rng):
    x, make, model = INPUTS[build](rng), DATA_SETS[data_set], build()
    start, losses = model.get_weights(), []
    for data in (dict(x=x, y=LABELS, batch_size=2, validation_data=(x, LABELS)), None):
        model.set_weights(start)
        compiled(model, None)
        data = data or dict(x=make(x, LABELS), validation_data=make(x, LABELS))
        fit = model.fit(**data, shuffle=False, verbose=0)
        losses.append([*fit.history["loss"], *fit.history["val_loss"]])
    losses = np.array(losses)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    np.testing.assert_allclose(model.evaluate(make(x, LABELS), verbose=0), losses[1][1], rtol=1e-4)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(
        model.predict(make(x, None), verbose=0), expected, rtol=1e-4, atol=1e-5
    )


@EVERY_DATA_SET
@SMALL_MODELS
def test_bad_label_in_a_data_set_is_one_sentence_and_the_model_can_go_on(build, data_set, rng):
    x, make, model = INPUTS[build](rng), DATA_SETS[data_set], build()
    before = model.get_weights()
    for enter in (
        lambda data: model.evaluate(data, verbose=0),
        lambda data: model.fit(x, LABELS, validation_data=data, verbose=0),
        lambda data: model.fit(data, verbose=0),
    ):
        with pytest.raises(
            ValueError, match=r"^Labels must be whole numbers in 0..3. Received: 7 at position 0.$"
        ):
            enter(make(x, [0, 1, 7, 2]))
        for array in model.get_weights():
            assert np.isfinite(array).all()
        model.set_weights(before)
    assert np.isfinite(model.fit(x, LABELS, verbose=0).history["loss"]).all()


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
@pytest.mark.parametrize("num_good", [0, 1, 3])
def test_model_keeps_its_weights_when_a_batch_is_bad(method, num_good):
    """Keras on JAX loses the weights if the first batch of `evaluate` or `predict` raises an
    error."""

    class Breaking(Sequence):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            self.epochs.append(index)
            return np.full((4, LENGTH), 1 if len(self.epochs) <= num_good else 70), LABELS

    model = texts_model()
    before = model.get_weights()
    with pytest.raises(ValueError, match="Received: the id 70 at row 0"):
        getattr(model, method)(Breaking([]), verbose=0)
    if method != "fit" or num_good < 2:
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert np.isfinite(model.fit(TEXTS, LABELS, verbose=0).history["loss"]).all()


@EVERY_DATA_SET
def test_labels_do_not_matter_to_predict(data_set, rng):
    model, images = images_model(), pixels(rng)
    unknown = DATA_SETS[data_set](images, [-1] * 4)
    np.testing.assert_allclose(
        model.predict(unknown, verbose=0), model.predict(images, verbose=0), rtol=1e-5
    )


def test_data_set_is_told_of_its_epochs_as_by_keras(rng):
    plain = compiled(keras.Sequential(images_model().layers), None)
    told = []
    for model in (plain, images_model()):
        data = Sequence(batches(pixels(rng), LABELS))
        model.fit(data, epochs=2, verbose=0)
        told.append(data.epochs)
    assert told[0] == told[1] and told[0].count("end") >= 2


def test_elements_of_tf_data_may_be_dicts():
    tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    model = texts_model()
    data = tf.data.Dataset.from_tensor_slices({"ids": TEXTS}).batch(3)
    assert data.cardinality() == 2
    np.testing.assert_allclose(
        model.predict(data, verbose=0), model.predict(TEXTS, verbose=0), rtol=1e-5
    )


@EVERY_DATA_SET
def test_ids_in_a_data_set_are_checked(data_set):
    ids = np.array([[1] * LENGTH] * 3 + [[70] * LENGTH])
    with pytest.raises(
        ValueError, match=r"^Ids must be in 0..69. Received: the id 70 at row 1, position 0"
    ):
        texts_model().fit(DATA_SETS[data_set](ids, LABELS), verbose=0)
