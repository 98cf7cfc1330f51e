"""Run the code and the commands of the README."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import _cli
import ag_news
import cifar10
import keras
import pytest
from _settings import Execution

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = {language: re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) for language in ("python", "sh")}
RECIPES = re.findall(r"python (recipes/[\w/]+\.py[^#\n&`]*)", README)


def test_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert BLOCKS["python"]
    for code in BLOCKS["python"]:
        exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "model.keras").exists()


@pytest.mark.parametrize(("recipe", "least"), [("cifar10", 0.3), ("ag_news", 0.5)])  # chance is 0.1 and 0.25
def test_quick_start_runs(recipe, least, tmp_path):
    """Run the commands of the quick start except the installation; each takes about a minute on two cores."""
    (command,) = {line for line in RECIPES if line.startswith(f"recipes/{recipe}.py --quick")}
    command = ["python", *command.split()]
    assert command[1:] == [f"recipes/{recipe}.py", "--quick"]
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
    assert best > least
    assert list(tmp_path.glob("runs/*/model.keras"))


def test_every_flag_exists():
    assert len(RECIPES) >= 4
    classes = {f"recipes/{module.__name__}.py": module.RECIPE for module in (cifar10, ag_news)}
    for command in RECIPES:
        script, *arguments = shlex.split(command)
        assert (ROOT / script).is_file()
        if script in classes:
            recipe, parser = classes[script], _cli.command("")
            arguments = [word for word in arguments if word not in ("--data-dir", "DATA")]  # a folder of the reader's
            _cli.parse(parser, [recipe.settings, Execution], arguments, quick=recipe.quick)


@pytest.mark.parametrize("extra", sorted(set(re.findall(r'"\.\[([\w,-]+)\]"', README))))
def test_every_extra_exists(extra):
    known = re.findall(r"^([\w-]+) = \[", (ROOT / "pyproject.toml").read_text().partition("optional-dependencies]")[2], re.M)
    assert set(extra.split(",")) <= set(known)
