"""AdditiveGaussianNoise and RandomPadCrop: exact no-ops when off, seeded, per image, inside the
compiled step."""

import keras
import numpy as np
import pytest

from keras_euler import AdditiveGaussianNoise, RandomPadCrop, add_gaussian_noise

ARRAY = keras.ops.convert_to_numpy
ALWAYS_ON = {
    "noise": lambda seed: AdditiveGaussianNoise(1.0, seed=seed),
    "crop": lambda seed: RandomPadCrop(4, seed=seed),
}


@pytest.fixture
def images(rng):
    return rng.integers(1, 256, size=(64, 12, 10, 3)).astype("uint8")


@pytest.mark.parametrize(
    ("layer", "training"),
    [
        (AdditiveGaussianNoise(0.0), True),
        (AdditiveGaussianNoise(0, "always"), False),
        (AdditiveGaussianNoise(1.0), False),
        (RandomPadCrop(0), True),
        (RandomPadCrop(4), False),
    ],
)
def test_off_is_an_exact_no_op(layer, training, images):
    x = images.astype("float32")
    np.testing.assert_array_equal(ARRAY(layer(x, training=training)), x)


@pytest.mark.parametrize("make", ALWAYS_ON.values(), ids=ALWAYS_ON)
def test_same_seed_same_sequence_and_another_seed_another(make, images):
    x = images.astype("float32")
    layers = [make(3), make(3), make(4)]
    first, same, other = ([ARRAY(layer(x, training=True)) for _ in range(2)] for layer in layers)
    np.testing.assert_array_equal(first, same)
    assert (first[0] != first[1]).any() and (first[0] != other[0]).any()


@pytest.mark.parametrize("make", ALWAYS_ON.values(), ids=ALWAYS_ON)
def test_jit_stays_on(make, images):
    model = keras.Sequential(
        [keras.Input(images.shape[1:]), make(0), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    # torch stays eager by Keras' own choice.
    jit = "auto" if keras.backend.backend() == "torch" else True
    model.compile("sgd", "mse", jit_compile=jit)
    assert model.jit_compile == (jit is True)
    assert all(layer.supports_jit for layer in model.layers)
    model.fit(images.astype("float32") / 255, np.zeros((64, 2)), batch_size=24, verbose=0)


@pytest.mark.parametrize("stddev", [0.3, 4.0])
@pytest.mark.parametrize(
    ("when", "training"), [("training", True), ("always", False), ("always", True)]
)
def test_noise_is_gaussian_with_the_given_stddev(stddev, when, training):
    x = np.full((200, 200), 5.0, "float32")
    noise = ARRAY(AdditiveGaussianNoise(stddev, when, seed=0)(x, training=training)) - x
    assert abs(noise.mean()) < 5 * stddev / 200
    assert abs(noise.std() / stddev - 1) < 0.02
    assert abs((np.abs(noise) < stddev).mean() - 0.6827) < 0.01
    assert np.unique(noise).size > 30_000  # each number its own


def test_noise_reaches_raw_pixels_in_fit_and_predict(images):
    model = keras.Sequential(
        [keras.Input(images.shape[1:], dtype="uint8"), AdditiveGaussianNoise(2.0, "always", seed=0)]
    )
    assert abs((model.predict(images, verbose=0) - images).std() - 2) < 0.1
    model.compile(loss="mse")
    assert abs(model.evaluate(images, images.astype("float32"), verbose=0) - 4) < 0.2


def shifted(image, a, b):
    """Shift an image by `a` rows up and `b` columns left, and fill with zeros."""
    height, width, _ = image.shape
    pad = max(abs(a), abs(b))
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    return padded[pad + a : pad + a + height, pad + b : pad + b + width]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_crop_shifts_each_image_by_whole_pixels(data_format, images):
    first = data_format == "channels_first"
    layer = RandomPadCrop(2, seed=0, data_format=data_format)
    y = ARRAY(layer(np.moveaxis(images, -1, 1) if first else images, training=True))
    assert y.dtype == "uint8"
    y = np.moveaxis(y, 1, -1) if first else y
    shifts = [(a, b) for a in range(-2, 3) for b in range(-2, 3)]
    found = [
        [shift for shift in shifts if (shifted(x, *shift) == out).all()]
        for x, out in zip(images, y, strict=True)
    ]
    assert all(len(matches) == 1 for matches in found)
    drawn = {matches[0] for matches in found}
    assert len(drawn) > 15  # 64 draws of 25 places
    assert {a for a, _ in drawn} == {b for _, b in drawn} == {-2, -1, 0, 1, 2}


BAD = [
    (
        lambda: AdditiveGaussianNoise(-0.1),
        ValueError,
        "`stddev` must be a finite number >= 0. Received: stddev=-0.1.",
    ),
    (lambda: AdditiveGaussianNoise(float("inf")), ValueError, "Received: stddev=inf"),
    (lambda: AdditiveGaussianNoise("1"), TypeError, "Received: stddev='1'"),
    (
        lambda: AdditiveGaussianNoise(1, when="never"),
        ValueError,
        "`when` must be one of 'training', 'always'",
    ),
    (
        lambda: add_gaussian_noise(np.ones(2), -1.0),
        ValueError,
        "`stddev` must be finite and >= 0. Received: stddev=-1.0",
    ),
    (
        lambda: add_gaussian_noise(np.ones(2), "a"),
        TypeError,
        "`stddev` must be a number .* Received: stddev='a'",
    ),
    (
        lambda: add_gaussian_noise(np.ones((4, 2)), np.ones(3)),
        ValueError,
        "`stddev` must broadcast against `x`",
    ),
    (
        lambda: RandomPadCrop(-1),
        ValueError,
        "`padding` must be an integer >= 0. Received: padding=-1.",
    ),
    (lambda: RandomPadCrop(1.5), TypeError, "Received: padding=1.5"),
    (
        lambda: RandomPadCrop(9)(np.zeros((1, 8, 32, 3))),
        ValueError,
        "padding=9 for images of 8 x 32 pixels",
    ),
    (
        lambda: RandomPadCrop(1)(np.zeros((4, 3))),
        ValueError,
        "takes a batch of images .* Received the input shape",
    ),
    (lambda: RandomPadCrop(1, data_format="NHWC"), ValueError, "`data_format` must be one of"),
]


@pytest.mark.once
@pytest.mark.parametrize(("make", "error", "message"), BAD)
def test_bad_arguments_get_a_clear_error(make, error, message):
    with pytest.raises(error, match=message):
        make()
