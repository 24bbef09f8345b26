"""DuckDB as source and sink: the contract suites, its types both ways, refused rows, and who holds the file."""

import contextlib
import datetime
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

import headrace
from headrace.checkpoint.store import FileStore
from headrace.connector import sinks, sources
from headrace.connectors._jdbc.dialects.duckdb import connection as reaching
from headrace.errors import BadRow, ConfigError, Rejected, Unavailable
from headrace.rows import Batch, Column, PrimaryKey, RowKind, TableSchema
from headrace.testing import ListRejects, SinkContract, SourceContract, batch, make
from headrace.testing import task as make_task


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.duckdb"


def query(path, sql, *values):
    """What a statement finds; several are separated by `;`."""
    reaching._WRITTEN.discard(os.path.realpath(path))
    with duckdb.connect(str(path), config=reaching._CONFIG) as connection:
        return connection.execute(sql, values).fetchall()


def duckdb_source(path, **options):
    return make(sources.find("Jdbc"), url=f"jdbc:duckdb:{path}", **options)


def duckdb_sink(path, **options):
    if "query" not in options:
        options.setdefault("generate_sink_sql", True)
    options.setdefault("table", "people")
    return make(sinks.find("Jdbc"), url=f"jdbc:duckdb:{path}", **options)


def read_all(source, parallelism=2, **context):
    reads = [source.read(split, None, make_task(**context)) for split in source.splits(parallelism)]
    return [tuple(row.values()) for reading in reads for read in reading for row in read.batch.rows.to_pylist()]


# ------------------------------------------------------------------------------------------------------ contracts


class _Source(SourceContract):
    options: dict = {}
    ddl = "CREATE TABLE people AS SELECT range::INT AS id, 'name ' || range AS name FROM range(1, 301)"

    @pytest.fixture
    def source(self, path):
        query(path, self.ddl)
        return duckdb_source(path, **({"table_path": "people"} | self.options))

    @pytest.fixture
    def bad_source(self, path):
        query(path, "CREATE TABLE people AS SELECT range::INT AS id, range::HUGEINT AS name FROM range(65536)")
        query(path, "UPDATE people SET name = 170141183460469231731687303715884105727 WHERE id = 40000")
        return duckdb_source(path, **({"table_path": "people"} | self.options | {"split.size": 40_000}))


class TestByNumber(_Source):
    options = {"split.size": 70}


class TestQuery(_Source):
    options = {"table_path": "", "query": "SELECT id, name FROM people ORDER BY id"}


class TestByColumn(_Source):
    options = {"partition_column": "id", "partition_num": 3}


class TestByText(_Source):
    options = {"partition_column": "name", "partition_num": 3}


class _Sink(SinkContract):
    options: dict = {}
    ddl = ""

    @pytest.fixture
    def sink(self, path):
        self.path = path
        if self.ddl:
            query(path, self.ddl)
        return duckdb_sink(path, **self.options)

    def visible(self, sink):
        there = self.path.exists() and query(self.path, "SELECT 1 FROM duckdb_tables() WHERE table_name = 'people'")
        return query(self.path, "SELECT id, name FROM people ORDER BY id, name NULLS LAST") if there else []


class TestAppend(_Sink):
    @pytest.fixture
    def bad_rows(self, path):
        query(path, "CREATE TABLE people (id BIGINT CHECK (id <> 40000), name VARCHAR)")
        return batch(*((i, f"name {i}") for i in range(65_536)))


class TestUpsert(_Sink):
    options = {"primary_keys": ["id"]}

    @pytest.fixture
    def bad_rows(self, path):
        query(path, "CREATE TABLE people (id BIGINT PRIMARY KEY CHECK (id <> 40000), name VARCHAR)")
        return batch(*((i, f"name {i}") for i in range(65_536)))


class TestLookUp(_Sink):
    options = {"primary_keys": ["id"], "support_upsert_by_query_primary_key_exist": True}


class TestByKind(_Sink):
    options = {"primary_keys": ["id"], "enable_upsert": False}


class TestOwnQuery(_Sink):
    ddl = "CREATE TABLE people (id BIGINT, name VARCHAR)"
    options = {"query": "INSERT INTO people (id, name) VALUES (?, ?)"}


# ---------------------------------------------------------------------------------------------------------- types

VALUES = [
    ("BOOLEAN", "true", pa.bool_(), True),
    ("TINYINT", "-128", pa.int8(), -128),
    ("SMALLINT", "-32768", pa.int16(), -32768),
    ("INTEGER", "-2147483648", pa.int32(), -(2**31)),
    ("BIGINT", "-9223372036854775808", pa.int64(), -(2**63)),
    ("UTINYINT", "255", pa.int16(), 255),
    ("USMALLINT", "65535", pa.int32(), 65535),
    ("UINTEGER", "4294967295", pa.int64(), 2**32 - 1),
    ("UBIGINT", "18446744073709551615", pa.decimal128(20, 0), Decimal(2**64 - 1)),
    ("HUGEINT", "99999999999999999999999999999999999999", pa.decimal128(38, 0), Decimal(10**38 - 1)),
    ("FLOAT", "1.5", pa.float32(), 1.5),
    ("DOUBLE", "0.1", pa.float64(), 0.1),
    ("DECIMAL(38,10)", "-1234567890123456789012345678.0123456789", pa.decimal128(38, 10),
     Decimal("-1234567890123456789012345678.0123456789")),
    ("VARCHAR", "chr(128512) || chr(0) || 'é'", pa.string(), "\U0001f600\0é"),
    ("BLOB", r"'\x00\xFF'::BLOB", pa.binary(), b"\x00\xff"),
    ("JSON", "'{\"a\":1}'", pa.string(), '{"a":1}'),
    ("DATE", "'9999-12-31'", pa.date32(), datetime.date(9999, 12, 31)),
    ("TIME", "'23:59:59.999999'", pa.time64("us"), datetime.time(23, 59, 59, 999999)),
    ("TIMESTAMP", "'2020-01-01 00:00:00.000001'", pa.timestamp("us"), datetime.datetime(2020, 1, 1, 0, 0, 0, 1)),
    ("TIMESTAMP_S", "'2020-01-01 00:00:01'", pa.timestamp("s"), datetime.datetime(2020, 1, 1, 0, 0, 1)),
    ("TIMESTAMPTZ", "'2020-01-01 02:00:00+02'", pa.timestamp("us", "UTC"),
     datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)),
    ("UUID", "'00000000-0000-0000-0000-00000000000a'", pa.string(), "00000000-0000-0000-0000-00000000000a"),
    ("ENUM('a', 'b')", "'b'", pa.string(), "b"),
    ("INTERVAL", "'1 day'", pa.string(), "1 day"),
    ("BIT", "'0101'", pa.string(), "0101"),
    ("INTEGER[]", "[1, NULL]", pa.list_(pa.int32()), [1, None]),
    ("UTINYINT[2]", "[1, 2]", pa.list_(pa.int16()), [1, 2]),
    ("STRUCT(x INTEGER, \"Y z\" UUID)", "{'x': 1, 'Y z': '00000000-0000-0000-0000-00000000000a'}",
     pa.struct([("x", pa.int32()), ("Y z", pa.string())]), {"x": 1, "Y z": "00000000-0000-0000-0000-00000000000a"}),
    ("MAP(VARCHAR, DATE)", "MAP {'a': DATE '2020-01-01'}", pa.map_(pa.string(), pa.date32()),
     [("a", datetime.date(2020, 1, 1))]),
]  # fmt: skip


def test_every_type_is_read_with_its_extremes_and_null(path):
    query(path, f"CREATE TABLE t ({', '.join(f'c{i} {kind}' for i, (kind, *_) in enumerate(VALUES))})")
    query(path, f"INSERT INTO t VALUES ({', '.join(value for _, value, *_ in VALUES)})")
    query(path, f"INSERT INTO t VALUES ({', '.join(['NULL'] * len(VALUES))})")
    source = duckdb_source(path, table_path="t")
    assert [column.type for column in source.tables()[0].columns] == [dtype for _, _, dtype, _ in VALUES]
    assert read_all(source) == [tuple(value for *_, value in VALUES), (None,) * len(VALUES)]


@pytest.mark.job
def test_what_was_read_is_written_into_a_new_table_and_read_alike(path, tmp_path):
    query(path, f"CREATE TABLE t ({', '.join(f'c{i} {kind}' for i, (kind, *_) in enumerate(VALUES))})")
    query(path, f"INSERT INTO t VALUES ({', '.join(value for _, value, *_ in VALUES)})")
    other = tmp_path / "other.duckdb"
    assert headrace.run(copy(path, other)).status == "FINISHED"
    assert read_all(duckdb_source(other, table_path="u")) == [tuple(value for *_, value in VALUES)]


@pytest.mark.parametrize(
    ("declared", "value", "text"),
    [
        ("DATE", "'infinity'", "infinity"),
        ("TIMESTAMP", "'-infinity'", "infinity"),
        ("DATE[]", "['2020-01-01', 'infinity']", "infinity"),
        ("UHUGEINT", "340282366920938463463374607431768211455", "more than 38 digits"),
    ],
)
def test_a_value_without_a_counterpart_is_a_bad_row(path, declared, value, text):
    query(path, f"CREATE TABLE t (id INT, v {declared})")
    query(path, f"INSERT INTO t VALUES (1, NULL), (2, {value}), (3, NULL)")
    rejects = ListRejects()
    assert read_all(duckdb_source(path, table_path="t"), rejects=rejects) == [(1, None), (3, None)]
    [found] = rejects.found
    assert text in str(found)


# ------------------------------------------------------------------------------------------------------- refusals


def write(sink, rows, rejects=None, kinds=None, name="people"):
    """Write and commit; gives back how many rows the statements took."""
    table = TableSchema.from_arrow(rows.schema, name)
    task = make_task(**({"rejects": rejects} if rejects is not None else {}))
    sink.save_mode(table)
    sink.start(task.job)
    session = sink.open(task)
    session.writer(table).write(Batch(rows, name, None if kinds is None else pa.array(kinds, pa.uint8())))
    session.flush()
    session.commit_positions(1, {"a": 1}, [])
    session.close()
    return session.written()


@pytest.mark.parametrize(
    ("ddl", "bad", "reason"),
    [
        ("id BIGINT, n VARCHAR NOT NULL", (2, None), "NOT NULL"),
        ("id BIGINT PRIMARY KEY, n VARCHAR", (1, "again"), "duplicate key"),
        ("id BIGINT PRIMARY KEY, n VARCHAR", (7, "there"), "duplicate key"),
        ("id BIGINT, n VARCHAR CHECK (length(n) < 9)", (2, "much too long"), "CHECK"),
        ("id BIGINT, n INTEGER", (2, "1.5"), "does not fit"),
        ("id BIGINT, n DATE", (2, "no date"), "does not fit"),
        ("id BIGINT, n DECIMAL(4,2)", (2, "1.555"), "does not fit"),
        ("id TINYINT, n VARCHAR", (300, "2"), "does not fit"),
        ("id BIGINT, n BIGINT REFERENCES other (id)", (2, "5"), "foreign key"),
    ],
)
def test_a_refused_row_is_set_aside_and_the_others_arrive(path, ddl, bad, reason):
    query(path, "CREATE TABLE other (id BIGINT PRIMARY KEY)")
    query(path, "INSERT INTO other VALUES (1), (3)")
    query(path, f"CREATE TABLE people ({ddl})")
    if bad[1] == "there":
        query(path, "INSERT INTO people VALUES (7, 'first')")
    good = "2020-01-01" if "DATE" in ddl else "1"
    ids, texts = [1, bad[0], 3], [good, bad[1], good]
    rejects = ListRejects()
    rows = pa.RecordBatch.from_pydict({"id": pa.array(ids, pa.int64()), "n": pa.array(texts)})
    write(duckdb_sink(path, primary_keys=[]), rows, rejects)
    assert [row[0] for row in query(path, "SELECT id FROM people WHERE id <> 7 ORDER BY id")] == [1, 3]
    assert reason in str(rejects.found[0])


@pytest.mark.parametrize(
    ("declared", "column"),
    [
        ("INTEGER", pa.array([1.5])),
        ("DECIMAL(10,2)", pa.array([Decimal("1.555")])),
        ("DATE", pa.array([datetime.datetime(2020, 1, 1, 10)])),
        ("TIMESTAMP", pa.array([1], pa.timestamp("ns"))),
        ("DOUBLE", pa.array([2**53 + 1])),
        ("TIMESTAMP WITH TIME ZONE", pa.array([1], pa.timestamp("ns", "UTC"))),
    ],
)
def test_a_value_that_the_column_would_change_is_refused(path, declared, column):
    query(path, f"CREATE TABLE people (v {declared})")
    with pytest.raises(BadRow, match="does not fit"):
        write(duckdb_sink(path), pa.RecordBatch.from_arrays([column], ["v"]))
    assert query(path, "SELECT count(*) FROM people") == [(0,)]


def test_all_kinds_of_changes_are_applied_by_key_and_counted_once_though_a_row_is_refused(path):
    query(path, "CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR CHECK (name <> 'bad'), l INT[])")
    query(path, "INSERT INTO people VALUES (1, 'a', [1]), (2, 'b', [2])")
    kinds = [RowKind.UPDATE_BEFORE, RowKind.UPDATE_AFTER, RowKind.DELETE, RowKind.INSERT, RowKind.INSERT]
    rows = pa.RecordBatch.from_pydict({
        "id": [1, 1, 2, 3, 4], "name": ["a", "A", "b", "bad", "d"],
        "l": pa.array([[1], [9], [2], [3], None], pa.list_(pa.int32())),
    })  # fmt: skip
    rejects = ListRejects()
    written = write(duckdb_sink(path, primary_keys=["id"]), rows, rejects, kinds)
    assert query(path, "SELECT * FROM people ORDER BY id") == [(1, "A", [9]), (4, "d", None)]
    assert (written["people"].rows, len(rejects.found)) == (3, 1)


def test_a_query_of_ones_own_stops_at_the_first_refused_row(path):
    query(path, "CREATE TABLE people (id BIGINT PRIMARY KEY)")
    sink = duckdb_sink(path, query="INSERT INTO people VALUES (?)")
    rows = pa.RecordBatch.from_pydict({"id": [1, 1]})
    with pytest.raises(Rejected, match="(?i)duplicate key"):
        write(sink, rows)
    assert query(path, "SELECT * FROM people") == []


def test_a_new_table_has_the_types_keys_and_comments_of_the_rows(path):
    columns = (
        Column("id", pa.int64(), nullable=False, comment="it's the key"), Column("u", pa.uint64()),
        Column("d", pa.decimal128(10, 2)), Column("big", pa.decimal256(50, 2)), Column("t", pa.timestamp("us", "UTC")),
        Column("m", pa.map_(pa.string(), pa.list_(pa.int8()))),
    )  # fmt: skip
    table = TableSchema("x.people", columns, PrimaryKey("p", ("id",)), comment="all of them")
    sink = duckdb_sink(path, table="sales.${table_name}")
    sink.options_for(table)
    sink.save_mode(table)
    found = query(
        path, "SELECT column_name, data_type, is_nullable, comment FROM duckdb_columns() WHERE schema_name = 'sales'"
    )
    assert found == [
        ("id", "BIGINT", False, "it's the key"), ("u", "UBIGINT", True, None), ("d", "DECIMAL(10,2)", True, None),
        ("big", "VARCHAR", True, None), ("t", "TIMESTAMP WITH TIME ZONE", True, None),
        ("m", "MAP(VARCHAR, TINYINT[])", True, None),
    ]  # fmt: skip
    described = duckdb_source(path, table_path="sales.people").tables()[0]
    assert (described.primary_key, described.comment) == (PrimaryKey("PRIMARY", ("id",)), "all of them")


# -------------------------------------------------------------------------------------------------------- reading


def test_a_position_whose_row_has_moved_is_refused_not_gone_on_from(path):
    query(path, "CREATE TABLE t AS SELECT range AS id FROM range(300000)")
    source = duckdb_source(path, table_path="t")
    split = next(iter(source.splits(1)))
    reading = source.read(split, None, make_task())
    position = next(reading).position
    reading.close()
    del reading, source
    query(path, "DELETE FROM t WHERE id < 200000; CHECKPOINT")
    with pytest.raises(Rejected, match="is not what it was"):
        next(duckdb_source(path, table_path="t").read(split, position, make_task()))


def test_views_schemas_and_patterns_are_found_but_never_the_tables_of_headrace(path):
    query(path, "CREATE TABLE t (id INT); CREATE SCHEMA s; CREATE TABLE s.t2 (id INT); CREATE VIEW v AS SELECT 1 AS x")
    query(path, "CREATE TABLE headrace_positions (id INT)")
    source = duckdb_source(path, table_path=".*", use_regex=True)
    assert [table.path for table in source.tables()] == ["t", "v", "s.t2"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT 1; DROP TABLE t", "one SELECT"),
        ("DROP TABLE t", "one SELECT"),
        ("SELECT * FROM read_csv('/etc/passwd')", "other files"),
        ("SELECT 1) x; DROP TABLE t; SELECT (1", "syntax error"),
    ],
)
def test_a_query_can_neither_write_nor_reach_other_files(path, text, reason):
    query(path, "CREATE TABLE t (id INT)")
    with pytest.raises((Rejected, ConfigError), match=reason):
        read_all(duckdb_source(path, query=text))
    assert query(path, "SELECT * FROM t") == []


def test_batches_of_wide_rows_stay_small(path):
    query(path, "CREATE TABLE t AS SELECT range AS id, repeat('x', 100000) AS s FROM range(300)")
    source = duckdb_source(path, table_path="t")
    task = make_task(batch_bytes=1_000_000)
    sizes = [read.batch.num_rows for split in source.splits(1) for read in source.read(split, None, task)]
    assert sum(sizes) == 300
    assert max(sizes) <= 20


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("jdbc:duckdb:", "name a file"),
        ("jdbc:duckdb::memory:", "name a file"),
        ("jdbc:duckdb:x?access_mode=read_only", "not allowed; possible: threads"),
        ("jdbc:duckdb:x?memory_limit=lots", "memory_limit=512MB"),
    ],
)
def test_wrong_urls_are_told_with_the_cure(url, text):
    with pytest.raises(AssertionError, match=text):
        make(sources.find("Jdbc"), url=url, table_path="t")


# ------------------------------------------------------------------------------------------------ who has the file

_HOLDS = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


@pytest.fixture
def holder(path):
    """Another process that has the file open."""
    query(path, "CREATE TABLE people (id BIGINT, name VARCHAR)")
    process = subprocess.Popen([sys.executable, "-c", _HOLDS, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"open\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def test_a_file_that_another_process_holds_is_waited_for_and_then_told_with_its_number(path, holder):
    began = time.monotonic()
    with pytest.raises(Unavailable, match=rf"process {holder.pid} .* has it open for 1 s; end it"):
        duckdb_source(path, table_path="people", connection_check_timeout_sec=1).tables()
    assert time.monotonic() - began >= 1
    with pytest.raises(Unavailable, match=rf"process {holder.pid} "):
        write(duckdb_sink(path, connection_check_timeout_sec=1), batch((1, "a")).rows)


def test_a_file_that_becomes_free_while_it_is_waited_for_is_no_trouble(path, holder):
    holder.stdin.close()
    write(duckdb_sink(path), batch((1, "a")).rows)
    assert query(path, "SELECT * FROM people") == [(1, "a")]


def test_between_two_checkpoints_others_may_use_the_file(path):
    sink, task, rows = duckdb_sink(path), make_task(), batch((1, "a")).rows
    table = TableSchema.from_arrow(rows.schema, "people")
    sink.save_mode(table)
    sink.start(task.job)
    session = sink.open(task)
    session.writer(table).write(Batch(rows, "people"))
    code = "import duckdb, sys; print(duckdb.connect(sys.argv[1]).execute('SELECT count(*) FROM people').fetchall())"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.stdout == "[(0,)]\n", done.stderr
    session.flush()
    session.commit_positions(1, {"a": 1}, [])
    session.close()
    assert query(path, "SELECT * FROM people") == [(1, "a")]


def copy(path, to, env="", source=""):
    return f"""
    env {{ job.mode = BATCH, parallelism = 2, job.retry.interval.seconds = 0, {env} }}
    source {{ Jdbc {{ url = "jdbc:duckdb:{path}", table_path = t, {source} }} }}
    sink {{ Jdbc {{ url = "jdbc:duckdb:{to}", generate_sink_sql = true, table = u }} }}"""


@pytest.mark.job
def test_a_file_is_copied_into_itself_by_several_tasks_while_checkpoints_are_taken(path):
    query(path, "CREATE TABLE t AS SELECT range AS id FROM range(3000)")
    env = "checkpoint.interval = 50, read_limit.rows_per_second = 4000"
    assert headrace.run(copy(path, path, env, "split.size = 500")).status == "FINISHED"
    assert query(path, "SELECT count(*), count(DISTINCT id) FROM u") == [(3000, 3000)]


def has_saved(home):
    """Whether a checkpoint tells of rows; who looked into the file itself would keep the job from writing there."""
    ids = [int(job.name) for job in (home / "checkpoints").glob("[0-9]*")]
    return any(saved.positions for job_id in ids for saved in FileStore(home / "checkpoints").all(job_id))


def wait_until_free(path):
    """Workers that are killed hold a file until the kernel has put them away, which nobody is told of."""
    deadline = time.monotonic() + 60
    while True:
        try:
            query(path, "SELECT 1")
        except duckdb.IOException:
            assert time.monotonic() < deadline, "the workers that were killed still hold the file"
            time.sleep(0.02)
        else:
            return


@pytest.mark.crash
@pytest.mark.parametrize("runner", ["embedded", "processes"])
def test_after_a_kill_every_row_is_there_once(path, tmp_path, runner):
    query(path, "CREATE TABLE t AS SELECT range AS id, 'name ' || range AS n FROM range(3000)")
    job, to = tmp_path / "job.conf", tmp_path / "to.duckdb"
    env = "checkpoint.interval = 100, read_limit.rows_per_second = 1000"
    job.write_text(copy(path, to, env, "split.size = 500"))
    command = [sys.executable, "-m", "headrace", "run", str(job), "--home", str(tmp_path / "home"), "--runner", runner]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not has_saved(tmp_path / "home") and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_until_free(to)
    assert 0 < query(to, "SELECT count(*) FROM u")[0][0] < 3000, "the job was not killed in its middle"
    again = subprocess.run([*command, "--restore"], capture_output=True, text=True, timeout=60)
    assert again.returncode == 0, again.stderr
    assert query(to, "SELECT count(*), count(DISTINCT id), sum(id) FROM u") == [(3000, 3000, 4498500)]
