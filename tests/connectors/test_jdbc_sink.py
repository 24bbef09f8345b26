import logging
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from threading import Timer

import pyarrow as pa
import pytest

from headrace.checksums import checksum
from headrace.connector import Batch, JobContext, Verifier, sinks
from headrace.connectors._jdbc import spool
from headrace.connectors._jdbc.dialects.sqlite import database
from headrace.errors import BadRow, Rejected, Unavailable, Undelivered
from headrace.options import read_options
from headrace.rows import Column, ConstraintKey, PrimaryKey, RowKind, TableSchema
from headrace.testing import TABLE, ListRejects, SinkContract, batch, task
from tests.connectors.jdbc import die_while_writing, jdbc_sink, query

KEYED = replace(TABLE, primary_key=PrimaryKey("pk", ("id",)))
ADD, BEFORE, SET, GONE = (int(kind) for kind in RowKind)


def changes(*rows):
    """Rows (kind, id, name)."""
    plain = batch(*((i, name) for _, i, name in rows))
    return Batch(plain.rows, plain.table, pa.array([kind for kind, _, _ in rows], pa.uint8()))


class Run:
    """One task of a pipeline, from its start."""

    def __init__(self, sink, *, job=None, table=TABLE, start=True, **context):
        self.sink, self.job, self.table = sink, job or JobContext(1), table
        if start:
            sink.start(self.job)
        self.session = sink.open(task(self.job, **context))
        self.writer = self.session.writer(table)

    def write(self, *batches):
        for item in batches:
            self.writer.write(item)
        return self

    def commit(self, checkpoint=1, positions=None, finished=()):
        assert self.writer.prepare_commit(checkpoint) is None
        self.session.commit_positions(checkpoint, positions or {"split": checkpoint}, finished)
        return self

    def close(self):
        self.writer.close()
        self.session.close()


def load(sink, *batches, table=TABLE, **context):
    """Save modes, rows and one commit."""
    sink.save_mode(table)
    run = Run(sink, table=table, **context).write(*batches)
    try:
        run.commit()
    finally:
        run.close()


def one(table, **columns):
    """One batch of a table with these values."""
    arrays = [pa.array(columns[c.name], c.type) for c in table.columns]
    return Batch(pa.RecordBatch.from_arrays(arrays, schema=table.arrow), table.path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


def people(path):
    return query(path, "SELECT id, name FROM people ORDER BY id, name")


class _Contract(SinkContract):
    options: dict = {}

    @pytest.fixture
    def sink(self, path):
        return jdbc_sink(path, table="people", **self.options)

    def visible(self, sink):
        return people(sink.options.connection().settings.path)


class TestAppend(_Contract):
    @pytest.fixture
    def bad_rows(self, path):
        query(path, "CREATE TABLE people (id BIGINT CHECK (id <> 40000), name TEXT)")
        return batch(*((i, f"name {i}") for i in range(65_536)))


class TestUpsert(_Contract):
    options = {"primary_keys": ["id"]}


class TestLookUp(_Contract):
    options = {"primary_keys": ["id"], "support_upsert_by_query_primary_key_exist": True}


class TestByKind(_Contract):
    options = {"primary_keys": ["id"], "enable_upsert": False}


class TestQuery(_Contract):
    @pytest.fixture
    def sink(self, path):
        query(path, "CREATE TABLE people (id, name)")
        return jdbc_sink(path, query="INSERT INTO people (id, name) VALUES (?, ?)")


# ------------------------------------------------------------------------------------------------ exactly once


def test_a_target_is_checked_whose_last_writer_was_killed(path):
    query(path, "CREATE TABLE people (id INTEGER, name TEXT)")
    die_while_writing(path)
    assert list(jdbc_sink(path, table="people").check([TABLE])) == []
    assert not path.with_name(f"{path.name}-journal").exists()


def test_rows_and_positions_are_committed_together_and_told_after_a_crash(path):
    sink = jdbc_sink(path)
    sink.save_mode(TABLE)
    assert sink.positions(JobContext(1)) is None
    Run(sink).write(batch((1, "a"))).commit(7, {"s1": {"at": 5}, "s2": None}, ["s0"]).write(batch((2, "lost"))).close()
    found = jdbc_sink(path).positions(JobContext(1, epoch=2))
    assert (found.positions, found.finished) == ({"s1": {"at": 5}}, {"s0"})
    assert people(path) == [(1, "a")]


def test_a_pipeline_that_has_only_started_has_no_positions(path):
    sink = jdbc_sink(path)
    sink.start(JobContext(1))
    assert sink.positions(JobContext(1)) is None
    run = Run(sink)
    run.session.commit_positions(1, {}, [])
    run.close()
    assert sink.positions(JobContext(1)) == ({}, frozenset())
    assert sink.positions(JobContext(1, pipeline=2)) is None


def test_positions_of_a_file_that_is_not_there_are_none_and_create_nothing(path):
    assert jdbc_sink(path).positions(JobContext(1)) is None
    jdbc_sink(path).end(JobContext(1))
    assert not path.exists()


def test_a_replaced_task_commits_neither_rows_nor_positions(path):
    sink = jdbc_sink(path)
    sink.save_mode(TABLE)
    old = Run(sink).write(batch((1, "old")))
    new = Run(sink, job=JobContext(1, epoch=2)).write(batch((2, "new"))).commit(5)
    with pytest.raises(Rejected, match="start 1 of pipeline 1 of job 1 was replaced by start 2"):
        old.commit(6)
    old.close()
    new.close()
    assert people(path) == [(2, "new")]
    assert sink.positions(JobContext(1)).positions == {"split": 5}


def test_an_older_start_that_comes_late_is_refused(path):
    sink = jdbc_sink(path)
    sink.start(JobContext(1, epoch=3))
    with pytest.raises(Rejected, match="replaced by start 3"):
        sink.start(JobContext(1, epoch=2))


def test_positions_that_somebody_removed_stop_the_commit(path):
    sink = jdbc_sink(path)
    sink.save_mode(TABLE)
    run = Run(sink).write(batch((1, "a")))
    query(path, "DROP TABLE headrace_epochs")
    with pytest.raises(Rejected, match="no longer knows pipeline 1 of job 1"):
        run.commit()
    run.close()
    assert people(path) == []


def test_the_end_of_the_last_job_removes_the_tables_of_positions(path):
    sink = jdbc_sink(path)
    for job in (1, 2):
        sink.start(JobContext(job))
    sink.end(JobContext(1))
    assert query(path, "SELECT job_id FROM headrace_epochs") == [(2,)]
    sink.end(JobContext(2))
    assert query(path, "SELECT name FROM sqlite_master") == []


def test_a_barrier_without_news_writes_nothing(path):
    sink = jdbc_sink(path)
    sink.save_mode(TABLE)
    run = Run(sink).write(batch((1, "a"))).commit(1, {"s": 1})
    before = path.read_bytes()
    run.commit(2, {"s": 1})
    assert path.read_bytes() == before
    run.close()


def test_two_tasks_write_while_neither_has_committed(path):
    sink = jdbc_sink(path)
    sink.save_mode(TABLE)
    first, second = Run(sink), Run(sink, index=1, start=False)
    first.write(batch((1, "a")))
    second.write(batch((2, "b")))
    first.commit(1, {"s1": 1})
    second.commit(1, {"s2": 1})
    first.close()
    second.close()
    assert people(path) == [(1, "a"), (2, "b")]
    assert sink.positions(JobContext(1)).positions == {"s1": 1, "s2": 1}


def test_columns_with_dictionaries_wait_for_their_commit_in_a_file_too(path, monkeypatch):
    monkeypatch.setattr(spool, "MEMORY_BYTES", 1)
    waiting = spool.Spool()
    parts = [["x", "y", None], ["y", "z", "y"]]
    for values in parts:
        column = pa.array(values).dictionary_encode()
        nested = pa.StructArray.from_arrays([column], ["inner"])
        waiting.add(Batch(pa.record_batch({"plain": column, "nested": nested}), "t"))
    assert [found.rows.column("plain").to_pylist() for found in waiting] == parts
    assert [[row["inner"] for row in found.rows.column("nested").to_pylist()] for found in waiting] == parts
    waiting.clear()


def test_many_rows_wait_for_their_commit_in_a_file_and_keep_their_order(path, monkeypatch):
    monkeypatch.setattr(spool, "MEMORY_BYTES", 500)
    sink = jdbc_sink(path, primary_keys=["id"])
    sink.save_mode(TABLE)
    run = Run(sink)
    for i in range(100):
        run.write(batch((i % 10, f"v{i}")), changes((GONE, 3, None)) if i == 95 else batch((100, f"v{i}")))
        if i == 50:
            run.commit(1)
    run.commit(2).close()
    assert people(path) == [(i, f"v{90 + i}") for i in range(10) if i != 3] + [(100, "v99")]


# ----------------------------------------------------------------------------------------------------- row kinds


@pytest.mark.parametrize("options", [{}, {"support_upsert_by_query_primary_key_exist": True}, {"enable_upsert": False}])
def test_changes_are_applied_by_key(path, options):
    sink = jdbc_sink(path, primary_keys=["id"], **options)
    load(sink, batch((1, "a"), (2, "b"), (3, "c")))
    rows = [
        (BEFORE, 1, "a"),
        (SET, 1, "A"),
        (GONE, 2, "b"),
        (ADD, 4, "d"),
        (SET, 4, "D"),
        (GONE, 3, "c"),
        (ADD, 3, "again"),
    ]
    load(jdbc_sink(path, primary_keys=["id"], **options), changes(*rows))
    assert people(path) == [(1, "A"), (3, "again"), (4, "D")]


def test_the_last_row_of_a_key_wins(path):
    sink = jdbc_sink(path, primary_keys=["id"])
    load(
        sink,
        changes((ADD, 1, "a"), (GONE, 1, "a"), (ADD, 2, "x"), (GONE, 2, "x"), (ADD, 1, "b")),
        batch((3, "a"), (3, "b")),
    )
    assert people(path) == [(1, "b"), (3, "b")]


def test_rows_with_a_null_in_the_key_are_all_different(path):
    table = TableSchema.from_arrow(pa.schema({"a": pa.string(), "b": pa.int64()}), "t")
    query(path, "CREATE TABLE t (a TEXT UNIQUE, b BIGINT)")
    rows = one(table, a=[None, None, "x", "x"], b=[1, 2, 3, 4])
    load(jdbc_sink(path, primary_keys=["a"]), Batch(rows.rows, "t", pa.array([ADD] * 4, pa.uint8())), table=table)
    assert query(path, "SELECT * FROM t ORDER BY b") == [(None, 1), (None, 2), ("x", 4)]


def test_without_a_key_every_row_is_an_insert_whatever_its_kind(path):
    load(jdbc_sink(path), changes((ADD, 1, "a"), (BEFORE, 1, "a"), (SET, 1, "b"), (GONE, 1, "b")))
    assert people(path) == [(1, "a"), (1, "a"), (1, "b"), (1, "b")]


def test_insert_only_leaves_upserts_to_the_target(path):
    query(path, "CREATE TABLE people (id INTEGER PRIMARY KEY ON CONFLICT REPLACE, name TEXT)")
    sink = jdbc_sink(path, primary_keys=["id"], support_upsert_by_insert_only=True)
    load(sink, changes((ADD, 1, "a"), (SET, 1, "b"), (ADD, 2, "x"), (GONE, 2, "x")))
    assert people(path) == [(1, "b")]


def test_a_table_that_is_all_key_is_upserted(path):
    sink = jdbc_sink(path, primary_keys=["id", "name"])
    load(sink, batch((1, "a"), (1, "a"), (1, "b")))
    look_up = jdbc_sink(path, primary_keys=["id", "name"], support_upsert_by_query_primary_key_exist=True)
    load(look_up, batch((1, "a"), (2, "c")))
    assert people(path) == [(1, "a"), (1, "b"), (2, "c")]


def test_a_query_gets_the_columns_in_order(path):
    query(path, "CREATE TABLE other (label TEXT, number INT)")
    sink = jdbc_sink(path, query="INSERT INTO other (number, label) VALUES (? * 10, upper(?))")
    assert list(sink.check([TABLE])) == []
    load(sink, batch((1, "a"), (2, None)))
    assert query(path, "SELECT * FROM other") == [("A", 10), (None, 20)]


# ----------------------------------------------------------------------------------------------------- save modes


def test_a_new_table_has_the_types_and_keys_of_the_rows(path):
    columns = (
        Column("id", pa.int64(), nullable=False), Column("price", pa.decimal128(10, 2)),
        Column("wide", pa.decimal128(38, 4)), Column("at", pa.timestamp("us")), Column("flag", pa.bool_()),
        Column("note", pa.string(), sink_type="VARCHAR(20)"),
    )  # fmt: skip
    unique = ConstraintKey("u", "UNIQUE_KEY", (("price", None), ("at", "ASC")))
    table = TableSchema("db.orders", columns, PrimaryKey("pk", ("id",)), (unique,))
    jdbc_sink(path, tablePrefix="a_", tableSuffix="_z", field_ide="UPPERCASE").save_mode(table)
    [(sql,)] = query(path, "SELECT sql FROM sqlite_master WHERE type = 'table'")
    assert sql == (
        'CREATE TABLE "a_orders_z" ("ID" BIGINT NOT NULL, "PRICE" DECIMAL(10, 2), "WIDE" TEXT, "AT" TIMESTAMP, '
        '"FLAG" BOOLEAN, "NOTE" VARCHAR(20), PRIMARY KEY ("ID"), UNIQUE ("PRICE", "AT"))'
    )


def test_without_create_index_a_table_has_no_keys(path):
    sink = jdbc_sink(path, create_index=False, enable_upsert=False)
    load(sink, changes((ADD, 1, "a"), (SET, 1, "b")), table=KEYED)
    assert "PRIMARY" not in query(path, "SELECT sql FROM sqlite_master WHERE name = 'people'")[0][0]
    assert people(path) == [(1, "b")]
    [problem] = jdbc_sink(path, create_index=False, table="new").check([KEYED])
    assert (problem.place, problem.cure) == ("create_index", "set enable_upsert = false")


@pytest.mark.parametrize(
    ("options", "after"),
    [
        ({}, [(1, "old"), (2, "new")]),
        ({"data_save_mode": "DROP_DATA"}, [(2, "new")]),
        ({"schema_save_mode": "recreate_schema"}, [(2, "new")]),
        ({"schema_save_mode": "ERROR_WHEN_SCHEMA_NOT_EXIST"}, [(1, "old"), (2, "new")]),
        ({"schema_save_mode": "IGNORE"}, [(1, "old"), (2, "new")]),
        (
            {"data_save_mode": "CUSTOM_PROCESSING", "custom_sql": "UPDATE ${table_name} SET name = ';'; SELECT 1"},
            [(1, ";"), (2, "new")],
        ),
    ],
)
def test_a_save_mode_acts_before_the_first_row(path, options, after):
    load(jdbc_sink(path), batch((1, "old")))
    load(jdbc_sink(path, **options), batch((2, "new")))
    assert people(path) == after


def test_save_modes_that_refuse_change_nothing(path):
    with pytest.raises(Rejected, match="ERROR_WHEN_SCHEMA_NOT_EXIST, and .* has no table people"):
        jdbc_sink(path, schema_save_mode="ERROR_WHEN_SCHEMA_NOT_EXIST").save_mode(TABLE)
    load(jdbc_sink(path), batch((1, "old")))
    with pytest.raises(Rejected, match="table people in .* has rows"):
        jdbc_sink(path, data_save_mode="ERROR_WHEN_DATA_EXISTS").save_mode(TABLE)
    custom = {"data_save_mode": "CUSTOM_PROCESSING", "custom_sql": "DELETE FROM people; DELETE FROM missing"}
    with pytest.raises(Rejected, match="no such table: missing"):
        jdbc_sink(path, **custom).save_mode(TABLE)
    assert people(path) == [(1, "old")]


def test_every_table_goes_where_its_placeholders_say(path):
    tables = [replace(TABLE, path=f"shop.t{i}", primary_key=PrimaryKey("p", ("id",))) for i in range(3)]
    sink = jdbc_sink(path, table="${database_name}_${table_name}", primary_keys=["${primary_key}"])
    assert list(sink.check(tables)) == []
    sink.start(JobContext(1))
    session = sink.open(task())
    for number, table in enumerate(tables):
        sink.save_mode(table)
        writer = session.writer(table)
        writer.write(batch((number, "a"), (number, "b"), table=table))
        writer.close()
    session.commit_positions(1, {"split": 1}, [])
    session.close()
    assert [query(path, f"SELECT * FROM shop_t{i}") for i in range(3)] == [[(i, "b")] for i in range(3)]


def test_keys_of_single_tables_come_before_the_others(path):
    options = {"multi_table_config.primary_keys": {r"db\.p.*": ["name"]}}
    sink = jdbc_sink(path, primary_keys=["id"], **options)
    load(sink, batch((1, "a"), (2, "a")))
    assert people(path) == [(2, "a")]
    load(jdbc_sink(path, table="others"), batch((1, "a")), table=KEYED)
    assert "PRIMARY KEY" in query(path, "SELECT sql FROM sqlite_master WHERE name = 'others'")[0][0]


# ------------------------------------------------------------------------------------------- verify = target


class Counted(Verifier):
    """How many rows were compared, and whether they were equal."""

    def __init__(self):
        self.written = self.read = self.sum = 0

    def wrote(self, table, rows):
        self.written += rows.num_rows
        self.sum += checksum(rows)

    def found(self, table, rows):
        self.read += rows.num_rows
        self.sum -= checksum(rows)


def verified(sink, *batches, table=TABLE, rejects=None):
    """Rows that were compared; all of them were equal and are in the counts of the sink."""
    assert sink.unverified(table) == ""
    verifier = Counted()
    context = {} if rejects is None else {"rejects": rejects}
    run = Run(sink, table=table, verifier=verifier, **context).write(*batches).commit()
    (written,) = run.session.written().values()
    run.close()
    assert (verifier.sum, verifier.written, verifier.read) == (0, written.rows, written.rows)
    return written.rows


UPSERTS = {
    "upsert": {},
    "look up": {"support_upsert_by_query_primary_key_exist": True},
    "by kind": {"enable_upsert": False},
}


@pytest.mark.parametrize("mode", UPSERTS)
def test_what_changes_by_key_have_made_of_the_target_is_read_back(path, mode):
    query(path, "CREATE TABLE people (id BIGINT, name TEXT)")
    if mode != "look up":
        query(path, "CREATE UNIQUE INDEX i ON people (id)")
    query(path, "INSERT INTO people VALUES (?, ?)", [(1, "old"), (2, "old"), (9, "other")])
    sink = jdbc_sink(path, primary_keys=["id"], **UPSERTS[mode])
    rows = changes((GONE, 2, None), (SET, 1, "b"), (SET, 1, "c"), (ADD, 3, "x"), (GONE, 3, "x"), (ADD, 4, "y"))
    assert verified(sink, rows, changes((BEFORE, 4, "y"), (SET, 4, "z"))) == 7
    assert people(path) == [(1, "c"), (4, "z"), (9, "other")]


@pytest.mark.parametrize("mode", ["upsert", "look up"])
def test_rows_without_a_key_are_read_back_among_others(path, mode):
    query(path, "CREATE TABLE people (id BIGINT UNIQUE, name TEXT)")
    query(path, "INSERT INTO people VALUES (NULL, 'other'), (5, 'old')")
    sink = jdbc_sink(path, primary_keys=["id"], **UPSERTS[mode])
    assert verified(sink, batch((None, "a"), (5, "b"), (None, "c"), (6, "d"))) == 4
    assert people(path) == [(None, "a"), (None, "c"), (None, "other"), (5, "b"), (6, "d")]


@pytest.mark.parametrize("ddl", ["CREATE TABLE people (id INT PRIMARY KEY, name TEXT)", ""], ids=["there", "made"])
@pytest.mark.parametrize("mode", UPSERTS)
def test_a_null_in_the_primary_key_is_a_bad_row_whatever_the_target_would_make_of_it(path, mode, ddl):
    if ddl:
        query(path, ddl)
    sink, rejects = jdbc_sink(path, primary_keys=["id"], **UPSERTS[mode]), ListRejects()
    sink.save_mode(TABLE)
    assert verified(sink, batch((1, "a"), (None, "b"), (None, "c")), rejects=rejects) == 1
    assert [reason for _, _, reason in rejects.found] == [
        "column id is part of the primary key, and a key is not null"
    ] * 2
    assert people(path) == [(1, "a")]


def test_rows_that_the_target_numbers_are_read_back(path):
    query(path, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)")
    assert verified(jdbc_sink(path), batch((10**6, "a"), (None, "b"), (7, "c"), (None, "d"))) == 4
    assert [name for _, name in people(path)] == ["c", "a", "b", "d"]


@pytest.mark.parametrize(
    "ddl",
    [
        "people (id INT, name TEXT, PRIMARY KEY (id)) WITHOUT ROWID",
        "people (more TEXT DEFAULT 'm', name TEXT, id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "people (id INTEGER, name TEXT) STRICT",
        "people (id REAL, name TEXT UNIQUE)",
        "people (id, name)",
    ],
)
def test_tables_of_every_kind_are_read_back(path, ddl):
    query(path, f"CREATE TABLE {ddl}")
    rows = [(i, f"n{i}") for i in range(10_000)]
    assert verified(jdbc_sink(path), batch(*rows[:100]), batch(*rows[100:])) == 10_000


def test_values_are_compared_as_the_columns_keep_them(path):
    query(path, "CREATE TABLE t (price DECIMAL(10, 2), code TEXT, day DATE, flag BOOLEAN, ratio REAL, raw BLOB, any)")
    types = {"price": pa.decimal128(10, 2), "code": pa.int32(), "day": pa.date32(), "flag": pa.bool_()}
    types |= {"ratio": pa.int32(), "raw": pa.binary(), "any": pa.float32()}
    table = TableSchema.from_arrow(pa.schema(types), "t")
    values = {"price": [Decimal("2.00"), None], "code": [1, 2], "day": [date(2024, 1, 1)] * 2, "flag": [True, None]}
    values |= {"ratio": [3, 4], "raw": [b"\x00", None], "any": [0.1, 1.0]}
    assert verified(jdbc_sink(path), one(table, **values), table=table) == 2


def test_refused_rows_are_not_missed_when_the_others_are_read_back(path):
    query(path, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT CHECK (name <> 'bad'))")
    rejects = ListRejects()
    rows = [(i, "bad" if i in (0, 4999, 9999) else "x") for i in range(10_000)]
    assert verified(jdbc_sink(path), batch(*rows), rejects=rejects) == 9997
    assert len(rejects.found) == 3


@pytest.mark.parametrize("mode", ["upsert", "look up"])
def test_a_refused_row_does_not_take_the_one_before_it_with_the_same_key(path, mode):
    query(path, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT CHECK (name <> 'bad'))")
    sink, rejects = jdbc_sink(path, primary_keys=["id"], **UPSERTS[mode]), ListRejects()
    rows = changes((ADD, 1, "a"), (SET, 1, "b"), (SET, 1, "bad"), (ADD, 2, "x"), (SET, 2, "bad"), (SET, 2, "bad"))
    assert verified(sink, rows, rejects=rejects) == 3
    assert people(path) == [(1, "b"), (2, "x")]
    assert [row["name"] for _, row, _ in rejects.found] == ["bad"] * 3


TRIGGERS = {
    "changes a value": ("AFTER INSERT", "UPDATE people SET name = 'X' WHERE id = NEW.id AND id = 5000"),
    "drops a row": ("AFTER INSERT", "DELETE FROM people WHERE id = NEW.id AND id = 5000"),
    "adds a row": ("AFTER INSERT", "INSERT INTO people SELECT -1, 'more' WHERE NEW.id = 5000"),
    "keeps what was deleted": ("AFTER DELETE", "INSERT INTO people VALUES (OLD.id, OLD.name)"),
    "changes an update": ("AFTER UPDATE", "UPDATE people SET name = 'X' WHERE id = NEW.id AND name = 'new'"),
}


@pytest.mark.parametrize(
    ("trigger", "options", "text"),
    [
        ("changes a value", {}, "{'id': 5000, 'name': 'n'} was written, and {'id': 5000, 'name': 'X'} is there"),
        ("changes a value", {"primary_keys": ["id"]}, "{'id': 5000, 'name': 'X'} is there; look at its triggers"),
        ("drops a row", {}, "{'id': 5000, 'name': 'n'} was written, and"),
        ("drops a row", {"primary_keys": ["id"]}, "{'id': 5000, 'name': 'n'} was written, and no such row is there"),
        ("adds a row", {}, "{'id': -1, 'name': 'more'} is there"),
        ("keeps what was deleted", {"primary_keys": ["id"]}, "{'id': 1, 'name': None} was deleted, and no such row"),
        ("changes an update", {"primary_keys": ["id"]}, "{'id': 2, 'name': 'new'} was written, and {'id': 2, 'name'"),
    ],
)
def test_a_target_that_does_otherwise_is_found_before_the_commit(path, trigger, options, text):
    query(path, f"CREATE TABLE people (id BIGINT, name TEXT{', PRIMARY KEY (id)' if options else ''})")
    query(path, "INSERT INTO people VALUES (1, 'old'), (2, 'old')")
    when, action = TRIGGERS[trigger]
    query(path, f"CREATE TRIGGER t {when} ON people BEGIN {action}; END")
    rows = batch(*((i, "n") for i in range(3, 10_000)))
    keyed = changes((GONE, 1, None), (SET, 2, "new")) if options else batch((10_001, "x"))
    sink = jdbc_sink(path, **options)
    with pytest.raises(Undelivered) as error:
        verified(sink, rows, keyed)
    assert text in str(error.value)
    assert people(path) == [(1, "old"), (2, "old")]
    assert sink.positions(JobContext(1)) is None


@pytest.mark.parametrize(
    ("ddl", "options", "reason"),
    [
        ("TABLE people (id, name)", {"query": "INSERT INTO people VALUES (?, ?)"}, "a query of one's own"),
        ("TABLE people (id, name)", {"primary_keys": ["id"], "enable_upsert": False}, "rows of the same id cannot be"),
        ("VIEW people AS SELECT 1 id, 'a' name", {}, "the rows of a view"),
        ("TABLE people (id PRIMARY KEY COLLATE NOCASE, name)", {"primary_keys": ["id"]}, "as it says COLLATE"),
        ("TABLE others (id, name)", {}, "there is no table people"),
    ],
)
def test_what_cannot_be_read_back_says_why(path, ddl, options, reason):
    query(path, f"CREATE {ddl}")
    assert reason in jdbc_sink(path, **options).unverified(replace(TABLE, path="people"))


# ------------------------------------------------------------------------------------------------ what is checked


def problems(sink, *tables):
    return [str(problem) for problem in sink.check(tables or [TABLE])]


def test_a_target_that_cannot_take_the_rows_is_found_before_anything_runs(path):
    query(path, "CREATE TABLE people (ID INT, label TEXT)")
    assert problems(jdbc_sink(path)) == [
        "table: table people in the target has no column name; its columns are ID, label"
    ]
    assert problems(jdbc_sink(path, schema_save_mode="RECREATE_SCHEMA")) == []
    [text] = problems(jdbc_sink(path, primary_keys=["nr"]), replace(TABLE, path="new"))
    assert text == "primary_keys: table new has no column nr; its columns are id, name"
    [text] = problems(jdbc_sink(path, table="new", schema_save_mode="IGNORE"))
    assert text.startswith("schema_save_mode: there is no table new")


def test_an_upsert_needs_a_unique_index(path):
    query(path, "CREATE TABLE people (id INT, name TEXT)")
    [text] = problems(jdbc_sink(path, primary_keys=["id"]))
    assert "has no primary key or unique index on id" in text
    assert "support_upsert_by_query_primary_key_exist = true" in text
    assert problems(jdbc_sink(path, primary_keys=["id"], support_upsert_by_query_primary_key_exist=True)) == []
    query(path, "CREATE UNIQUE INDEX i ON people (ID)")
    assert problems(jdbc_sink(path, primary_keys=["id"])) == []


def test_a_query_is_tried_before_anything_runs(path):
    sink = jdbc_sink(path, query="INSERT INTO people VALUES (?)")
    assert problems(sink)[0].startswith("query: the database of the url does not exist")
    query(path, "CREATE TABLE people (id)")
    [text] = problems(sink)
    assert text.startswith("query: ")
    assert "it gets 2 values for its `?`: id, name" in text


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "set generate_sink_sql = true, or give a query"),
        ({"generate_sink_sql": True, "data_save_mode": "CUSTOM_PROCESSING"}, "custom_sql must say what to do"),
        ({"generate_sink_sql": True, "multi_table_config.primary_keys": {"(": ["a"]}}, "'(' is not a regular"),
        ({"generate_sink_sql": True, "dialect": "oracle"}, "dialect 'oracle' is not supported; possible: "),
        ({"generate_sink_sql": True, "field_ide": "TITLE"}, "'TITLE' is not one of"),
        ({"query": "x", "url": "jdbc:oracle:thin:@h"}, "'oracle' are not supported; possible: jdbc:"),
        ({"query": "x", "url": "jdbc:sqlite:${table_name}.db"}, "has a placeholder"),
        ({"query": "x", "url": "jdbc:sqlite::memory:"}, "a database in memory ends with its connection"),
        ({"query": "x", "url": "jdbc:sqlite:"}, "a database in memory ends with its connection"),
        ({"query": "x", "url": "jdbc:sqlite:a?enable_load_extension=true"}, "'enable_load_extension' is not allowed"),
        ({"query": "x", "url": "jdbc:sqlite:a?synchronous=OFF"}, "synchronous cannot be 'OFF'"),
        ({"query": "x", "properties": {"cache_size": "1; DROP TABLE x"}}, "cache_size cannot be '1; DROP TABLE x'"),
    ],
)
def test_wrong_options_are_told_with_the_cure(options, text):
    read = read_options(sinks.find("Jdbc").Options, {"url": "jdbc:sqlite:a.db", **options})
    assert text in "\n".join(map(str, read.problems))


def test_options_that_do_nothing_are_named_with_the_reason_and_secrets_stay_secret(path, caplog):
    names = {"max_commit_attempts": 3, "batch_size": 5, "user": "me", "password": "hunter2", "driver": "any"}
    sink = jdbc_sink(path, **names)
    assert "hunter2" not in repr(sink.options)
    with caplog.at_level(logging.WARNING):
        sink.open(task()).close()
        sink.open(task(index=1)).close()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(names)
    assert any("max_commit_attempts does nothing: rows and positions are committed in one" in text for text in said)


def test_parameters_of_the_url_reach_the_database(path):
    sink = jdbc_sink(f"{path}?journal_mode=WAL&busy_timeout=1500", properties={"foreign_keys": "on"})
    assert sink.options.connection().settings.patience == 1.5
    with sink.database() as database:
        assert database.execute("PRAGMA journal_mode") == [("wal",)]
        assert database.execute("PRAGMA foreign_keys") == [(1,)]
        assert database.execute("PRAGMA busy_timeout") == [(1500,)]


# ----------------------------------------------------------------------------------------------------------- values


def test_every_type_is_stored_without_loss(path):
    moment = datetime(2024, 2, 29, 23, 59, 59, 1000)
    values = {
        "huge": (pa.int64(), -(2**63)), "unsigned": (pa.uint64(), 2**64 - 1), "flag": (pa.bool_(), True),
        "real": (pa.float32(), 1.5),
        "wide": (pa.decimal128(38, 10), Decimal("1234567890123456789012345678.0123456789")),
        "price": (pa.decimal128(10, 2), Decimal("-1.10")), "tiny": (pa.decimal128(38, 20), Decimal("1E-20")),
        "day": (pa.date32(), date(1, 1, 1)), "hour": (pa.time64("us"), time(1, 2, 3)),
        "at": (pa.timestamp("us"), moment),
        "zoned": (pa.timestamp("us", "Asia/Tokyo"), datetime(2024, 1, 1, 15, tzinfo=UTC)),
        "raw": (pa.binary(), b"\x00\xff"),
        "text": (pa.string(), "Łódź\x00'🚰"), "list": (pa.list_(pa.int32()), [1, None]), "empty": (pa.null(), None),
        "row": (pa.struct({"a": pa.decimal128(4, 2)}), {"a": Decimal("1.10")}), "none": (pa.int32(), None),
    }  # fmt: skip
    table = TableSchema.from_arrow(pa.schema({name: dtype for name, (dtype, _) in values.items()}), "t")
    load(jdbc_sink(path), one(table, **{name: [value] for name, (_, value) in values.items()}), table=table)
    [row] = query(path, "SELECT * FROM t")
    assert dict(zip(values, row, strict=True)) == {
        "huge": -(2**63), "unsigned": "18446744073709551615", "flag": 1, "real": 1.5,
        "wide": "1234567890123456789012345678.0123456789", "price": -1.1, "tiny": "0.00000000000000000001",
        "day": "0001-01-01", "hour": "01:02:03", "at": "2024-02-29 23:59:59.001000",
        "zoned": "2024-01-01 15:00:00+00:00", "raw": b"\x00\xff", "text": "Łódź\x00'🚰", "list": "[1,null]",
        "empty": None, "row": '{"a":1.10}', "none": None,
    }  # fmt: skip


def test_numbers_that_a_column_would_round_are_bad_rows(path):
    table = TableSchema.from_arrow(pa.schema({"d": pa.decimal128(38, 2), "i": pa.int64(), "f": pa.float64()}), "t")
    query(path, "CREATE TABLE t (d NUMERIC, i REAL, f)")
    good = {"d": ["9223372036854775807.00", "1234567890123.45", "0.00"], "i": [2**53, -(2**53), 0]}
    good["f"] = [1.0, None, 1e308]
    bad = {"d": ["12345678901234.56", "9223372036854775808", "1", "1"], "i": [1, 1, 2**53 + 1, 1]}
    bad["f"] = [1, 1, 1, float("nan")]
    both = {name: [*good[name], *bad[name]] for name in good}
    both["d"] = [Decimal(text) for text in both["d"]]
    rejects = ListRejects()
    load(jdbc_sink(path), one(table, **both), table=table, rejects=rejects)
    assert len(query(path, "SELECT * FROM t")) == 3
    reasons = [reason for _, _, reason in rejects.found]
    assert reasons[:2] == ["column d: a column of the type NUMERIC would round the number; declare it TEXT"] * 2
    assert reasons[2].startswith("column i: a column of the type REAL would round")
    assert reasons[3] == "column f: SQLite cannot store NaN"


def test_rows_the_target_refuses_do_not_take_the_others_with_them(path):
    query(path, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL CHECK (name <> 'bad'))")
    rows = [(i, "bad" if i in (0, 4999, 9999) else None if i == 500 else "x") for i in range(10_000)]
    for options in ({}, {"primary_keys": ["id"], "support_upsert_by_query_primary_key_exist": True}):
        rejects = ListRejects()
        load(jdbc_sink(path, data_save_mode="DROP_DATA", **options), batch(*rows), rejects=rejects)
        assert query(path, "SELECT count(*) FROM people") == [(9996,)]
        assert [row["id"] for _, row, _ in rejects.found] == [0, 500, 4999, 9999]
        assert rejects.found[1][2] == "NOT NULL constraint failed: people.name"


def test_by_default_the_first_bad_row_is_an_error_and_nothing_is_committed(path):
    query(path, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)")
    with pytest.raises(BadRow, match=r"UNIQUE constraint failed: people.id: {'id': 1, 'name': 'again'}"):
        load(jdbc_sink(path, enable_upsert=False), batch((1, "a"), (2, "b"), (1, "again")))
    assert people(path) == []
    assert jdbc_sink(path).positions(JobContext(1)) is None


def test_columns_and_tables_may_have_any_name(path):
    table = TableSchema.from_arrow(pa.schema({'a "b"': pa.int64(), "select": pa.string(), "Ö;--": pa.int64()}), "t")
    sink = jdbc_sink(path, table='we"ird; name', primary_keys=['a "b"'])
    load(sink, one(table, **{'a "b"': [1, 1], "select": ["x", "y"], "Ö;--": [1, 2]}), table=table)
    assert query(path, 'SELECT * FROM "we""ird; name"') == [(1, "y", 2)]


# ----------------------------------------------------------------------------------------------------------- trouble


def test_a_directory_that_is_missing_is_told(tmp_path):
    with pytest.raises(Rejected, match="its directory does not exist; create it"):
        jdbc_sink(tmp_path / "no" / "shop.db").save_mode(TABLE)


def test_a_file_that_is_no_database_is_told(path):
    path.write_text("a,b\n1,2\n" * 100)
    with pytest.raises(Rejected, match="it is not a SQLite database"):
        jdbc_sink(path).save_mode(TABLE)


def test_a_locked_database_is_waited_for_and_then_unavailable(path, caplog):
    sink = jdbc_sink(f"{path}?busy_timeout=20", max_retries=1)
    sink.save_mode(TABLE)
    run = Run(sink).write(batch((1, "a")))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="another program has locked it for 0.02 s"):
            run.commit()
        other.execute("ROLLBACK")
    assert "waiting once more" in caplog.text
    run.commit().close()
    assert people(path) == [(1, "a")]


def test_a_lock_that_ends_while_it_is_waited_for_is_no_trouble(path, monkeypatch):
    monkeypatch.setattr(database, "BEGIN_MS", 10)
    sink = jdbc_sink(path)
    sink.save_mode(TABLE)
    run = Run(sink).write(batch((2, "b")))
    run.session.database.execute("SELECT 1")
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("INSERT INTO people VALUES (1, 'a')")
        ending = Timer(0.2, other.execute, ["COMMIT"])
        ending.start()
        run.commit().close()
        ending.join()
    assert people(path) == [(1, "a"), (2, "b")]


def test_a_full_disk_commits_nothing_and_can_be_tried_again(path):
    sink = jdbc_sink(path)
    sink.save_mode(TABLE)
    run = Run(sink).write(batch(*((i, "x" * 1000) for i in range(1000))))
    run.session.database.execute("PRAGMA max_page_count = 20")
    with pytest.raises(Unavailable, match=r"database or disk is full; \d+ MiB are free there"):
        run.commit()
    assert people(path) == []
    run.session.database.execute("PRAGMA max_page_count = 100000")
    run.commit().close()
    assert len(people(path)) == 1000


def test_other_files_cannot_be_attached(path):
    jdbc_sink(path).save_mode(TABLE)
    sql = f"ATTACH DATABASE '{path}2' AS other"
    with pytest.raises(Rejected, match="ATTACH, DETACH and VACUUM INTO are not allowed"):
        jdbc_sink(path, data_save_mode="CUSTOM_PROCESSING", custom_sql=sql).save_mode(TABLE)
    assert not (path.parent / "shop.db2").exists()


def test_a_file_without_write_permission_is_told(path, monkeypatch):
    jdbc_sink(path).save_mode(TABLE)
    with jdbc_sink(path).database() as database:
        database.execute("PRAGMA query_only = on")
        with pytest.raises(Rejected, match="check the owner and mode of the file"):
            database.execute("DELETE FROM people")
