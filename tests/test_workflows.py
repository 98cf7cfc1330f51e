"""The commands of the workflow and of CONTRIBUTING: their files, modules and extras exist, and the
versions are the package's."""

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
CONTRIBUTING = re.findall(
    r"```sh\n(.*?)```", (ROOT / ".github" / "CONTRIBUTING.md").read_text(), re.DOTALL
)
COMMANDS = sorted(
    {step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step}
    | {hook["entry"] for hook in HOOKS}
    | {
        line.partition(" #")[0].strip()
        for block in CONTRIBUTING
        for line in block.splitlines()
        if line
    }
)
# What the commands write themselves.
MADE = ("runs/", "recipes/results/evaluation_euler_resnet_20_mine")


@pytest.mark.parametrize("command", COMMANDS)
def test_command_names_what_exists(command):
    words = shlex.split(re.sub(r"\$\{\{.*?\}\}", "", command))
    for extra in re.findall(r"\.\[(.*?)\]", command):
        assert set(extra.split(",")) <= set(PROJECT["optional-dependencies"])
    if "python" in words[:2]:
        target = words[words.index("python") + 1 :]
        assert (ROOT / target[0]).is_file() or (
            target[0] == "-m" and importlib.util.find_spec(target[1])
        )
    for word in words:
        if "/" in word and not word.startswith(MADE):
            assert (ROOT / word).exists(), word


def test_matrix_is_the_range_of_the_package():
    matrix = WORKFLOW["jobs"]["backends"]["strategy"]["matrix"]
    (oldest,) = (
        re.fullmatch(r"keras>=(.*)", requirement)[1]
        for requirement in PROJECT["dependencies"]
        if "keras" in requirement
    )
    assert matrix["keras"] == [f"=={oldest}.*", ""]
    assert matrix["backend"] == ["tensorflow", "jax", "torch"]
    classified = [
        name.rpartition(" ")[2] for name in PROJECT["classifiers"] if ":: Python ::" in name
    ]
    assert set(matrix["python"]) == {classified[0], classified[-1]}
    assert PROJECT["requires-python"] == f">={classified[0]}"
