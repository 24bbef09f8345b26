"""What `pip install headrace` brings: what the package imports, and nothing that one connector alone needs."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

from headrace.connector import needs
from headrace.errors import MissingExtra

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMPORTED_AS = {
    "prometheus-client": "prometheus_client", "pyyaml": "yaml", "python-calamine": "python_calamine",
    "rustpy-xlsxwriter": "rustpy_xlsxwriter",
}  # fmt: skip
BROUGHT_BY_OTHERS = {"anyio", "click", "starlette", "h11", "pydantic_core", "pytest"}
"""With fastapi, typer, uvicorn and pydantic; and pytest, which who uses headrace.testing has."""


def modules(requirements):
    names = [re.split(r"[\[<>=~ ]", text)[0] for text in requirements]
    return {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names}


def imported():
    """Top-level modules of import statements, and the names that `needs` is asked for."""
    found = set()
    for file in (ROOT / "headrace").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "needs":
                found.add(str(node.args[0].value).partition(".")[0])
    return found


def test_every_dependency_is_imported_and_every_import_is_a_dependency():
    extras = [text for texts in PROJECT["optional-dependencies"].values() for text in texts]
    declared = modules(PROJECT["dependencies"]) | modules(extras)
    found = imported() - set(sys.stdlib_module_names) - {"headrace"}
    assert declared - found == set()
    assert found - declared - BROUGHT_BY_OTHERS == set()


def test_who_lacks_an_extra_is_told_the_command_that_installs_it():
    with pytest.raises(MissingExtra, match=r"pip install 'headrace\[lzo\]'"):
        needs("not_there_at_all", "lzo", "LZO")


def test_every_extra_that_is_asked_for_exists():
    asked = set()
    for file in (ROOT / "headrace").rglob("*.py"):
        asked |= set(re.findall(r'needs\("[\w.]+", "(\w+)"', file.read_text()))
    assert asked <= set(PROJECT["optional-dependencies"])
