"""The architecture: imports go downward, private names stay private, files are short, public names
are annotated and documented."""

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "keras_euler"
# A folder imports from those of its own row and of the rows above it, never in a circle.
LEVELS = (
    ("_backend", "_checks", "_types", "_register", "_version"),
    ("layers", "optimizers", "datasets"),
    ("models", "callbacks"),
    ("surgery", "convert"),
    ("hub", "studies", "training", "analysis", "plots"),
)
LEVEL = {folder: level for level, folders in enumerate(LEVELS) for folder in folders}
# What Keras has under these names may change without notice: `_backend/keras_private.py` is the
# place to mend.
PRIVATE_OF_KERAS = re.compile(
    r"keras\.src|(_jax_state|_flatten_layers|_keras_history|_keras_mask|_nodes_by_depth|"
    r"_standardize_inputs|_remat_mode|_call_has_training_arg|_backend_update_step|"
    r"(?<!def )_model_variables_moving_average|_forward_(pre_)?hooks|_backward_(pre_)?hooks)\b|"
    r"(?<!self)(?<!cls)\._(value|kernel|dtype_policy|trainable|iterations)\b"
)
MAX_LINES = {"keras_euler": 350, "recipes": 350, "tests": 400}
FILES = sorted(PACKAGE.rglob("*.py"))
IN_FOLDERS = [path for path in FILES if path.parent != PACKAGE]
SUBPACKAGES = [module.name for module in pkgutil.iter_modules([str(PACKAGE)]) if module.ispkg]
PUBLIC = [name for name in SUBPACKAGES if not name.startswith("_")]


def relative(path):
    return str(path.relative_to(ROOT))


def imported(tree):
    """Yield pairs of the parts of an imported dotted name and the name that it is bound to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split("."), alias.asname or alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are written in full"
            for alias in node.names:
                yield [*node.module.split("."), alias.name], alias.asname or alias.name


def imports_of(path):
    """Return the imports of the package, without the leading `keras_euler`."""
    found = imported(ast.parse(path.read_text()))
    return [(parts[1:], name) for parts, name in found if parts[0] == "keras_euler"]


def folder_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


def private_names(path, own=None):
    """Yield the private names that a file takes from other folders of the package, except the
    shared base."""
    bound = {}
    for parts, name in imports_of(path):
        folder = parts[0] if parts else ""
        bound[name] = folder
        if folder != own and any(map(is_private, parts[folder in LEVELS[0] :])):
            yield ".".join(parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            name = ast.unparse(node)
            if bound.get(name.partition(".")[0], own) != own:
                yield name


def test_imports_go_downward():
    wrong = []
    for path in IN_FOLDERS:
        for parts, _ in imports_of(path):
            if not parts or LEVEL.get(parts[0], len(LEVELS)) > LEVEL[folder_of(path)]:
                wrong.append((relative(path), ".".join(["keras_euler", *parts])))
    assert wrong == []


def test_private_names_of_another_folder_are_not_used():
    found = {relative(path): list(private_names(path, folder_of(path))) for path in IN_FOLDERS}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").rglob("*.py")), ids=relative)
def test_recipes_use_public_names_of_the_package(path):
    assert list(private_names(path)) == []


def test_private_names_of_keras_stand_in_one_file():
    found = {
        relative(path): [found[0] for found in PRIVATE_OF_KERAS.finditer(path.read_text())]
        for path in FILES
        if path.name != "keras_private.py"
    }
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("folder", ["keras_euler", "recipes", "tests"])
def test_no_file_is_long(folder):
    lengths = {
        relative(path): len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*.py")
    }
    assert {path: length for path, length in lengths.items() if length > MAX_LINES[folder]} == {}


def public_members(module):
    """Yield pairs of dotted name and member, from `__all__` or the definitions of a module,
    including inner modules."""
    own = (
        name
        for name, member in vars(module).items()
        if getattr(member, "__module__", "") == module.__name__
    )
    for name in getattr(module, "__all__", None) or [
        name for name in own if not name.startswith("_")
    ]:
        member = getattr(module, name)
        yield f"{module.__name__}.{name}", member
        if inspect.ismodule(member):
            yield from public_members(member)


@pytest.mark.parametrize("subpackage", PUBLIC)
def test_public_names_are_documented_with_an_example(subpackage):
    """tests/test_package.py runs the examples."""
    module = importlib.import_module(f"keras_euler.{subpackage}")
    assert module.__doc__ and module.__all__ == sorted(module.__all__)
    for name, member in public_members(module):
        documentation = inspect.getdoc(member) or ""
        if inspect.ismodule(member):
            assert documentation, name
        elif callable(member):
            assert ">>> " in documentation, f"{name} has no example"
            assert inspect.getmodule(member).__name__.startswith("keras_euler."), name
