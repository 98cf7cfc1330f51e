"""Tests of `keras_euler.datasets.text`."""

import numpy as np
import pytest

from keras_euler.datasets import text
from keras_euler.datasets.text import (
    check_ids,
    corrupt_characters,
    decode_characters,
    encode_characters,
)

pytestmark = pytest.mark.once

# The authors' alphabet once more, in its order, each typographic sign by its code point.
AUTHORS = [
    *"abcdefghijklmnopqrstuvwxyz",
    *"0123456789",
    *"-,;.!?:",
    chr(0x2019),  # right single quotation mark
    *'"/|_#$%',
    chr(0x02C6),  # modifier letter circumflex accent
    *"&*",
    chr(0x02DC),  # small tilde
    chr(0x2018),  # left single quotation mark
    *"+=<>()[]{}",
    chr(0x20),
    chr(0x5C),  # backslash
]
DIGIT = 27  # the id of "0": no letter, so each draw upon it changes it


# --- alphabets


def test_the_authors_alphabet_has_the_ids_1_to_68():
    assert len(AUTHORS) == 68
    assert list(text.AUTHORS) == AUTHORS
    assert encode_characters(AUTHORS, length=1)[:, 0].tolist() == list(range(1, 69))
    assert text.vocabulary_size() == 70  # with the unknown one and padding


# --- encoding and decoding


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [0, 0, 0, 0]),
        ("abcd", [1, 2, 3, 4]),
        ("abcde", [1, 2, 3, 4]),
        ("AzA", [1, 26, 1, 0]),
        ("\N{RIGHT SINGLE QUOTATION MARK}s\N{LEFT SINGLE QUOTATION MARK}", [44, 19, 56, 0]),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}a", [69, 1, 0, 0]),
        ("\N{LATIN CAPITAL LETTER E WITH ACUTE}a", [69, 1, 0, 0]),
        ("e\N{COMBINING ACUTE ACCENT}a", [5, 69, 1, 0]),
        ("\N{GRINNING FACE}a", [69, 1, 0, 0]),  # outside the first 65,536
        ("\ud83d!", [69, 41, 0, 0]),  # half a pair
        ("\U0010ffff\0\n", [69, 69, 69, 0]),
        ("5 \\", [32, 67, 68, 0]),
        # Lower-cased an i and a dot.
        ("a\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}b", [1, 9, 69, 2]),
        ("abc\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", [1, 2, 3, 9]),  # ... which is cut off
        ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}abc", [9, 69, 1, 2]),
    ],
)
def test_each_code_point_of_the_lower_cased_text_is_one_id(text, expected):
    assert encode_characters([text], length=4).tolist() == [expected]


def test_the_shape_is_rows_by_length_and_the_dtype_int32():
    for texts, rows in ([], 0), (["", "a"], 2):
        ids = encode_characters(texts)
        assert (ids.shape, ids.dtype) == ((rows, 1024), np.int32)


@pytest.mark.parametrize("alphabet", ["authors", "zhang", "xyz", "Xyz"])
def test_decoding_gives_back_the_symbols_of_the_alphabet(alphabet):
    symbols = text.ALPHABETS.get(alphabet, alphabet)
    texts = ["", symbols, symbols[::-1]]
    assert (
        decode_characters(encode_characters(texts, length=80, alphabet=alphabet), alphabet) == texts
    )


# --- noise


def test_the_same_seed_gives_the_same_noise_and_another_or_none_another():
    ids = np.full((20, 50), DIGIT)
    noisy = corrupt_characters(ids, 0.5, seed=3)
    before = np.random.get_state()[1].copy()
    assert np.array_equal(noisy, corrupt_characters(ids, 0.5, seed=3))
    assert not np.array_equal(noisy, corrupt_characters(ids, 0.5, seed=4))
    assert not np.array_equal(corrupt_characters(ids, 0.5), corrupt_characters(ids, 0.5))
    assert np.array_equal(before, np.random.get_state()[1])


# --- wrong inputs


@pytest.mark.parametrize(("vocabulary_size", "length"), [(None, None), (3, None), (70, 2)])
def test_good_ids_come_back_as_an_integer_array(vocabulary_size, length):
    ids = np.array([[0, 2]], "uint8")
    assert check_ids(ids, vocabulary_size, length) is ids
    assert check_ids(ids.tolist(), vocabulary_size, length).tolist() == [[0, 2]]
