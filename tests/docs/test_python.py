"""The Python of docs/python.md runs, and gives what its comments say; its reference shows every public name."""

import ast
import re

import pytest

import headrace
from tests.docs.pages import DOCS, Terminal, blocks

BLOCKS = list(blocks(DOCS / "python.md"))
PYTHON = [block for block in BLOCKS if block.language == "python"]


def values_of(text):
    """(expression, what the comment behind it says it is): of comments that are values of Python."""
    for expression, comment in re.findall(r"^\s*(\S.*?)  # (.*)$", text, re.MULTILINE):
        try:
            yield expression, ast.literal_eval(comment)
        except (SyntaxError, ValueError):
            continue


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.section)
def test_the_python_of_the_page_gives_what_it_says(block, server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = Terminal(tmp_path, {"localhost:5801": f"localhost:{server.port}"})
    for one in BLOCKS:
        if one.name:
            here.save(one)
    names = {}
    exec(here.here(block.text), names)
    told = list(values_of(block.text))
    assert told, "no value of it is told"
    for expression, value in told:
        assert eval(expression, names) == value, expression


def test_every_public_name_is_in_the_reference():
    text = (DOCS / "python.md").read_text()
    client = [name for name in vars(headrace.Client) if not name.startswith("_")]
    expected = [*headrace.__all__, *(f"Client.{name}" for name in client)]
    assert [name for name in expected if f"# {name}\n" not in text] == ["__version__"]
