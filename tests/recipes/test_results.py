"""The tables of the results come from what was measured."""

import csv
import json

import _markdown
import pytest
import tables
from _plan import RECIPES
from _trials import columns

pytestmark = pytest.mark.once


@pytest.mark.parametrize("file", tables.FILES, ids=lambda file: str(file.relative_to(tables.ROOT)))
def test_tables_are_those_of_the_measurements(file):
    text = file.read_text()
    assert tables.rewritten(text) == text, "run: python recipes/tables.py"


def test_every_table_has_its_place_and_every_study_its_figure():
    marked = [found[1] for file in tables.FILES for found in tables.MARKS.findall(file.read_text())]
    assert sorted(marked) == sorted(tables.TABLES)
    for study in tables.studies():
        assert (tables.RESULTS / f"study_{study.name}.png").is_file()


def test_cell_of_a_table_by_hand():
    with open(tables.RESULTS / "trials.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["recipe"] == "cifar10"]
    best = [
        float(row["best_test_accuracy"])
        for row in rows
        if (row["depth"], row["noise"], row["h"]) == ("110", "0.3", "1.0")
    ]
    n = len(best)
    middle, mean = sorted(best)[n // 2], sum(best) / n
    spread = (sum((value - mean) ** 2 for value in best) / n) ** 0.5
    failed = sum(accuracy < 0.15 for accuracy in best)
    (study,) = [study for study in tables.studies() if study.name == "noise-cifar10-scaled"]
    text = f"| noise = 0.3 | {middle:.3f} ± {spread:.3f} (n = {n}, {failed} failed) |"
    assert n == 5 and text in tables.study_section(study)


def test_no_training_stands_in_the_table_twice():
    table = tables.read_trials(tables.RESULTS / "trials.csv")
    settings = {name for family in RECIPES for name in columns(family)}
    assert not table[sorted(settings)].astype(str).duplicated().any()


def test_other_text_and_marks_stay_and_numbers_have_three_digits():
    text = "before\n<!-- table advice -->\nold\n<!-- end -->\nafter"
    new = tables.rewritten(text)
    assert new.startswith("before\n<!-- table advice -->\n| depth")
    assert new.endswith("|\n<!-- end -->\nafter")
    assert "old" not in new
    assert [
        _markdown.formatted(value) for value in (0.12345, 12345.6, 1.5e52, 0.0, 7, None, "a")
    ] == ["0.123", "12,346", "1.5e+52", "0", "7", "", "a"]
    assert json.loads((tables.RESULTS / "advice_h_torch.json").read_text())["runs"]
