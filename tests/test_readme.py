"""Run the code and the commands of the README and of the guides."""

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
import numpy as np
import pytest
from _settings import Execution

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "recipes").rglob("*.md"))]
CODE = {
    str(path.relative_to(ROOT)): blocks
    for path in PAGES
    if (blocks := re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL))
}
RECIPES = re.findall(r"python (recipes/[\w/]+\.py[^#\n&`]*)", README)


@pytest.mark.parametrize("page", CODE)
def test_code_runs(page, tmp_path, monkeypatch):
    if page != "README.md" and keras.backend.backend() != "torch":
        pytest.skip("the guides are run once")
    monkeypatch.chdir(tmp_path)
    # A picture of the reader's.
    keras.utils.save_img("photo.jpg", np.random.default_rng(0).integers(0, 256, (48, 64, 3)))
    for code in CODE[page]:
        if "dask_jobqueue" not in code:  # it needs Slurm
            exec(compile(code, page, "exec"), {})
    assert (tmp_path / "model.keras").exists() or page != "README.md"


def quick_start(recipe, folder):
    """Run the command of the quick start, and return what it prints."""
    (command,) = {line for line in RECIPES if line.startswith(f"recipes/{recipe}.py --quick")}
    done = subprocess.run(
        [sys.executable, *shlex.split(command.replace("recipes", str(ROOT / "recipes"), 1))],
        cwd=folder,
        env=dict(os.environ, KERAS_BACKEND=keras.backend.backend(), PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(folder.glob("runs/*/model.keras"))
    return done.stdout


@pytest.mark.once
def test_quick_start_shows_that_h_1_fails_where_a_small_h_learns(tmp_path):
    """It takes about a minute on two cores. Chance is 0.1."""
    printed = quick_start("cifar10", tmp_path)
    assert re.search(r"^ +h = 1 +h = 0.1$", printed, re.M)
    ordinary, ours = map(
        float, re.search(r"best test accuracy +([\d.]+) +([\d.]+)", printed).groups()
    )
    assert ordinary < 0.3 and ours > 0.5
    assert list(tmp_path.glob("runs/*/comparison.png"))


@pytest.mark.once
def test_quick_start_of_texts_learns(tmp_path):
    """It takes half a minute. Chance is 0.25."""
    assert re.search(r"best test accuracy +(0\.[5-9]|1)", quick_start("ag_news", tmp_path))


@pytest.mark.once
def test_every_flag_exists():
    assert len(RECIPES) >= 4
    classes = {f"recipes/{module.__name__}.py": module.RECIPE for module in (cifar10, ag_news)}
    for command in RECIPES:
        script, *arguments = shlex.split(command)
        assert (ROOT / script).is_file()
        if script in classes:
            recipe, parser = classes[script], _cli.command("")
            arguments = [word for word in arguments if word != "--compare"]  # of the recipe itself
            # A folder of the reader's.
            arguments = [word for word in arguments if word not in ("--data-dir", "DATA")]
            _cli.parse(parser, [recipe.settings, Execution], arguments, quick=recipe.quick)


@pytest.mark.once
@pytest.mark.parametrize("extra", sorted(set(re.findall(r'"\.\[([\w,-]+)\]"', README))))
def test_every_extra_exists(extra):
    known = re.findall(
        r"^([\w-]+) = \[",
        (ROOT / "pyproject.toml").read_text().partition("optional-dependencies]")[2],
        re.M,
    )
    assert set(extra.split(",")) <= set(known)
