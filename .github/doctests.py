"""Extension of griffe for mkdocs.yml: show the examples of docstrings as code."""

import re

import griffe

EXAMPLE = re.compile(r"^>>> (?:.+\n?)+", re.MULTILINE)  # up to a blank line


class Doctests(griffe.Extension):
    """Put each example between the marks of a code block."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring:
            text = obj.docstring.value
            obj.docstring.value = EXAMPLE.sub(
                lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", text
            )
