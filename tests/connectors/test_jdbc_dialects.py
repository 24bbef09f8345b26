import re
from pathlib import Path

import pytest

from headrace.connector import sinks, sources
from headrace.connectors._jdbc.dialect import Sql
from headrace.connectors._jdbc.dialects import dialect_of, dialects
from headrace.connectors._jdbc.options import JdbcOptions, JdbcSinkOptions, JdbcSourceOptions
from headrace.options import read_options

ROOT = Path(__file__).resolve().parent.parent.parent
DIALECTS = pytest.mark.parametrize("dialect", dialects(), ids=lambda dialect: dialect.name)


@DIALECTS
def test_nothing_outside_of_a_dialect_names_it(dialect):
    """But the store of jobs, which has a SQLite file of its own, and what shows how a URL looks."""
    own = ROOT / "headrace" / "connectors" / "_jdbc" / "dialects" / dialect.name
    word = re.compile(rf"\b({dialect.title}|{'|'.join(dialect.kinds)})\b", re.IGNORECASE)
    files = [*(ROOT / "headrace" / "connectors").rglob("*.py"), ROOT / "headrace" / "jdbcurl.py"]
    wrong = []
    for file in files:
        if own not in file.parents and file.stem != dialect.name and file.parent.name != "_files":
            text = re.sub(r"jdbc:postgresql://\S+", "", file.read_text())
            wrong += [f"{file.relative_to(ROOT)}: {found[0]}" for found in word.finditer(text)]
    assert wrong == []


@DIALECTS
def test_a_dialect_has_a_test_of_its_name(dialect):
    name = "source" if dialect.name == "sqlite" else dialect.name  # the tests of all are written with its files
    assert (ROOT / "tests" / "connectors" / f"test_jdbc_{name}.py").exists()


@DIALECTS
def test_a_dialect_says_what_the_seam_asks(dialect):
    assert set(dialect.words) == set(Sql)
    assert all(dialect_of(kind) is dialect for kind in dialect.kinds)
    assert dialect.url_form.startswith("jdbc:")
    options = {*JdbcSourceOptions.model_fields, *JdbcSinkOptions.model_fields}
    assert {*dialect.idle, *dialect.uses} <= options
    assert (type(dialect).__doc__ or "").strip()


def test_a_database_that_nobody_knows_is_told_with_those_there_are():
    for registry in (sources, sinks):
        values = {"url": "jdbc:oracle:thin:@db:1521/x", "query": "SELECT 1"}
        [problem] = read_options(registry.find("Jdbc").Options, values).problems
        assert "'oracle' are not supported; possible: " in str(problem)
        assert all(dialect.url_form in str(problem) for dialect in dialects())


def test_another_dialect_than_that_of_the_url_is_told():
    [problem] = read_options(JdbcOptions, {"url": "jdbc:sqlite:x.db", "dialect": "mysql"}).problems
    assert "dialect 'mysql' is not supported" in str(problem)
