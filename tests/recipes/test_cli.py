"""Command lines: messages with flags, and results that are never replaced by those of other
settings."""

import os
from pathlib import Path

import _cli
import choose_h
import euler_rnn
import eulerize_resnet
import evaluate
import keras
import propositions
import pytest
import two_moons

pytestmark = pytest.mark.once

BACKEND = ["--backend", keras.backend.backend()]
CHOICE = ["--quick", "--depths", "8", "--candidates", "0.1", "--examples", "4"]
# Arguments of a recipe without its output, its file, and a flag that changes the results.
RESULTS = [
    (euler_rnn, ["--epochs", "1", "--length", "3", *BACKEND], "euler_rnn.json", ["--seed", "8"]),
    (choose_h, [*CHOICE, *BACKEND], "", ["--limit", "3"]),
    (
        propositions,
        ["--quick", "--depth", "8", "--examples", "2", "--h", "0.1", *BACKEND],
        "",
        ["--eps", "2"],
    ),
    (
        evaluate,
        ["euler_resnet_20_cifar10", "--test-size", "2", "--noise", *BACKEND],
        "",
        ["--seed", "8"],
    ),
]


@pytest.mark.parametrize(
    ("module", "arguments", "name", "other"),
    RESULTS,
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_results_of_other_settings_are_not_replaced(
    module, arguments, name, other, tmp_path, capsys, synthetic_as_real
):
    out = tmp_path / (name or "folder")
    module.main([*arguments, "--out", str(out)])
    module.main([*arguments, "--out", str(out)])  # the same settings again
    files = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    with pytest.raises(SystemExit) as end:
        module.main([*arguments, "--out", str(out), *other])
    error = capsys.readouterr().err
    assert (
        end.value.code == 2 and "has results of other settings, which are not replaced" in error
    ), error
    assert error.endswith("Pass another --out.\n")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == files


@pytest.mark.parametrize("module", [two_moons, euler_rnn, eulerize_resnet])
def test_a_file_of_somebody_else_is_not_replaced(module, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = Path(f"runs/{module.__name__}.json")
    file.parent.mkdir()
    file.write_text("[1, 2]")
    with pytest.raises(SystemExit) as end:
        module.main(["--quick", *BACKEND])
    assert end.value.code == 2 and f"{file} has results of other" in capsys.readouterr().err
    assert file.read_text() == "[1, 2]"


def test_what_libraries_write_while_they_are_imported_is_dropped(capfd):
    with _cli._silent_stderr():
        os.write(2, b"I0000 port.cc:153] oneDNN custom operations are on.")
    os.write(2, b"kept")
    assert capfd.readouterr().err == "kept"
