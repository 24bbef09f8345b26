"""WHERE and CASE: comparisons, null, IN, LIKE, and what is evaluated at all."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError
from headrace.rows import Batch, TableSchema
from headrace.sql import functions
from headrace.sql.select import CannotCompute, Select
from tests.sql.evaluating import evaluate, value, values


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("x = 1", [True, False, False]),
        ("x != 1", [False, True, True]),
        ("x <> null", [True, True, False]),
        ("x = null", [False, False, False]),
        ("x > 1", [False, True, False]),
        ("x >= 1.0", [True, True, False]),
        ("2 > x", [True, False, False]),
        ("x is null", [False, False, True]),
        ("x is not null", [True, True, False]),
        ("x in (1, 3)", [True, False, False]),
        ("x not in (1, 3)", [False, True, False]),
        ("x in (null, 2)", [False, True, True]),
        ("x in (2.0)", [False, True, False]),
        ("x in (y, 7)", [True, False, False]),
        ("x between 1 and 1", [True, False, False]),
        ("x not between 1 and 1", [False, True, False]),
        ("x = 1 or x is null and x != 5", [True, False, True]),
        ("(x = 1 or x is null) and x = 1", [True, False, False]),
        ("x = '1'", [False, False, False]),
        ("x != '1'", [True, True, True]),
        ("true", [True, True, True]),
    ],
)
def test_null_is_unlike_every_value(condition, expected):
    columns = {"x": ("int", [1, 2, None]), "y": ("bigint", [1, None, None])}
    assert evaluate(condition, columns) == ("BOOLEAN", expected)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("x like 'H%'", True),
        ("x like '%o_W%'", True),
        ("x like 'hello%'", False),
        ("x like 'Hello World'", True),
        ("x like 'Hello'", False),
        ("x not like '%x%'", True),
        ("n like '%'", False),
        ("n not like '%'", False),
        ("x like n", False),
        ("x like concat('%', right(x, 1))", True),
        ("12 like '1_'", True),
        ("'a.c' like 'a.c' and 'abc' not like 'a.c'", True),
    ],
)
def test_like_knows_two_wildcards(condition, expected):
    assert value(condition, x=("string", "Hello World"), n=("string", None)) is expected


@pytest.mark.parametrize(
    "condition",
    [
        "t > '2021-04-08 00:00:00'",
        "t > '2021-04-08'",
        "t < '2021-04-09'",
        "y = '2021-04-08'",
        "t >= y",
        "c < '14:00'",
        "y in ('2021-04-08')",
        "z > t",
        "t between y and now()",
    ],
)
def test_dates_and_times_are_compared_with_texts_of_the_query(condition):
    noon = dt.datetime(2021, 4, 8, 13)
    columns = {"t": ("timestamp", noon), "y": ("date", noon.date()), "c": ("time", noon.time())}
    assert value(condition, **columns, z=("timestamp_tz", noon.replace(hour=14, tzinfo=dt.UTC))) is True


def test_decimals_are_compared_exactly():
    assert (
        value("x = 12.34 and x > 12 and x in (12.34)", x=("decimal(10, 2)", "12.34") and ("decimal(10, 2)", None))
        is False
    )
    assert value("x = 12.34 and x > 12 and x in (12.34)", x=("decimal(10, 2)", Decimal("12.34"))) is True


@pytest.mark.parametrize("condition", ["x > 'a'", "x between '1' and '2'", "a > 1", "b < 1"])
def test_what_has_no_order_cannot_be_ordered(condition):
    with pytest.raises(ConfigError, match="have no order.*CAST"):
        value(condition, x=("int", 1), a=("array<int>", [1]), b=("boolean", True))


def test_nested_values_are_equal_when_all_of_them_is():
    assert values("x = array(1, 2)", "array<int>", [[1, 2], [2], None]) == [True, False, False]


@given(st.lists(st.none() | st.integers(-5, 5), min_size=1), st.lists(st.integers(-5, 5), min_size=1))
def test_in_is_a_chain_of_equals(items, known):
    listed = ", ".join(map(str, known))
    assert values(f"x in ({listed})", "int", items) == [item in known for item in items]


# ------------------------------------------------------------------------------------------- what is evaluated at all


def test_a_branch_that_is_not_taken_cannot_fail():
    assert values("case when x = 0 then -1 else 10 / x end", "int", [0, 5, None]) == [-1, 2, None]
    assert values("case x when 0 then 0 when 5 then 10 / x end", "int", [0, 5]) == [0, 2]
    assert values("coalesce(x, 1 / 0)", "int", [1, 2]) == [1, 2]
    assert values("ifnull(x, cast('a' as int))", "int", [3]) == [3]
    assert values("multi_if(x = 0, 0, 10 / x)", "int", [0, 2]) == [0, 5]
    assert values("x != 0 and 10 / x > 1", "int", [0, 5, 10]) == [False, True, False]
    assert values("x = 0 or 10 / x > 1", "int", [0, 5, 10]) == [True, True, False]
    with pytest.raises(CannotCompute):
        values("case when x = 0 then -1 else 10 / (x - 5) end", "int", [0, 5])


@given(st.lists(st.none() | st.integers(-3, 3), min_size=1))
def test_case_takes_the_first_branch_that_holds_however_it_is_evaluated(items):
    def expected(x, on_zero):
        return "none" if x is None else "low" if x < 0 else on_zero if x == 0 else None

    safe = "case when x is null then 'none' when x < 0 then 'low' when x = 0 then 'zero' end"
    assert values(safe, "int", items) == [expected(x, "zero") for x in items]
    fails = "case when x is null then 'none' when x < 0 then 'low' when x = 0 then cast(1 / (1 + x) as string) end"
    assert values(fails, "int", items) == [expected(x, "1") for x in items]


def test_values_of_a_case_have_their_widest_type():
    assert evaluate("case when true then 1 else 2.5 end") == ("DOUBLE", [1.0])
    assert evaluate("case when false then 1 else cast(2 as decimal(5,1)) end")[0] == "DECIMAL(5, 1)"
    assert evaluate("case when true then null else 'x' end") == ("STRING", [None])
    with pytest.raises(ConfigError, match="different types: INT, STRING"):
        evaluate("case when true then 1 else 'x' end")


def test_a_condition_can_be_a_column_and_nothing_but_a_condition_can_be_one():
    assert values("case when x then 1 else 0 end", "boolean", [True, False, None]) == [1, 0, 0]
    with pytest.raises(ConfigError, match="x is INT, not a condition"):
        value("case when x then 1 end", x=("int", 1))


def test_what_stands_twice_in_a_query_is_computed_once(monkeypatch):
    calls = []
    upper = functions.find("UPPER")
    monkeypatch.setitem(
        functions.FUNCTIONS,
        "UPPER",
        functions.Function("UPPER", upper.result, lambda t, rows: calls.append(1) or t, 1, 1),
    )
    rows = pa.RecordBatch.from_pydict({"x": ["a"]})
    select = Select(
        "select upper(x) as a, concat(upper(x), '!') as b from t where true", TableSchema.from_arrow(rows.schema)
    )
    assert select.run(Batch(rows)).rows.to_pylist() == [{"a": "a", "b": "a!"}]
    assert len(calls) == 1
