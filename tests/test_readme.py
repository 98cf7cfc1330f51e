"""The README's words: its code and its commands are executed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import _harness
import cifar10
import keras
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = {language: re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) for language in ("python", "sh")}
RECIPES = re.findall(r"python (recipes/\w+\.py[^#\n&`]*)", README)


def test_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert BLOCKS["python"]
    for code in BLOCKS["python"]:
        exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "model.keras").exists()


def test_quick_start_runs(tmp_path):
    """The first command, as it stands but for the installation; about a minute on two cores."""
    command = BLOCKS["sh"][0].partition("&&")[2].split()
    assert command[:2] == ["python", "recipes/cifar10.py"]
    done = subprocess.run(
        [sys.executable, str(ROOT / command[1]), *command[2:]],
        cwd=tmp_path,
        env=dict(os.environ, KERAS_BACKEND=keras.backend.backend(), PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    best = float(re.search(r"best test accuracy +([\d.]+)", done.stdout).group(1))
    assert best > 0.3  # chance is 0.1
    assert list(tmp_path.glob("runs/*/model.keras"))


def test_every_flag_exists():
    assert len(RECIPES) >= 4
    parser = _harness.training_parser(cifar10)
    for command in RECIPES:
        script, *arguments = shlex.split(command)
        assert (ROOT / script).is_file()
        if script == "recipes/cifar10.py" and "--help" not in arguments:
            parser.parse_args(arguments)


@pytest.mark.parametrize("extra", sorted(set(re.findall(r'"\.\[([\w,-]+)\]"', README))))
def test_every_extra_exists(extra):
    known = re.findall(
        r"^([\w-]+) = \[", (ROOT / "pyproject.toml").read_text().partition("optional-dependencies]")[2], re.M
    )
    assert set(extra.split(",")) <= set(known)
