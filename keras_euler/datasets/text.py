"""Encode texts as character ids and back, with the authors' alphabet or that of Zhang et al."""

import difflib
import functools

import numpy as np

from keras_euler._checks import as_array, check_integer, check_number
from keras_euler._types import Array, ArrayLike, Texts

AUTHORS = (
    'abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:\N{RIGHT SINGLE QUOTATION MARK}"/|_#$%'
    "\N{MODIFIER LETTER CIRCUMFLEX ACCENT}&*\N{SMALL TILDE}"
    "\N{LEFT SINGLE QUOTATION MARK}+=<>()[]{} \\"
)
# Zhang et al. 2015 list the hyphen twice; here it has one id. Their alphabet has no blank.
ZHANG = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+=<>()[]{}"
ALPHABETS = {"authors": AUTHORS, "zhang": ZHANG}
PADDING = 0
LETTERS = 26  # ids 1 to 26 are a to z in both alphabets
UNKNOWN_CHARACTER = "\N{REPLACEMENT CHARACTER}"
CHUNK = 4096  # rows processed at once, to bound the memory


def encode_characters(texts: Texts, length: int = 1024, alphabet: str = "authors") -> Array:
    """Encode texts as ids of their characters, truncated or padded with zeros to one length.

    The symbols of the alphabet have the ids 1, 2, ... in its order, all other characters the next
    id, and padding is 0. The authors' 68 symbols have the ids 1 to 68, and other characters 69.
    Texts are lower-cased first, unless the alphabet has capitals.

    Args:
        texts: n strings: a list, an array, a column of a table or another sequence.
        length: Ids per text, an integer >= 1.
        alphabet: `"authors"` (the paper's code: typographic quotes, but no apostrophe, `^`, `~`,
            backquote or `@`), `"zhang"` (the ASCII symbols of Zhang et al. 2015, without the
            blank), or a string of distinct symbols.

    Returns:
        int32 `(n, length)`.

    Raises:
        TypeError: `texts` is a single string, or one of the texts is not a string.
        ValueError: The length or the alphabet is invalid.

    Example:

    >>> encode_characters(["Ab!", "\N{LATIN SMALL LETTER E WITH ACUTE}"], length=4).tolist()
    [[1, 2, 41, 0], [69, 0, 0, 0]]
    """
    check_integer("length", length, 1)
    symbols = _symbols(alphabet)
    texts = check_texts(texts)
    is_lower = symbols == symbols.lower()
    table = _table(symbols)
    ids = np.zeros((len(texts), length), "int32")
    for start in range(0, len(texts), CHUNK):
        rows = [
            (text.lower() if is_lower else text)[:length] for text in texts[start : start + CHUNK]
        ]
        sizes = np.array([len(row) for row in rows])
        points = np.frombuffer("".join(rows).encode("utf-32-le", "surrogatepass"), "<u4")
        ids[start : start + len(rows)][np.arange(length) < sizes[:, None]] = table[points]
    return ids


def decode_characters(ids: ArrayLike, alphabet: str = "authors") -> list[str]:
    """Decode ids to texts: padding vanishes, and unknown characters become U+FFFD.

    Args:
        ids: Array of integers `(n, length)`, as `encode_characters` gives them.
        alphabet: As for `encode_characters`.

    Returns:
        List of n strings.

    Raises:
        TypeError: `ids` is not an array of integers.
        ValueError: The shape is wrong, an id is outside the alphabet, or the alphabet is invalid.

    Example:

    >>> decode_characters(encode_characters(["Wall St. \N{EURO SIGN}5"], length=16))
    ['wall st. \N{REPLACEMENT CHARACTER}5']
    """
    symbols = _symbols(alphabet)
    ids = check_ids(ids, vocabulary_size(alphabet))
    characters = np.array(["", *symbols, UNKNOWN_CHARACTER], object)
    return ["".join(row) for row in characters[ids]]


def vocabulary_size(alphabet: str = "authors") -> int:
    """Return the number of ids: those of the alphabet's symbols, of unknown characters and of the
    padding.

    Example:

    >>> vocabulary_size("authors"), vocabulary_size("zhang"), vocabulary_size("ab")
    (70, 70, 4)
    """
    return len(_symbols(alphabet)) + 2


def corrupt_characters(ids: ArrayLike, rate: float, seed: int | None = None) -> Array:
    """Replace characters once, as at loading time: the noise of the paper's authors (section 4.2,
    figure 8).

    In a text of n characters it draws `int(rate * n)` positions **with** replacement and puts a
    letter, uniform in a..z, at each. About `(1 - exp(-rate)) * 25 / 26` of the characters change.
    Padding is never replaced.

    Args:
        ids: Array of integers `(n, length)`; the ids of a..z are 1 to 26, as in both alphabets.
        rate: Number of drawn positions per character, 0 to 1.
        seed: Integer, or None for a random one.

    Returns:
        A new array of the shape and dtype of `ids`. With `rate=0` it equals `ids`.

    Raises:
        TypeError: `ids` is not an array of integers, or `rate` is not a number.
        ValueError: The shape is wrong, an id is negative, or the rate is outside [0, 1].

    Example:

    >>> ids = encode_characters(["aaaaaaaaaa"], length=12)
    >>> noisy = corrupt_characters(ids, rate=0.5, seed=0)
    >>> int((noisy != ids).sum()) <= 5, noisy[0, 10:].tolist()
    (True, [0, 0])
    """
    rate = check_number("rate", rate, 0, 1)
    ids = check_ids(ids).copy()
    rng = np.random.default_rng(seed)
    for start in range(0, len(ids), CHUNK):
        rows = ids[start : start + CHUNK]
        sizes = np.count_nonzero(rows, axis=1)
        draws = (rate * sizes).astype(int)
        most = draws.max(initial=0)
        place = np.floor(rng.random((len(rows), most)) * sizes[:, None]).astype(int)
        letters = rng.integers(1, LETTERS + 1, place.shape).astype(rows.dtype)
        # The k-th character of a row is its k-th id other than padding.
        place = np.take_along_axis(
            np.argsort(rows == PADDING, axis=1, kind="stable"), place, axis=1
        )
        row, draw = np.nonzero(np.arange(most) < draws[:, None])
        rows[row, place[row, draw]] = letters[row, draw]
    return ids


def check_ids(
    ids: ArrayLike, vocabulary_size: int | None = None, length: int | None = None
) -> Array:
    """Return `ids` as an integer array `(n, length)`, or raise: a compiled step would take a wrong
    id for NaN or another id.

    Args:
        ids: Array of integers `(n, length)`.
        vocabulary_size: Upper bound, which all ids must be below, or None.
        length: The required length of the rows, or None.

    Raises:
        TypeError: `ids` are not integers.
        ValueError: The shape is wrong, or an id is out of range.

    Example:

    >>> check_ids([[3, 1, 0]], vocabulary_size=4).shape
    (1, 3)
    """
    ids = as_array("ids", ids)
    if ids.dtype.kind not in "iu":
        raise TypeError(
            f"Ids must be integers. Received: an array of {ids.dtype}. Use `encode_characters` on "
            "texts."
        )
    if ids.ndim != 2 or length not in (None, ids.shape[1]):
        raise ValueError(
            f"Ids must have the shape (n, {length or 'length'}). Received: {ids.shape}."
        )
    top = np.inf if vocabulary_size is None else vocabulary_size - 1
    if ids.size and (ids.min() < 0 or ids.max() > top):
        row, column = np.argwhere((ids < 0) | (ids > top))[0]
        raise ValueError(
            f"Ids must be in 0..{top}. Received: the id {ids[row, column]} at row {row}, position "
            f"{column}."
        )
    return ids


def check_texts(texts: Texts) -> list[str]:
    """Return texts as a list of strings, or raise. A table of one column counts as one text per
    row.

    Args:
        texts: A list, an array or another sequence of strings.

    Raises:
        TypeError: `texts` is a single string, or not a sequence of strings.

    Example:

    >>> check_texts(np.array([["a text"], ["another"]]))
    ['a text', 'another']
    """
    if isinstance(texts, (str, bytes)):
        raise TypeError(
            f"`texts` must be a list or an array of strings. Received: texts={texts!r}. Put one "
            "text in a list."
        )
    array = np.atleast_1d(as_array("texts", texts))
    strings: list[str] = (array[:, 0] if array.shape[1:] == (1,) else array).tolist()
    for i, text in enumerate(strings):
        if not isinstance(text, str):
            raise TypeError(f"`texts` must be strings. Received: {text!r} at position {i}.")
    return strings


def _symbols(alphabet: str) -> str:
    if not isinstance(alphabet, str):
        raise TypeError(f"`alphabet` must be a string. Received: alphabet={alphabet!r}.")
    symbols = ALPHABETS.get(alphabet, alphabet)
    similar = difflib.get_close_matches(alphabet.lower(), ALPHABETS, cutoff=0.7)
    if similar and alphabet not in ALPHABETS:
        raise ValueError(
            f"`alphabet` is not a known name. Received: alphabet={alphabet!r}. Did you mean "
            f"{similar[0]!r}?"
        )
    if not symbols or len(set(symbols)) < len(symbols):
        names = " or ".join(repr(name) for name in ALPHABETS)
        raise ValueError(
            f"`alphabet` must be {names}, or a string of distinct symbols. Received: "
            f"alphabet={alphabet!r}."
        )
    return symbols


@functools.lru_cache(maxsize=4)
def _table(symbols: str) -> Array:
    """Return the id of every Unicode code point."""
    table = np.full(0x110000, len(symbols) + 1, "int32")
    table[[ord(symbol) for symbol in symbols]] = np.arange(1, len(symbols) + 1)
    return table
