"""The recipe that compares values of h before training."""

import json

import choose_h
import keras
import pytest

pytestmark = pytest.mark.once

BACKEND = ["--backend", keras.backend.backend()]


def test_suggests_an_h_for_each_depth_and_writes_table_and_figure(tmp_path, capsys):
    choose_h.main(
        [
            "--quick",
            *BACKEND,
            "--depths",
            "8",
            "--candidates",
            "0.1",
            "5",
            "--examples",
            "8",
            "--out",
            str(tmp_path),
        ]
    )
    assert "0.1" in capsys.readouterr().out
    summary = json.loads((tmp_path / "suggestions.json").read_text())
    assert summary["suggestions"]["depth 8"]["h"] == 3**-0.5
    assert {"data", "versions", "settings"} <= set(summary)
    assert (tmp_path / "suggestions.png").stat().st_size > 5_000


def test_rules_are_compared_by_their_growth(tmp_path, capsys):
    flags = ["--rules", "--depths", "8", "--examples", "8", "--out", str(tmp_path)]
    choose_h.main(["--quick", *BACKEND, *flags])
    growths = json.loads((tmp_path / "rules.json").read_text())["growths"]["depth 8"]
    assert growths["1.0"]["gradient"] > growths["0.1"]["gradient"] > 0
    assert growths["fixup"]["gradient"] is None and "rezero" in capsys.readouterr().out


def test_bad_arguments_are_one_sentence(tmp_path, capsys):
    for flags, message in (
        (["--depths", "9"], "must be 6n + 2"),
        (
            ["--candidates", "-1"],
            "`candidates` must be numbers > 0, at least one. Received: [-1.0].",
        ),
        (["--depth", "20"], "unrecognized arguments: --depth 20"),
    ):
        with pytest.raises(SystemExit) as end:
            choose_h.main(["--quick", *BACKEND, "--examples", "4", "--out", str(tmp_path), *flags])
        assert end.value.code == 2 and message in capsys.readouterr().err
