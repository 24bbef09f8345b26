import sqlite3
from contextlib import closing

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.connector import sources
from headrace.connectors._jdbc.dialects.sqlite.reading import _Reader
from headrace.errors import BadRow, ConfigError, Rejected
from headrace.execution.pace import PacedContext, Paces
from headrace.options import read_options
from headrace.rows import PrimaryKey
from headrace.testing import ListRejects, SourceContract, through_json
from headrace.testing import task as make_task
from tests.connectors.jdbc import die_while_writing, jdbc_source, query


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


def fill(path, rows, columns="id INTEGER PRIMARY KEY, name TEXT"):
    """A table t of these rows."""
    query(path, f"CREATE TABLE t ({columns})")
    query(path, f"INSERT INTO t VALUES ({', '.join('?' * len(rows[0]))})", rows)


def read_all(source, parallelism=2, **context):
    """All rows, in the order of the splits."""
    reads = [source.read(split, None, make_task(**context)) for split in source.splits(parallelism)]
    return [tuple(row.values()) for reading in reads for read in reading for row in read.batch.rows.to_pylist()]


def types(source):
    return {column.name: str(column.type) for column in source.tables()[0].columns}


@pytest.fixture(scope="module")
def bad_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("jdbc") / "bad.db"
    fill(path, [(i, "abc" if i == 50_000 else i / 2, None) for i in range(65_536)], "id INTEGER, n REAL, s TEXT")
    return path


class _Contract(SourceContract):
    options: dict
    of_many_rows: dict = {}

    @pytest.fixture
    def source(self, path):
        rows = [(i, None if i % 7 == 0 else f"é{i % 9}", i / 2, bytes([i]) if i % 2 else None) for i in range(40)]
        fill(path, rows, "id INTEGER, s TEXT, n REAL, b BLOB")
        return jdbc_source(path, **self.options)

    @pytest.fixture
    def bad_source(self, bad_file):
        return jdbc_source(bad_file, **self.options | self.of_many_rows)


class TestTable(_Contract):
    options = {"table_path": "t", "split.size": 15}
    of_many_rows = {"split.size": 15_000}


class TestQuery(_Contract):
    options = {"query": "SELECT * FROM t ORDER BY id"}


class TestPartitionedQuery(_Contract):
    options = {"query": "SELECT * FROM t ORDER BY id", "partition_column": "id", "partition_num": 3}


class TestPartitionedByNumber(_Contract):
    options = {"table_path": "main.t", "partition_column": "n", "partition_num": 3, "where_condition": "WHERE id >= 0"}


class TestPartitionedByText(_Contract):
    options = {"table_path": "t", "partition_column": "s", "partition_num": 3}


# ----------------------------------------------------------------------------------------------------------- tables


def test_a_table_is_described_with_keys_and_types(path):
    sql = "CREATE TABLE t (id BIGINT NOT NULL, b INTEGER NOT NULL, c VARCHAR(20), UNIQUE (c, b), PRIMARY KEY (id))"
    query(path, sql)
    [table] = jdbc_source(path, table_path="shop.T").tables()
    assert (table.path, table.primary_key) == ("shop.T", PrimaryKey("PRIMARY", ("id",)))
    assert table.constraint_keys[0].columns == (("c", None), ("b", None))
    assert [(c.name, str(c.type), c.nullable, c.source_type) for c in table.columns] == [
        ("id", "int64", False, "BIGINT"), ("b", "int32", False, "INTEGER"), ("c", "string", True, "VARCHAR(20)"),
    ]  # fmt: skip


def test_a_path_may_begin_with_several_slashes(path):
    query(path, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
    assert [table.path for table in jdbc_source(f"//{path}", table_path="t").tables()] == ["t"]


def test_declared_types_are_those_of_seatunnels_dialect(path):
    declared = {
        "BIT": "bool", "boolean": "bool", "TINYINT": "int16", "SMALLINT UNSIGNED": "int16", "INT": "int32",
        "MEDIUMINT": "int32", "INT UNSIGNED": "int64", "NUMERIC(5)": "int64", "DECIMAL(10, 2)": "double",
        "REAL": "double", "DOUBLE  PRECISION": "double", "FLOAT": "double", "CHAR(3)": "string", "JSON": "string",
        "DATETIME": "string", "DATE": "string", "LONGVARBINARY": "binary", "BLOB": "binary",
        "INT8": "int64", "STRING_TEXT": "string", "DOUBLE_X": "double", "UUID": "string", "": "string",
    }  # fmt: skip
    query(path, f"CREATE TABLE t ({', '.join(f'c{i} {name}' for i, name in enumerate(declared))})")
    assert list(types(jdbc_source(path, table_path="t")).values()) == list(declared.values())


def test_columns_without_a_type_get_that_of_their_values(path):
    fill(path, [(1, 1, "x", b"x", None), (2, 2.5, 3, None, None)], "a, b, c, d, e")
    source = jdbc_source(path, query="SELECT *, a + 1 AS f, count(*) OVER () AS g FROM t")
    assert list(types(source).values()) == ["int64", "double", "string", "binary", "string", "int64", "int64"]
    assert read_all(source) == [(1, 1.0, "x", b"x", None, 2, 2), (2, 2.5, "3", None, None, 3, 2)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SELECT * FROM t", "t.t"),
        ("SELECT b.id FROM t AS a JOIN u AS b ON a.id = b.id", "u.u"),
        ("SELECT x FROM (SELECT id AS x FROM u)", "u.u"),
        ("SELECT 1 AS one", "default"),
    ],
)
def test_the_rows_of_a_query_are_called_as_the_table_they_come_from(path, text, name):
    for table in "tu":
        query(path, f"CREATE TABLE {table} (id INT)")
    assert jdbc_source(path, query=text).tables()[0].path == name


def test_a_query_keeps_declared_types_and_takes_the_key_of_its_table(path):
    fill(path, [(1, "a")])
    source = jdbc_source(path, query="SELECT id, name AS n FROM t;", table_path="shop.t")
    [table] = source.tables()
    assert (table.path, str(table.column("id").type), table.primary_key.columns) == ("shop.t", "int32", ("id",))
    assert jdbc_source(path, query="SELECT name FROM t", table_path="t").tables()[0].primary_key is None


def test_several_tables_and_queries(path):
    fill(path, [(1, "a"), (2, "b")])
    entries = [{"table_path": "db.t"}, {"table_path": "named", "query": "SELECT 1 AS one FROM t"}]
    source = jdbc_source(path, table_list=entries)
    assert [table.path for table in source.tables()] == ["db.t", "named"]
    assert read_all(source) == [(1, "a"), (2, "b"), (1,), (1,)]


def test_a_pattern_finds_tables_but_never_those_of_headrace(path):
    for name in ("t_1", "t_2", "other", "headrace_positions"):
        query(path, f"CREATE TABLE {name} (id INTEGER PRIMARY KEY AUTOINCREMENT)")
    source = jdbc_source(path, table_path=r"main\.t_\d", use_regex=True)
    assert [table.path for table in source.tables()] == ["t_1", "t_2"]
    assert len(jdbc_source(path, table_path=".*", use_regex=True).tables()) == 3


def test_a_condition_holds_for_tables_and_queries(path):
    fill(path, [(i, "x") for i in range(5)])
    entries = [{"table_path": "t"}, {"table_path": "q", "query": "SELECT * FROM t ORDER BY id"}]
    source = jdbc_source(path, table_list=entries, where_condition="where id > 2 OR id = 0")
    assert [row[0] for row in read_all(source)] == [0, 3, 4] * 2


# ----------------------------------------------------------------------------------------------------------- splits


def test_rows_far_apart_make_no_more_splits_than_they_fill(path):
    fill(path, [(i * 2**50, "x") for i in range(-100, 101)], "id BIGINT, name TEXT")
    query(path, "CREATE TABLE far (id INTEGER PRIMARY KEY)")
    query(path, "INSERT INTO far VALUES (?)", [(-(2**63),), (0,), (2**63 - 1,)])
    source = jdbc_source(path, table_path="far", **{"split.size": 10})
    assert len(list(source.splits(2))) == 1
    source = jdbc_source(path, table_path="far", **{"split.size": 1})
    assert len(list(source.splits(1))) <= 4
    with pytest.raises(BadRow, match="declared INTEGER"):
        read_all(source)


def test_tables_without_row_numbers_are_read_by_count(path):
    query(path, "CREATE TABLE t (k TEXT PRIMARY KEY) WITHOUT ROWID")
    query(path, "INSERT INTO t VALUES (?)", [("b",), ("a",), ("c",)])
    query(path, "CREATE VIEW v AS SELECT k FROM t")
    query(path, "CREATE TABLE hidden (_rowid_ TEXT, rowid TEXT, oid TEXT)")
    query(path, "INSERT INTO hidden VALUES ('1', '2', '3')")
    for name in ("t", "v"):
        source = jdbc_source(path, table_path=name)
        [split] = source.splits(2)
        [first, *_] = source.read(split, None, make_task(batch_rows=1))
        rest = source.read(split, through_json(first.position), make_task())
        assert [row for read in rest for row in read.batch.rows.to_pylist()] == [{"k": "b"}, {"k": "c"}]
    assert read_all(jdbc_source(path, table_path="hidden")) == [("1", "2", "3")]


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ({"query": "SELECT * FROM t ORDER BY id"}, {"query": "SELECT * FROM t WHERE id > 2 ORDER BY id"}),
        ({"query": "SELECT * FROM t"}, {"query": "SELECT * FROM t", "where_condition": "WHERE id > 2"}),
        ({"table_path": "t"}, {"table_path": "t", "query": "SELECT * FROM t"}),
        ({"table_path": "t", "query": "SELECT * FROM t"}, {"table_path": "t"}),
    ],
)
def test_a_position_of_another_query_is_refused(path, then, now):
    """Rows are skipped by their number: those of another query are others."""
    fill(path, [(i, "x") for i in range(10)])
    source = jdbc_source(path, **then)
    [split] = source.splits(1)
    [first, *_] = source.read(split, None, make_task(batch_rows=3))
    with pytest.raises(Rejected, match="rows would be lost or come twice; restore with what was read then"):
        list(jdbc_source(path, **now).read(split, through_json(first.position), make_task()))


def test_a_column_called_rowid_is_not_taken_for_the_row_number(path):
    fill(path, [(7, "a"), (7, "b"), (7, "c")], "rowid BIGINT, _rowid_ TEXT")
    assert read_all(jdbc_source(path, table_path="t"), batch_rows=1) == [(7, "a"), (7, "b"), (7, "c")]


@given(
    values=st.lists(st.none() | st.integers(-(2**62), 2**62) | st.integers(-9, 9), max_size=20),
    parts=st.integers(1, 5),
    by_query=st.booleans(),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_partitions_give_every_row_once(path, values, parts, by_query):
    query(path, "DROP TABLE IF EXISTS t")
    query(path, "CREATE TABLE t (n BIGINT)")
    query(path, "INSERT INTO t VALUES (?)", [(v,) for v in values])
    what = {"query": "SELECT n FROM t"} if by_query else {"table_path": "t"}
    source = jdbc_source(path, partition_column="N", partition_num=parts, **what)
    assert sorted(map(repr, read_all(source))) == sorted(repr((v,)) for v in values)


def test_bounds_of_a_partition_are_inclusive(path):
    fill(path, [(i, None) for i in range(20)])
    source = jdbc_source(
        path, table_path="t", partition_column="id", partition_lower_bound="5", partition_upper_bound=9
    )
    assert [row[0] for row in read_all(source)] == [5, 6, 7, 8, 9]
    assert len(list(source.splits(2))) == 2
    beyond = jdbc_source(path, table_path="t", partition_column="id", partition_lower_bound=50)
    assert read_all(beyond) == []


def test_text_among_the_numbers_of_a_partition_column_is_noticed(path):
    fill(path, [(1, 1), (2, "two"), (3, None)], "id BIGINT, n BIGINT")
    rejects = ListRejects()
    source = jdbc_source(path, table_path="t", partition_column="n", partition_num=2)
    assert sorted(row[0] for row in read_all(source, rejects=rejects)) == [1, 3]
    assert "holds two, which is not of type BIGINT" in rejects.found[0][2]


def test_a_reader_that_waits_keeps_no_lock(path):
    fill(path, [(i, "x") for i in range(10)])
    source = jdbc_source(path, table_path="t")
    [split] = source.splits(1)
    with closing(source.read(split, None, make_task(batch_rows=2))) as reading:
        next(reading)
        with closing(sqlite3.connect(path, timeout=0)) as other, other:
            other.execute("DELETE FROM t WHERE id = 9")
        assert sum(read.batch.num_rows for read in reading) == 7


# ----------------------------------------------------------------------------------------------------------- values


def test_values_come_back_as_they_were(path):
    rows = [(2**63 - 1, "Łódź\x00🚰", 1e308, b"\x00\xff", 1), (-(2**63), "", -0.5, b"", 0), (None,) * 5]
    fill(path, rows, "i BIGINT, s TEXT, d DOUBLE, b BLOB, f BOOLEAN")
    assert read_all(jdbc_source(path, table_path="t")) == [
        (*row[:4], None if row[4] is None else bool(row[4])) for row in rows
    ]


def test_numbers_in_a_text_column_become_texts(path):
    fill(path, [(1700000000000,), (1.5,), ("2024-01-01",), (None,)], "at DATETIME")
    assert read_all(jdbc_source(path, table_path="t")) == [("1700000000000",), ("1.5",), ("2024-01-01",), (None,)]


@pytest.mark.parametrize(
    ("declared", "value", "text"),
    [
        ("INTEGER", 2**31, "holds 2147483648, which is not of type INT; cast it in a query, or change the column"),
        ("SMALLINT", 40_000, "which is not of type SMALLINT"),
        ("BIGINT", 1.5, "holds 1.5, which is not of type BIGINT"),
        ("DOUBLE", b"x", "which is not of type DOUBLE"),
        ("BOOLEAN", "yes", "holds yes, which is not of type BOOLEAN"),
        ("BLOB", 5, "which is not of type BYTES"),
    ],
)
def test_a_value_of_another_type_is_a_bad_row_with_its_number(path, declared, value, text):
    fill(path, [(None,), (value,), (None,)], f"c {declared}")
    source = jdbc_source(path, table_path="t")
    with pytest.raises(BadRow, match="t row number 2: column c") as error:
        read_all(source)
    assert text in str(error.value)
    rejects = ListRejects()
    assert read_all(source, rejects=rejects) == [(None,), (None,)]
    assert len(rejects.found) == 1


def test_text_that_is_no_utf8_spoils_its_row_only(path):
    fill(path, [("good",)], "c TEXT")
    query(path, "INSERT INTO t VALUES (CAST(x'ff' AS TEXT))")
    rejects = ListRejects()
    assert read_all(jdbc_source(path, query="SELECT c FROM t"), rejects=rejects) == [("good",)]
    assert "row 2: column c" in rejects.found[0][2]


def test_batches_of_wide_rows_stay_small(path):
    fill(path, [(i, "x" * 1_000_000) for i in range(40)])
    source = jdbc_source(path, table_path="t", fetch_size=100)
    [split] = source.splits(1)
    sizes = [read.batch.nbytes for read in source.read(split, None, make_task())]
    assert len(sizes) > 1
    assert max(sizes) < 24 * 1024 * 1024


# ---------------------------------------------------------------------------------------------------------- trouble


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "nothing to read; give query or table_path, or table_list"),
        ({"table_list": [{"partition_num": 2}]}, "table_list[0]: nothing to read; give query or table_path"),
        ({"table_list": [{"table_path": "a"}], "query": "SELECT 1"}, "table_list stands for query and table_path"),
        ({"table_path": "a", "where_condition": "id > 1"}, "where_condition must start with 'where'"),
        ({"table_path": "a", "url": "sqlite:a"}, "is not a JDBC URL"),
        ({"table_path": "a", "split.size": 0}, "split.size"),
    ],
)
def test_wrong_options_are_told(options, text):
    read = read_options(sources.find("Jdbc").Options, {"url": "jdbc:sqlite:a.db", **options})
    assert text in "\n".join(map(str, read.problems))


def test_what_is_not_there_is_told(path):
    with pytest.raises(Rejected, match="there is no such file; check the url"):
        jdbc_source(path, table_path="t").tables()
    fill(path, [(1, "a")])
    with pytest.raises(ConfigError, match="there is no table 'x' in .*; it has t"):
        jdbc_source(path, table_path="x").tables()
    with pytest.raises(ConfigError, match="t has no column 'x'; its columns are id, name"):
        list(jdbc_source(path, table_path="t", partition_column="x").splits(2))
    with pytest.raises(Rejected, match="no such column: x"):
        jdbc_source(path, query="SELECT x FROM t").tables()
    with pytest.raises(ConfigError, match="t is read more than once"):
        jdbc_source(path, table_list=[{"table_path": "t"}, {"table_path": "t"}]).tables()


def test_a_query_can_neither_write_nor_reach_other_files(path):
    fill(path, [(1, "a")])
    for sql in ("DELETE FROM t RETURNING id", "SELECT 1; DELETE FROM t"):
        with pytest.raises(Rejected):
            jdbc_source(path, query=sql).tables()
    with pytest.raises(Rejected):
        jdbc_source(path, query=f"SELECT * FROM t; ATTACH '{path}2' AS x").tables()
    assert query(path, "SELECT * FROM t") == [(1, "a")]


def test_a_database_in_wal_mode_is_read(path):
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (id INTEGER)")
        writer.execute("INSERT INTO t VALUES (1)")
        writer.commit()
        assert read_all(jdbc_source(path, table_path="t")) == [(1,)]


def test_the_arrow_types_are_those_promised(path):
    fill(path, [(1, None)])
    [read] = jdbc_source(path, table_path="t").read(
        next(iter(jdbc_source(path, table_path="t").splits(1))), None, make_task()
    )
    assert read.batch.rows.schema.types == [pa.int32(), pa.string()]


def test_options_that_do_nothing_are_named_once(path, caplog):
    fill(path, [(i, "x") for i in range(9)])
    source = jdbc_source(path, table_path="t", skip_analyze=True, **{"split.size": 2, "split.allow-sampling": False})
    with caplog.at_level("WARNING"):
        read_all(source)
    assert [record.getMessage() for record in caplog.records] == [
        "Jdbc source: skip_analyze does nothing: no row counts are needed to split",
        "Jdbc source: split.allow-sampling does nothing: splits need no samples",
    ]


@pytest.mark.parametrize(("driver", "said"), [("org.sqlite.JDBC", 0), ("com.mysql.cj.jdbc.Driver", 1)])
def test_the_driver_is_told_of_only_when_it_is_another_databases(path, caplog, driver, said):
    fill(path, [(1, "x")])
    with caplog.at_level("WARNING"):
        read_all(jdbc_source(path, table_path="t", driver=driver))
    assert [r.getMessage() for r in caplog.records] == [
        "Jdbc source: driver does nothing: the database is told by the url"
    ] * said


def test_a_file_is_read_whose_last_writer_was_killed(path):
    fill(path, [(1, "ann"), (2, "bob")])
    die_while_writing(path)
    assert read_all(jdbc_source(path, table_path="t")) == [(1, "ann"), (2, "bob")]


def test_rows_are_fetched_many_at_once_however_small_the_first_batch_is(path, monkeypatch):
    fill(path, [(i,) for i in range(20_000)], "id INTEGER")
    fetched, plain = [], _Reader._columnar
    monkeypatch.setattr(
        _Reader, "_columnar", lambda self, rows, done: fetched.append(len(rows)) or plain(self, rows, done)
    )
    source, paces = jdbc_source(path, query="SELECT * FROM t"), Paces()
    [split] = source.splits(1)
    pace = paces.of(split.table)
    for _ in source.read(split, None, PacedContext.of(make_task(), paces, split.table)):
        pace.rows = 65_536
    assert max(fetched) > 1000
