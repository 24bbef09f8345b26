"""Functions with arguments of every type and worth: a result, a bad row, or a plan that says what is wrong."""

import datetime as dt
import itertools
import random
from contextlib import suppress
from decimal import Decimal
from functools import cache

import pyarrow as pa
import pytest

from headrace.errors import ConfigError, Rejected
from headrace.rows import Batch, TableSchema, VectorType, parse_type
from headrace.sql.functions import FUNCTIONS, MOST_CHARACTERS, load_built_in
from headrace.sql.select import CannotCompute, Select
from tests.sql.evaluating import value, values

load_built_in()
COLUMNS = {
    "s": ("string", ["Hello", "", None, "łódź🚰"]),
    "num": ("string", ["1", "2", None, "-7"]),
    "b": ("boolean", [True, False, None, True]),
    "ti": ("tinyint", [1, -128, None, 127]),
    "i": ("int", [1, -(2**31), None, 2**31 - 1]),
    "l": ("bigint", [1, -(2**63), None, 2**63 - 1]),
    "f": ("float", [1.5, float("nan"), None, float("inf")]),
    "d": ("double", [1.5, -1e308, None, -0.0]),
    "dc": ("decimal(10,2)", [Decimal("1.25"), Decimal("-99999999.99"), None, Decimal("0")]),
    "da": ("date", [dt.date(2024, 2, 29), dt.date(1, 1, 1), None, dt.date(9999, 12, 31)]),
    "tm": ("time", [dt.time(0, 0), dt.time(23, 59, 59, 999999), None, dt.time(1, 2, 3)]),
    "ts": ("timestamp", [dt.datetime(2024, 2, 29, 1, 2, 3), dt.datetime(1, 1, 1), None, dt.datetime(9999, 12, 31)]),
    "tz": ("timestamp_tz", [dt.datetime(2024, 2, 29, tzinfo=dt.UTC), None, None, dt.datetime(1, 1, 1, tzinfo=dt.UTC)]),
    "by": ("bytes", [b"abc", b"", None, b"\xff"]),
    "ar": ("array<int>", [[1, 2], [], None, [None]]),
    "texts": ("array<string>", [["a"], [], None, [None, "b"]]),
    "mp": ("map<string, int>", [[("a", 1)], [], None, [("b", None)]]),
    "n": ("null", [None] * 4),
    "rw": ({"a": "int"}, [{"a": 1}, None, {"a": None}, {"a": 2}]),
}
LITERALS = [
    "null", "0", "-1", "3", "2147483648", "9223372036854775807", "1.5", "1e10", "''", "'abc'", "'ł'", "'DAY'", "'i'",
    "'yyyy-MM-dd'", "'UTC+8'", "'('", "'$.a'", "true", "DATE '2024-01-31'", "TIMESTAMP '2024-01-31 10:00:00'",
]  # fmt: skip


def _batch():
    made = {name: pa.array(items, parse_type(dtype)) for name, (dtype, items) in COLUMNS.items()}
    vector = VectorType("float_vector")
    storage = pa.array([[1.0, 2.0], [0.0, 0.0], None, [float("nan"), 1.0]], vector.storage_type)
    made["fv"] = pa.ExtensionArray.from_storage(vector, storage)
    return Batch(pa.RecordBatch.from_pydict(made), "db.t")


BATCH = _batch()
TABLE = TableSchema.from_arrow(BATCH.rows.schema, "db.t")


def _try(sql):
    """Run a query; anything but the two ways to say no is raised."""
    try:
        select = Select(sql, TABLE)
    except ConfigError:
        return
    with suppress(CannotCompute):
        select.run(BATCH).rows.validate(full=True)


@cache
def _type_of(argument):
    return Select(f"select {argument} as it from t", TABLE).output.columns[0].type


def _calls(name):
    """Calls with arguments of all kinds; most with such as the function takes."""
    chosen, function = random.Random(name), FUNCTIONS[name]
    most = function.least + 2 if function.most is None else function.most
    kinds = [*function.kinds(), *[None] * most]
    everything = [*COLUMNS, "fv", *LITERALS]
    fitting = [[a for a in everything if k is None or k.has(_type_of(a))] for k in kinds]
    for round_ in range(16):
        count = chosen.randint(function.least, most)
        yield [chosen.choice(fitting[place] if round_ % 4 else everything) for place in range(count)]


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"EXTRACT", "AT TIME ZONE", "CAST"}))
def test_no_argument_ends_in_anything_but_rows_bad_rows_or_a_refused_plan(name):
    for arguments in _calls(name):
        _try(f"select {name}({', '.join(arguments)}) as it from t")


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "%", "||", "=", "!=", "<", ">="])
def test_operators_take_every_pair_of_values(operator):
    pairs = itertools.product([*COLUMNS, "fv", "null"], repeat=2)
    clause = "where" if operator in ("=", "!=", "<", ">=") else ""
    for left, right in pairs:
        _try(
            f"select i from t where {left} {operator} {right}"
            if clause
            else f"select {left} {operator} {right} as x from t"
        )


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("left('Hello', 2.9)", "He"),
        ("left('Hello', 9223372036854775807)", "Hello"),
        ("substring('Hello', 1.5, 2.5)", "He"),
        ("repeat('ab', 2.9)", "abab"),
        ("round(1.55, 1.9)", 1.6),
        ("char(65.7)", "A"),
        ("left('Hello', null)", None),
        ("concat_ws(1, 'a', 2)", "a12"),
        ("5 % null", None),
        ("from_unixtime(86400.9, 'yyyy-MM-dd', 'UTC')", "1970-01-02"),
    ],
)
def test_counts_may_be_any_number_of_which_the_whole_part_counts(expression, expected):
    assert value(expression) == expected


@pytest.mark.parametrize(
    "condition",
    ["null", "null and true", "NOW() > null", "null = null", "RAND() = null", "array(1) = array(1) and i = 1"],
)
def test_conditions_of_constants_hold_for_every_row_or_none(condition):
    assert Select(f"select i from t where {condition}", TABLE).run(BATCH).num_rows in (0, 1)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("left('a', 'b')", "LEFT takes a number as argument 2, not STRING; write CAST(… AS INT)"),
        ("substring('a', 1, 'b')", "SUBSTRING takes a number as argument 3, not STRING"),
        ("mod(1, 'b')", "MOD takes numbers as argument 2, not STRING"),
        ("date_trunc(DATE '2024-01-01', 1)", "DATE_TRUNC takes text as argument 2, not INT"),
        ("space('x')", "SPACE takes a number, not STRING"),
        ("array(1) < array(2)", "ARRAY<INT> and ARRAY<INT> have no order"),
        ("map(array(1), 2)", "MAP takes plain values, not ARRAY<INT>"),
    ],
)
def test_what_an_argument_must_be_is_said_before_anything_runs(expression, message):
    with pytest.raises(ConfigError) as error:
        value(expression)
    assert message in str(error.value)


@pytest.mark.parametrize("call", ["repeat('ab', {})", "space({})", "lpad('a', {})", "rpad('a', {}, '-')"])
def test_a_text_that_has_no_place_in_memory_is_a_bad_row(call):
    with pytest.raises(CannotCompute, match=f"{MOST_CHARACTERS} are the most"):
        value(call.format(9223372036854775807))
    with pytest.raises(CannotCompute, match=f"{MOST_CHARACTERS} are the most"):
        values(call.format("x"), "bigint", [1, MOST_CHARACTERS + 1])


@pytest.mark.parametrize("expression", ["repeat(x, 100000)", "rpad(x, 500000)", "replace(x, 'a', repeat('b', 100000))"])
def test_texts_of_a_batch_that_would_fill_the_memory_are_refused(expression):
    with pytest.raises(Rejected, match="of text of one batch, and 256 MiB are the most"):
        values(expression, "string", ["aaaaaaaa"] * 1000)
