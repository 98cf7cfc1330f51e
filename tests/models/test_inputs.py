"""Inputs of a model: every container gives the results of arrays, and errors are one sentence."""

import keras
import numpy as np
import pandas as pd
import pytest

import keras_euler
from tests.models.classifiers import (
    EVERY_MODEL,
    INPUTS,
    LABELS,
    SMALL_MODELS,
    compiled,
    resnet_model,
    texts_model,
)
from tests.test_checks import Column

pytestmark = pytest.mark.once

# --- containers


@SMALL_MODELS
@pytest.mark.parametrize(
    "make", [list, tuple, Column, pd.Series, lambda items: dict(enumerate(items)).values()]
)
def test_inputs_labels_and_weights_in_any_container_train_as_arrays_do(build, make, rng):
    x, weights = INPUTS[build](rng), [1.0, 2.0, 0.0, 1.0]
    model = build()
    start, losses = model.get_weights(), []
    arrays = (
        (np.array(x, object) if build is texts_model else x),
        np.array(LABELS),
        np.array(weights),
    )
    for x, y, sample_weight in (arrays, [make(list(items)) for items in arrays]):
        model.set_weights(start)
        compiled(model, None)
        data = dict(validation_data=(x, y, sample_weight), sample_weight=sample_weight)
        fit = model.fit(x, y, **data, shuffle=False, verbose=0)
        losses.append(
            [*fit.history["loss"], *fit.history["val_loss"], model.evaluate(x, y, verbose=0)]
        )
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


# --- labels

METHODS = {
    "fit": lambda model, x, y: model.fit(x, y, verbose=0),
    "evaluate": lambda model, x, y: model.evaluate(x, y, verbose=0),
    "train_on_batch": lambda model, x, y: model.train_on_batch(x, y),
    "test_on_batch": lambda model, x, y: model.test_on_batch(x, y),
    "validation_data": lambda model, x, y: model.fit(x, LABELS, validation_data=(x, y), verbose=0),
    "list of outputs": lambda model, x, y: model.fit(x, [np.array(y)], verbose=0),
}


@EVERY_MODEL
@pytest.mark.parametrize("method", METHODS)
def test_label_that_is_no_class_is_named_by_every_entrance(method, build, rng):
    model, x = build(), INPUTS[build](rng)
    for labels, received in (
        ([0, 1, 2, 4], "4 at position 3"),
        ([0.0, 1.0, np.nan, 3.0], "nan at position 2"),
    ):
        with pytest.raises(
            ValueError, match=rf"Labels must be whole numbers in 0..3. Received: {received}"
        ):
            METHODS[method](model, x, labels)


# --- inputs


def test_data_sets_and_tensors_pass_as_they_are(rng):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return x[2 * index :][:2], y[2 * index :][:2]

    x, y, losses = INPUTS[resnet_model](rng), np.array(LABELS), []
    model = resnet_model()
    start = model.get_weights()
    tensors = [keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y)]
    batches = lambda: ((x[i : i + 2], y[i : i + 2]) for i in (0, 2))
    for data in ([x, y], tensors, [Batches()], [batches()]):
        model.set_weights(start)
        compiled(model, None)
        size = {"batch_size": 2} if len(data) == 2 else {"steps_per_epoch": 2}
        losses += model.fit(*data, **size, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(losses[1:], losses[:1] * 3, rtol=1e-5)


@pytest.mark.parametrize(
    "make", [list, lambda pair: dict(zip(("sum", "other"), pair, strict=True))]
)
def test_several_inputs_and_outputs_are_those_of_keras(make, rng):
    """Their lists hold one array per input, not one example."""
    a, b = keras.Input((4,), name="sum"), keras.Input((4,), name="other")
    x = keras.layers.Add(name="add")([a, keras.layers.Dense(4)(b), a])
    y = keras.layers.Add(name="step")([x, keras.layers.Dense(4)(x)])
    model = keras_euler.eulerize(keras.Model(make([a, b]), make([y, x])), verbose=False)
    model.compile("sgd", make(["sparse_categorical_crossentropy", "mse"]))
    data = make(list(rng.normal(size=(2, 8, 4))))
    targets = make([np.zeros(8), np.ones((8, 4))])
    model.fit(data, targets, validation_data=(data, targets), batch_size=4, verbose=0)
    weights = make([np.zeros(8), np.zeros(8)])
    assert model.evaluate(data, targets, sample_weight=weights, verbose=0)[0] == 0
    shapes = [output.shape for output in keras.tree.flatten(model.predict(data))]
    assert shapes == [(8, 4), (8, 4)]
