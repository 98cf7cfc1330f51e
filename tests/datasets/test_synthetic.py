"""Tests of `keras_euler.datasets.synthetic`."""

import re
import string

import numpy as np
import pytest

from keras_euler.datasets import synthetic

pytestmark = pytest.mark.once

LETTERS = string.ascii_lowercase

# --- images


def test_shapes_and_dtypes_are_those_of_cifar10():
    (x_train, y_train), (x_test, y_test) = synthetic.images(num_train=30, num_test=20)
    assert (x_train.shape, x_train.dtype) == ((30, 32, 32, 3), np.uint8)
    assert (x_test.shape, x_test.dtype) == ((20, 32, 32, 3), np.uint8)
    assert (y_train.shape, y_train.dtype) == ((30,), np.int64)
    assert (y_test.shape, y_test.dtype) == ((20,), np.int64)


def test_any_size_and_any_number_of_classes_can_be_made():
    (x, y), _ = synthetic.images(num_train=14, num_test=1, num_classes=7, image_size=20)
    assert x.shape == (14, 20, 20, 3)
    assert np.bincount(y).tolist() == [2] * 7


def test_the_same_seed_gives_the_same_set_and_another_seed_another():
    (x, y), (x_test, y_test) = synthetic.images(50, 50, seed=3)
    (same_x, same_y), (same_x_test, same_y_test) = synthetic.images(50, 50, seed=3)
    assert all(
        map(np.array_equal, (x, y, x_test, y_test), (same_x, same_y, same_x_test, same_y_test))
    )
    (other_x, other_y), _ = synthetic.images(50, 50, seed=4)
    assert not np.array_equal(x, other_x)
    assert not np.array_equal(y, other_y)


def test_training_and_test_images_differ_and_the_test_split_ignores_num_train():
    (x, _), (x_test, y_test) = synthetic.images(50, 50)
    _, (same_x_test, same_y_test) = synthetic.images(80, 50)
    assert not np.array_equal(x, x_test)
    assert np.array_equal(x_test, same_x_test)
    assert np.array_equal(y_test, same_y_test)


def test_more_images_than_one_chunk_are_all_different(monkeypatch):
    monkeypatch.setattr(synthetic, "CHUNK", 7)
    (x, y), _ = synthetic.images(num_train=30, num_test=1)
    assert len(x) == len(y) == len(np.unique(x, axis=0)) == 30


def test_a_linear_model_on_the_pixels_or_the_mean_colour_is_poor():
    (x, y), (x_test, y_test) = synthetic.images()
    for features in (lambda x: x.reshape(len(x), -1), lambda x: x.mean((1, 2))):
        assert _linear_accuracy(features(x), y, features(x_test), y_test) < 0.3


def test_the_texture_that_made_an_image_can_be_found_in_it():
    """A classifier that knows the textures tries every shift and mirroring and takes the best
    match."""
    _, (x, y) = synthetic.images(1, 100)
    for augment in (lambda x: x, lambda x: x[:, :, ::-1], lambda x: np.roll(x, (4, -3), (1, 2))):
        assert (_matched_classes(augment(x)) == y).mean() > 0.8


def test_an_image_has_at_least_8_pixels_a_side():
    with pytest.raises(
        ValueError, match=r"`image_size` must be an integer >= 8. Received: image_size=7"
    ):
        synthetic.images(image_size=7)


# --- texts


def test_shapes_and_dtypes_of_texts_are_those_of_ag_news():
    (x_train, y_train), (x_test, y_test) = synthetic.texts(num_train=30, num_test=20)
    assert (x_train.shape, x_train.dtype, x_test.shape, x_test.dtype) == (
        (30,),
        object,
        (20,),
        object,
    )
    assert (y_train.shape, y_train.dtype, y_test.shape, y_test.dtype) == (
        (30,),
        np.int64,
        (20,),
        np.int64,
    )
    assert all(type(text) is str for text in (*x_train, *x_test))


def test_texts_are_12_to_24_words_of_lower_case_letters_and_all_different():
    (x, y), _ = synthetic.texts(num_train=700, num_test=1, num_classes=7)
    assert np.bincount(y).tolist() == [100] * 7
    assert len(set(x)) == 700
    for text in x:
        assert re.fullmatch(r"[a-z]{3,8}( [a-z]{3,8}){11,23}", text)
        assert 40 <= len(text) <= 220


def test_the_same_seed_gives_the_same_texts_and_another_seed_others():
    (x, y), (x_test, y_test) = synthetic.texts(50, 50, seed=3)
    (same_x, same_y), (same_x_test, same_y_test) = synthetic.texts(50, 50, seed=3)
    assert all(
        map(np.array_equal, (x, y, x_test, y_test), (same_x, same_y, same_x_test, same_y_test))
    )
    (other_x, other_y), _ = synthetic.texts(50, 50, seed=4)
    assert not set(x) & set(other_x)
    assert not np.array_equal(y, other_y)


def test_training_and_test_texts_differ_and_the_test_split_ignores_num_train():
    (x, _), (x_test, y_test) = synthetic.texts(50, 50)
    _, (same_x_test, same_y_test) = synthetic.texts(80, 50)
    assert not set(x) & set(x_test)
    assert np.array_equal(x_test, same_x_test)
    assert np.array_equal(y_test, same_y_test)


@pytest.mark.parametrize("num_classes", [2, 4, 256])
def test_a_keyword_is_an_anagram_of_one_of_every_other_class(num_classes):
    keywords = _keywords(num_classes)
    assert keywords.shape == (num_classes, synthetic.KEYWORDS)
    for column in keywords.T:
        assert len(set(column)) == num_classes
        assert len({"".join(sorted(word)) for word in column}) == 1


@pytest.mark.parametrize("seed", [0, 1])
def test_a_linear_model_on_the_counts_of_characters_is_poor(seed):
    (x, y), (x_test, y_test) = synthetic.texts(seed=seed)
    counts, counts_test = (
        np.array([[text.count(c) for c in LETTERS] for text in split]) for split in (x, x_test)
    )
    a, b = (np.c_[np.ones(len(z)), z] for z in (counts, counts_test))
    weights = np.linalg.lstsq(a, np.eye(4)[y], rcond=None)[0]
    assert ((b @ weights).argmax(1) == y_test).mean() < 0.4  # chance is 0.25


@pytest.mark.parametrize("num_classes", [2, 4, 20])
def test_who_knows_the_keywords_finds_the_class(num_classes):
    _, (x, y) = synthetic.texts(1, 500, num_classes)
    keywords = [set(words) for words in _keywords(num_classes)]
    found = np.array(
        [[sum(word in own for word in text.split()) for own in keywords] for text in x]
    )
    assert (found.argmax(1) == y).mean() > 0.9
    # Two to four of the class' own and one of another, but for the chance that a common word is a
    # keyword.
    assert ((found.sum(1) >= 3) & (found.sum(1) <= 5)).mean() > 0.99
    assert (np.sort(found)[:, -2] == 1).mean() > 0.99


# --- both


def test_numpys_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()
    synthetic.images(10, 10)
    synthetic.texts(10, 10)
    assert np.array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize("make", [synthetic.images, synthetic.texts])
@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (
            {"num_train": 0},
            ValueError,
            "`num_train` must be an integer >= 1. Received: num_train=0",
        ),
        ({"num_test": -1}, ValueError, "`num_test` must be an integer >= 1. Received: num_test=-1"),
        (
            {"num_train": 2.5},
            TypeError,
            "`num_train` must be an integer >= 1. Received: num_train=2.5",
        ),
        (
            {"num_classes": 1},
            ValueError,
            "`num_classes` must be an integer >= 2. Received: num_classes=1",
        ),
        (
            {"num_classes": 257},
            ValueError,
            "`num_classes` must be at most 256. Received: num_classes=257",
        ),
        ({"seed": -1}, ValueError, "`seed` must be an integer >= 0. Received: seed=-1"),
        ({"seed": None}, TypeError, "`seed` must be an integer >= 0. Received: seed=None"),
    ],
)
def test_a_bad_argument_is_named(make, wrong, error, words):
    with pytest.raises(error) as raised:
        make(**wrong)
    assert words in str(raised.value)


def _linear_accuracy(x, y, x_test, y_test, penalty=10.0):
    """Return the test accuracy of the better of two linear models: ridge regression to one-hot
    labels, and nearest class mean."""
    mean, std = x.mean(0), x.std(0)
    a, b = (np.c_[(z - mean) / std, np.ones(len(z))] for z in (x, x_test))
    kernel = a @ a.T + penalty * a.shape[1] / 100 * np.eye(len(a))
    ridge = b @ (a.T @ np.linalg.solve(kernel, np.eye(10)[y]))
    means = np.stack([a[y == label].mean(0) for label in range(10)])
    nearest = b @ means.T - (means**2).sum(1) / 2
    return max((scores.argmax(1) == y_test).mean() for scores in (ridge, nearest))


def _matched_classes(x):
    textures = synthetic._textures(synthetic._generators(0, 10)[0], 10)
    tile = synthetic.TILE
    # Adding up the four tiles of an image leaves one period.
    folded = x.astype("float64").reshape(len(x), 2, tile, 2, tile, 3).mean((1, 3))
    folded -= folded.mean((1, 2), keepdims=True)
    scores = []
    for mirrored in (folded, folded[:, :, ::-1]):
        product = (
            np.fft.fft2(mirrored, axes=(1, 2))[:, None] * np.fft.fft2(textures, axes=(1, 2)).conj()
        )
        scores.append(np.fft.ifft2(product.sum(-1), axes=(2, 3)).real.max((2, 3)))
    return np.maximum(*scores).argmax(1)


def _keywords(num_classes, seed=0):
    rng = synthetic._generators(seed, num_classes)[0]
    synthetic._words(rng, synthetic.COMMON_WORDS)  # which are drawn first
    return synthetic._anagrams(rng, num_classes)
