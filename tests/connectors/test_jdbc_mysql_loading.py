"""LOAD DATA LOCAL from memory: where it is safe, the same as INSERT in every row, and never a file of this machine."""

from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest

from headrace.connector import Batch, JobContext
from headrace.errors import Rejected
from headrace.rows import Column, PrimaryKey, TableSchema
from headrace.testing import TABLE, ListRejects, batch, task
from tests.connectors.network import Line

pytestmark = pytest.mark.service


def load(sink, rows, table, rejects=None):
    """Save modes, rows and one commit."""
    sink.save_mode(table)
    sink.start(JobContext(1))
    session = sink.open(task(JobContext(1), **({"rejects": rejects} if rejects else {})))
    try:
        session.writer(table).write(rows)
        session.commit_positions(1, {"split": 1}, [])
    finally:
        session.close()


def loads(store):
    """How many LOAD DATA the server has run."""
    return int(store.query("SHOW GLOBAL STATUS LIKE 'Com_load'")[0][1])


@contextmanager
def without_loads(store):
    store.query("SET GLOBAL local_infile = OFF")
    try:
        yield
    finally:
        store.query("SET GLOBAL local_infile = ON")


def table_of(rows):
    return TableSchema("t", tuple(Column(field.name, field.type) for field in rows.schema))


SIGNS = [
    "",
    "a",
    "\\N",
    "\\",
    "\t",
    "\n",
    "\r\n",
    "\0",
    "it's",
    '"',
    ",",
    "\\t",
    "\\\\",
    "🚰\tŁódź\n",
    "\x1a",
    "NULL",
    None,
    " ",
    "a\\",
]
"""Texts that end fields, lines or escapes."""


def test_rows_are_loaded_where_the_server_allows_it_and_inserted_where_not(store):
    rows, before = batch(*((i, f"name {i}") for i in range(3000))), loads(store)
    table = TABLE
    load(store.sink(table="loaded"), rows, table)
    assert loads(store) == before + 1
    with without_loads(store):
        load(store.sink(table="inserted"), rows, table)
    assert loads(store) == before + 1
    assert store.query("SELECT * FROM loaded ORDER BY id") == store.query("SELECT * FROM inserted ORDER BY id")
    assert store.query("SELECT count(*) FROM loaded") == [(3000,)]


def test_every_text_and_every_byte_comes_as_it_is(store):
    store.query("CREATE TABLE t (id int PRIMARY KEY, v varchar(40), l longtext, b varbinary(300), w longblob)")
    everything = bytes(range(256))
    rows = pa.record_batch(
        {
            "id": pa.array(range(len(SIGNS)), pa.int32()),
            "v": pa.array(SIGNS),
            "l": pa.array(reversed(SIGNS)),
            "b": pa.array([None if text is None else everything + text.encode() for text in SIGNS], pa.binary()),
            "w": pa.array([b""] + [everything * 2000] * (len(SIGNS) - 1), pa.large_binary()),
        }
    )
    before = loads(store)
    load(store.sink(table="t"), Batch(rows, "t"), table_of(rows))
    assert loads(store) == before + 1
    assert store.query("SELECT * FROM t ORDER BY id") == [tuple(row.values()) for row in rows.to_pylist()]


def test_a_single_column_of_nothing_and_nulls_keeps_its_rows(store):
    store.query("CREATE TABLE t (v varchar(9))")
    rows = pa.record_batch({"v": pa.array(["", None, "", "a", None, ""])})
    load(store.sink(table="t"), Batch(rows, "t"), table_of(rows))
    assert store.query("SELECT count(*), sum(v = ''), sum(v IS NULL) FROM t") == [(6, 3, 2)]


VALUES = [
    ("tinyint", pa.array([1, 127, 128, -129, None], pa.int16())),
    ("int unsigned", pa.array([0, 2**32 - 1, -1, 2**32, None], pa.int64())),
    ("bigint", pa.array([2**63 - 1, -(2**63), 0, None, 7], pa.int64())),
    ("bit(8)", pa.array([1, 255, 256, None, 49], pa.int32())),
    ("year", pa.array([2024, 1901, 0, 5, None], pa.int32())),
    ("year", pa.array(["2024", "0000", "99", None, "1901"])),
    ("enum('1','2','b')", pa.array([2, 1, 3, 9, None], pa.int32())),
    ("enum('1','2','b')", pa.array(["2", "b", "B", "", None])),
    ("set('a','b')", pa.array(["a,b", "b,a", "", "1", None])),
    ("decimal(5,2)", pa.array([Decimal("1.25"), Decimal("999.99"), Decimal("1000.00"), None, Decimal("-0.01")])),
    ("decimal(5,1)", pa.array([Decimal("1.25"), Decimal("1.50"), None, Decimal("0.05"), Decimal("9.90")])),
    ("decimal(9,3)", pa.array([0.5, 1e-7, 123.125, None, -2.0])),
    ("double", pa.array([1.7976931348623157e308, 5e-324, -0.0, None, 0.1])),
    ("float", pa.array([0.5, 16777217.0, 3e38, None, 1e-40], pa.float64())),
    ("double", pa.array([2**53 + 1, 2**53, None, -5, 0], pa.int64())),
    ("int", pa.array([True, False, None, True, True])),
    ("varchar(3)", pa.array(["abc", "abcd", "ab    ", "ŁŁŁ", None])),
    ("varchar(9) CHARACTER SET latin1", pa.array(["ü", "Ł", "", None, "€"])),
    ("varchar(9) NOT NULL", pa.array(["a", None, "", "b", "c"])),
    ("int NOT NULL", pa.array([1, None, 0, 2, 3], pa.int32())),
    ("timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP", pa.array([datetime(2024, 1, 1, 12), datetime(1960, 1, 1)] * 2)),
    ("datetime", pa.array([datetime(2024, 2, 29, 12), datetime(2024, 1, 1, 0, 0, 0, 5), None, datetime(1000, 1, 1)])),
    ("datetime(6)", pa.array(["2024-01-01 00:00:00.000001", "2024-02-30 00:00:00", "x", None, "2024-01-01T01:02:03"])),
    ("date", pa.array([date(2024, 1, 1), date(1, 1, 1), date(9999, 12, 31), None])),
    ("date", pa.array(["2024-01-01", "2024-13-01", "20240101", "", None])),
    ("time(3)", pa.array([time(23, 59, 59, 999000), time(0, 0, 0, 1), None, time(0)])),
    ("time", pa.array(["838:59:59", "999:00:00", "-01:00:00", "1", None])),
    ("varbinary(3)", pa.array([b"abc", b"abcd", b"", b"\\N\t", None])),
    ("binary(3)", pa.array([b"abc", b"ab", None, b"\0\0\0", b"\n\t\\"])),
    ("varbinary(9)", pa.array(["ä", "\\N", None, "", "0123456789"])),
    ("varchar(40)", pa.array([[1, 2], [], None], pa.list_(pa.int32()))),
    ("varchar(40)", pa.array([12, -5, None], pa.int64())),
    ("varchar(40)", pa.array([1.5, 1e300, None])),
    ("int", pa.array(["12", "12a", "", " 3", None])),
    ("decimal(5,2)", pa.array(["12.25", "1e2", "x", "1.255", None])),
]  # fmt: skip


def written(store, number, declared, array, way):
    """What a table holds after such values were written, and what was refused with its reason."""
    name, rows = f"{way}{number}", pa.record_batch({"id": pa.array(range(len(array)), pa.int32()), "v": array})
    store.query(f"CREATE TABLE {name} (id int PRIMARY KEY, v {declared})")
    rejects = ListRejects()
    load(store.sink(table=name), Batch(rows, "t"), table_of(rows), rejects)
    refused = [(row["id"], reason.replace(name, "t")) for _, row, reason in rejects.found]
    return declared, str(array.type), store.query(f"SELECT id, v, hex(v) FROM {name} ORDER BY id"), refused


def test_what_is_written_and_what_is_refused_is_the_same_as_by_insert(store):
    loaded = [written(store, number, *value, "loaded") for number, value in enumerate(VALUES)]
    with without_loads(store):
        inserted = [written(store, number, *value, "inserted") for number, value in enumerate(VALUES)]
    for one, other in zip(loaded, inserted, strict=True):
        assert one == other
    assert sum(len(refused) for *_, refused in loaded) > 30


@pytest.mark.parametrize("ddl", [
    "CREATE TABLE t (id bigint PRIMARY KEY, name varchar(40) UNIQUE)",
    "CREATE TABLE t (id bigint, name varchar(40)) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (400), "
    "PARTITION b VALUES LESS THAN (600))",
    "CREATE TABLE t (id bigint, name varchar(40), FOREIGN KEY (name) REFERENCES known (name))",
])  # fmt: skip
def test_a_row_that_the_table_does_not_take_is_refused_alone_and_loads_go_on_later(store, ddl):
    store.query("CREATE TABLE known (name varchar(40) PRIMARY KEY)")
    store.query("INSERT INTO known VALUES " + ",".join(f"('name {i}')" for i in range(600)))
    store.query(ddl)
    rows = batch(*((i, f"name {i}") for i in range(500)), (700, "name 7"))
    sink, rejects, table = store.sink(table="t", primary_keys=[]), ListRejects(), TABLE
    if "FOREIGN" in ddl:
        rows = batch(*((i, f"name {i}") for i in range(500)), (700, "no name"))
    before = loads(store)
    load(sink, rows, table, rejects)
    assert [row["id"] for _, row, _ in rejects.found] == [700]
    assert store.query("SELECT count(*), min(id), max(id) FROM t") == [(500, 0, 499)]
    assert loads(store) == before + 1


def test_tables_that_would_be_filled_otherwise_are_inserted_into(store):
    for name, ddl in {
        "engine": "(id bigint, name text) ENGINE=MyISAM",
        "missing": "(id bigint, name text, needed int NOT NULL DEFAULT 3)",
        "counted": "(n bigint AUTO_INCREMENT PRIMARY KEY, id bigint, name text)",
        "triggered": "(id bigint, name text)",
    }.items():
        store.query(f"CREATE TABLE {name} {ddl}")
    store.query("CREATE TRIGGER up BEFORE INSERT ON triggered FOR EACH ROW SET NEW.name = upper(NEW.name)")
    rows = batch((1, "a"), (2, "b"))
    for name, loaded in (("engine", 0), ("missing", 1), ("counted", 1), ("triggered", 0)):
        before = loads(store)
        load(store.sink(table=name, is_exactly_once=name != "engine"), rows, TABLE)
        assert (name, loads(store) - before) == (name, loaded)
        wanted = [(1, "A"), (2, "B")] if name == "triggered" else [(1, "a"), (2, "b")]
        assert store.query(f"SELECT id, name FROM {name} ORDER BY id") == wanted


def test_a_server_that_asks_for_a_file_instead_gets_nothing(store):
    line = Line(store.server.port, lambda data: data.replace(b"\xfbheadrace-rows", b"\xfb/etc/hostname"))
    url = store.url.replace(str(store.server.port), str(line.port))
    rows = batch((1, "a"))
    try:
        with pytest.raises(Rejected, match="asked for a file"):
            load(store.sink(table="t", url=f"{url}?sslMode=DISABLED"), rows, TABLE)
    finally:
        line.close()
    assert store.query("SELECT * FROM t") == []


def test_a_load_that_was_undone_leaves_what_the_transaction_had_before(store):
    columns = (Column("id", pa.int64(), nullable=False), Column("name", pa.string(), length=9))
    table, rejects = TableSchema("db.people", columns, PrimaryKey("pk", ("id",))), ListRejects()
    sink = store.sink(table="people", primary_keys=["id"], enable_upsert=False)
    sink.save_mode(table)
    sink.start(JobContext(1))
    session = sink.open(task(JobContext(1), rejects=rejects))
    try:
        for rows in ([(1, "a"), (2, "b")], [(2, "again"), (3, "c")], [(4, "d"), (5, "far too long")]):
            session.writer(table).write(batch(*rows))
        session.commit_positions(1, {"split": 1}, [])
    finally:
        session.close()
    assert store.query("SELECT * FROM people ORDER BY id") == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]
    assert [row["id"] for _, row, _ in rejects.found] == [2, 5]
