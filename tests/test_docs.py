"""The documentation: it builds, its links lead somewhere, and every public name has one place in
it."""

import ast
import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests import docs

pytestmark = pytest.mark.once
MARKDOWN = sorted(
    path for path in docs.ROOT.rglob("*.md") if not {".venv", "runs", "site"} & set(path.parts)
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Dict of file -> text of the built pages."""
    docs.keras_euler.EulerResNet(
        8
    )  # other tests build models first, and Keras then changes the base classes
    folder = tmp_path_factory.mktemp("site")
    docs.build(folder)
    return {
        path: re.sub(r"(?s)<script.*?</script>", "", path.read_text())
        for path in sorted(folder.rglob("*.html"))
    }


def anchors(text):
    return set(re.findall(r'\bid="([^"]+)"', text))


def test_links_between_pages_lead_to_a_page_and_an_anchor(pages):
    broken, followed = [], 0
    for path, text in pages.items():
        for link in re.findall(r'href="([^"]+)"', text):
            file, _, anchor = unquote(link).partition("#")
            if re.match(r"\w+:", file):
                continue
            target = (path.parent / file).resolve() if file else path
            followed += 1
            if target not in pages or (anchor and anchor not in anchors(pages[target])):
                broken.append((path.name, link))
    assert broken == [] and followed > 500


def test_every_public_name_is_described_once(pages):
    described = Counter(
        name for text in pages.values() for name in re.findall(r'<section id="(\w+)">', text)
    )
    public = {
        name
        for name in docs.keras_euler.__all__
        if not docs.inspect.ismodule(getattr(docs.keras_euler, name))
    }
    assert {name: described[name] for name in public} == dict.fromkeys(public, 1)
    for path, text in pages.items():
        assert "keras.src" not in text and "keras_euler._" not in text, path


def test_pages_are_the_public_modules(pages):
    files = {path.stem for path in pages}
    assert {"index", "keras_euler", "layers", "models", "training", "ag_news", "synthetic"} <= files
    assert not {"zoo", "_backend", "euler_add", "command"} & files


def test_the_front_page_lists_names_and_subpackages_with_a_line_each(pages):
    front = next(text for path, text in pages.items() if path.name == "keras_euler.html")
    for line in (
        "Write the gradient norms of training by layer to a CSV file, or pass them to a function.",
        "Figures from recorded numbers (extra: plots).",
    ):
        assert f"<td>{line}</td>" in front
    assert "$$x_{n+1} = I(x_n + h F(x_n))$$" in front


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EulerAdd", True),
        ("EulerAd", False),
        ("keras_euler.suggest_h", True),
        ("keras_euler.suggest_hh", False),
        ("suggest_hh", False),
        ("read_log()", True),
        ("keras.layers.GaussianNoise", True),
        ("keras.layers.GaussianNose", False),
        ("recipes/report.py", True),
        ("recipes/reports.py", False),
        ("suggest_hh(model)", False),
        ("fodl", False),
        ("python recipes/reports.py --out x", False),
        ("y = x + h * f", True),
        ("x_n", True),
    ],
)
def test_a_reference_that_leads_nowhere_is_found(text, expected):
    words = set(docs.words_of_code(ast.parse("def suggest_h(model): return EulerAdd, read_log")))
    assert docs.exists(text, words) is expected


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(docs.ROOT)))
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
