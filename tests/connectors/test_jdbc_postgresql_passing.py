"""Rows of PostgreSQL for PostgreSQL go through undecoded, and every promise holds as if they were decoded."""

from decimal import Decimal
from itertools import count

import numpy as np
import pyarrow as pa
import pytest

import headrace
from headrace.connector import JobContext
from headrace.connectors._jdbc.dialects.postgresql.encoded import COPY_BINARY
from headrace.rows import EncodedBatch, estimate_bytes
from headrace.testing import ListRejects, task

pytestmark = pytest.mark.service

JOBS = count(1000)
"""A source of another job sees the database of now."""

COLUMNS = """id bigint PRIMARY KEY, b boolean, s smallint, i integer, r real, d double precision, t text,
v character varying(20), c character(5), n numeric(12,2), m numeric(38,10), day date, at timestamp without time zone,
zoned timestamp(3) with time zone, clock time without time zone, raw bytea, j json, jb jsonb, u uuid"""

ROWS = """SELECT i, i % 2 = 0, (i % 100)::smallint, -i, i / 3.0, i * 1e100, 'Łódź 🚰 ' || i, left(md5(i::text), 20),
'c' || i, (i - 50) * 12345.67, (i - 50) * 123456789012345.0123456789, date '2000-01-01' + i::int,
timestamp '1000-01-01' + i * interval '1 day', timestamptz '2024-01-01 12:00:00.125+05', time '23:59:59.999999',
decode(md5(i::text), 'hex'), '{"a": 1}', '{"a":[1,null]}', md5(i::text)::uuid FROM generate_series(1, 300) i"""


@pytest.fixture
def orders(shop):
    """A table of every type that is passed on, with values and nulls."""
    shop.query(f"CREATE TABLE orders ({COLUMNS})")
    shop.query(f"INSERT INTO orders {ROWS}")
    shop.query("INSERT INTO orders (id) VALUES (0)")
    return shop


def reads(source, accepts=COPY_BINARY, position=None, **context):
    context = task(JobContext(next(JOBS)), accepts=frozenset({accepts} if accepts else ()), **context)
    return [r for split in source.splits(1) for r in source.read(split, position, context) if r is not None]


def rows_of(found):
    return [row for read in found for row in read.batch.rows.to_pylist()]


def load(sink, table, batches, rejects):
    sink.save_mode(table)
    sink.start(JobContext(1))
    session = sink.open(task(JobContext(1), rejects=rejects))
    try:
        for item in batches:
            session.writer(table).write(item)
        session.commit_positions(1, {"split": 1}, [])
        return session.written()[table.path].rows
    finally:
        session.close()


def is_decoded(item):
    return not isinstance(item, EncodedBatch) or item._decoded is not None


def test_undecoded_rows_are_the_rows_that_are_read_otherwise(orders):
    plain = reads(orders.source(table_path="orders"), accepts="", batch_rows=100)
    found = reads(orders.source(table_path="orders"), batch_rows=100)
    assert [type(read.batch) for read in found] == [EncodedBatch] * 4
    assert [(r.position, r.batch.num_rows, r.batch.estimated_bytes) for r in found] == [
        (r.position, r.batch.num_rows, estimate_bytes(r.batch.rows)) for r in plain
    ]
    middle = found[1].batch
    assert [middle.slice(30, 20).estimated_bytes, middle.slice(30, 20).rows.to_pylist()] == [
        estimate_bytes(plain[1].batch.rows.slice(30, 20)), plain[1].batch.rows.slice(30, 20).to_pylist()
    ]  # fmt: skip
    assert rows_of(found) == rows_of(plain)
    assert found[0].batch.rows.schema == plain[0].batch.rows.schema
    later = reads(orders.source(table_path="orders"), position=found[1].position)
    assert rows_of(later) == rows_of(plain)[200:]


@pytest.mark.parametrize("keyed", [True, False], ids=["by key", "appended"])
def test_rows_go_from_table_to_table_undecoded(orders, keyed):
    source = orders.source(table_path="orders")
    [table] = source.tables()
    orders.query(f"CREATE TABLE copied ({COLUMNS if keyed else COLUMNS.replace('PRIMARY KEY', 'NOT NULL')})")
    batches = [read.batch for read in reads(source, batch_rows=100)]
    sink = orders.sink(table="copied", primary_keys=["id"] if keyed else [])
    assert COPY_BINARY in sink.accepts
    assert load(sink, table, batches, ListRejects()) == 301
    assert not any(map(is_decoded, batches))
    assert orders.query("TABLE copied ORDER BY id") == orders.query("TABLE orders ORDER BY id")


def test_a_row_that_the_target_refuses_goes_aside_and_the_others_arrive(orders):
    source = orders.source(table_path="orders")
    [table] = source.tables()
    orders.query(f"CREATE TABLE copied ({COLUMNS}, CHECK (id <> 150))")
    orders.query("INSERT INTO copied (id, t) VALUES (7, 'old')")
    rejects = ListRejects()
    batches = [read.batch for read in reads(source, batch_rows=100)]
    load(orders.sink(table="copied", primary_keys=["id"]), table, batches, rejects)
    assert [row["id"] for _, row, _ in rejects.found] == [150]
    wanted = "SELECT * FROM orders WHERE id <> 150 ORDER BY id"
    assert orders.query("TABLE copied ORDER BY id") == orders.query(wanted)


def test_other_types_in_the_target_are_written_decoded(orders):
    source = orders.source(table_path="orders")
    [table] = source.tables()
    orders.query(f"CREATE TABLE copied ({COLUMNS.replace('numeric(12,2)', 'numeric(12,1)')})")
    batches = [read.batch for read in reads(source)]
    load(orders.sink(table="copied", primary_keys=["id"]), table, batches, ListRejects())
    assert all(map(is_decoded, batches))
    assert orders.query("SELECT id, t, u, round(n, 1) FROM copied ORDER BY id") == orders.query(
        "SELECT id, t, u, round(n, 1) FROM orders ORDER BY id"
    )


@pytest.mark.parametrize("change", [
    "day = 'infinity'", "at = '-infinity'", "n = 'NaN'", "m = 'NaN'", "clock = '24:00'", "zoned = 'infinity'",
])  # fmt: skip
def test_values_that_no_other_target_could_hold_are_bad_rows_all_the_same(orders, change):
    orders.query(f"UPDATE orders SET {change} WHERE id = 150")
    found = {}
    for accepts in ("", COPY_BINARY):
        rejects = ListRejects()
        read = reads(orders.source(table_path="orders"), accepts, rejects=rejects)
        found[accepts] = rows_of(read), [reason for _, _, reason in rejects.found]
    assert found[""] == found[COPY_BINARY]
    assert len(found[""][1]) == 1


@pytest.mark.parametrize("declared", ["interval", "numeric", "integer[]", "inet", "positive"])
def test_types_whose_bytes_may_mean_something_else_are_decoded(shop, declared):
    shop.query("CREATE DOMAIN positive AS int")
    shop.query(f"CREATE TABLE t (id int PRIMARY KEY, v {declared})")
    shop.query("INSERT INTO t (id) VALUES (1)")
    assert [is_decoded(read.batch) for read in reads(shop.source(table_path="t"))] == [True]


@pytest.mark.parametrize(
    ("precision", "scale"), [(1, 0), (4, 4), (5, 3), (9, 0), (12, 2), (17, 9), (18, 0), (18, 18), (18, 7)]
)
def test_numbers_are_decoded_from_their_own_bytes(shop, precision, scale):
    random = np.random.default_rng(precision * 100 + scale)
    most = 10**precision - 1
    values = [0, 1, -1, most, -most, *(int(v) for v in random.integers(-most, most, 300, endpoint=True))]
    values += [v // 10 ** int(random.integers(0, precision)) for v in values]
    shop.query(f"CREATE TABLE t (id int PRIMARY KEY, v numeric({precision}, {scale}))")
    numbers = [Decimal(value).scaleb(-scale) for value in values]
    shop.query("INSERT INTO t VALUES " + ",".join(f"({i}, {number:f})" for i, number in enumerate(numbers)))
    shop.query("INSERT INTO t VALUES (-1, NULL)")
    found = [row["v"] for row in rows_of(reads(shop.source(table_path="t"), accepts=""))]
    assert found == [None, *numbers]
    assert pa.decimal128(precision, scale) == shop.source(table_path="t").tables()[0].column("v").type


def test_a_whole_job_counts_its_rows_and_leaves_a_table_of_the_same_rows(orders):
    job = f"""env {{ job.mode = BATCH, parallelism = 2, verify = VERIFY }}
    source {{ Jdbc {{ url = "{orders.url}", user = tester, table_path = "public.orders", split.size = 90 }} }}
    sink {{ Jdbc {{ url = "{orders.url}", user = tester, table = TABLE, generate_sink_sql = true }} }}"""
    for verify, table in (("count", "counted"), ("checksum", "summed")):
        orders.query(f"CREATE TABLE {table} ({COLUMNS})")
        result = headrace.run(job.replace("VERIFY", verify).replace("TABLE", table))
        assert result.status == "FINISHED"
        assert orders.query(f"TABLE {table} ORDER BY id") == orders.query("TABLE orders ORDER BY id")
