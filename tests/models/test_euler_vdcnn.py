"""The text network: parameters, names, poolings, shapes and checks of ids."""

import keras
import numpy as np
import pytest

import keras_euler
from tests import oracle
from tests.models.networks import ARRAY, arrays, count, inputs, scramble, vdcnn

# Trainable parameters of the authors' network, the padding row counted (PAPER.md).
PARAMETERS = {
    9: 7_005_732,
    17: 9_100_452,
    29: 9_472_548,
    49: 12_604_836,
    65: 16_794_276,
    69: 15_737_124,
}
WITHOUT_NORM = {9: 7_000_100, 49: 12_585_636}


@pytest.mark.once
@pytest.mark.parametrize("depth", PARAMETERS)
def test_parameters_are_the_authors(depth):
    assert count(keras_euler.EulerVDCNN(depth)) == PARAMETERS[depth]
    if depth in WITHOUT_NORM:
        assert count(keras_euler.EulerVDCNN(depth, norm=None)) == WITHOUT_NORM[depth]


@pytest.mark.parametrize("head_pooling", ["max", "k_max"])
@pytest.mark.parametrize("length", [64, 65, 333])
def test_any_length_is_the_formula(length, head_pooling, rng):
    """This covers odd lengths and heads with overlapping windows."""
    model = vdcnn(sequence_length=length, head_pooling=head_pooling)
    judge = oracle.VDCNN(scramble(model, rng), 9, 0.1)
    # Without padding, whose equal features rounding makes unequal.
    x = rng.integers(1, 70, (2, length))
    pool = {"max": oracle.adaptive_max, "k_max": oracle.k_max}[head_pooling]
    np.testing.assert_allclose(ARRAY(model(x)), judge(x, pool), rtol=1e-4, atol=1e-4)


def test_names_say_where_a_variable_is():
    paths = [variable.path for variable in vdcnn(depth=17).weights]
    for path in (
        "embedding/embeddings",
        "stem_conv/bias",
        "stage1_block1/conv1/kernel",
        "stage2_block1/shortcut_conv/kernel",
        "stage4_block2/norm2/moving_mean",
        "dense1/kernel",
        "dense2/bias",
        "logits/kernel",
    ):
        assert path in paths
    assert len(set(paths)) == len(paths)
    assert "stem_norm/gamma" not in paths and "stage2_block1/shortcut_conv/bias" not in paths


def test_embedding_starts_standard_normal_with_a_padding_row_that_training_leaves_at_zero(rng):
    model = vdcnn(vocabulary_size=700)
    table = arrays(model)["embedding/embeddings"]
    assert abs(table[1:].mean()) < 0.05 and abs(table[1:].std() - 1) < 0.05
    model.compile(
        keras.optimizers.Adam(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.fit(inputs(model, rng), np.arange(4), verbose=0)
    trained = arrays(model)["embedding/embeddings"]
    assert (trained[0] == 0).all() and (trained[1:] != table[1:]).any()


def test_padding_row_has_no_part_in_the_output_whatever_it_holds(rng):
    model = vdcnn()
    x = inputs(model, rng)
    before = ARRAY(model(x))
    table = model.get_layer("embedding").embeddings
    table.assign(ARRAY(table) + np.eye(len(ARRAY(table)))[:, :1] * 9)
    np.testing.assert_array_equal(ARRAY(model(x)), before)


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"num_classes": 7, "dropout": 0.5}, (2, 7)),
        ({"include_top": False}, (2, 8, 32)),
        ({"include_top": False, "sequence_length": 100}, (2, 13, 32)),
        ({"include_top": False, "pooling": "avg"}, (2, 32)),
        ({"include_top": False, "pooling": "max"}, (2, 32)),
    ],
)
def test_output_shapes(arguments, shape, rng):
    model = vdcnn(**arguments)
    assert tuple(model(inputs(model, rng, 2)).shape) == shape == (2, *model.output_shape[1:])


def test_dropout_is_on_in_training_alone(rng):
    model = vdcnn(dropout=0.5, norm=None)
    x = inputs(model, rng)
    np.testing.assert_array_equal(ARRAY(model(x)), ARRAY(model(x)))
    assert (ARRAY(model(x, training=True)) != ARRAY(model(x))).any()


BAD = [
    (
        {"depth": 10},
        ValueError,
        "must be one of 9, 17, 29, 49, 65, 69. Received: depth=10. The nearest: 9 or 17.",
    ),
    (
        {"sequence_length": 63},
        ValueError,
        "`sequence_length` must be an integer >= 64. Received: sequence_length=63.",
    ),
    ({"sequence_length": None}, TypeError, "Received: sequence_length=None"),
    (
        {"vocabulary_size": 0},
        ValueError,
        "`vocabulary_size` must be an integer >= 2. Received: vocabulary_size=0.",
    ),
    ({"dense_units": 0}, ValueError, "`dense_units` must be an integer >= 1"),
    (
        {"dropout": -0.1},
        ValueError,
        "`dropout` must be a finite number >= 0. Received: dropout=-0.1. It must be below 1.",
    ),
    ({"head_pooling": "mean"}, ValueError, "`head_pooling` must be one of 'max', 'k_max'."),
    (
        {"pooling": "avg"},
        ValueError,
        "`pooling` is for include_top=False; the top has `head_pooling`.",
    ),
    (
        {"pooling": "sum", "include_top": False},
        ValueError,
        "`pooling` must be one of 'avg', 'max', None.",
    ),
]


@pytest.mark.once
@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_arguments_get_a_clear_error(arguments, error, message):
    with pytest.raises(error, match=message):
        vdcnn(**arguments)


BAD_IDS = [
    (
        np.full((2, 64), 70),
        ValueError,
        "Ids must be in 0..69. Received: the id 70 at row 0, position 0.",
    ),
    (np.full((2, 64), -1), ValueError, "Received: the id -1 at row 0"),
    (np.zeros((2, 64)), TypeError, "Ids must be integers. Received: an array of float64."),
    (
        np.zeros((2, 63), int),
        ValueError,
        r"Ids must have the shape \(n, 64\). Received: \(2, 63\).",
    ),
]


@pytest.mark.once
@pytest.mark.parametrize(("ids", "error", "message"), BAD_IDS)
def test_bad_ids_are_named_wherever_they_enter(ids, error, message):
    model, labels = vdcnn(), np.zeros(2, int)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    good = np.ones((2, 64), int)
    for enter in (
        lambda: model.predict(ids),
        lambda: model.predict_on_batch(ids),
        lambda: model.fit(ids, labels),
        lambda: model.fit(good, labels, validation_data=(ids, labels)),
        lambda: model.evaluate(ids, labels),
        lambda: model.train_on_batch(ids, labels),
        lambda: model.test_on_batch(ids, labels),
        lambda: model.predict({"ids": ids}),
        lambda: model.predict([ids]),
        lambda: model.predict((ids,)),
    ):
        with pytest.raises(error, match=message):
            enter()
