"""The report says what its words mean and why a claim is not measured."""

import _claims
import pytest
import report

PLAN = {
    "study": "depth",
    "dataset": "cifar10",
    "data": "cifar10",
    "line": "h",
    "axis": "depth",
    "figures": "3",
}
PLAN |= {"settings": {"backend": "jax"}}


def study(rows=(), **plan):
    seeds = [
        dict(depth=20, h=1.0, seed=seed, best_test_accuracy=0.5, last_test_accuracy=0.5)
        for seed in rows
    ]
    rows = [{**row, "diverged": False, "test_accuracies": [0.5], "device": "cpu"} for row in seeds]
    shown = {
        "name": "mine",
        "plan": PLAN | plan,
        "cuts": [],
        "trials": {},
        "errors": {},
        "rows": rows,
        "data": "CIFAR-10",
    }
    return shown


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (study(), "no trial is finished"),
        (study([7, 8]), "a point of it has fewer than 3 finished seeds, or is not in this study"),
        (study([7, 8, 9], data="synthetic"), "synthetic data say nothing about the paper's"),
    ],
)
def test_a_claim_that_is_not_measured_has_its_reason(given, why):
    lines = "\n".join(report.overview([given], {}))
    assert f"not yet measured: {why} |" in lines
    assert (
        "not yet measured: no --dynamics FOLDER is given |" in lines
        and "not yet measured: no such study is given |" in lines
    )
    assert f"| **not yet measured** |  | {why} |" in "\n".join(report.section(given, []))


def test_panels_of_one_value_each_become_the_axis():
    given = study([7], panel="norm")
    given["rows"] += [{**given["rows"][0], "norm": "none"}]
    given["rows"][0]["norm"] = "batch"
    (axes,) = report.figure(given).axes
    assert axes.get_xlabel() == "norm" and axes.get_title() == "depth = 20"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["batch", "none"]
    given["rows"] += [{**row, "depth": 56} for row in given["rows"]]
    assert [axes.get_title() for axes in report.figure(given).axes] == ["norm batch", "norm none"]


def test_failed_is_defined():
    rules = " ".join(report.RULES.split())
    assert "A training has failed where it diverged" in rules
    assert f"below {_claims.FAILED:g} times chance" in rules
