"""The studies that `--scaled` makes."""

import math
from pathlib import Path

import _plan
import pytest
import study

from tests.recipes.test_study import BACKEND, once


@once
def test_scaled_study_says_so():
    flags = [
        "--depths",
        20,
        "--seeds",
        1,
        "--dataset",
        "cifar10",
        "--backend",
        BACKEND,
        "--test-size",
        16,
    ]
    plan = _plan.make_plan(*study.parse(["depth", "--scaled", *map(str, flags)]))
    assert (plan.base.image_size, plan.base.widths, plan.base.epochs, plan.base.test_size) == (
        16,
        (8, 16, 32),
        8,
        16,
    )
    assert plan.description()["scaled"] and plan.execution.out == Path("runs/depth-cifar10-scaled")


@once
@pytest.mark.parametrize(
    ("name", "depths", "trials"),
    [
        ("depth", {20, 56, 110, 218}, 40),
        ("no-norm", {20, 56, 110, 218}, 40),
        ("learning-rate", {110}, 30),
        ("adam", {110}, 30),
        ("noise", {110}, 30),
        ("h", {20, 110}, 80),
        ("initialization", {56}, 60),
        ("depth --dataset ag_news", {9, 17, 29, 49}, 40),
        ("no-norm --dataset ag_news", {9, 49}, 20),
        ("learning-rate --dataset ag_news", {49}, 40),
        ("noise --dataset ag_news", {49}, 40),
        ("h --dataset ag_news", {17, 49}, 50),
    ],
)
def test_scaled_studies_have_values_of_their_own_at_the_depths_of_the_claims(name, depths, trials):
    plan = _plan.make_plan(*study.parse([*name.split(), "--scaled", "--backend", BACKEND]))
    assert math.prod(map(len, plan.varied.values())) == trials
    assert (
        set(plan.varied.get("depth", (plan.base.depth,))) == depths
        and plan.base.train_size == 10_000
    )
