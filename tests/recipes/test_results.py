"""The table of studies comes from what was measured."""

import json
import statistics
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[2]
STUDIES = {study["name"]: study for study in json.loads((ROOT / "recipes/results/studies_cpu_torch.json").read_text())}
README = (ROOT / "recipes/results/README.md").read_text()
# First cells of a row, study, and which of its trainings.
ROWS = [
    ("depth | 20", "depth-cifar10", {"depth": 20}),
    ("depth | 56", "depth-cifar10", {"depth": 56}),
    ("no batch norm | depth 20", "no-norm-cifar10", {"depth": 20}),
    ("no batch norm | depth 56", "no-norm-cifar10", {"depth": 56}),
    ("noise 0.5 | depth 20", "noise-cifar10", {"noise": 0.5}),
    ("noise 1.0 | depth 20", "noise-cifar10", {"noise": 1.0}),
]
pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="the same on all; tried once")


def cells(name, chosen, h):
    found = [row for row in STUDIES[name]["rows"] if row["h"] == h and chosen.items() <= row.items()]
    best = [row["best_test_accuracy"] for row in found]
    assert len(best) == 3 and STUDIES[name]["data"] == "CIFAR-10 (JPEG q75)" and STUDIES[name]["command"]
    return f"{statistics.median(best):.3f} ± {statistics.pstdev(best):.3f} | {sum(b < 0.15 for b in best)}"


@pytest.mark.parametrize(("first", "name", "chosen"), ROWS)
def test_row_of_the_table_of_studies(first, name, chosen):
    assert f"| {first} | {cells(name, chosen, 1.0)} | {cells(name, chosen, 0.1)} |" in README
