"""Tests of `keras_euler.datasets.text`."""

import string
import time

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
UNKNOWN = 69
DIGIT = 27  # the id of "0": no letter, so each draw upon it changes it


def naive(texts, length, symbols):
    """Encode one character after the other, with texts lower-cased as a whole."""
    ids = np.zeros((len(texts), length), "int32")
    for row, one in enumerate(texts):
        for place, character in enumerate(one.lower()[:length]):
            ids[row, place] = (
                symbols.index(character) + 1 if character in symbols else len(symbols) + 1
            )
    return ids


def random_texts(rng, num, most):
    """Make texts of 0 to `most` characters: the authors' symbols, capitals and unknown
    characters."""
    pool = np.array(
        [*AUTHORS, *string.ascii_uppercase, *"'^~`@", *map(chr, (0xE9, 0x130, 0x20AC, 0x1F600))]
    )
    return ["".join(rng.choice(pool, rng.integers(most + 1))) for _ in range(num)]


# --- alphabets


def test_the_authors_alphabet_has_the_ids_1_to_68():
    assert len(AUTHORS) == 68
    assert list(text.AUTHORS) == AUTHORS
    assert encode_characters(AUTHORS, length=1)[:, 0].tolist() == list(range(1, 69))
    assert text.vocabulary_size() == 70  # with the unknown one and padding


def test_the_alphabet_of_zhang_is_printable_ascii_without_blank_and_capitals():
    assert sorted(text.ZHANG) == sorted(set(map(chr, range(33, 127))) - set(string.ascii_uppercase))
    assert encode_characters(["az09- "], length=6, alphabet="zhang").tolist() == [
        [1, 26, 27, 36, 37, 69]
    ]


@pytest.mark.parametrize("character", ["'", "^", "~", "`", "@"])
def test_five_ascii_signs_are_unknown_to_the_authors_and_known_to_zhang(character):
    assert encode_characters([character], length=1).tolist() == [[UNKNOWN]]
    assert (
        encode_characters([character], length=1, alphabet="zhang")[0, 0]
        == text.ZHANG.index(character) + 1
    )


@pytest.mark.parametrize(
    ("alphabet", "expected"),
    [
        ("bca", [[3, 1, 2, 3, 4]]),  # lower-cased first
        (
            "bcaA",
            [[4, 1, 2, 3, 5]],
        ),  # it has a capital, so capitals are left: A is its own, D unknown
        ("A", [[1, 2, 2, 2, 2]]),
    ],
)
def test_an_alphabet_of_ones_own_is_numbered_in_its_order(alphabet, expected):
    assert encode_characters(["AbcaD"], length=5, alphabet=alphabet).tolist() == expected
    assert text.vocabulary_size(alphabet) == len(alphabet) + 2


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
        (
            "a\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}b",
            [1, 9, 69, 2],
        ),  # lower-cased an i and a dot
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


@pytest.mark.parametrize(
    "made", [tuple, np.array, lambda texts: np.array(texts, object)], ids=["tuple", "U", "object"]
)
def test_arrays_of_strings_are_read_as_lists_are(made):
    texts = ["Wall St.", "b"]
    assert np.array_equal(
        encode_characters(made(texts), length=10), encode_characters(texts, length=10)
    )


@pytest.mark.parametrize("rows", [0, 1, 6, 7, 8, 30])
def test_more_rows_than_one_chunk_are_encoded_as_one_character_after_the_other(
    monkeypatch, rng, rows
):
    monkeypatch.setattr(text, "CHUNK", 7)
    texts = random_texts(rng, rows, 40)
    assert np.array_equal(encode_characters(texts, length=25), naive(texts, 25, AUTHORS))


@pytest.mark.parametrize("alphabet", ["authors", "zhang", "xyz", "Xyz"])
def test_decoding_gives_back_the_symbols_of_the_alphabet(alphabet):
    symbols = text.ALPHABETS.get(alphabet, alphabet)
    texts = ["", symbols, symbols[::-1]]
    assert (
        decode_characters(encode_characters(texts, length=80, alphabet=alphabet), alphabet) == texts
    )


def test_decoding_shows_the_unknown_and_leaves_padding_out():
    assert decode_characters([[0, 1, 0, 69, 2]]) == ["a\N{REPLACEMENT CHARACTER}b"]
    assert decode_characters(np.zeros((0, 4), int)) == []
    assert decode_characters(np.array([[3]], "uint8"), "abc") == ["c"]
    assert decode_characters([[4]], "abc") == ["\N{REPLACEMENT CHARACTER}"]


def test_12000_texts_of_240_characters_are_encoded_in_under_3_seconds(rng):
    pool = np.array(AUTHORS)
    texts = ["".join(row) for row in rng.choice(pool, (12_000, 240))]
    start = time.process_time()
    encode_characters(texts)
    assert time.process_time() - start < 3  # about 0.1 s


# --- noise


def test_no_text_changes_in_more_places_than_are_drawn_and_some_in_all():
    """The noise draws `int(rate * n)` positions for a text of n characters."""
    for size in (0, 1, 2, 3, 10, 40):
        ids = np.full((3000, 50), 0)
        ids[:, :size] = DIGIT
        for rate in (0.1, 0.29, 0.34, 0.5):
            changed = (corrupt_characters(ids, rate, seed=0) != ids).sum(1)
            draws = int(rate * size)
            # Drawn with replacement, each place is missed by all draws with the probability (1 -
            # 1/n)^draws.
            mean = size * (1 - (1 - 1 / size) ** draws) if size else 0
            assert changed.max() <= draws and abs(changed.mean() - mean) < 0.1
            if size <= 10:
                assert changed.max() == draws


@pytest.mark.parametrize(
    ("first", "last", "kept"), [(1, 26, 1 / 26), (27, 69, 0)], ids=["letters", "no letters"]
)
def test_at_rate_1_the_places_never_drawn_and_equal_letters_stay(rng, first, last, kept):
    ids = rng.integers(first, last + 1, (1000, 1000))
    changed = (corrupt_characters(ids, 1, seed=0) != ids).mean()
    assert abs(changed - (1 - np.exp(-1)) * (1 - kept)) < 0.002


def test_all_letters_and_all_places_are_equally_likely():
    ids = np.full((20_000, 30), DIGIT)
    noisy = corrupt_characters(ids, 1, seed=0)
    letters = np.bincount(noisy[noisy != ids], minlength=70)
    assert letters[0] == 0 and letters[27:].sum() == 0
    np.testing.assert_allclose(letters[1:27] / letters.sum(), 1 / 26, rtol=0.05)
    np.testing.assert_allclose((noisy != ids).mean(0), 1 - (1 - 1 / 30) ** 30, rtol=0.05)


def test_padding_never_changes_and_counts_for_no_character(rng):
    """Padding lies at the end, at the beginning and in the middle: 10 characters among 30 ids."""
    ids = np.zeros((3000, 30), int)
    for row, places in zip(ids, (rng.permutation(30)[:10] for _ in ids), strict=True):
        row[places] = DIGIT
    noisy = corrupt_characters(ids, 1, seed=0)
    assert np.array_equal(noisy == 0, ids == 0)
    share = (noisy != ids).sum() / np.count_nonzero(ids)
    assert abs(share - (1 - 0.9**10)) < 0.01


def test_more_rows_than_one_chunk_are_all_corrupted_and_differently(monkeypatch):
    monkeypatch.setattr(text, "CHUNK", 7)
    ids = np.full((30, 100), DIGIT)
    noisy = corrupt_characters(ids, 0.5, seed=0)
    assert len(np.unique(noisy, axis=0)) == 30
    assert (noisy != ids).sum(1).min() > 20


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64"])
def test_the_dtype_stays_and_the_input_too(dtype):
    ids = np.full((20, 50), DIGIT, dtype)
    noisy = corrupt_characters(ids, 0.5, seed=0)
    assert noisy.dtype == dtype and (noisy != ids).any()
    assert (ids == DIGIT).all()


def test_the_same_seed_gives_the_same_noise_and_another_or_none_another():
    ids = np.full((20, 50), DIGIT)
    noisy = corrupt_characters(ids, 0.5, seed=3)
    before = np.random.get_state()[1].copy()
    assert np.array_equal(noisy, corrupt_characters(ids, 0.5, seed=3))
    assert not np.array_equal(noisy, corrupt_characters(ids, 0.5, seed=4))
    assert not np.array_equal(corrupt_characters(ids, 0.5), corrupt_characters(ids, 0.5))
    assert np.array_equal(before, np.random.get_state()[1])


def test_at_rate_0_a_copy_comes_back(rng):
    ids = rng.integers(0, 70, (20, 50))
    noisy = corrupt_characters(ids, 0, seed=0)
    assert np.array_equal(noisy, ids) and not np.shares_memory(noisy, ids)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
def test_nothing_can_be_corrupted(shape):
    assert corrupt_characters(np.zeros(shape, int), 1, seed=0).shape == shape


# --- wrong inputs

INTEGER = "`length` must be an integer >= 1. Received: length="
ALPHABET = (
    "`alphabet` must be 'authors' or 'zhang', or a string of distinct symbols. Received: alphabet="
)
RATE = "`rate` must be a finite number >= 0 and <= 1. Received: rate="
ONE_TEXT = "`texts` must be a list or an array of strings. Received: texts="
IDS = [[1, 2]]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: encode_characters("abc"), TypeError, f"{ONE_TEXT}'abc'. Put one text in a list."),
        (lambda: encode_characters(None), TypeError, f"{ONE_TEXT}None"),
        (lambda: encode_characters(iter("abc")), TypeError, ONE_TEXT),
        (
            lambda: encode_characters(["a", "b", 3]),
            TypeError,
            "`texts` must be strings. Received: 3 at position 2.",
        ),
        (lambda: encode_characters(["a", b"b"]), TypeError, "Received: b'b' at position 1."),
        (
            lambda: encode_characters(np.array([["a", "b"]])),
            TypeError,
            "Received: ['a', 'b'] at position 0.",
        ),
        (lambda: encode_characters(np.array([1.5])), TypeError, "Received: 1.5 at position 0."),
        (lambda: encode_characters(["a"], 0), ValueError, f"{INTEGER}0"),
        (lambda: encode_characters(["a"], 2.5), TypeError, f"{INTEGER}2.5"),
        (lambda: encode_characters(["a"], alphabet="aba"), ValueError, f"{ALPHABET}'aba'"),
        (lambda: encode_characters(["a"], alphabet=""), ValueError, f"{ALPHABET}''"),
        (lambda: encode_characters([], alphabet="aba"), ValueError, f"{ALPHABET}'aba'"),
        (
            lambda: encode_characters(["a"], alphabet=3),
            TypeError,
            "`alphabet` must be a string. Received: alphabet=3",
        ),
        (
            lambda: encode_characters(["a"], alphabet=["a", "b"]),
            TypeError,
            "Received: alphabet=['a', 'b']",
        ),
        (lambda: decode_characters(IDS, "aa"), ValueError, f"{ALPHABET}'aa'"),
        (
            lambda: decode_characters([[1, 69], [2, 70]]),
            ValueError,
            "the id 70 at row 1, position 1.",
        ),
        (
            lambda: decode_characters([[5]], "abc"),
            ValueError,
            "Ids must be in 0..4. Received: the id 5 at row 0",
        ),
        (
            lambda: decode_characters([[-1]]),
            ValueError,
            "Ids must be in 0..69. Received: the id -1 at row 0",
        ),
        (
            lambda: decode_characters([[1.0]]),
            TypeError,
            "Ids must be integers. Received: an array of float64",
        ),
        (lambda: decode_characters(["abc"]), TypeError, "Use `encode_characters` on texts."),
        (
            lambda: decode_characters([1]),
            ValueError,
            "Ids must have the shape (n, length). Received: (1,)",
        ),
        (
            lambda: decode_characters([[[1]]]),
            ValueError,
            "Ids must have the shape (n, length). Received: (1, 1, 1)",
        ),
        (lambda: corrupt_characters(IDS, -0.1), ValueError, f"{RATE}-0.1"),
        (lambda: corrupt_characters(IDS, 1.1), ValueError, f"{RATE}1.1"),
        (lambda: corrupt_characters(IDS, np.nan), ValueError, f"{RATE}nan"),
        (lambda: corrupt_characters(IDS, "x"), TypeError, f"{RATE}'x'"),
        (
            lambda: corrupt_characters([[1.5]], 0.1),
            TypeError,
            "Ids must be integers. Received: an array of float64",
        ),
        (lambda: corrupt_characters([[[1]]], 0.1), ValueError, "Received: (1, 1, 1)"),
        (
            lambda: corrupt_characters([[1, -2]], 0.1),
            ValueError,
            "Ids must be at least 0. Received: the id -2 at row 0",
        ),
        (
            lambda: check_ids([[True]]),
            TypeError,
            "Ids must be integers. Received: an array of bool",
        ),
        (lambda: check_ids(3), ValueError, "Ids must have the shape (n, length). Received: ()"),
        (
            lambda: check_ids(IDS, length=3),
            ValueError,
            "Ids must have the shape (n, 3). Received: (1, 2)",
        ),
        (
            lambda: check_ids(IDS, 2),
            ValueError,
            "Received: the id 2 at row 0, position 1. `vocabulary_size` is 2.",
        ),
    ],
)
def test_a_wrong_input_is_named(call, error, words):
    with pytest.raises(error) as raised:
        call()
    assert words in str(raised.value)


@pytest.mark.parametrize(("vocabulary_size", "length"), [(None, None), (3, None), (70, 2)])
def test_good_ids_come_back_as_an_integer_array(vocabulary_size, length):
    ids = np.array([[0, 2]], "uint8")
    assert check_ids(ids, vocabulary_size, length) is ids
    assert check_ids(ids.tolist(), vocabulary_size, length).tolist() == [[0, 2]]
