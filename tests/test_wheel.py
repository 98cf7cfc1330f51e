"""The built wheel and sdist: their metadata, their files, and the wheel alone in a fresh
environment."""

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import keras
import numpy
import pytest

import keras_euler

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[1]
URLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
PRESET = """
import keras_euler, numpy as np
model = keras_euler.list_presets()["euler_resnet_20_cifar10"].load()
print(keras_euler.__file__, model.predict(np.zeros((1, 32, 32, 3), "uint8"), verbose=0).shape)
"""


def run(*command, **options):
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """Folder with the wheel and the sdist, built by the backend that is installed."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def metadata(dist):
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
        return email.message_from_string(wheel.read(name).decode())


def test_links_of_the_description_are_absolute_and_lead_to_files_of_the_tree(metadata):
    links = re.findall(r"\]\(([^)]*)\)", metadata.get_payload())
    own = [
        link.removeprefix(URLS["Homepage"]) for link in links if link.startswith(URLS["Homepage"])
    ]
    assert len(own) >= 4 and any(link.endswith(".png") for link in own)
    for link in own:
        path = re.fullmatch(r"/(blob|raw)/main/([^#]+)(#.*)?", link)
        assert path and (ROOT / path[2]).exists(), link
        assert (path[1] == "raw") == path[2].endswith(".png"), link
    assert [link for link in links if not link.startswith("https://")] == []


def test_addresses_are_of_one_place(metadata):
    for name in ("Source", "Changelog", "Issues"):
        assert URLS[name].startswith(URLS["Homepage"])
    assert metadata["Author"] == "The keras_euler contributors"
    assert metadata["Version"] == keras_euler.__version__


def test_sdist_has_what_its_tests_need(dist):
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        files = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        "tests/test_wheel.py",
        "tests/training/user_script.py",
        "recipes/cifar10.py",
        "recipes/results/README.md",
    } <= files
    assert {
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "keras_euler/zoo/presets.json",
    } <= files


def test_wheel_alone_imports_trains_and_loads_a_preset(dist, tmp_path):
    """In a fresh environment that sees the installed packages, with the working directory outside
    of the tree."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        *dist.glob("*.whl"),
    )
    (site_packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    folders = {str(Path(module.__file__).parents[1]) for module in (keras, numpy, pytest)}
    # No .pth file of these folders is read.
    (site_packages / "installed.pth").write_text("\n".join(folders))
    script = shutil.copy(ROOT / "tests" / "training" / "user_script.py", tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    options = {"cwd": tmp_path, "env": {**environment, "OMP_NUM_THREADS": "1"}}
    assert re.search(r"^0\.\d+ \d\.\d+$", run(python, script, "run", **options), re.MULTILINE)
    assert (
        run(python, "-c", PRESET, **options) == f"{site_packages}/keras_euler/__init__.py (1, 10)\n"
    )
