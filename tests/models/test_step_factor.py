"""The rules for h."""

import pytest

from keras_euler.models.step_factor import step_factors


@pytest.mark.parametrize(
    ("h", "blocks", "expected"),
    [(0.1, 3, [0.1] * 3), (0, 2, [0.0, 0.0]), ("1/sqrt(L)", 16, [0.25] * 16), ("1/L", 4, [0.25] * 4), ((1, 2), 2, [1, 2])],
)
def test_step_factors(h, blocks, expected):
    assert step_factors(h, blocks) == expected


def test_depth_110_has_the_papers_large_depth_limit():
    assert round(step_factors("1/sqrt(L)", 54)[0], 3) == 0.136


def test_bad_entry_of_a_list_is_named():
    with pytest.raises(ValueError, match=r"`h\[1\]` must be a finite number >= 0"):
        step_factors([0.1, -1], 2)
