"""What PostgreSQL alone must show: its types, splits, snapshots, refused rows, safety, and what a lost server costs."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import count

import psycopg
import pyarrow as pa
import pytest

from headrace.connector import Batch, JobContext
from headrace.connectors._jdbc.dialects.postgresql import text
from headrace.connectors._jdbc.options import JdbcOptions
from headrace.errors import HeadraceError, Rejected, Unavailable
from headrace.options import read_options
from headrace.rows import Column, ConstraintKey, PrimaryKey, RowKind, TableSchema
from headrace.testing import TABLE, ListRejects, batch, task

ADD, BEFORE, SET, GONE = (int(kind) for kind in RowKind)
service = pytest.mark.service
JOBS = count(1)
"""A source of another job sees the database of now."""


def reads(source, **context):
    """(split, read) of all a source gives."""
    job = JobContext(next(JOBS))
    return [
        (split, read)
        for split in source.splits(2)
        for read in source.read(split, None, task(job, **context))
        if read is not None
    ]


def rows_of(source, **context):
    return [row for _, read in reads(source, **context) for row in read.batch.rows.to_pylist()]


def load(sink, *batches, table=TABLE, job=None, **context):
    """Save modes, rows and one commit."""
    job = job or JobContext(1)
    sink.save_mode(table)
    sink.start(job)
    session = sink.open(task(job, **context))
    try:
        for item in batches:
            session.writer(table).write(item)
        session.commit_positions(1, {"split": 1}, [])
    finally:
        session.close()


def changes(*rows):
    plain = batch(*((i, name) for _, i, name in rows))
    return Batch(plain.rows, plain.table, pa.array([kind for kind, _, _ in rows], pa.uint8()))


# ------------------------------------------------------------------------------------------------------------ types

TYPES = {
    "bool": ("true", True), "int2": ("-32768", -32768), "int4": ("2147483647", 2**31 - 1),
    "int8": ("-9223372036854775808", -(2**63)), "float4": ("'-Infinity'", float("-inf")), "float8": ("1e308", 1e308),
    "numeric(10, 2)": ("-12345678.9", Decimal("-12345678.90")), "numeric(3, -2)": ("12345", Decimal(12300)),
    "numeric": ("12345678901234567890.123456789012345678", Decimal("12345678901234567890.123456789012345678")),
    "text": ("E'Łódź\\n🚰'", "Łódź\n🚰"), "varchar(5)": ("'abc'", "abc"), "char(4)": ("'ab'", "ab  "),
    "name": ("'n'", "n"), "json": ("'{\"a\": 1}'", '{"a": 1}'), "jsonb": ("'{\"a\":1}'", '{"a": 1}'),
    "uuid": ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "inet": ("'10.0.0.1/8'", "10.0.0.1/8"), "bit(3)": ("B'101'", "101"), "varbit": ("B'1'", "1"),
    "interval": ("'1 year 2 days 3 hours'", "1 year 2 days 03:00:00"), "int4range": ("'[1,5)'", "[1,5)"),
    "bytea": ("'\\x00ff'", b"\x00\xff"), "date": ("'2024-02-29'", date(2024, 2, 29)),
    "time": ("'23:59:59.999999'", time(23, 59, 59, 999999)), "timetz": ("'12:00+02'", "12:00:00+02"),
    "timestamp": ("'2024-01-01 12:00'", datetime(2024, 1, 1, 12)), "mood": ("'glad'", "glad"), "positive": ("5", 5),
    "timestamptz": ("'2024-01-01 12:00+05'", datetime(2024, 1, 1, 7, tzinfo=UTC)),
    "int[]": ("'{1,null,-3}'", [1, None, -3]), "text[]": ("'{\"a,b\",null}'", ["a,b", None]),
    "float8[]": ("'{1.5,Infinity}'", [1.5, float("inf")]), "numeric[]": ("'{1.5}'", "{1.5}"),
    "point": ("'(1,2)'", "(1,2)"), "tsvector": ("'a b'", "'a' 'b'"),
    "macaddr": ("'08:00:2b:01:02:03'", "08:00:2b:01:02:03"),
}  # fmt: skip
"""Type → its value as SQL, and as it is read."""


@pytest.fixture
def typed(shop):
    """A table `typed` of every type, with a row of values and one of nulls."""
    shop.query("CREATE TYPE mood AS ENUM ('sad', 'glad')")
    shop.query("CREATE DOMAIN positive AS int CHECK (value > 0)")
    columns = ", ".join(f"c{i} {name}" for i, name in enumerate(TYPES))
    shop.query(f"CREATE TABLE typed (id int PRIMARY KEY, {columns})")
    shop.query(f"INSERT INTO typed VALUES (1, {', '.join(sql for sql, _ in TYPES.values())})")
    shop.query("INSERT INTO typed (id) VALUES (2)")
    return shop


@service
def test_values_of_every_type_are_read(typed):
    first, second = rows_of(typed.source(table_path="typed"))
    assert dict(zip(TYPES, list(first.values())[1:], strict=True)) == {
        name: value for name, (_, value) in TYPES.items()
    }
    assert set(list(second.values())[1:]) == {None}


@service
def test_values_of_every_type_are_the_same_in_a_table_of_the_same_types(typed):
    typed.query("CREATE TABLE copy (LIKE typed INCLUDING ALL)")
    source = typed.source(table_path="typed")
    [table] = source.tables()
    load(typed.sink(table="copy"), *(read.batch for _, read in reads(source)), table=table)
    names = ", ".join(f"c{i}::text" for i in range(len(TYPES)))
    assert typed.query(f"SELECT {names} FROM copy ORDER BY id") == typed.query(f"SELECT {names} FROM typed ORDER BY id")


@service
def test_values_of_every_type_are_read_again_from_a_table_the_sink_made(typed):
    source = typed.source(table_path="typed")
    [table] = source.tables()
    load(typed.sink(table="made"), *(read.batch for _, read in reads(source)), table=table)
    assert rows_of(typed.source(table_path="made")) == rows_of(source)


@service
@pytest.mark.parametrize(
    ("declared", "value"),
    [("date", "0044-03-15 BC"), ("timestamp", "0001-01-01 00:00:00 BC"), ("date", "5874897-12-31"),
     ("timestamptz", "0100-01-01 00:00:00+00 BC")],
)  # fmt: skip
def test_years_that_python_does_not_know_arrive(shop, declared, value):
    shop.query(f"CREATE TABLE t (v {declared})")
    shop.query("INSERT INTO t VALUES (%s)", [value])
    shop.query("CREATE TABLE copy (LIKE t)")
    source = shop.source(table_path="t")
    [table] = source.tables()
    load(shop.sink(table="copy"), *(read.batch for _, read in reads(source)), table=table)
    assert shop.query("SELECT v::text FROM copy") == [(value,)]


@service
@pytest.mark.parametrize(
    ("declared", "value", "said"),
    [("numeric", "NaN", "does not fit"), ("numeric", "1e30", "does not fit"), ("date", "infinity", "infinity"),
     ("timestamp", "-infinity", "infinity"), ("time", "24:00:00", "24:00:00"), ("int[]", "{{1},{2}}", "dimensions")],
)  # fmt: skip
def test_values_that_have_no_counterpart_are_bad_rows(shop, declared, value, said):
    shop.query(f"CREATE TABLE t (id int PRIMARY KEY, v {declared})")
    shop.query("INSERT INTO t VALUES (1, NULL), (2, %s), (3, NULL)", [value])
    rejects = ListRejects()
    assert [row["id"] for row in rows_of(shop.source(table_path="t"), rejects=rejects)] == [1, 3]
    [(_, _, reason)] = rejects.found
    assert said in reason


# ----------------------------------------------------------------------------------------------------------- splits


@service
@pytest.mark.parametrize(
    "key",
    ["id int8 PRIMARY KEY", "id text COLLATE \"C\" PRIMARY KEY", "id uuid PRIMARY KEY", "id date PRIMARY KEY",
     "id int, PRIMARY KEY (other, id)", "id int"],
)  # fmt: skip
def test_parts_of_every_key_hold_every_row_once(shop, key):
    declared = key.split()[1].strip(",")
    made = {"int8": "(i * i)", "int": "i", "text": "repeat('x', i % 3) || i", "uuid": "md5(i::text)::uuid",
            "date": "date '2000-01-01' + i"}[declared]  # fmt: skip
    shop.query(f"CREATE TABLE t (other text DEFAULT 'a', {key})")
    shop.query(f"INSERT INTO t SELECT (i % 7)::text, {made} FROM generate_series(1, 5000) i")
    found = reads(shop.source(table_path="t", split__size=500), batch_rows=300)
    assert len({split.id for split, _ in found}) > 5
    ids = [row["id"] for _, read in found for row in read.batch.rows.to_pylist()]
    assert (len(ids), len(set(ids))) == (5000, 5000)


@service
def test_a_skewed_key_makes_parts_of_the_same_size(shop):
    shop.query("CREATE TABLE t (id int8 PRIMARY KEY)")
    shop.query(
        "INSERT INTO t SELECT CASE WHEN i < 9900 THEN i ELSE i * 1000000::int8 END FROM generate_series(1, 10000) i"
    )
    sizes = {}
    for split, read in reads(shop.source(table_path="t", split__size=1000)):
        sizes[split.id] = sizes.get(split.id, 0) + read.batch.num_rows
    assert max(sizes.values()) < 2000


@service
def test_all_tasks_read_one_state_of_the_database(shop):
    shop.query("CREATE TABLE t (id int PRIMARY KEY)")
    shop.query("INSERT INTO t SELECT generate_series(1, 1000)")
    first, second = shop.source(table_path="t", split__size=300), shop.source(table_path="t", split__size=300)
    splits = list(first.splits(2))
    seen = sum(read.batch.num_rows for read in first.read(splits[0], None, task()) if read is not None)
    shop.query("DELETE FROM t WHERE id % 2 = 0")
    readings = [(first, splits[1]), *((second, split) for split in splits[2:])]
    for source, split in readings:
        seen += sum(read.batch.num_rows for read in source.read(split, None, task()) if read is not None)
    assert seen == 1000


@service
def test_tables_are_found_by_regular_expressions_over_schemas(shop):
    for schema in ("a1", "a2", "b"):
        shop.query(f"CREATE SCHEMA {schema}")
        shop.query(f"CREATE TABLE {schema}.t (id int)")
    source = shop.source(table_path=r"a\d\.t", use_regex=True)
    assert [table.path for table in source.tables()] == [f"{shop.name}.a1.t", f"{shop.name}.a2.t"]


# -------------------------------------------------------------------------------------------------------------- sink


@service
def test_all_four_kinds_of_rows_change_the_target(shop):
    sink = shop.sink(table="people", primary_keys=["id"])
    first = changes((ADD, 1, "a"), (ADD, 2, "b"), (ADD, 3, "c"), (ADD, 3, "d"))
    load(sink, first, changes((BEFORE, 1, "a"), (SET, 1, "z"), (GONE, 2, "b"), (ADD, 4, "x"), (GONE, 4, "x")))
    assert shop.query("SELECT * FROM people ORDER BY id") == [(1, "z"), (3, "d")]


@service
def test_a_new_table_has_keys_lengths_and_comments(shop):
    columns = (Column("id", pa.int64(), nullable=False), Column("name", pa.string(), length=7, comment="it's a name"))
    keys = (ConstraintKey("u", "UNIQUE_KEY", (("name", None),)),)
    table = TableSchema("db.people", columns, PrimaryKey("pk", ("id",)), keys, "who 'lives'")
    load(shop.sink(table="new.people"), table=table)
    [(found,)] = shop.query("SELECT obj_description('new.people'::regclass)")
    [(comment,)] = shop.query("SELECT col_description('new.people'::regclass, 2)")
    assert (found, comment) == ("who 'lives'", "it's a name")
    [again] = shop.source(table_path="new.people").tables()
    assert again.primary_key.columns == ("id",)
    assert [key.columns for key in again.constraint_keys] == [(("name", None),)]
    assert again.column("name").length == 7


@service
def test_a_database_that_is_missing_is_made(shop):
    sink = shop.sink(table="people")
    away = type(sink)(sink.options.model_copy(update={"url": f"{shop.url}_new"}))
    try:
        assert list(away.check([TABLE])) == []
        load(away, batch((1, "a")))
        assert shop.server.query("SELECT * FROM people", database=f"{shop.name}_new") == [(1, "a")]
    finally:
        shop.server.query(f"DROP DATABASE {shop.name}_new WITH (FORCE)")


@service
@pytest.mark.parametrize("keyed", [False, True], ids=["append", "upsert"])
def test_refused_rows_go_aside_with_the_reason_and_the_others_arrive(shop, keyed):
    shop.query("CREATE TABLE city (name text PRIMARY KEY)")
    shop.query("INSERT INTO city VALUES ('a'), (E'b\\nc')")
    shop.query("CREATE TABLE people (id int8 PRIMARY KEY CHECK (id <> 5), name varchar(3) REFERENCES city)")
    rows = [(1, "a"), (2, "b\nc"), (3, "long"), (5, "a"), (6, "nowhere"[:3]), (7, "a\0"), (8, "b\nc")]
    rejects = ListRejects()
    load(shop.sink(table="people", primary_keys=["id"] if keyed else []), batch(*rows), rejects=rejects)
    assert shop.query("SELECT id FROM people ORDER BY id") == [(1,), (2,), (8,)]
    said = {row["id"]: reason for _, row, reason in rejects.found}
    assert set(said) == {3, 5, 6, 7}
    assert ["too long" in said[3], "people_id_check" in said[5], "foreign key" in said[6], "0x00" in said[7]] == [
        True
    ] * 4


@service
def test_the_tables_of_positions_have_the_names_of_the_options(shop):
    shop.query("CREATE SCHEMA own")
    load(shop.sink(table="people", positions_table="p", epochs_table="e", positions_schema="own"), batch((1, "a")))
    assert shop.query("SELECT split FROM own.p") == [("split",)]
    assert shop.query("SELECT epoch FROM own.e") == [(1,)]
    assert shop.query("SELECT to_regclass('headrace_positions')") == [(None,)]


@service
def test_a_new_start_ends_the_transaction_of_a_task_that_was_replaced(shop):
    sink = shop.sink(table="people", primary_keys=["id"])
    load(sink, batch((1, "old")))
    frozen = sink.open(task(JobContext(1)))
    frozen.writer(TABLE).write(batch((1, "late")))  # holds the row locked
    load(sink, batch((1, "new")), job=JobContext(1, epoch=2))
    with pytest.raises(HeadraceError):
        frozen.commit_positions(2, {"split": 2}, [])
    frozen.close()
    assert shop.query("SELECT * FROM people") == [(1, "new")]


@service
def test_tasks_without_rows_commit_side_by_side(shop):
    sink = shop.sink(table="people")
    load(sink)
    sink.start(JobContext(2))
    first, second = (sink.open(task(JobContext(2), index)) for index in (0, 1))
    for session in (first, second):
        session._begin()
        session._record.save(session.task.job, 1, {}, session.task.index)
    for session in (first, second):
        session.database.commit()
        session.close()
    assert sink.positions(JobContext(2)) is not None


@service
def test_a_deadlock_is_worth_another_try_and_leaves_nothing(shop):
    sink = shop.sink(table="people", primary_keys=["id"])
    load(sink, batch((1, "a"), (2, "b")))
    with psycopg.connect(shop.server.conninfo(shop.name)) as other:
        other.execute("SET lock_timeout = '10s'")
        other.execute("UPDATE people SET name = 'x' WHERE id = 2")
        session = sink.open(task(JobContext(1)))
        session.writer(TABLE).write(batch((3, "c")))
        session.database.execute("SET lock_timeout = '200ms'")
        with pytest.raises(Unavailable, match="lock timeout"):
            session.writer(TABLE).write(batch((2, "y")))
        session.close()
    assert shop.query("SELECT count(*) FROM people") == [(2,)]


@service
def test_a_connection_that_was_ended_while_it_idled_is_made_again(shop):
    sink = shop.sink(table="people")
    load(sink)
    session = sink.open(task(JobContext(1)))
    session.writer(TABLE).write(batch((1, "a")))
    session.commit_positions(2, {"split": 2}, [])
    shop.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'headrace 1/%%'")
    session.writer(TABLE).write(batch((2, "b")))
    session.commit_positions(3, {"split": 3}, [])
    session.close()
    assert shop.query("SELECT id FROM people ORDER BY id") == [(1,), (2,)]


# ---------------------------------------------------------------------------------------------------------- safety


@service
@pytest.mark.parametrize(
    "query",
    ["SELECT 1; DROP TABLE t", "DELETE FROM t RETURNING id", "SELECT id FROM t) TO PROGRAM 'touch /tmp/x' --",
     "WITH d AS (DELETE FROM t RETURNING id) SELECT * FROM d", "SELECT id FROM t -- the end", "CREATE TABLE u (i int)"],
)  # fmt: skip
def test_a_query_can_only_read(shop, query):
    shop.query("CREATE TABLE t (id int)")
    shop.query("INSERT INTO t VALUES (1)")
    source = shop.source(query=query)
    if query.endswith("the end"):
        assert rows_of(source) == [{"id": 1}]
    else:
        with pytest.raises(HeadraceError):
            rows_of(source)
    assert shop.query("SELECT id FROM t") == [(1,)]


@service
def test_a_condition_cannot_end_the_statement_it_is_part_of(shop):
    shop.query("CREATE TABLE t (id int)")
    with pytest.raises(Rejected, match="syntax error"):
        rows_of(shop.source(table_path="t", where_condition="where true)) TO PROGRAM 'true' --"))


@pytest.mark.parametrize(
    ("parameter", "said"),
    [("socketFactory=x", "not allowed"), ("sslfactory=x", "not allowed"), ("loggerFile=/tmp/x", "not allowed"),
     ("options=-c", "not allowed"), ("sslmode=maybe", "cannot be"), ("password=geheim", "an option of its own")],
)  # fmt: skip
def test_dangerous_parameters_of_a_url_are_refused(parameter, said):
    problems = read_options(JdbcOptions, {"url": f"jdbc:postgresql://db/shop?{parameter}"}).problems
    assert said in str(problems[0])
    assert "geheim" not in str(problems)


def test_every_host_and_file_of_a_url_is_told_for_the_permissions_of_servers():
    url = "jdbc:postgresql://a:1,[::1],c/shop?sslmode=verify-full&sslrootcert=/ca.pem"
    options = read_options(JdbcOptions, {"url": url}).options
    assert list(options.touches()) == [
        ("url", "host", "a:1"), ("url", "host", "[::1]"), ("url", "host", "c"), ("url", "path", "/ca.pem"),
    ]  # fmt: skip


@service
def test_a_server_that_refuses_or_is_away_is_told_without_the_password(shop):
    for change in ({"url": f"{shop.url}_none"}, {"url": "jdbc:postgresql://127.0.0.1:1/x"}, {"user": "nobody-here"}):
        options = {"url": shop.url, "user": "tester", "password": "geheim", "query": "SELECT 1", **change}
        source = shop.source(**{k: v for k, v in options.items() if k not in ("url", "user")})
        source.options = source.options.model_copy(update=change)
        with pytest.raises(HeadraceError) as error:
            source.tables()
        assert "geheim" not in str(error.value)
        assert not str(error.value).startswith("psycopg")


def test_question_marks_stand_for_values_only_outside_of_texts_names_and_comments():
    sql = """SELECT '?', "?", $$?$$, $a$?$a$, E'\\'?' -- ?
        /* ? */ WHERE a ?? 'b' AND c = ? AND d LIKE '%'"""
    found, count = text.with_places(sql)
    assert count == 1
    assert found.count("%s") == 1
    assert "a ? 'b'" in found
    assert "LIKE '%%'" in found
    assert list(text.statements("a; 'b;c'; $$d;$$ ;; -- e;")) == ["a", " 'b;c'", " $$d;$$ ", " -- e;"]


@service
def test_a_database_that_is_only_read_is_told_before_anything_runs(shop):
    shop.query(f"ALTER DATABASE {shop.name} SET default_transaction_read_only = on")
    [problem] = shop.sink(table="people").check([TABLE])
    assert "only read" in str(problem)
    assert "default_transaction_read_only = off" in str(problem)


@service
def test_options_of_tables_are_quoted(shop):
    load(shop.sink(table="people", table_options={"fillfactor": "70"}), batch((1, "a")))
    assert shop.query("SELECT reloptions FROM pg_class WHERE relname = 'people'") == [(["fillfactor=70"],)]
    with pytest.raises(Rejected, match="cannot be the name"):
        load(shop.sink(table="other", table_options={"a) ; --": "1"}), batch((1, "a")))


@service
def test_a_query_that_fails_in_its_middle_fails_with_the_databases_reason(shop):
    shop.query("CREATE TABLE numbers AS SELECT i FROM generate_series(1, 50000) i")
    with pytest.raises(Rejected, match="division by zero"):
        rows_of(shop.source(query="SELECT 1 / (40000 - i) AS x FROM numbers"))
    assert len(rows_of(shop.source(query="SELECT i FROM numbers"))) == 50_000
