"""CAST and TRY_CAST."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError
from headrace.sql.select import CannotCompute
from tests.sql.evaluating import evaluate, value, values

MOMENT = dt.datetime(2012, 12, 21, 12, 34, 56, 789000)
CASTS = [
    ("bigint", 1, "STRING", "STRING", "1"),
    ("double", 1.0, "VARCHAR", "STRING", "1.0"),
    ("boolean", True, "string", "STRING", "true"),
    ("timestamp", MOMENT, "string", "STRING", "2012-12-21T12:34:56.789"),
    ("decimal(5, 2)", Decimal("1.50"), "string", "STRING", "1.50"),
    ("bytes", b"ab", "string", "STRING", "ab"),
    ("string", "-12", "tinyint", "TINYINT", -12),
    ("int", 7, "byte", "TINYINT", 7),
    ("string", "+300", "smallint", "SMALLINT", 300),
    ("double", -2.9, "INT", "INT", -2),
    ("decimal(5, 2)", Decimal("2.99"), "integer", "INT", 2),
    ("int", 3, "LONG", "BIGINT", 3),
    ("string", " 1.5e3 ", "float", "FLOAT", 1500.0),
    ("string", "12.4", "double", "DOUBLE", 12.4),
    ("bigint", 3, "double", "DOUBLE", 3.0),
    ("bigint", 1687747869032, "decimal(17,4)", "DECIMAL(17, 4)", Decimal("1687747869032.0000")),
    ("string", "12.4", "DECIMAL(10,2)", "DECIMAL(10, 2)", Decimal("12.40")),
    ("string", "1.231", "decimal(5,2)", "DECIMAL(5, 2)", Decimal("1.24")),
    ("string", "-1.239", "decimal(5,2)", "DECIMAL(5, 2)", Decimal("-1.23")),
    ("decimal(10, 3)", Decimal("1.231"), "decimal(5,2)", "DECIMAL(5, 2)", Decimal("1.24")),
    ("double", 1.235, "decimal(5,2)", "DECIMAL(5, 2)", Decimal("1.24")),
    ("double", 1.231, "decimal(5,2)", "DECIMAL(5, 2)", Decimal("1.23")),
    ("string", "TRUE", "boolean", "BOOLEAN", True),
    ("int", 0, "boolean", "BOOLEAN", False),
    ("double", 1.0, "boolean", "BOOLEAN", True),
    ("timestamp", MOMENT, "DATE", "DATE", MOMENT.date()),
    ("int", 20230625, "date", "DATE", dt.date(2023, 6, 25)),
    ("string", "2023/6/25", "date", "DATE", dt.date(2023, 6, 25)),
    ("timestamp", MOMENT, "TIME", "TIME", MOMENT.time()),
    ("int", 235109, "time", "TIME", dt.time(23, 51, 9)),
    ("string", "23:51", "time", "TIME", dt.time(23, 51)),
    ("bigint", 1687747869032, "timestamp", "TIMESTAMP", dt.datetime(2023, 6, 26, 2, 51, 9, 32000)),
    ("bigint", -1, "datetime", "TIMESTAMP", dt.datetime(1969, 12, 31, 23, 59, 59, 999000)),
    ("string", "2023-06-26 02:51:09", "timestamp", "TIMESTAMP", dt.datetime(2023, 6, 26, 2, 51, 9)),
    ("date", MOMENT.date(), "timestamp", "TIMESTAMP", dt.datetime(2012, 12, 21)),
    ("timestamp", MOMENT, "timestamp_tz", "TIMESTAMP_TZ", MOMENT.replace(tzinfo=dt.UTC)),
    ("timestamp_tz", MOMENT.replace(tzinfo=dt.UTC), "timestamp", "TIMESTAMP", MOMENT),
    ("string", "Joy", "bytes", "BYTES", b"Joy"),
    ("int", 5, "BINARY", "BYTES", b"5"),
]


@pytest.mark.parametrize(("source", "item", "target", "dtype", "expected"), CASTS)
def test_cast_gives_what_seatunnel_gives(source, item, target, dtype, expected):
    for name in ("cast", "try_cast"):
        assert evaluate(f"{name}(x as {target})", {"x": (source, [item, None])}) == (dtype, [expected, None])


@pytest.mark.parametrize(
    ("source", "item", "target"),
    [
        ("string", "12.4", "int"),
        ("string", "0x1F", "int"),
        ("string", "", "bigint"),
        ("string", "300", "tinyint"),
        ("bigint", 2**40, "int"),
        ("double", 1e20, "bigint"),
        ("double", float("nan"), "int"),
        ("string", "x", "double"),
        ("string", "x", "decimal(5,2)"),
        ("string", "12345", "decimal(5,2)"),
        ("string", "yes", "boolean"),
        ("int", 2, "boolean"),
        ("int", 20231301, "date"),
        ("int", 250000, "time"),
        ("string", "soon", "timestamp"),
        ("string", "2024-01-01T00:00:00Z", "timestamp"),
    ],
)
def test_a_value_without_such_a_form_fails_and_try_cast_makes_it_null(source, item, target):
    with pytest.raises(CannotCompute, match=r"cannot compute CAST\(x AS"):
        value(f"cast(x as {target})", x=(source, item))
    assert value(f"try_cast(x as {target})", x=(source, item)) is None


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("date", "int", "DATE cannot become INT"),
        ("boolean", "int", "BOOLEAN cannot become INT"),
        ("array<int>", "bytes", "cannot become BYTES"),
        ("int", "decimal", "precision and scale"),
        ("int", "decimal(99, 2)", "outside 1"),
        ("int", "banana", "unknown type 'banana'"),
        ("time", "timestamp", "TIME cannot become TIMESTAMP"),
    ],
)
def test_types_that_have_nothing_in_common_are_found_before_anything_runs(source, target, reason):
    with pytest.raises(ConfigError, match=reason):
        value(f"cast(x as {target})", x=(source, None))


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.text("0123456789abc-+. ", max_size=5), min_size=1))
def test_try_cast_keeps_what_is_a_number(items):
    texts = [None if item is None else str(item) for item in items]

    def expected(text):
        try:
            return (
                int(text)
                if text.strip(" +-").isdigit() and text[:2] not in ("+-", "-+", "--", "++") and " " not in text
                else None
            )
        except (TypeError, ValueError, AttributeError):
            return None

    assert values("try_cast(x as bigint)", "string", texts) == [expected(text) for text in texts]
