"""Argument checks: examples in any container become arrays, and labels must be classes."""

from collections import deque

import numpy as np
import pandas as pd
import pytest

from keras_euler._checks import as_array, as_numbers, check_labels

pytestmark = pytest.mark.once

NUMBERS = [3, 0, 2]


class Column:
    """A sequence like a column of a Hugging Face data set, neither a list nor an array."""

    def __init__(self, items):
        self.items = list(items)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "objects": lambda items: np.array(items, object),
    "Series": pd.Series,
    "strange index": lambda items: pd.Series(items, index=range(7, 7 + len(items))),
    "Column": Column,
    "deque": deque,
    "dict.values()": lambda items: dict(enumerate(items)).values(),
    "dict.keys()": lambda items: dict.fromkeys(items).keys(),
}


@pytest.mark.parametrize(
    "make", [*CONTAINERS.values(), lambda items: pd.array(items, dtype="Int64")]
)
def test_numbers_in_any_container_are_the_same_array(make):
    numbers = as_numbers("y", make(NUMBERS))
    assert numbers.dtype.kind == "i" and numbers.tolist() == NUMBERS
    assert check_labels(make(NUMBERS), 4).tolist() == NUMBERS


@pytest.mark.parametrize(
    "value",
    ["abc", b"abc", {"a": 1}, {1, 2}, iter([1]), map(int, "12"), (i for i in "ab"), None, 3],
)
def test_what_has_no_item_per_example_is_refused(value):
    with pytest.raises(
        TypeError, match=rf"`x` must be an array, .* Received: {type(value).__name__}"
    ):
        as_array("x", value)


@pytest.mark.parametrize(
    ("labels", "error", "words"),
    [
        ([0, 4], ValueError, "in 0..3. Received: 4 at position 1"),
        ([[0], [-1]], ValueError, "Received: -1 at position 1"),
        ([0, 0.5], ValueError, "Received: 0.5 at position 1"),
        ([np.nan, 1], ValueError, "Received: nan at position 0"),
        ([0, np.inf], ValueError, "Received: inf at position 1"),
        (pd.Series([0, None]), ValueError, "Received: nan at position 1"),
        (
            pd.Series([0, None], dtype="object"),
            TypeError,
            "must be an array of numbers. Received: None at position 1",
        ),
        (np.array([0, pd.NA], object), TypeError, "Received: <NA> at position 1"),
        (pd.Categorical(["a", "b"]), TypeError, "Received: 'a' at position 0"),
        (np.array(["1"]), TypeError, "Received: .*'1'"),
        (np.array(["2020-01-01"], "datetime64[D]"), TypeError, "must be an array of numbers"),
        (
            np.ma.array([0, 1], mask=[False, True]),
            ValueError,
            "`labels` must have a value for every example",
        ),
    ],
)
def test_labels_that_are_no_classes_are_named(labels, error, words):
    with pytest.raises(error, match=words):
        check_labels(labels, 4)
