"""Several tables into targets that are there or not: what every pair of save modes makes of them, and a refused job."""

import sqlite3
from contextlib import closing
from itertools import product

import pytest

import headrace

SCHEMA_MODES = ["RECREATE_SCHEMA", "CREATE_SCHEMA_WHEN_NOT_EXIST", "ERROR_WHEN_SCHEMA_NOT_EXIST", "IGNORE"]
DATA_MODES = ["APPEND_DATA", "DROP_DATA", "ERROR_WHEN_DATA_EXISTS"]
PAIRS = list(product(SCHEMA_MODES, DATA_MODES))
OLD, NEW = [(0, "old")], [(1, "a"), (2, "b")]


class Files:
    """A directory for each table."""

    def __init__(self, folder):
        self.folder = folder / "out"

    def sink(self, schema, data):
        return f"""LocalFile {{ path = "{self.folder}/${{table_name}}", file_format_type = csv
          schema_save_mode = {schema}, data_save_mode = {data} }}"""

    def make(self, table, rows):
        (self.folder / table).mkdir(parents=True)
        if rows:
            (self.folder / table / "old.csv").write_text("".join(f"{i},{name}\n" for i, name in rows))

    def rows(self, table):
        if not (self.folder / table).exists():
            return None
        files = [f for f in (self.folder / table).iterdir() if f.suffix == ".csv"]
        cells = [line.split(",") for file in files for line in file.read_text().splitlines()]
        return sorted((int(i), name) for i, name in cells)


class Database:
    """A table of a SQLite file for each."""

    def __init__(self, folder):
        self.path = folder / "out.db"

    def sink(self, schema, data):
        return f"""Jdbc {{ url = "jdbc:sqlite:{self.path}", generate_sink_sql = true, table = "${{table_name}}"
          primary_keys = [], schema_save_mode = {schema}, data_save_mode = {data} }}"""

    def make(self, table, rows):
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(f"CREATE TABLE {table} (id BIGINT, name TEXT)")
            database.executemany(f"INSERT INTO {table} VALUES (?, ?)", rows)

    def rows(self, table):
        if not self.path.exists():
            return None
        with closing(sqlite3.connect(self.path)) as database:
            there = database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchall()
            return database.execute(f"SELECT id, name FROM {table} ORDER BY 1").fetchall() if there else None


@pytest.fixture(params=[Files, Database], ids=["files", "database"])
def target(request, tmp_path):
    return request.param(tmp_path)


SCHEMA = "schema { fields { id = bigint, name = string }"
ROWS = 'rows = [{ kind = INSERT, fields = [1, "a"] }, { kind = INSERT, fields = [2, "b"] }]'


def fake(folder):
    tables = ", ".join(
        f'{{ {ROWS}, schema {{ table = "db.{name}", fields {{ id = bigint, name = string }} }} }}' for name in "ab"
    )
    return f"FakeSource {{ tables_configs = [{tables}] }}"


def named(folder):
    return f"FakeSource {{ table-names = [db.a, db.b], {ROWS}, {SCHEMA} }} }}"


def files(folder):
    tables = []
    for name in "ab":
        (folder / f"{name}.csv").write_text("1,a\n2,b\n")
        fields = "fields { id = bigint, name = string }"
        tables.append(
            f'{{ path = "{folder}/{name}.csv", file_format_type = csv, schema {{ table = "db.{name}", {fields} }} }}'
        )
    return f"LocalFile {{ tables_configs = [{', '.join(tables)}] }}"


def database(folder, tables="table_list = [{ table_path = a }, { table_path = b }]"):
    with closing(sqlite3.connect(folder / "in.db")) as made, made:
        for name in "ab":
            made.execute(f"CREATE TABLE {name} (id BIGINT, name TEXT)")
            made.executemany(f"INSERT INTO {name} VALUES (?, ?)", NEW)
    return f'Jdbc {{ url = "jdbc:sqlite:{folder}/in.db", {tables} }}'


def pattern(folder):
    return database(folder, 'table_path = "[ab]", use_regex = true')


def run(sources, sinks):
    """The first source goes into all sinks that do not name another."""
    given = [block.replace("{", f"{{ plugin_output = s{i},", 1) for i, block in enumerate(sources)]
    taken = [b if "plugin_input" in b else b.replace("{", "{ plugin_input = s0,", 1) for b in sinks]
    return headrace.run(
        f"env {{ job.mode = BATCH, job.retry.times = 0 }}\nsource {{\n{chr(10).join(given)}\n}}\n"
        f"sink {{\n{chr(10).join(taken)}\n}}",
        on_print=lambda line: None,
    )


@pytest.mark.parametrize("source", [fake, named, files, database, pattern], ids=lambda f: f.__name__)
@pytest.mark.parametrize("data", ["APPEND_DATA", "DROP_DATA"])
def test_tables_of_every_form_go_where_their_names_say(tmp_path, target, source, data):
    target.make("a", OLD)
    result = run([source(tmp_path)], [target.sink("CREATE_SCHEMA_WHEN_NOT_EXIST", data)])
    assert result.status == "FINISHED", result.error
    assert target.rows("a") == [*(OLD if data == "APPEND_DATA" else []), *NEW]
    assert target.rows("b") == NEW


@pytest.mark.parametrize(("schema", "data"), PAIRS)
def test_a_pair_of_save_modes_acts_on_each_table_or_on_none(tmp_path, target, schema, data):
    """One table is there with a row, the other is empty."""
    target.make("a", OLD)
    target.make("b", [])
    result = run([fake(tmp_path)], [target.sink(schema, data)])
    if data == "ERROR_WHEN_DATA_EXISTS" and schema != "RECREATE_SCHEMA":
        assert "data_save_mode" in str(result.error)
        assert (result.status, target.rows("a"), target.rows("b")) == ("FAILED", OLD, [])
        return
    assert result.status == "FINISHED", result.error
    keeps = schema != "RECREATE_SCHEMA" and data == "APPEND_DATA"
    assert (target.rows("a"), target.rows("b")) == ([*(OLD if keeps else []), *NEW], NEW)


@pytest.mark.parametrize("data", ["APPEND_DATA", "DROP_DATA"])
def test_a_table_that_must_be_there_and_is_not_leaves_the_others_as_they_are(tmp_path, target, data):
    target.make("a", OLD)
    result = run([fake(tmp_path)], [target.sink("ERROR_WHEN_SCHEMA_NOT_EXIST", data)])
    assert "schema_save_mode" in str(result.error)
    assert (result.status, target.rows("a"), target.rows("b")) == ("FAILED", OLD, None)


REFUSED = {
    "a source that lacks its file": "there is no file or directory",
    "a sink that lacks a column": "has no column 'nmae'",
    "a sink that must not find files": "data_save_mode is ERROR_WHEN_DATA_EXISTS",
}


@pytest.mark.parametrize(("schema", "data"), [p for p in PAIRS if "RECREATE_SCHEMA" in p or "DROP_DATA" in p])
@pytest.mark.parametrize("why", REFUSED)
def test_a_refused_job_changes_no_target(tmp_path, target, schema, data, why):
    """Though the sink that would change its tables stands before what is refused."""
    target.make("a", OLD)
    target.make("b", OLD)
    sources, sinks = [fake(tmp_path)], [target.sink(schema, data)]
    if why == "a source that lacks its file":
        sources.append(f'LocalFile {{ path = "{tmp_path}/none", file_format_type = text }}')
        sinks.append("Console { plugin_input = s1 }")
    elif why == "a sink that lacks a column":
        sinks.append(f'LocalFile {{ path = "{tmp_path}/other", partition_by = [nmae] }}')
    else:
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "a.csv").touch()
        sinks.append(f'LocalFile {{ path = "{tmp_path}/full", data_save_mode = ERROR_WHEN_DATA_EXISTS }}')
    result = run(sources, sinks)
    assert result.status == "FAILED"
    assert REFUSED[why] in str(result.error)
    assert (target.rows("a"), target.rows("b")) == (OLD, OLD)
