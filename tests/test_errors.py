import re
import sqlite3
from pathlib import Path

import pytest

from headrace import errors
from headrace.errors import Rejected, told
from headrace.execution.messages import portable


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KeyError("two"), "'two' (KeyError)"),
        (ValueError("KeyError: ValueError: no"), "no (ValueError)"),
        (RuntimeError("(sqlite3.OperationalError) no such table: t"), "no such table: t (RuntimeError)"),
        (sqlite3.OperationalError("locked"), "locked (OperationalError)"),
        (ZeroDivisionError(), "an error without a text (ZeroDivisionError)"),
        (Rejected("no", "Jdbc"), "Jdbc: no"),
    ],
)
def test_no_text_begins_with_the_name_of_a_class(error, text):
    assert told(error) == text


def test_what_a_plugin_raises_is_told_by_its_own_text():
    assert str(portable(TypeError("it gave a list"), "source[0].Mine")) == "source[0].Mine: it gave a list (TypeError)"


def test_only_one_place_makes_text_of_the_name_of_an_error():
    """Anywhere else a text could begin with it again; `(Name)` behind a text is fine."""
    package = Path(errors.__file__).parent
    lines = [
        f"{file.relative_to(package)}: {line.strip()}"
        for file in package.rglob("*.py")
        for line in file.read_text().splitlines()
        if re.search(r"type\((e|err|error|cause)\)\.__(qual)?name__", line) and "({type(" not in line
    ]
    assert lines == ["errors.py: name, text = type(error).__name__, str(error).strip()"]
