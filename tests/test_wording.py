"""What people read is said plainly: no text falls back into forms that were found hard to read."""

import ast
import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES

ROOT = Path(__file__).parents[1]

ODD = {
    r"(?<![Tt]here )\b(is|are) no (?!longer\b|more\b)": "is not a",
    r"\b1 (rows|files|tables|jobs)\b": "1 row",
    r"called like": "named as",
    r"others were quicker": "another service took the job",
    r"keep house": "cannot delete old records",
    r"torn away": "the commit was aborted",
    r"not committed will be": "uncommitted rows are discarded",
    r"whatever happens to the server": "the job survives a server crash",
    r"\b(half|one|that) (of it|a task|of the format) else\b": "by default",
    r"in again\b": "replay",
    r"columns are known when": "columns unknown until the source is opened",
}
"""Pattern → what is said instead."""


def strings(file):
    """(line, text) of what a module may show: its strings without docstrings, but for those of commands."""
    tree = ast.parse(file.read_text())
    is_told = file.match("cli/app.py") or file.match("api/*.py")
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and not is_told}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.lineno, node.value


def odd(text):
    return [f"{found[0]!r}: {better}" for form, better in ODD.items() if (found := re.search(form, text))]


def test_no_message_of_the_program_is_of_an_odd_form():
    found = [
        f"{file.relative_to(ROOT)}:{line}: {problem}"
        for file in sorted((ROOT / "headrace").rglob("*.py"))
        for line, text in strings(file)
        for problem in odd(text)
    ]
    assert found == []


def test_no_page_is_of_an_odd_form():
    found = [f"{page.relative_to(ROOT)}: {problem}" for page in PAGES for problem in odd(page.read_text())]
    assert found == []


@pytest.mark.parametrize(
    ("text", "is_odd"),
    [
        ("'x' is no path", True),
        ("bytes that are no message", True),
        ("there is no file 'x'", False),
        ("the id is no longer there", False),
        ("1 rows replayed", True),
        ("11 rows replayed", False),
        ("send them in again", True),
    ],
)
def test_what_is_odd(text, is_odd):
    assert bool(odd(text)) is is_odd
