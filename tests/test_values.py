from datetime import date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.rows import parse_type, type_name
from headrace.values import parse_date, parse_duration, parse_timestamp, parse_value, parse_values


@pytest.mark.parametrize("text", ["2024-01-31", "2024/01/31", "2024.01.31", "2024年01月31日", "20240131", "2024/1/31"])
def test_recognises_dates_by_their_shape(text):
    assert parse_date(text) == date(2024, 1, 31)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2024-01-31 10:11:12", 0),
        ("2024-01-31T10:11:12.5", 500_000),
        ("2024/01/31 10:11:12.123456000", 123_456),
        ("2024.01.31 10:11:12", 0),
        ("20240131101112", 0),
        ("20240131101112123", 123_000),
        ("2024年01月31日 10时11分12秒", 0),
    ],
)
def test_recognises_timestamps_by_their_shape(text, micros):
    assert parse_timestamp(text) == datetime(2024, 1, 31, 10, 11, 12, micros)


def test_a_zone_is_kept_or_refused_never_dropped():
    zoned = parse_value("2024-01-31 10:00:00+08:00", parse_type("timestamp_tz"))
    assert zoned.isoformat() == "2024-01-31T02:00:00+00:00"
    with pytest.raises(ValueError, match="use the type timestamp_tz"):
        parse_value("2024-01-31 10:00:00+08:00", parse_type("timestamp"))


@pytest.mark.parametrize(
    ("value", "dtype", "reason"),
    [
        (300, "tinyint", "outside -128 … 127"),
        ("1.5", "int", "cannot read '1.5' as INT"),
        ("1.234", "decimal(3, 2)", "more than 2 digits after the point"),
        ("123.4", "decimal(3, 1)", "more than 3 digits"),
        (1e39, "float", "too large"),
        ("2024-01-01 00:00:00.1234567", "timestamp", "finer than a microsecond"),
        ("maybe", "boolean", "cannot read 'maybe' as BOOLEAN"),
        ("2024-02-30", "date", "cannot read '2024-02-30' as DATE"),
        ("?", "bytes", "as BYTES"),
        ("{k = }", "map<string, int>", "cannot read '' as INT"),
        ("{k}", "map<string, int>", "as MAP<STRING, INT>"),
        ([1, 2], "{a = int}", "as ROW<a INT>"),
        (5, "array<int>", "as ARRAY<INT>"),
    ],
)
def test_nothing_is_silently_narrowed(value, dtype, reason):
    with pytest.raises(ValueError, match="cannot read") as error:
        parse_value(value, parse_type(dtype))
    assert reason in str(error.value)


def test_what_an_object_holds_beside_the_fields_of_a_row_is_ignored_as_in_seatunnel():
    assert parse_value({"z": 1, "a": 2}, parse_type("{a = int}")) == {"a": 2}


@pytest.mark.parametrize(
    ("text", "dtype", "pairs"),
    [
        ("{ 12:01:26 = v0 }", "map<time, string>", [(time(12, 1, 26), "v0")]),
        ("{a=1, b=2}", "map<string, int>", [("a", 1), ("b", 2)]),
        ("{a={x=1, y=2}, b={}}", "map<string, map<string, int>>", [("a", [("x", 1), ("y", 2)]), ("b", [])]),
        ("{}", "map<string, int>", []),
    ],
)
def test_reads_maps_as_java_prints_them(text, dtype, pairs):
    assert parse_value(text, parse_type(dtype)) == pairs


def test_reads_nested_values_as_objects_lists_or_json():
    dtype = parse_type("{a = int, b = array<map<string, decimal(4,1)>>}")
    expected = {"a": 1, "b": [[("k", Decimal("2.5"))]]}
    for value in ({"a": 1, "b": [{"k": "2.5"}]}, [1, [{"k": 2.5}]], '{"a": "1", "b": [{"k": 2.5}]}'):
        assert parse_values([value], dtype).to_pylist() == [expected]


@pytest.mark.parametrize("name", ["float_vector", "float16_vector", "bfloat16_vector", "binary_vector"])
def test_reads_vectors(name):
    found = parse_values([[1, 2], None], parse_type(name))
    assert type_name(found.type) == name.upper()
    assert found.null_count == 1


@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 1, 1)))
def test_every_timestamp_comes_back_from_its_text(value):
    assert parse_timestamp(value.isoformat()) == value
    assert parse_timestamp(value.isoformat(sep=" ")) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**30), max_value=10**30))
def test_every_decimal_comes_back_from_its_text(value):
    assert parse_value(str(value), pa.decimal128(38, 6)) == value


@given(st.text(max_size=30), st.sampled_from(["int", "double", "date", "timestamp", "time", "boolean", "decimal(9,3)"]))
def test_any_text_is_a_value_or_a_clear_error(text, dtype):
    try:
        parse_value(text, parse_type(dtype))
    except ValueError as error:
        assert str(error).startswith("cannot read")


def test_times_print_as_they_are_read():
    assert parse_value("10:11:12.5", parse_type("time")) == time(10, 11, 12, 500_000)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500MS", 0.5),
        ("10s", 10),
        ("5M", 300),
        ("12h", 43_200),
        ("7D", 604_800),
        ("PT1H30M", 5400),
        ("P1DT0.5S", 86_400.5),
    ],
)
def test_reads_durations(text, seconds):
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "10", "P1M", "PT7D", "-1S", "PT", "P", "1Y"])
def test_refuses_what_is_no_duration(text):
    with pytest.raises(ValueError, match=r"as a duration: it is written 500MS, 10S, 5M, 12H, 7D or PT1H30M"):
        parse_duration(text)
