"""The rules for h."""

import pytest

from keras_euler.models.step_factor import step_factors

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("h", "error", "words"),
    [
        ([0.1, -1], ValueError, r"`h\[1\]` must be a finite number >= 0"),
        (1e40, ValueError, r"`h` must be at most 3.4e\+38. Received: h=1e\+40"),
    ],
)
def test_bad_steps_are_named(h, error, words):
    with pytest.raises(error, match=words):
        step_factors(h, 2)
