"""What MySQL and MariaDB alone must show: their types, splits, snapshots, refused rows and safety."""

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import count

import pyarrow as pa
import pytest

from headrace.connector import Batch, JobContext
from headrace.connectors._jdbc.dialects.mysql import text
from headrace.connectors._jdbc.dialects.mysql.splitting import middle
from headrace.connectors._jdbc.options import JdbcOptions
from headrace.errors import HeadraceError, Rejected, Unavailable
from headrace.options import read_options
from headrace.rows import Column, ConstraintKey, PrimaryKey, RowKind, TableSchema
from headrace.testing import TABLE, ListRejects, batch, task

ADD, BEFORE, SET, GONE = (int(kind) for kind in RowKind)
service = pytest.mark.service
JOBS = count(1)
"""A source of another job sees the database of now."""


def reads(source, readers=1, **context):
    """(split, read) of all a source gives."""
    job = JobContext(next(JOBS), parallelism=readers)
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


def one_column(name, array):
    """A table `t` of one column, and its rows."""
    rows = pa.record_batch([array], [name])
    return TableSchema("t", (Column(name, array.type),)), Batch(rows, "t")


# ------------------------------------------------------------------------------------------------------------ types

TYPES = {
    "tinyint(1)": ("1", True), "tinyint": ("-128", -128), "tinyint unsigned": ("255", 255),
    "smallint": ("-32768", -32768), "smallint unsigned": ("65535", 65535), "mediumint": ("-8388608", -8388608),
    "mediumint unsigned": ("16777215", 16777215), "int": ("-2147483648", -(2**31)),
    "int(10) unsigned zerofill": ("4294967295", 2**32 - 1), "bigint": ("-9223372036854775808", -(2**63)),
    "bigint unsigned": ("18446744073709551615", Decimal(2**64 - 1)), "float": ("16777217.5e-8", 0.16777217388153076),
    "double": ("1.7976931348623157e308", 1.7976931348623157e308),
    "decimal(10,2)": ("-12345678.9", Decimal("-12345678.90")),
    "decimal(65,30)": ("-" + "9" * 35 + "." + "9" * 30, Decimal("-" + "9" * 35 + "." + "9" * 30)),
    "bit(1)": ("b'1'", True), "bit(12)": ("b'100000000001'", b"\x08\x01"), "year": ("1901", 1901),
    "char(4)": ("'ab'", "ab"), "varchar(20)": ("'Łódź\\n🚰\\0'", "Łódź\n🚰\0"), "text": ("''", ""),
    "varchar(9) CHARACTER SET latin1": ("'Größe'", "Größe"), "longtext": ("repeat('é', 70000)", "é" * 70000),
    "enum('sad','it''s')": ("'it''s'", "it's"), "set('a','b','c')": ("'a,c'", "a,c"),
    "binary(3)": ("x'00ff00'", b"\0\xff\0"),
    "varbinary(9)": ("x'00'", b"\0"), "blob": ("x'275c00'", b"'\\\0"), "longblob": ("repeat('x', 300)", b"x" * 300),
    "date": ("'9999-12-31'", date(9999, 12, 31)), "time(6)": ("'23:59:59.999999'", time(23, 59, 59, 999999)),
    "time": ("'00:00:00'", time(0)), "datetime": ("'1000-01-01 00:00:00'", datetime(1000, 1, 1)),
    "datetime(6)": ("'2024-02-29 12:00:00.000001'", datetime(2024, 2, 29, 12, 0, 0, 1)),
    "timestamp(3) NULL": ("'2024-01-01 12:00:00.125'", datetime(2024, 1, 1, 7, 0, 0, 125000, tzinfo=UTC)),
    "point": ("ST_GeomFromText('POINT(1 2)')", bytes(4) + bytes.fromhex("0101000000000000000000f03f0000000000000040")),
}  # fmt: skip
"""Type → its value as SQL, and as it is read. The server's zone is +05:00."""


@pytest.fixture
def typed(store):
    """A table `typed` of every type, with a row of values and one of nulls."""
    columns = ", ".join(f"c{i} {name}" for i, name in enumerate(TYPES))
    store.query(f"CREATE TABLE typed (id int PRIMARY KEY, {columns})")
    store.query(f"INSERT INTO typed VALUES (1, {', '.join(sql for sql, _ in TYPES.values())})")
    store.query("INSERT INTO typed (id) VALUES (2)")
    return store


@service
def test_values_of_every_type_are_read(typed):
    for source in (typed.source(table_path="typed"), typed.source(query="SELECT * FROM typed ORDER BY id")):
        first, second = rows_of(source)
        found = dict(zip(TYPES, list(first.values())[1:], strict=True))
        assert found == {name: value for name, (_, value) in TYPES.items()}
        assert set(list(second.values())[1:]) == {None}


@service
def test_values_of_every_type_are_the_same_in_a_table_of_the_same_types(typed):
    typed.query("CREATE TABLE copy LIKE typed")
    source = typed.source(table_path="typed")
    [table] = source.tables()
    load(typed.sink(table="copy"), *(read.batch for _, read in reads(source)), table=table)
    assert typed.query("SELECT * FROM copy ORDER BY id") == typed.query("SELECT * FROM typed ORDER BY id")


@service
def test_values_of_every_type_are_read_again_from_a_table_the_sink_made(typed):
    source = typed.source(table_path="typed")
    [table] = source.tables()
    load(typed.sink(table="made"), *(read.batch for _, read in reads(source)), table=table)
    assert rows_of(typed.source(table_path="made")) == rows_of(source)


@service
@pytest.mark.parametrize(
    ("declared", "value", "said"),
    [("time", "25:00:00", "24 hours"), ("time", "-01:00:00", "below 0"), ("date", "0000-00-00", "not a day"),
     ("datetime", "2024-00-00 00:00:00", "not a day"), ("tinyint(1)", "7", "tinyInt1isBit=false")],
)  # fmt: skip
def test_values_that_have_no_counterpart_are_bad_rows(store, declared, value, said):
    store.query(f"CREATE TABLE t (id int PRIMARY KEY, v {declared})")
    connection = store.server.connect(store.name, sql_mode="")
    connection.cursor().execute("INSERT INTO t VALUES (1, NULL), (2, %s), (3, NULL)", [value])
    connection.close()
    rejects = ListRejects()
    assert [row["id"] for row in rows_of(store.source(table_path="t"), rejects=rejects)] == [1, 3]
    [(_, _, reason)] = rejects.found
    assert said in reason


@service
def test_the_url_says_what_a_date_of_zeros_and_a_small_number_are(store):
    store.query("CREATE TABLE t (d date, n tinyint(1))")
    connection = store.server.connect(store.name, sql_mode="")
    connection.cursor().execute("INSERT INTO t VALUES ('0000-00-00', 7)")
    connection.close()
    url = f"{store.url}?zeroDateTimeBehavior=convertToNull&tinyInt1isBit=false"
    assert rows_of(store.source(url=url, table_path="t")) == [{"d": None, "n": 7}]


UNSTORABLE = [
    ("float", pa.array([0.1, 0.5]), "float"), ("double", pa.array([float("nan"), 0.5]), "NaN"),
    ("int", pa.array([1.5, 2.0]), "round"), ("decimal(5,1)", pa.array([Decimal("1.25"), Decimal("1.50")]), "truncated"),
    ("year", pa.array([5, 2005]), "year"), ("char(4)", pa.array(["a ", "a"]), "spaces"),
    ("binary(3)", pa.array([b"a", b"abc"]), "zero bytes"), ("enum('a','b')", pa.array(["A", "a"]), "not one of"),
    ("set('a','b')", pa.array(["b,a", "a,b"]), "otherwise"), ("varchar(3)", pa.array(["a    ", "abc"]),
    "long|truncated"),
    ("varchar(3)", pa.array(["abcd", "abc"]), "long"), ("datetime", pa.array([1, 1_000_000], pa.timestamp("us")),
    "fractions"),
    ("tinyint", pa.array([128, 127]), "[Oo]ut of range"), ("int", pa.array(["1.5", "2"]), "another value"),
    ("date", pa.array(["20240101", "2024-01-01"]), "another value"),
    ("varchar(9) CHARACTER SET latin1", pa.array(["Ł", "ü"]), "ncorrect"),
    ("timestamp NULL", pa.array([2**52, 0 + 10**6], pa.timestamp("us")), "ncorrect|fractions"),
    ("double", pa.array([2**53 + 1, 5]), "round"), ("varchar(9) NOT NULL", pa.array([None, "a"]), "null"),
]  # fmt: skip


@service
@pytest.mark.parametrize(("declared", "array", "said"), UNSTORABLE, ids=[f"{d} {s}" for d, _, s in UNSTORABLE])
def test_a_value_that_the_target_would_change_is_refused(store, declared, array, said):
    store.query(f"CREATE TABLE t (v {declared})")
    table, rows = one_column("v", array)
    rejects = ListRejects()
    load(store.sink(table="t"), rows, table=table, rejects=rejects)
    [(_, row, reason)] = rejects.found
    assert row == {"v": array[0].as_py()} or row["v"] != row["v"]
    assert re.search(said, reason), reason
    assert store.query("SELECT count(*) FROM t") == [(1,)]


@service
def test_a_time_without_a_zone_is_meant_in_the_zone_of_the_url(store):
    store.query("CREATE TABLE t (v timestamp NULL)")
    table, rows = one_column("v", pa.array([datetime(2024, 1, 1, 12)], pa.timestamp("us")))
    load(store.sink(url=f"{store.url}?serverTimezone=Asia/Shanghai", table="t"), rows, table=table)
    assert rows_of(store.source(table_path="t")) == [{"v": datetime(2024, 1, 1, 4, tzinfo=UTC)}]


# ----------------------------------------------------------------------------------------------------------- splits


@service
@pytest.mark.parametrize(
    "key",
    ["id bigint PRIMARY KEY", "id varchar(99) PRIMARY KEY", "id varchar(99) COLLATE utf8mb4_bin PRIMARY KEY",
     "id varbinary(16) PRIMARY KEY", "id date PRIMARY KEY", "id decimal(20,3) PRIMARY KEY",
     "id int, PRIMARY KEY (other, id)", "id int NOT NULL, UNIQUE KEY (id)"],
)  # fmt: skip
def test_parts_of_every_key_hold_every_row_once(store, key):
    declared = key.split()[1].strip(",")
    make = {"bigint": lambda i: i * i, "int": lambda i: i, "varchar(99)": lambda i: "xY"[: i % 3] + str(i),
            "varbinary(16)": lambda i: (i * 7919).to_bytes(4, "little"), "date": lambda i: date.fromordinal(730000 + i),
            "decimal(20,3)": lambda i: Decimal(i) / 8}[declared]  # fmt: skip
    store.query(f"CREATE TABLE t (other varchar(9) NOT NULL DEFAULT 'a', {key})")
    connection = store.server.connect(store.name)
    connection.cursor().executemany(
        "INSERT INTO t (other, id) VALUES (%s, %s)", [(f"o{i % 7}", make(i)) for i in range(5000)]
    )
    connection.close()
    store.query("ANALYZE TABLE t")
    found = reads(store.source(table_path="t", split__size=500), batch_rows=300)
    assert len({split.id for split, _ in found}) > 3
    ids = [row["id"] for _, read in found for row in read.batch.rows.to_pylist()]
    assert (len(ids), len(set(ids))) == (5000, 5000)


@service
def test_a_skewed_key_makes_parts_of_about_the_same_size(store):
    store.query("CREATE TABLE t (id bigint PRIMARY KEY)")
    numbers = [i if i < 9900 else i * 10**6 for i in range(10_000)]
    store.query("INSERT INTO t VALUES " + ",".join(f"({n})" for n in numbers))
    store.query("ANALYZE TABLE t")
    sizes = {}
    for split, read in reads(store.source(table_path="t", split__size=1000)):
        sizes[split.id] = sizes.get(split.id, 0) + read.batch.num_rows
    assert sum(sizes.values()) == 10_000
    assert max(sizes.values()) < 4000


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("int", "-5", "10"), ("decimal", "0.1", "0.2"), ("date", "2024-01-01", "2024-01-09"),
    ("varchar", "user_1", "user_9"),
     ("varchar", "a", "b"), ("varchar", "", "z"), ("binary", "00", "ff"),
     ("datetime", "2024-01-01 00:00:00", "2024-01-02 00:00:00")],
)  # fmt: skip
def test_a_value_in_the_middle_lies_between(kind, low, high):
    found = middle(kind, low, high)
    if kind in ("int", "decimal"):
        assert Decimal(low) < Decimal(found) < Decimal(high)
    else:
        assert low < found < high


@service
def test_all_readers_of_a_process_see_one_state_of_the_database(store):
    store.query("CREATE TABLE t (id int PRIMARY KEY)")
    store.query("INSERT INTO t VALUES " + ",".join(f"({i})" for i in range(1000)))
    source, job = store.source(table_path="t", split__size=300), JobContext(next(JOBS), parallelism=2)
    splits = list(source.splits(2))
    seen = sum(read.batch.num_rows for read in source.read(splits[0], None, task(job)) if read is not None)
    store.query("DELETE FROM t WHERE id % 2 = 0")
    for index, split in enumerate(splits[1:]):
        seen += sum(r.batch.num_rows for r in source.read(split, None, task(job, index % 2)) if r is not None)
    assert seen == 1000
    assert source._held[1].is_shared


@service
def test_a_reader_in_another_process_is_told_to_see_another_state(store):
    store.query("CREATE TABLE t (id int PRIMARY KEY)")
    dialect, settings = (connection := store.source(table_path="t").options.connection()).dialect, connection.settings
    first, second = (dialect.hold_snapshot(settings, "one start", 1) for _ in range(2))
    assert (first.is_shared, second.is_shared) == (True, False)
    first.close()
    second.close()


@service
def test_the_order_of_a_query_stays_when_it_is_part_of_another(store):
    store.query("CREATE TABLE t (id int, f float)")
    store.query("INSERT INTO t VALUES " + ",".join(f"({i * 7 % 1000},{i})" for i in range(1000)))
    for query in (
        "SELECT id FROM t ORDER BY id",
        "SELECT id, f FROM t ORDER BY id",
        "SELECT id FROM t ORDER BY id LIMIT 999",
    ):
        [split] = (source := store.source(query=query)).splits(1)
        found = [r for r in source.read(split, 300, task(JobContext(next(JOBS)))) if r is not None]
        ids = [row["id"] for read in found for row in read.batch.rows.to_pylist()]
        assert ids == list(range(300, 999 if "LIMIT" in query else 1000))
        assert found[-1].position == 300 + len(ids)


@service
def test_rows_of_many_megabytes_are_read_whole(store):
    store.query("CREATE TABLE t (id int PRIMARY KEY, v longtext, w longtext)")
    store.query("INSERT INTO t VALUES (1, repeat('a', 9000000), repeat('ä', 4500000)), (2, 'b', 'c')")
    first, second = rows_of(store.source(table_path="t"))
    assert first == {"id": 1, "v": "a" * 9_000_000, "w": "ä" * 4_500_000}
    assert second == {"id": 2, "v": "b", "w": "c"}


# -------------------------------------------------------------------------------------------------------------- sink


@service
def test_all_four_kinds_of_rows_change_the_target(store):
    sink = store.sink(table="people", primary_keys=["id"])
    first = changes((ADD, 1, "a"), (ADD, 2, "b"), (ADD, 3, "c"), (ADD, 3, "d"))
    load(sink, first, changes((BEFORE, 1, "a"), (SET, 1, "z"), (GONE, 2, "b"), (ADD, 4, "x"), (GONE, 4, "x")))
    assert store.query("SELECT * FROM people ORDER BY id") == [(1, "z"), (3, "d")]


@service
def test_an_upsert_changes_no_row_that_another_unique_index_has(store):
    store.query("CREATE TABLE people (id bigint PRIMARY KEY, name varchar(9) UNIQUE)")
    store.query("INSERT INTO people VALUES (1, 'a')")
    rejects = ListRejects()
    load(store.sink(table="people", primary_keys=["id"]), batch((1, "b"), (2, "b"), (3, "c")), rejects=rejects)
    assert store.query("SELECT * FROM people ORDER BY id") == [(1, "b"), (3, "c")]
    assert [row["id"] for _, row, _ in rejects.found] == [2]


@service
def test_a_new_table_has_keys_lengths_and_comments(store):
    columns = (Column("id", pa.int64(), nullable=False), Column("name", pa.string(), length=7, comment="it's a name"))
    keys = (ConstraintKey("u", "UNIQUE_KEY", (("name", None),)),)
    table = TableSchema("db.people", columns, PrimaryKey("pk", ("id",)), keys, "who 'lives'")
    load(store.sink(table="people"), table=table)
    [again] = store.source(table_path="people").tables()
    assert (again.comment, again.column("name").comment) == ("who 'lives'", "it's a name")
    assert again.primary_key.columns == ("id",)
    assert [key.columns for key in again.constraint_keys] == [(("name", None),)]
    assert again.column("name").length == 7


@service
def test_a_database_that_is_missing_is_made(store):
    sink = store.sink(table="people", url=f"{store.url}_new")
    try:
        assert list(sink.check([TABLE])) == []
        load(sink, batch((1, "a")))
        assert store.query(f"SELECT * FROM {store.name}_new.people") == [(1, "a")]
    finally:
        store.query(f"DROP DATABASE {store.name}_new")


@service
@pytest.mark.parametrize("keyed", [False, True], ids=["append", "upsert"])
def test_refused_rows_go_aside_with_the_reason_and_the_others_arrive(store, keyed):
    store.query("CREATE TABLE city (name varchar(9) PRIMARY KEY)")
    store.query("INSERT INTO city VALUES ('a'), ('b\\nc')")
    store.query(
        "CREATE TABLE people (id bigint PRIMARY KEY, name varchar(3) NOT NULL, "
        "FOREIGN KEY (name) REFERENCES city (name))"
    )
    rows = [(1, "a"), (2, "b\nc"), (3, "long"), (5, None), (6, "no"), (7, "a\0b"), (8, "b\nc")]
    rejects = ListRejects()
    load(store.sink(table="people", primary_keys=["id"] if keyed else []), batch(*rows), rejects=rejects)
    assert store.query("SELECT id FROM people ORDER BY id") == [(1,), (2,), (8,)]
    said = {row["id"]: reason for _, row, reason in rejects.found}
    assert set(said) == {3, 5, 6, 7}
    assert ["too long" in said[3], "null" in said[5], "foreign key" in said[6], "foreign key" in said[7]] == [True] * 4


@service
def test_a_row_that_is_there_already_is_refused_alone(store):
    store.query("CREATE TABLE people (id bigint PRIMARY KEY, name text)")
    store.query("INSERT INTO people VALUES (700, 'old')")
    rejects = ListRejects()
    rows = batch(*((i, f"name {i}") for i in range(1000)))
    load(store.sink(table="people", primary_keys=[]), rows, rejects=rejects)
    assert [row["id"] for _, row, _ in rejects.found] == [700]
    assert store.query("SELECT count(*), sum(name = 'old') FROM people") == [(1000, 1)]


@service
def test_a_row_bigger_than_the_server_takes_is_refused_alone(store):
    store.query("CREATE TABLE people (id bigint, name longtext)")
    rejects = ListRejects()
    load(store.sink(table="people"), batch((1, "a"), (2, "x" * (17 << 20)), (3, "c")), rejects=rejects)
    [(_, row, reason)] = rejects.found
    assert (row["id"], "max_allowed_packet" in reason) == (2, True)
    assert store.query("SELECT id FROM people ORDER BY id") == [(1,), (3,)]


@service
def test_an_engine_without_transactions_is_refused_unless_the_job_allows_it(store):
    store.query("CREATE TABLE people (id bigint PRIMARY KEY, name varchar(3)) ENGINE=MyISAM")
    [problem] = store.sink(table="people", primary_keys=["id"]).check([TABLE])
    assert "MyISAM has no transactions" in str(problem)
    assert "is_exactly_once = false" in str(problem)
    sink = store.sink(table="people", primary_keys=["id"], is_exactly_once=False)
    assert list(sink.check([TABLE])) == []
    rejects = ListRejects()
    load(sink, batch((1, "a"), (2, "long"), (3, "c")), rejects=rejects)
    assert store.query("SELECT id FROM people ORDER BY id") == [(1,), (3,)]


@service
def test_a_statement_of_the_users_own_gets_the_values_of_each_row(store):
    store.query("CREATE TABLE t (id bigint, name text)")
    sink = store.sink(query="INSERT INTO t (id, name) VALUES (? + 1, concat('?', ?))")
    assert list(sink.check([TABLE])) == []
    load(sink, batch((1, "it's"), (2, None)))
    assert store.query("SELECT * FROM t ORDER BY id") == [(2, "?it's"), (3, None)]
    [problem] = store.sink(query="INSERT INTO t (id) VALUES (?)").check([TABLE])
    assert "1 `?`" in str(problem)


@service
def test_a_new_start_ends_the_transaction_of_a_task_that_was_replaced(store):
    sink = store.sink(table="people", primary_keys=["id"])
    load(sink, batch((1, "old")))
    frozen = sink.open(task(JobContext(1)))
    frozen.writer(TABLE).write(batch((1, "late")))  # holds the row locked
    load(sink, batch((1, "new")), job=JobContext(1, epoch=2))
    with pytest.raises(HeadraceError):
        frozen.commit_positions(2, {"split": 2}, [])
    frozen.close()
    assert store.query("SELECT * FROM people") == [(1, "new")]


@service
def test_a_lock_that_is_not_given_is_worth_another_try_and_leaves_nothing(store):
    sink = store.sink(table="people", primary_keys=["id"])
    load(sink, batch((1, "a"), (2, "b")))
    other = store.server.connect(store.name)
    other.begin()
    other.cursor().execute("UPDATE people SET name = 'x' WHERE id = 2")
    session = sink.open(task(JobContext(1)))
    session.writer(TABLE).write(batch((3, "c")))
    session.database.execute("SET innodb_lock_wait_timeout = 1")
    with pytest.raises(Unavailable, match="Lock wait timeout"):
        session.writer(TABLE).write(batch((2, "y")))
    session.close()
    other.close()
    assert store.query("SELECT count(*) FROM people") == [(2,)]


@service
def test_a_connection_that_was_ended_while_it_idled_is_made_again(store):
    sink = store.sink(table="people")
    load(sink)
    session = sink.open(task(JobContext(1)))
    session.writer(TABLE).write(batch((1, "a")))
    session.commit_positions(2, {"split": 2}, [])
    store.query(f"KILL {session.database.connection.thread_id()}")
    session.writer(TABLE).write(batch((2, "b")))
    session.commit_positions(3, {"split": 3}, [])
    session.close()
    assert store.query("SELECT id FROM people ORDER BY id") == [(1,), (2,)]


# ---------------------------------------------------------------------------------------------------------- safety


@service
@pytest.mark.parametrize(
    "query",
    ["SELECT 1; DROP TABLE t", "DELETE FROM t", "DELETE FROM t RETURNING id", "SELECT id FROM t INTO OUTFILE '/tmp/x'",
     "SELECT id FROM t) AS t; --", "SELECT id FROM t -- the end", "CREATE TABLE u (i int)", "SELECT id FROM t INTO @a"],
)  # fmt: skip
def test_a_query_can_only_read(store, query):
    store.query("CREATE TABLE t (id int)")
    store.query("INSERT INTO t VALUES (1)")
    source = store.source(query=query)
    if query.endswith("the end"):
        assert rows_of(source) == [{"id": 1}]
    else:
        with pytest.raises(HeadraceError):
            rows_of(source)
    assert store.query("SELECT id FROM t") == [(1,)]


@service
def test_a_condition_cannot_end_the_statement_it_is_part_of(store):
    store.query("CREATE TABLE t (id int)")
    with pytest.raises(Rejected, match="syntax"):
        rows_of(store.source(table_path="t", where_condition="where true); DELETE FROM t --"))


@service
def test_a_file_that_the_server_asks_for_is_refused(store, tmp_path):
    store.query("CREATE TABLE t (line text)")
    (tmp_path / "secret").write_text("secret\n")
    with store.sink(table="t").database() as database, pytest.raises(HeadraceError):
        database.execute(f"LOAD DATA LOCAL INFILE '{tmp_path / 'secret'}' INTO TABLE t")
    assert store.query("SELECT * FROM t") == []


@pytest.mark.parametrize(
    ("parameter", "said"),
    [("allowLoadLocalInfile=true", "not allowed"), ("autoDeserialize=true", "not allowed"),
     ("socketFactory=x", "not allowed"), ("queryInterceptors=x", "not allowed"), ("sessionVariables=a", "not allowed"),
     ("allowMultiQueries=true", "not allowed"), ("sslMode=maybe", "cannot be"),
     ("password=geheim", "an option of its own"),
     ("serverTimezone=Mars/North", "no time zone"), ("connectTimeout=x", "milliseconds")],
)  # fmt: skip
def test_dangerous_and_wrong_parameters_of_a_url_are_refused(parameter, said):
    problems = read_options(JdbcOptions, {"url": f"jdbc:mysql://db/shop?{parameter}"}).problems
    assert said in str(problems[0])
    assert "geheim" not in str(problems)


def test_every_host_and_file_of_a_url_is_told_for_the_permissions_of_servers():
    url = "jdbc:mariadb:replication://a:1,[::1],c/shop?sslMode=VERIFY_IDENTITY&serverSslCert=/ca.pem&useUnicode=true"
    options = read_options(JdbcOptions, {"url": url}).options
    assert list(options.touches()) == [
        ("url", "host", "a:1"), ("url", "host", "[::1]"), ("url", "host", "c"), ("url", "path", "/ca.pem"),
    ]  # fmt: skip


@service
def test_the_first_of_several_hosts_that_answers_is_taken(store):
    url = store.url.replace("://", "://127.0.0.1:1,")
    assert rows_of(store.source(url=url, query="SELECT 5 AS five")) == [{"five": 5}]


@service
def test_a_server_that_refuses_or_is_away_is_told_without_the_password(store):
    for change in ({"url": f"{store.url}_none"}, {"url": "jdbc:mysql://127.0.0.1:1/x"}, {"user": "nobody-here"}):
        with pytest.raises(HeadraceError) as error:
            store.source(**{"password": "geheim", "query": "SELECT 1", **change}).tables()
        assert "geheim" not in str(error.value)
        assert "pymysql" not in str(error.value)


def test_question_marks_stand_for_values_only_outside_of_texts_names_and_comments():
    sql = """SELECT '?', "?", `?`, 'it''s ?', '\\'?' -- ?
        # ?
        /* ? */ WHERE c = ? AND 5--?"""
    assert len(text.pieces(sql)) == 3
    assert text.filled("a ? b ?", ["it's \\", b"\0"]) == b"a 'it''s \\\\' b _binary'\0'"
    assert list(text.statements("a; 'b;c'; `d;` ;; # e;")) == ["a", " 'b;c'", " `d;` ", " # e;"]


@service
def test_options_of_tables_are_checked(store):
    load(store.sink(table="people", table_options={"row_format": "COMPACT"}), batch((1, "a")))
    assert "ROW_FORMAT=COMPACT" in store.query("SHOW CREATE TABLE people")[0][1]
    with pytest.raises(Rejected, match="cannot be the name"):
        load(store.sink(table="other", table_options={"engine": "InnoDB; DROP TABLE people"}), batch((1, "a")))
