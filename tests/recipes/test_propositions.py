"""The recipe of the two propositions, on an untrained network and on one from a run folder."""

import json

import propositions
import pytest

from tests.recipes.runs import BACKEND

pytestmark = pytest.mark.once

FLAGS = ["--backend", BACKEND, "--dataset", "synthetic", "--examples", "4", "--iterations", "3"]


def test_untrained_networks_are_measured_beside_their_bounds(tmp_path, capsys):
    propositions.main([*FLAGS, "--depth", "8", "--out", str(tmp_path)])
    assert "=== h = 0.1: gradients (Proposition 1)" in capsys.readouterr().out
    summary = json.loads((tmp_path / "propositions.json").read_text())
    for kind in ("gradients", "noise"):
        assert list(summary[kind]) == ["h = 1", "h = 0.1"]
        for found in summary[kind].values():
            assert len(found["measured"]) == len(found["bound"]) == 4
        assert (tmp_path / f"{kind}.png").stat().st_size > 10_000


def test_missing_model_is_one_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        propositions.main([*FLAGS, "--models", str(tmp_path / "no.keras"), "--out", str(tmp_path)])
    assert end.value.code == 2 and "no.keras" in capsys.readouterr().err
