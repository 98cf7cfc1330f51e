"""The exponent of the best learning rate over depth, from accuracies with a known peak."""

import types

import _depth_law
import numpy as np
import pandas as pd
import pytest
from _cells import Cell

pytestmark = pytest.mark.once


@pytest.mark.parametrize("seeds", [2, 3])
def test_exponent_of_a_known_law(seeds):
    rates, cells = (0.003, 0.01, 0.03, 0.1, 0.3, 0.8), {}
    for depth in (20, 56, 110, 218):
        for rate in rates:
            by_seed = [
                0.5 - 0.01 * (np.log(rate) - np.log(4 / depth) - 0.1 * seed * np.log(depth)) ** 2
                for seed in (-1, 0, 1)[:seeds]
            ]
            cells["h", depth, rate] = Cell(pd.Series(by_seed))
    (text,) = _depth_law.sentences(types.SimpleNamespace(cells=lambda: cells), str)
    # Slopes -1.1, -1.0 and -0.9: standard error 0.1 / sqrt(3), times 4.303.
    wanted = "exponent -1.00, 95 % interval -1.25 to -0.75 (n = 3)" if seeds == 3 else "no exponent"
    assert text.startswith(f"h: {wanted}")
