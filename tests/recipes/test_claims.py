"""Verdicts on the paper's claims, from cells that say clearly what they say."""

import _cells
import _claims
import pandas as pd
import pytest
from _plan import paper_plan

pytestmark = pytest.mark.once


def cell(*accuracies, failed=0, seeds=range(7, 12)):
    rows = [
        {
            "seed": seed,
            "best_test_accuracy": accuracy,
            "diverged": i < failed,
            "test_accuracies": [accuracy / 2, accuracy],
        }
        for i, (seed, accuracy) in enumerate(zip(seeds, accuracies, strict=False))
    ]
    return _cells.cell_of(pd.DataFrame(rows))


ONE, SMALL = 1.0, 0.1
GOOD, BAD_CELL = cell(*[0.9] * 5), cell(0.1, 0.4, 0.5, 0.4, 0.5, failed=1)
SLOW, LOW = cell(0.16, 0.17, 0.18, 0.17, 0.17), cell(*[0.1] * 5)
UNSTEADY = cell(0.8, 0.9, 0.9, 0.8, 0.9)
VERDICTS = [
    (
        "depth",
        {
            (None, ONE, 20): GOOD,
            (None, SMALL, 20): GOOD,
            (None, ONE, 110): BAD_CELL,
            (None, SMALL, 110): GOOD,
        },
        "shown",
    ),
    (
        "depth",
        {
            (None, ONE, 20): GOOD,
            (None, SMALL, 20): GOOD,
            (None, ONE, 110): GOOD,
            (None, SMALL, 110): BAD_CELL,
        },
        "not shown",
    ),
    ("depth", {(None, ONE, 20): GOOD, (None, SMALL, 20): GOOD}, "not yet measured"),
    ("depth", {}, "not yet measured"),
    ("no-norm", {(None, ONE, 110): BAD_CELL, (None, SMALL, 110): GOOD}, "shown"),
    ("no-norm", {(None, ONE, 110): GOOD, (None, SMALL, 110): GOOD}, "not shown"),
    ("no-norm", {(None, ONE, 110): BAD_CELL, (None, SMALL, 110): SLOW}, "not shown"),
    ("adam", {(218, ONE, 0.5): BAD_CELL, (218, SMALL, 0.5): GOOD}, "shown"),
    ("adam", {(218, ONE, 0.1): BAD_CELL, (218, SMALL, 0.1): GOOD}, "not yet measured"),
    ("noise", {(None, ONE, 0.5): BAD_CELL, (None, SMALL, 0.5): GOOD}, "shown"),
    ("noise", {(None, ONE, 0.5): cell(0.9), (None, SMALL, 0.5): cell(0.9)}, "not yet measured"),
    (
        "noise",
        {(None, ONE, 0.5): cell(0.8, 0.85, 0.9), (None, SMALL, 0.5): cell(0.8, 0.86, 0.9)},
        "not shown",
    ),
    ("h", {(None, 110, h): GOOD if h == 0.1 else LOW for h in (0.001, 0.01, 0.1, 1.0)}, "shown"),
    (
        "h",
        {(None, 110, h): GOOD if h in (0.1, 0.01) else UNSTEADY for h in (0.1, 0.01, 1.0, 0.001)},
        "not shown",
    ),
    ("h", {(None, 110, h): cell(*[0.1] * 3, failed=2) for h in (5.0, 10.0)}, "shown"),
    ("h", {(None, 44, h): GOOD for h in (0.1, 1.0)}, "not yet measured"),
]


@pytest.mark.parametrize(("name", "table", "verdict"), VERDICTS)
def test_verdicts(name, table, verdict):
    verdicts = {part.verdict for part in _claims.judge(plan_of(name), table)}
    assert verdict in verdicts <= {verdict, "not yet measured", "by median only"}


def test_without_a_norm_the_depth_of_the_claim_and_the_greatest_are_judged():
    table = {
        (None, h, depth): GOOD if h == SMALL or depth == 20 else BAD_CELL
        for h in (ONE, SMALL)
        for depth in (20, 110, 218)
    }
    table[None, SMALL, 218] = SLOW
    assert [part.verdict for part in _claims.judge(plan_of("no-norm"), table)] == [
        "shown",
        "not shown",
    ]


def plan_of(name, family="cifar10", **changes):
    """Return the shared settings of a study of the paper."""
    return {**paper_plan(name, family).shared(), **changes}


def test_paired_test_against_all_sign_flips_by_hand():
    above = cell(0.5, 0.6, 0.7, 0.8, 0.9).p_above(cell(0.1, 0.2, 0.3, 0.4, 0.5))
    assert above == (1 / 32, 5)
    assert str(above) == "0.031 (n = 5)"
    assert cell(0.1).p_above(cell(0.5)) == (1, 1)
    tied = cell(*(k / 2000 + 1e-8 * i for i, k in enumerate((951, 942, 938, 953, 913))))
    # float32 leaves ties.
    assert tied.p_above(cell(*(k / 2000 for k in (892, 951, 941, 940, 923)))) == (11 / 32, 5)
    # Differences 0.3, -0.1: of the four sums 0.4, 0.2, -0.2, -0.4 two are at least 0.2.
    assert cell(0.6, 0.4).p_above(cell(0.3, 0.5)) == (0.5, 2)
    assert cell(0.5, seeds=[8]).p_above(cell(0.1)) is None
    table = {
        (None, h, depth): cell(*[0.9 - h * depth / 200 + i / 99 for i in range(5)])
        for h in (ONE, SMALL)
        for depth in (20, 110)
    }
    assert [part.p for part in _claims.judge(plan_of("depth"), table)] == [
        (1 / 32, 5),
        None,
        (1 / 32, 5),
        None,
    ]


def test_paired_tests_of_the_best_h_and_of_the_learning_rates():
    def five(best):
        return cell(*(best + i / 99 for i in range(5)))

    table = {
        (None, 20, h): five(best)
        for h, best in ((0.001, 0.1), (0.1, 0.3), (0.3, 0.7), (1.0, 0.5), (5.0, 0.2))
    }
    best, smallest = _claims.judge(plan_of("h"), table)[:2]
    assert best.p == (3 / 32, 5)  # three values of h in the paper's range, 0.1 to 2
    assert smallest.p == (4 / 32, 5)  # four are larger
    table[None, 20, 5.0] = five(0.9)
    assert _claims.judge(plan_of("h"), table)[0].p == (1, 5)
    table[None, 20, 5.0] = cell(0.1, 0.2, 0.3, seeds=(20, 21, 22))
    assert _claims.judge(plan_of("h"), table)[0].p is None
    # h = 1 wins with the first seed at rate 0.3, but its mean over the rates above 0.1 is lower.
    table = {(44, h, rate): cell(0.5, 0.5, 0.5) for h in (ONE, SMALL) for rate in (0.1, 0.3, 0.8)}
    table[44, ONE, 0.3], table[44, ONE, 0.8] = cell(0.6, 0.4, 0.4), cell(0.2, 0.4, 0.4)
    assert _claims.judge(plan_of("learning-rate"), table)[0].p == (1 / 8, 3)


def test_verdicts_of_learning_rates_and_of_the_first_claim():
    table = {(44, h, rate): GOOD for h in (ONE, SMALL) for rate in (0.1, 0.3)}
    table[44, ONE, 0.3], table[44, SMALL, 0.1] = BAD_CELL, cell(*[0.5] * 5)
    assert [part.verdict for part in _claims.judge(plan_of("learning-rate"), table)] == [
        "shown",
        "shown",
    ]
    table[44, SMALL, 0.3] = cell(0.95, 0.95, 0.1, failed=3)
    assert _claims.judge(plan_of("learning-rate"), table)[0].verdict == "not shown"
    rows = [{"h": "1.0", "seed": 7, "largest_gradient": 30, "mean_weight": None}]
    assert _claims.judge_dynamics(rows).verdict == "not yet measured"
    rows.append({"h": "0.1", "seed": 7, "largest_gradient": 0.3, "mean_weight": 2.5})
    assert _claims.judge_dynamics(rows).verdict == "shown"
    rows[1]["largest_gradient"] = 20
    assert _claims.judge_dynamics(rows).verdict == "not shown"
