"""Counts of symmetric label noise."""

import numpy as np
import pytest

from keras_euler.datasets import flip_labels

pytestmark = pytest.mark.once

LABELS = np.arange(10_000) % 10


def test_exactly_the_share_is_flipped_to_every_other_class_alike():
    flipped = flip_labels(LABELS, 0.4, 10)
    changed = flipped != LABELS
    assert changed.sum() == 4_000 and flipped.dtype == LABELS.dtype
    steps = (flipped - LABELS)[changed] % 10
    assert set(steps) == set(range(1, 10))
    np.testing.assert_allclose(np.bincount(steps)[1:] / 4_000, 1 / 9, atol=0.02)


def test_seeded_and_nothing_at_rate_zero_and_the_input_stays():
    before = LABELS.copy()
    assert (flip_labels(LABELS, 0.3, 10, seed=1) == flip_labels(LABELS, 0.3, 10, seed=1)).all()
    assert (flip_labels(LABELS, 0.3, 10, seed=1) != flip_labels(LABELS, 0.3, 10, seed=2)).any()
    assert (flip_labels(LABELS, 0, 10) == LABELS).all() and (before == LABELS).all()
    assert (flip_labels(np.uint8([0, 1]), 1.0, 2) == [1, 0]).all()


BAD = [
    ((LABELS, 1.5, 10), ValueError, "`rate` must be a finite number >= 0 and <= 1"),
    ((LABELS, 0.1, 1), ValueError, "`num_classes` must be an integer >= 2"),
    ((LABELS, 0.1, 5), ValueError, "`labels` must be from 0 to 4. Received: 0 to 9"),
    ((LABELS / 2, 0.1, 10), TypeError, "`labels` must be integers. Received: float64"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_input_gets_a_clear_error(arguments, error, message):
    with pytest.raises(error, match=message):
        flip_labels(*arguments)
