"""The layers of the text network: character noise, embedding, poolings, convolution."""

import keras
import numpy as np
import pytest

from keras_euler import RandomCharacters
from keras_euler.layers import (
    CharacterEmbedding,
    Conv1D,
    Conv2D,
    HalvingMaxPooling1D,
    KMaxPooling1D,
)
from tests import oracle

ARRAY = keras.ops.convert_to_numpy


@pytest.fixture
def ids(rng):
    """Make texts of all lengths up to 250, followed by zeros."""
    return np.where(
        np.arange(250) < rng.integers(0, 251, (400, 1)), rng.integers(1, 70, (400, 250)), 0
    )


@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
@pytest.mark.parametrize(("when", "training"), [("training", True), ("always", False)])
def test_characters_change_at_the_expected_rate_to_letters_and_padding_never(
    rate, when, training, ids
):
    """A character other than a letter changes with probability rate, a letter with rate * 25 /
    26."""
    noisy = ARRAY(RandomCharacters(rate, when, seed=0)(ids, training=training))
    np.testing.assert_array_equal(noisy[ids == 0], 0)
    changed = noisy != ids
    assert set(noisy[changed]) <= set(range(1, 27)) and len(set(noisy[changed])) == 26
    letters, others = (ids >= 1) & (ids <= 26), ids > 26
    assert abs(changed[letters].mean() - rate * 25 / 26) < 0.015
    assert abs(changed[others].mean() - rate) < 0.015
    # They are uniform.
    assert (
        np.bincount(noisy[others & changed], minlength=27)[1:].std() / changed[others].sum() < 0.01
    )


def test_noise_is_fresh_at_every_step_and_seeded(ids):
    layers = [RandomCharacters(0.5, seed=seed) for seed in (3, 3, 4)]
    first, same, other = ([ARRAY(layer(ids, training=True)) for _ in range(2)] for layer in layers)
    np.testing.assert_array_equal(first, same)
    assert (first[0] != first[1]).any() and (first[0] != other[0]).any()


def test_embedding_is_the_table_without_its_first_row(rng):
    layer = CharacterEmbedding(70, 5)
    ids = rng.integers(0, 70, (4, 9))
    y = ARRAY(layer(ids))
    np.testing.assert_allclose(y, np.where(ids[..., None] > 0, ARRAY(layer.embeddings)[ids], 0))
    assert (ARRAY(layer.embeddings)[0] == 0).all()


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("length", [8, 9])
@pytest.mark.parametrize(
    ("make", "judge"),
    [
        (HalvingMaxPooling1D, oracle.halving_max),
        (lambda f: KMaxPooling1D(3, f), lambda x: oracle.k_max(x, 3)),
    ],
)
def test_poolings_are_the_formulas(make, judge, length, data_format, rng):
    """The numbers have both signs, so that padding with zeros would show."""
    if data_format == "channels_first" and keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no channels_first pooling on the CPU")
    x = rng.normal(-2, 1, size=(2, length, 3)).astype("float32")
    first = data_format == "channels_first"
    inputs, layer = np.moveaxis(x, -1, 1) if first else x, make(data_format)
    y = ARRAY(layer(inputs))
    assert layer.compute_output_shape(inputs.shape) == y.shape
    np.testing.assert_array_equal(np.moveaxis(y, 1, -1) if first else y, judge(x).astype("float32"))


def test_halving_pads_both_sides_where_keras_pads_the_right_alone():
    """PAPER: 7, 6, ..., 0 gives 7, 6, 4, 2, and Keras' "same" 7, 5, 3, 1."""
    x = np.arange(7.0, -1.0, -1.0).reshape(1, 8, 1)
    ours = HalvingMaxPooling1D(data_format="channels_last")(x)
    same = keras.layers.MaxPooling1D(3, 2, "same", data_format="channels_last")(x)
    assert [ARRAY(y).ravel().tolist() for y in (ours, same)] == [[7, 6, 4, 2], [7, 5, 3, 1]]


@pytest.mark.parametrize(
    ("ours", "twin", "shape"),
    [(Conv1D, keras.layers.Conv1D, (9, 3)), (Conv2D, keras.layers.Conv2D, (6, 7, 3))],
)
@pytest.mark.parametrize(
    "arguments",
    [
        {"padding": "same"},
        {"padding": "same", "activation": "relu"},
        {"padding": "valid", "strides": 2},
        {"padding": "same", "strides": 2},
        {"padding": "same", "kernel_size": 2},
        {"padding": "same", "kernel_size": 1, "use_bias": False},
        {"padding": "same", "dilation_rate": 2},
        {"padding": "valid", "groups": 3},
    ],
)
def test_convolution_and_its_gradients_equal_the_plain_keras_twin(
    ours, twin, shape, arguments, rng
):
    if "groups" in arguments and keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no gradient of a grouped convolution on the CPU")
    x = rng.normal(size=(4, *shape)).astype("float32")
    results = []
    for make in (ours, twin):
        layer = make(
            **{"filters": 6, "kernel_size": 3, "data_format": "channels_last", **arguments}
        )
        model = keras.Sequential([keras.Input(shape), layer])
        rng_weights = np.random.default_rng(1)
        model.set_weights([rng_weights.normal(size=weight.shape) for weight in model.get_weights()])
        outputs = ARRAY(model(x))
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.train_on_batch(x, np.ones_like(outputs))
        results.append([outputs, model.predict(x, verbose=0), *model.get_weights()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


BAD = [
    (
        lambda: RandomCharacters(-0.1),
        ValueError,
        "`rate` must be a finite number >= 0 and <= 1. Received: rate=-0.1.",
    ),
    (lambda: RandomCharacters(1.1), ValueError, "Received: rate=1.1"),
    (lambda: RandomCharacters("1"), TypeError, "Received: rate='1'"),
    (
        lambda: RandomCharacters(0.1, "never"),
        ValueError,
        "`when` must be one of 'training', 'always'",
    ),
    (
        lambda: RandomCharacters(0.1)(np.zeros((2, 3))),
        TypeError,
        "takes integer ids. Received: inputs of float32",
    ),
    (lambda: KMaxPooling1D(0), ValueError, "`k` must be an integer >= 1"),
    (lambda: KMaxPooling1D(8)(np.zeros((1, 7, 2))), ValueError, r"needs at least k=8 positions"),
    (lambda: HalvingMaxPooling1D("NLC"), ValueError, "`data_format` must be one of"),
]


@pytest.mark.once
@pytest.mark.parametrize(("make", "error", "message"), BAD)
def test_bad_arguments_get_a_clear_error(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_largest_of_small_integers_and_of_nan(data_format):
    axes = (0, 2, 1) if data_format == "channels_first" else (0, 1, 2)
    pool = KMaxPooling1D(2, data_format, dtype="uint8")
    x = np.array([0, 7, 0, 9, 3], "uint8").reshape(1, 5, 1).transpose(axes)
    assert np.ravel(keras.ops.convert_to_numpy(pool(x))).tolist() == [7, 9]
    x = np.array([1, np.nan, 3], "float32").reshape(1, 3, 1).transpose(axes)
    if keras.backend.backend() == "torch":  # others do not say where they put it
        kept = keras.ops.convert_to_numpy(KMaxPooling1D(2, data_format)(x))
        np.testing.assert_array_equal(np.ravel(kept), [np.nan, 3])


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="torch's own pooling")
def test_gradient_of_equal_numbers_goes_to_the_first_in_both_data_formats():
    import torch

    for data_format, shape in (("channels_last", (1, 4, 1)), ("channels_first", (1, 1, 4))):
        x = torch.ones(shape, requires_grad=True)
        HalvingMaxPooling1D(data_format)(x).sum().backward()
        assert x.grad.ravel().tolist() == [1, 1, 0, 0], data_format
