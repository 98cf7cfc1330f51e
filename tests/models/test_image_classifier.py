"""Classification of raw pixels; every method rejects images of another scale, also after saving."""

import keras
import numpy as np
import pytest

import keras_euler
from tests.models.networks import ARRAY


def build(dtype="uint8"):
    layers = [
        keras.Input((2, 2, 3), dtype=dtype),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
    ]
    model = keras_euler.ImageClassifier([*layers, keras.layers.Dense(4)], name="mine")
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.fixture
def images(rng):
    x = rng.integers(0, 256, (4, 2, 2, 3)).astype("uint8")
    x[0, 0, 0] = 0, 255, 255
    return x


LABELS = np.array([0, 1, 2, 3])
REFUSED = {  # where x are raw pixels
    "x / 255": lambda x: x / 255,
    "x / 127.5 - 1": lambda x: x / 127.5 - 1,
    "white": lambda x: np.ones_like(x, "float64"),
    "mask": lambda x: x > 128,
    "halves": lambda x: x * 0.5,
    "normalized": lambda x: (x - 125.0) / 60.0,
    "too large": lambda x: x.astype("int32") + 1,
    "negative": lambda x: x.astype("int64") - 1,
    "nan": lambda x: np.where(x == 255, np.nan, x),
    "list": lambda x: list(x / 255),
}
ENTRANCES = {
    "call": lambda model, x: model(x),
    "predict": lambda model, x: model.predict(x, verbose=0),
    "predict_on_batch": lambda model, x: model.predict_on_batch(x),
    "evaluate": lambda model, x: model.evaluate(x, LABELS, verbose=0),
    "fit": lambda model, x: model.fit(x, LABELS, verbose=0),
    "train_on_batch": lambda model, x: model.train_on_batch(x, LABELS),
    "validation_data": lambda model, x: model.fit(
        np.zeros(x.shape), LABELS, validation_data=(x, LABELS)
    ),
}


@pytest.mark.once
@pytest.mark.parametrize("scale", REFUSED)
def test_images_of_another_scale_are_refused_by_every_entrance(scale, images):
    model, x = build(), REFUSED[scale](images)
    for name, enter in ENTRANCES.items():
        if not (name == "validation_data" and isinstance(x, list)):
            with pytest.raises(
                ValueError,
                match=r"^Images must be raw pixels, whole numbers in 0..255. Received: \w+ values",
            ):
                enter(model, x)


@pytest.mark.once
def test_tensors_and_data_sets_must_be_of_integers(images):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return images / 255, LABELS

    model = build()
    tensor, ids = keras.ops.convert_to_tensor(images / 255), keras.Input((2, 2, 3))
    entrances = [
        lambda: model(tensor),
        lambda: model([tensor]),
        lambda: model(ids),
        lambda: model.predict(tensor, verbose=0),
        lambda: model.fit(Batches(), verbose=0),
        lambda: keras_euler.fold(model)(tensor),
    ]
    for enter in entrances:
        with pytest.raises(ValueError, match="Images must be raw pixels.* a tensor of float"):
            enter()
    model(keras.ops.convert_to_tensor(images))


def test_pixels_stay_bytes_on_their_way_to_the_device(images):
    model = build()
    assert model.prepare_inputs(images) is images
    assert model.prepare_inputs(images.astype("float64")).dtype == "uint8"


def test_file_gives_the_classifier_back(images, tmp_path):
    model = build()
    model.fit(images, LABELS, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is keras_euler.ImageClassifier and loaded.name == "mine"
    np.testing.assert_array_equal(ARRAY(loaded(images)), ARRAY(model(images)))
    model.reset_metrics()  # before Keras 3.15 `fit` leaves its sums there
    np.testing.assert_allclose(
        loaded.train_on_batch(images, LABELS), model.train_on_batch(images, LABELS), rtol=1e-6
    )
    for enter in ENTRANCES.values():
        with pytest.raises(ValueError, match="Images must be raw pixels"):
            enter(loaded, images / 255)
