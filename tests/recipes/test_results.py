"""The tables of the results come from what was measured."""

import json

import keras
import pytest
import tables

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the same on all; tried once"
)


@pytest.mark.parametrize("file", tables.FILES, ids=lambda file: str(file.relative_to(tables.ROOT)))
def test_tables_are_those_of_the_measurements(file):
    text = file.read_text()
    assert tables.rewritten(text) == text, "run: python recipes/tables.py"


def test_every_table_has_its_place_and_every_study_its_figure():
    marked = [found[1] for file in tables.FILES for found in tables.MARKS.findall(file.read_text())]
    assert sorted(marked) == sorted(tables.TABLES)
    for study in tables.studies():
        assert (tables.RESULTS / tables.figure_name(study)).is_file()
        assert (
            study["data"] in ("CIFAR-10 (JPEG q75)", "AG-News (46 % of training rows)")
            and study["command"]
        )


def test_cell_of_a_table_by_hand():
    study = next(study for study in tables.studies() if study["name"] == "noise-cifar10-scaled")
    best = [
        row["best_test_accuracy"] for row in study["rows"] if (row["noise"], row["h"]) == (0.3, 1.0)
    ]
    n = len(best)
    middle, mean = sorted(best)[n // 2], sum(best) / n
    spread = (sum((value - mean) ** 2 for value in best) / n) ** 0.5
    failed = sum(accuracy < 0.15 for accuracy in best)
    assert (
        f"| noise = 0.3 | {middle:.3f} ± {spread:.3f} (n = {n}, {failed} failed) |"
        in tables.study_section(study)
    )


def test_other_text_and_marks_stay_and_numbers_have_three_digits():
    text = "before\n<!-- table advice -->\nold\n<!-- end -->\nafter"
    new = tables.rewritten(text)
    assert (
        new.startswith("before\n<!-- table advice -->\n| depth")
        and new.endswith("|\n<!-- end -->\nafter")
        and "old" not in new
    )
    assert [tables.formatted(value) for value in (0.12345, 12345.6, 1.5e52, 0.0, 7, None, "a")] == [
        "0.123",
        "12,346",
        "1.5e+52",
        "0",
        "7",
        "",
        "a",
    ]
    assert json.loads((tables.RESULTS / "advice_h_torch.json").read_text())["runs"]
