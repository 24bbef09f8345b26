"""The SELECT: names of columns, paths into nested ones, and what is refused."""

import pyarrow as pa
import pytest

from headrace.errors import ConfigError
from headrace.rows import TableSchema
from headrace.sql.grammar import parse_query
from headrace.sql.select import Select
from tests.sql.evaluating import evaluate, value

NESTED = {
    "r": ('{x = {z = int, mm = "map<string, string>"}, Y = string}', [{"x": {"z": 9, "mm": [("q", "w")]}, "Y": "y"}]),
    "m": ("map<string, int>", [[("k", 5), ("a b", 6)]]),
    "n": ("map<int, string>", [[(1, "one")]]),
    "a": ("array<string>", [["first", "second"]]),
    "Id": ("int", [3]),
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("r.x.z", 9),
        ("R.X.Z", 9),
        ("r.y", "y"),
        ("`r`.`Y`", "y"),
        ("r.x.mm.q", "w"),
        ("m.k", 5),
        ("m.`a b`", 6),
        ("m['a b']", 6),
        ("m.nothing", None),
        ("n.`1`", "one"),
        ("n[1]", "one"),
        ("a[0]", "first"),
        ("a[1]", "second"),
        ("id", 3),
        ("ID", 3),
        ("t.id", 3),
        ("dual.Id", 3),
        ("db.t.id", 3),
        ("other.id", 3),
        ('"Id"', 3),
        ("t.r.x.z", 9),
    ],
)
def test_paths_lead_into_rows_maps_and_arrays(path, expected):
    assert evaluate(path, NESTED)[1] == [expected]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("idd", "db.t has no column 'idd'; did you mean 'Id'"),
        ("zzz", "its columns are r, m, n, a, Id"),
        ("r.q", "r has no field 'q'; its fields are x, Y"),
        ("r.x.z.w", "r.x.z is INT, and has no field 'w'"),
        ("m.k.l", "nothing can follow"),
        ("n.one", "'one' is not an INT"),
        ("a['x']", r"array\[0\]"),
        ("a[-1]", r"array\[0\]"),
        ("nothing.there", "no column 'nothing'"),
    ],
)
def test_a_path_that_leads_nowhere_names_what_there_is(path, reason):
    with pytest.raises(ConfigError, match=reason):
        evaluate(path, NESTED)


def test_rows_and_maps_that_are_null_have_null_fields():
    columns = {name: (dtype, [*items, None]) for name, (dtype, items) in NESTED.items()}
    assert evaluate("r.x.z", columns)[1] == [9, None]
    assert evaluate("m.k", columns)[1] == [5, None]


@pytest.mark.parametrize(
    ("item", "name"),
    [
        ("id", "id"),
        ("ID", "ID"),
        ("`Id`", "Id"),
        ("t.id", "id"),
        ("r.x.z", "z"),
        ("id as a", "a"),
        ("id b", "b"),
        ("id as `c d`", "c d"),
        ('id as "Q"', "Q"),
        ("concat(  id,'x' )", "concat(id, 'x')"),
        ("id+1", "id + 1"),
        ("-id", "-id"),
        ("1 - -id", "1 - -id"),
        ("(id+ 1)*2", "(id + 1) * 2"),
        ("cast(id as int)", "CAST(id AS int)"),
        ("'it''s'", "'it''s'"),
        ("case when id=1 then 'a' else 'b' end", "CASE WHEN id = 1 THEN 'a' ELSE 'b' END"),
        ("id is not null", "id IS NOT NULL"),
        ("id in(1,2)", "id IN (1, 2)"),
        ("upper(`Id`)", "upper(`Id`)"),
        ("current_date", "current_date"),
        ("case when id in (1, 2) then 'a, from' else 'b' end as x", "x"),
    ],
)
def test_a_column_without_a_name_is_named_by_its_text(item, name):
    schema = pa.schema({"Id": pa.int32(), "r": pa.struct({"x": pa.struct({"z": pa.int32()})})})
    select = Select(f"select {item}, 1 as one from dual;", TableSchema.from_arrow(schema, "db.t"))
    assert select.output.names == [name, "one"]


def test_texts_keep_their_quotes_and_backslashes():
    assert value(r"'a\d'''") == r"a\d'"


REFUSED = [
    ("select a from t join u on t.a = u.a", "JOIN is not part .* join in the source's own query"),
    ("select a from t, u", "JOIN"),
    ("select a from t group by a", "GROUP BY .* rows pass one by one"),
    ("select distinct a from t", "DISTINCT .* primary key"),
    ("select a from t order by a", "ORDER BY .* sort in the target"),
    ("select a from t limit 5", "LIMIT .* in the source"),
    ("select a from t limit 5 offset 1", "OFFSET"),
    ("select a from t having a > 1", "HAVING"),
    ("with x as (select 1) select a from x", "WITH"),
    ("select a from t union all select a from u", "only one SELECT .* two pipelines"),
    ("select a from t; select b from t", "only one SELECT"),
    ("insert into t values (1)", "only one SELECT"),
    ("select a from (select a from t) x", "query within the query"),
    ("select a from t where a in (select b from u)", "query within"),
    ("select (select 1) as x from t", "query within"),
    ("select sum(a) over (partition by a) from t", "window"),
    ("select a from db.t", "no database here: db.t; write FROM t"),
    ("select a from t x", "no other name here: x; write FROM t"),
    ("select a", "expected FROM after the select list; name the input"),
    ("select trim(both 'a' from s) from t", r"TRIM\(BOTH … FROM …\) is not part .* write TRIM\(text, 'x'\)"),
    ("select a, from t", "empty item"),
    ("select from t", "empty item"),
    ("select a frm t", "expected FROM after the select list; FRM is not FROM"),
    ("select 'a from t", "cannot read the SQL"),
    ("", "only one SELECT"),
    ("select a from t where", "cannot read the SQL: something is missing, at .*needs backquotes"),
    ("select all from t", "cannot read the select list: all; a column .* needs backquotes"),
    ("select * from t lateral view posexplode(a) x as b", r"takes EXPLODE\(array\) only"),
    ("select * from t lateral view explode(a)", "needs a name"),
]


@pytest.mark.parametrize(("query", "reason"), REFUSED)
def test_what_seatunnel_refuses_or_ignores_is_refused_with_what_to_do(query, reason):
    with pytest.raises(ConfigError, match=reason) as raised:
        parse_query(query)
    assert all(problem.place == "query" for problem in raised.value.problems)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("select not a = 1 from t", "NOT before a condition .* write the opposite"),
        ("select count(*) from t", "COUNT is not part .* rows pass one by one"),
        ("select a is true from t", "only IS NULL"),
        ("select a ilike 'x' from t", "is not part"),
        ("select a, a from t", "several columns are named 'a'; give them different names with AS"),
        ("select *, a from t", "several columns"),
        ("select a from t where a", "a is INT, not a condition"),
        ("select a in () from t", "IN takes a list|cannot read"),
        ("select t.* from t", "'t.\\*' is not part"),
    ],
)
def test_expressions_that_cannot_be_run_are_refused(query, reason):
    with pytest.raises(ConfigError, match=reason):
        Select(query, TableSchema.from_arrow(pa.schema({"a": pa.int32()}), "t"))


def test_all_problems_of_a_query_are_named_at_once():
    with pytest.raises(ConfigError) as raised:
        Select("select b, upperr(a), a from t where c > 1", TableSchema.from_arrow(pa.schema({"a": pa.int32()}), "t"))
    assert len(raised.value.problems) == 3
    with pytest.raises(ConfigError) as raised:
        parse_query("select distinct a from t order by a limit 5")
    assert len(raised.value.problems) == 3
