"""The package as a whole: documented, light to import, frameworks in one file, examples that
run."""

import ast
import doctest
import importlib
import importlib.util
import os
import pathlib
import pkgutil
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_euler

ROOT = Path(__file__).parents[1]
FRAMEWORKS = ("tensorflow", "jax", "torch")
once = pytest.mark.once
MODULES = [
    "keras_euler",
    *(m.name for m in pkgutil.walk_packages(keras_euler.__path__, "keras_euler.")),
]


@pytest.mark.once
@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    names = {
        **vars(keras_euler),
        **vars(module),
        "np": np,
        "keras": keras,
        "keras_euler": keras_euler,
    }
    names |= {"pathlib": pathlib, "tempfile": tempfile}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, globs=names):
        assert runner.run(example).failed == 0, example.name


def test_public_names_are_the_explicit_ones():
    public = {name for name in vars(keras_euler) if not name.startswith("_")}
    subpackages = {module.name for module in pkgutil.iter_modules(keras_euler.__path__)}
    assert public - subpackages == set(keras_euler.__all__) - subpackages


def test_frameworks_are_imported_in_one_folder_and_inside_functions():
    for path in (ROOT / "keras_euler").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                if name.partition(".")[0] in FRAMEWORKS:
                    if path.name == "direct.py":
                        continue  # it is for PyTorch alone and imported with that backend only
                    assert node.col_offset > 0, f"{path} imports {name} at module level"
                    assert path.parent.name == "_backend" or path.name == "devices.py", (
                        f"{path} imports {name}"
                    )


def run(code, **environment):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def test_import_is_light():
    """It takes at most 0.1 s of processor time beyond `import keras`, and imports no optional
    package."""
    code = (
        "import sys, time, keras; before = set(sys.modules); start = time.process_time(); import "
        "keras_euler;print(time.process_time() - start, sorted({m.partition('.')[0] for m in "
        "set(sys.modules) - before}))"
    )
    for _ in range(5):  # the first is enough, unless another program disturbs it
        seconds, imported = run(code).stdout.split(maxsplit=1)
        if float(seconds) < 0.1:
            break
    assert float(seconds) < 0.1
    assert not {"matplotlib", "tensorflow_datasets", "keras_hub", "optuna", "PIL"} & set(
        re.findall(r"\w+", imported)
    )


@once
def test_subpackages_resolve_after_a_plain_import():
    names = sorted(
        module.name
        for module in pkgutil.iter_modules(keras_euler.__path__)
        if module.name[0] != "_"
    )
    assert {"hub", "layers", "models", "plots", "surgery"} <= set(names)
    done = run(
        f"import keras_euler; assert set({names}) <= "
        f"set(dir(keras_euler));print([getattr(keras_euler, name).__name__ for name in {names}])"
    )
    assert done.stdout == f"{[f'keras_euler.{name}' for name in names]}\n", done.stderr


@once
def test_a_subpackage_without_its_extra_is_a_missing_attribute_that_names_the_extra():
    done = run(
        "import sys, keras_euler; sys.modules['keras_hub'] = None;print(hasattr(keras_euler, "
        "'hub')); help(keras_euler); keras_euler.hub"
    )
    assert done.stdout.startswith("False\n") and "EulerResNet" in done.stdout
    assert done.stderr.rstrip().endswith('Install it: pip install -e ".[hub]"')
    assert (
        "AttributeError: keras_euler.hub is unavailable: keras_euler.hub needs KerasHub."
        in done.stderr
    )
    with pytest.raises(AttributeError, match="module 'keras_euler' has no attribute 'plot'"):
        keras_euler.plot  # noqa: B018


SINGLE_BACKEND_SCRIPT = """
import sys, importlib.util, keras, keras_euler, numpy as np
assert not [name for name in sys.argv[1:] if importlib.util.find_spec(name)]
model = keras_euler.EulerResNet(8)
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(np.zeros((2, 32, 32, 3)), np.zeros(2), verbose=0)
print("done")
"""


@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_one_backend_is_enough(backend, tmp_path):
    """This runs in a linked copy of the environment, without other frameworks and extras."""
    if backend != keras.backend.backend():
        pytest.skip("each backend's own run tests it")
    absent = {*FRAMEWORKS, "tensorflow_datasets", "matplotlib", "PIL"} - {backend}
    for entry in Path(keras.__file__).parents[1].iterdir():
        if entry.name not in absent and entry.suffix != ".pth":
            (tmp_path / entry.name).symlink_to(entry)
    done = subprocess.run(
        [sys.executable, "-S", "-c", SINGLE_BACKEND_SCRIPT, *absent],
        env=dict(os.environ, KERAS_BACKEND=backend, PYTHONPATH=f"{tmp_path}:{ROOT}"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr


def test_version_stands_in_the_changelog():
    assert f"## [{keras_euler.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
