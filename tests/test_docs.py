"""The documentation: the site builds, every public name has one place in its API, and links between
Markdown files lead somewhere."""

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import keras_euler

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[1]
MARKDOWN = sorted(
    path for path in ROOT.rglob("*.md") if not {".venv", "runs", "site"} & set(path.parts)
)


def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "-f", str(ROOT / ".github" / "mkdocs.yml")]
    built = subprocess.run(
        [*command, "--site-dir", str(tmp_path)],
        env=dict(os.environ, NO_MKDOCS_2_WARNING="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "guide" / "api" / "training.html").read_text()
    assert 'id="keras_euler.training.fit.fit"' in page
    assert '<span class="gp">&gt;&gt;&gt; </span>' in page  # examples are code


def public_functions(module):
    """Return the functions and classes that a module and the modules in its `__all__` offer."""
    found = set()
    for name, member in vars(module).items():
        is_own = getattr(member, "__module__", "") == module.__name__ and name[0] != "_"
        if name not in getattr(module, "__all__", [name] * is_own):
            continue
        if inspect.ismodule(member):
            found |= public_functions(member)
        elif inspect.isfunction(member) or inspect.isclass(member):
            found.add(member)
    return found


def test_every_public_name_stands_once_in_the_api():
    pages = (ROOT / "recipes" / "guide" / "api").glob("*.md")
    names = re.findall(r"^::: keras_euler\.(\S+)", "\n".join(p.read_text() for p in pages), re.M)
    described = Counter()
    for name in names:
        member = keras_euler
        for part in name.split("."):
            member = member if inspect.isfunction(member) else getattr(member, part)
        described[member] += 1
    modules = [
        importlib.import_module(f"keras_euler.{found.name}")
        for found in pkgutil.iter_modules(keras_euler.__path__)
        if found.name[0] != "_"
    ]
    public = set().union(*map(public_functions, [keras_euler, *modules]))
    assert described == Counter(dict.fromkeys(public, 1))


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_in_markdown_files_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        file, _, anchor = link.partition("#")
        if re.match(r"\w+:", file):
            continue
        target = Path(path.parent, file) if file else path
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            slugs = {
                re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings
            }
            assert anchor in slugs, link
