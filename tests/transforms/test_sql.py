"""The Sql transform: rows in, rows out."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import BadRow, ConfigError
from headrace.rows import Batch, Column, PrimaryKey, TableSchema
from headrace.testing import ROWS, TABLE, ListRejects, TransformContract, batch, make, task
from headrace.transforms.sql import SqlTransform

EVERY = {
    "columns": "select name, id as number from people",
    "expressions": "select *, id % 2 as odd, upper(name) as up, concat(name, '_', id) as c from people where id > 1",
    "nothing": "select id from people where id < 0",
    "explode": "select id, name from dual lateral view outer explode(split(name, 'n')) as part",
}


@pytest.mark.parametrize("name", EVERY)
class TestEveryQuery(TransformContract):
    @pytest.fixture
    def transform(self, name):
        return make(SqlTransform, query=EVERY[name])


def apply(query, rows, rejects=None, table=TABLE, **options):
    """Rows out as tuples, of all batches."""
    transform = make(SqlTransform, query=query, **options)
    made = transform.apply(rows, task() if rejects is None else task(rejects=rejects))
    batches = [made] if isinstance(made, Batch) else made
    return [tuple(row.values()) for out in batches for row in out.rows.to_pylist()]


def test_where_drops_rows_and_their_kinds_follow():
    rows = Batch(batch(*ROWS).rows, TABLE.path, pa.array([0, 1, 2, 3], pa.uint8()))
    out = make(SqlTransform, query="select id from people where name is not null").apply(rows, task())
    assert (out.rows["id"].to_pylist(), out.kinds.to_pylist()) == ([1, 3, ROWS[3][0]], [0, 2, 3])


def test_batches_of_inserts_stay_without_kinds():
    out = make(SqlTransform, query="select id from people where id = 1").apply(batch(*ROWS), task())
    assert out.kinds is None


def test_columns_keep_what_is_known_of_them_and_keys_survive_with_all_their_columns():
    key = PrimaryKey("pk", ("id",))
    columns = (Column("id", pa.int64(), nullable=False, comment="number"), Column("name", pa.string(), length=9))
    table = TableSchema("db.people", columns, key, comment="all")
    kept = make(SqlTransform, query="select id, name as n, 1 as one from people").schema(table)
    assert kept.columns == (columns[0], Column("n", pa.string(), length=9), Column("one", pa.int32()))
    assert (kept.primary_key, kept.comment) == (key, "all")
    assert make(SqlTransform, query="select name from people").schema(table).primary_key is None
    assert make(SqlTransform, query="select id as pk from people").schema(table).primary_key is None


def test_times_leave_in_utc_whatever_zone_the_query_named():
    query = "select cast('2024-01-01 00:00:00' as timestamp_tz) at time zone 'Asia/Tokyo' as t from people"
    assert make(SqlTransform, query=query).schema(TABLE).columns[0].type == pa.timestamp("us", "UTC")
    assert apply(query, batch(ROWS[0]))[0][0].hour == 0


# ------------------------------------------------------------------------------------------------------- bad rows


def test_the_first_row_without_a_result_is_an_error_that_names_row_expression_and_value():
    with pytest.raises(BadRow, match=r"row 2: cannot compute CAST\(name AS INT\): 'x'.*'name': 'x'") as raised:
        apply("select cast(name as int) as n from people", batch((1, "5"), (2, "x"), (3, "y")))
    assert (raised.value.table, raised.value.row) == (TABLE.path, 2)


def test_rows_without_a_result_are_set_aside_and_the_others_go_on_in_order():
    rejects = ListRejects()
    rows = batch(*((n, str(n) if n % 3 else "bad") for n in range(10)))
    out = apply("select id, cast(name as int) as n from people where id > 0", rows, rejects)
    assert out == [(n, n) for n in range(1, 10) if n % 3]
    assert [row["id"] for _, row, _ in rejects.found] == [3, 6, 9]
    assert all("cannot compute CAST(name AS INT): 'bad'" in reason for _, _, reason in rejects.found)


def test_a_condition_may_fail_too():
    rejects = ListRejects()
    assert apply("select id from people where 10 / id > 1", batch((0, "a"), (5, "b")), rejects) == [(5,)]
    assert rejects.found[0][1]["id"] == 0


@given(st.lists(st.sampled_from(["1", "x", None]), max_size=20))
def test_every_row_comes_out_or_is_set_aside(names):
    rejects = ListRejects()
    out = apply("select id, cast(name as int) as n from people", batch(*enumerate(names)), rejects)
    assert [row[0] for row in out] == [i for i, name in enumerate(names) if name != "x"]
    assert sorted(row["id"] for _, row, _ in rejects.found) == [i for i, name in enumerate(names) if name == "x"]


# --------------------------------------------------------------------------------------------------- lateral views


def test_explode_makes_a_row_of_each_element():
    rows = batch((1, "a,b"), (2, None), (3, "c"))
    query = "select id, name from dual lateral view {} explode(split(name, ',')) as part"
    assert apply(query.format(""), rows) == [(1, "a,b", "a"), (1, "a,b", "b"), (3, "c", "c")]
    assert apply(query.format("outer"), rows)[2] == (2, None, None)


def test_explode_can_take_the_place_of_a_column_and_be_repeated():
    query = (
        "select * from dual lateral view explode(split(name, ',')) as name lateral view outer explode(array(1, 2)) as n"
    )
    out = make(SqlTransform, query=query)
    assert [c.name for c in out.schema(TABLE).columns] == ["id", "name", "n"]
    assert apply(query, batch((7, "a,b"))) == [(7, "a", 1), (7, "a", 2), (7, "b", 1), (7, "b", 2)]


def test_what_explode_makes_stands_where_the_query_selects_it():
    query = "select {} from dual lateral view explode(split(name, ',')) as part lateral view explode(array(7)) as n"
    for items, names, wanted in [
        ("part, id", ["part", "id", "n"], [("a", 1, 7), ("b", 1, 7)]),
        ("n, dual.part as p, id, part", ["n", "p", "id", "part"], [(7, "a", 1, "a"), (7, "b", 1, "b")]),
        ("part as id, n", ["id", "n"], [("a", 7), ("b", 7)]),
    ]:
        made = make(SqlTransform, query=query.format(items))
        assert [c.name for c in made.schema(TABLE).columns] == names
        assert apply(query.format(items), batch((1, "a,b"), (2, None))) == wanted


@pytest.mark.parametrize(
    "query",
    [
        "select upper(part) as p from t lateral view explode(split(name, ',')) as part",
        "select id from t lateral view explode(split(name, ',')) as part where part = 'a'",
    ],
)
def test_what_explode_makes_cannot_be_computed_with_in_the_same_query(query):
    with pytest.raises(ConfigError, match=r"LATERAL VIEW makes 'part' after .*; select part alone, and use it"):
        make(SqlTransform, query=query).schema(TABLE)


def test_explode_leaves_null_elements_out_unless_it_is_outer():
    schema = pa.schema({"a": pa.list_(pa.int32())})
    rows = Batch(pa.record_batch([pa.array([[1, None], [], None], schema.field(0).type)], schema=schema), "t")
    query = "select a from dual lateral view {} explode(a) as a"
    assert apply(query.format(""), rows) == [(1,)]
    assert apply(query.format("outer"), rows) == [(1,), (None,), (None,), (None,)]


def test_kinds_follow_the_rows_that_explode_makes():
    rows = Batch(batch((1, "a,b"), (2, "c")).rows, TABLE.path, pa.array([3, 0], pa.uint8()))
    out = make(SqlTransform, query="select id from t lateral view explode(split(name, ',')) as p").apply(rows, task())
    assert out.kinds.to_pylist() == [3, 3, 0]


@pytest.mark.parametrize(("query", "reason"), [
    ("select id from t lateral view explode(name) as p", "STRING is not an array"),
    ("select id from t lateral view explode(nmae) as p", "did you mean 'name'"),
])  # fmt: skip
def test_explode_takes_arrays_only(query, reason):
    with pytest.raises(ConfigError, match=reason):
        make(SqlTransform, query=query).schema(TABLE)


# ---------------------------------------------------------------------------------------------------- many tables


def test_tables_that_do_not_match_pass_and_single_ones_have_their_own_query():
    transform = make(
        SqlTransform,
        query="select id from t",
        table_match_regex=r"db\..*",
        table_transform=[{"table_path": "db.other", "query": "select name from t where id = 1"}],
    )
    for path, names in (("db.people", ["id"]), ("db.other", ["name"]), ("x.y", ["id", "name"])):
        table = TableSchema.from_arrow(TABLE.arrow, path)
        assert transform.schema(table).names == names
        assert transform.apply(batch(*ROWS, table=table), task()).rows.schema.names == names


def test_a_table_whose_columns_change_is_compiled_anew():
    transform = make(SqlTransform, query="select * from t")
    assert transform.apply(batch(*ROWS), task()).rows.num_columns == 2
    wider = batch(*ROWS).rows.append_column("x", pa.array([1, 2, 3, 4]))
    assert transform.apply(Batch(wider, TABLE.path), task()).rows.num_columns == 3


def test_types_that_only_arrow_has_are_taken_and_pass():
    rows = pa.record_batch(
        {
            "s": pa.array(["a", None], pa.large_string()),
            "d": pa.array(["x", "x"]).dictionary_encode(),
            "u": pa.array([200, None], pa.uint8()),
            "t": pa.array([1_500, None], pa.timestamp("ns")),
            "l": pa.array([["a"], None], pa.large_list(pa.large_string())),
        }
    )
    query = "select s, d, u, t, upper(s) as a, concat(d, '!') as b, u + 100 as c, second(t) as e, l[0] as f from t"
    out = make(SqlTransform, query=query).apply(Batch(rows, "t"), task()).rows
    assert out.schema.types[:4] == rows.schema.types[:4]
    assert [out["a"][0].as_py(), out["b"][1].as_py(), out["c"][0].as_py(), out["e"][0].as_py()] == ["A", "x!", 300, 0]
    assert out["f"].to_pylist() == ["a", None]


@pytest.mark.parametrize("engine", ["ZETA", "zeta", "INTERNAL"])
def test_the_engines_of_seatunnel_are_one(engine):
    assert apply("select id from t where id = 1", batch(*ROWS), engine=engine) == [(1,)]


def test_problems_of_the_query_are_under_its_option():
    with pytest.raises(ConfigError) as raised:
        make(SqlTransform, query="select nmae from t").schema(TABLE)
    assert [(p.place, p.cure) for p in raised.value.problems] == [("query", "did you mean 'name'?")]
