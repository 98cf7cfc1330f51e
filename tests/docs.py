"""`python -m tests.docs [FOLDER]`: build the documentation from the docstrings with pdoc (extra:
docs). Default folder: site.

Every public object is described once, on the page of the innermost public module that defines it.
The front page lists the names of `keras_euler` and its subpackages. A reference in backticks that
leads nowhere stops the build.
"""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import warnings
from pathlib import Path

import jinja2
import keras
import pdoc
from pdoc import render, render_helpers

import keras_euler

ROOT = Path(__file__).parents[1]
BACKTICKS = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
NAME = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*(?:\(\))?")
FILE = re.compile(r"\b(?:keras_euler|recipes|tests)/[\w./-]*\w")
# Words in docstrings that the code does not have: names of other packages, and one name of a layer.
OTHER_WORDS = {
    "IndexedSlices",
    "RandomTranslation",
    "TextVectorization",
    "gradient_accumulation_steps",
    "mask_zero",
}
OTHER_WORDS |= {"pyplot", "restore_best_weights", "val_loss", "stage2_block5"}
SYMBOL = re.compile(r"\w{1,2}|(?:eps|[a-z])_\w|ceil")  # of formulas
PUBLIC_OF_KERAS = {
    f"{value.__module__}.{value.__qualname__}": f"{module.__name__}.{name}"
    for module in (keras.layers, keras.callbacks, keras.optimizers, keras.initializers, keras)
    for name, value in vars(module).items()
    if inspect.isclass(value)
} | {"keras.src.models.functional.Functional": "keras.Model"}  # what `keras.Model` makes of tensors
pdoc.docstrings.GOOGLE_LIST_SECTIONS.append("Call arguments")


def public_modules():
    """Names of the package, of its public subpackages, and of the modules listed in their
    `__all__`."""
    names = ["keras_euler"]
    for info in pkgutil.iter_modules(keras_euler.__path__, "keras_euler."):
        if info.ispkg and not info.name.startswith("keras_euler._"):
            module = importlib.import_module(info.name)
            names += [
                info.name,
                *(
                    f"{info.name}.{name}"
                    for name in module.__all__
                    if inspect.ismodule(getattr(module, name))
                ),
            ]
    return names


def describe(names):
    """Dict of module name -> pdoc's description, reduced to what belongs on the module's page."""
    modules = {name: pdoc.doc.Module.from_name(name) for name in names}
    for name, module in modules.items():
        members = {
            key: member
            for key, member in module.members.items()
            if home(member.obj, modules) in (name, None)
        }
        children = [other for key, other in modules.items() if key.rpartition(".")[0] == name]
        vars(module).update(members=members, submodules=children)
        for member in module.classes:
            kept = {
                key: one for key, one in member.members.items() if is_described(member.obj, key)
            }
            vars(member).update(members=kept, own_members=[*kept.values()], inherited_members={})
            vars(member).update(bases=public_bases(member.obj), decorators=[])
            if (
                "__init__" in kept and not member.obj.__init__.__doc__
            ):  # else it shows the one that a base class has
                vars(kept["__init__"])["docstring"] = ""
    for name, module in modules.items():
        vars(module)["docstring"] = f"{module.docstring}\n\n{contents(name, module, modules)}"
    return modules


def home(value, modules):
    """The page that describes a value; None for constants, which do not know where they were
    made."""
    if inspect.ismodule(value):
        return value.__name__
    name = getattr(value, "__module__", None)
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def is_described(cls, name):
    """True for the constructor, and for public methods and properties of our own that have a
    docstring."""
    value = inspect.getattr_static(cls, name, None)
    value = getattr(value, "fget", None) or getattr(value, "__func__", value)
    return name == "__init__" or (
        name[0] != "_"
        and inspect.isfunction(value)
        and value.__module__.startswith("keras_euler")
        and bool(value.__doc__)
    )


def public_bases(cls):
    """The first base class of another package, as pdoc wants it; none for plain classes."""
    base = next(base for base in cls.__mro__[1:] if not base.__module__.startswith("keras_euler"))
    name = f"{base.__module__}.{base.__qualname__}".removeprefix("builtins.")
    return [] if base is object else [(base.__module__, base.__qualname__, name)]


def contents(name, module, modules):
    """Markdown below a module's docstring: tables of its names and modules, with the first sentence
    of each."""
    values = {
        key: getattr(keras_euler, key)
        for key in keras_euler.__all__
        if not inspect.ismodule(getattr(keras_euler, key))
    }
    names = [
        f"`keras_euler.{key}`"
        for key, value in values.items()
        if name in ("keras_euler", home(value, modules))
    ]
    if name != "keras_euler":
        text = f"Available from `keras_euler` directly: {', '.join(names)}." if names else ""
    else:
        rows = [
            f"| {key} | {first_sentence(value)} |"
            for key, value in zip(names, values.values(), strict=True)
        ]
        text = "\n".join(["## Names", "", "| name | what it is |", "|---|---|", *rows])
    rows = [f"| `{one.modulename}` | {first_sentence(one.obj)} |" for one in module.submodules]
    return "\n".join(
        [text, "", "## Modules", "", "| module | what it has |", "|---|---|", *rows]
        if rows
        else [text]
    )


def first_sentence(value):
    paragraph = " ".join(inspect.getdoc(value).split("\n\n")[0].split())
    return re.split(r"(?<=\.) ", paragraph)[0].replace("|", r"\|")


def link_targets(modules):
    """Dict of name -> page and anchor: dotted names, and short names that are unique and no plain
    words."""
    targets, short = {name: (name, "") for name in modules}, {}
    for page, module in modules.items():
        for key, member in module.members.items():
            inner = member.members if isinstance(member, pdoc.doc.Class) else {}
            for qualname in (key, *(f"{key}.{name}" for name in inner)):
                targets[f"{page}.{qualname}"] = (page, qualname)
                short.setdefault(qualname, []).append((page, qualname))
    for key in keras_euler.__all__:
        page = home(getattr(keras_euler, key), modules)
        targets.setdefault(f"keras_euler.{key}", (page, key))
    return targets | {
        name: found[0]
        for name, found in short.items()
        if len(found) == 1 and re.search("[A-Z_]", name)
    }


def broken_references():
    """Yield lines `file: name` for each name or file in backticks in a docstring that does not
    exist."""
    trees = {
        path: ast.parse(path.read_text())
        for folder in ("keras_euler", "recipes")
        for path in (ROOT / folder).rglob("*.py")
    }
    words = OTHER_WORDS | {word for tree in trees.values() for word in words_of_code(tree)}
    for path, tree in sorted(trees.items()):
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                for text in BACKTICKS.findall(ast.get_docstring(node) or ""):
                    if not exists(text, words):
                        yield f"{path.relative_to(ROOT)}: `{text}`"


def words_of_code(tree):
    """Names, attributes, arguments and words of strings, docstrings left out."""
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        ):
            yield from re.findall(r"\w+", node.value)
        for field in ("id", "attr", "arg", "name"):
            if isinstance(value := getattr(node, field, None), str):
                yield from value.split(".")


def exists(text, words):
    """False for a missing file of the project, and for a name that neither the code nor Keras
    has."""
    if not all((ROOT / file).exists() for file in FILE.findall(text)):
        return False
    name = text.partition("(")[0]
    if not NAME.fullmatch(name):
        return True
    if name.startswith(("keras.", "keras_euler.")):
        return resolves(name)
    return all(word in words or SYMBOL.fullmatch(word) for word in name.split("."))


def resolves(name):
    value = importlib.import_module(name.partition(".")[0])
    for part in name.split(".")[1:]:
        value = getattr(value, part, None)
    return value is not None


@jinja2.pass_context
def linkify(context, code, namespace="", shorten=True):
    """pdoc's links, and those of names that are described on another page."""
    page = context["module"].modulename

    def link(match):
        name = match[1].removesuffix("()")
        target = context["targets"].get(name) or context["targets"].get(f"keras_euler.{name}")
        if target is None:
            return match[0]
        anchor = f"#{target[1]}" if target[1] else ""
        link = render_helpers.relative_link(page, target[0])
        return f'<code><a href="{link}{anchor}">{match[1]}</a></code>'

    html = render_helpers.linkify(context, code, namespace, shorten)
    return type(html)(re.sub(r"<code>([\w.]+(?:\(\))?)</code>", link, html))


def with_public_names(html):
    """Replace the names of Keras' private modules by the public ones:
    `keras.src.models.model.Model` by `keras.Model`."""
    dot = r'(?:\.|</span><span class="o">\.</span><span class="n">)'
    return re.sub(
        rf"keras{dot}src(?:{dot}\w+)+",
        lambda match: PUBLIC_OF_KERAS[re.sub("<[^>]*>", "", match[0])],
        html,
    )


def build(folder):
    """Write the pages; raise ValueError where a reference leads nowhere."""
    modules = describe(public_modules())
    targets = link_targets(modules)
    if broken := list(broken_references()):
        raise ValueError("References that lead nowhere:\n" + "\n".join(broken))
    render.configure(
        docformat="google",
        math=True,
        show_source=False,
        footer_text=f"keras_euler {keras_euler.__version__}",
    )
    render.env.filters["linkify"] = linkify
    render.env.globals["targets"] = targets
    pages = {
        f"{name.replace('.', '/')}.html": render.html_module(module, modules)
        for name, module in modules.items()
    }
    pages |= {"index.html": render.html_index(modules), "search.js": render.search_index(modules)}
    for name, text in pages.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(with_public_names(text))


if __name__ == "__main__":
    warnings.simplefilter("error")
    build(sys.argv[1] if len(sys.argv) > 1 else ROOT / "site")
