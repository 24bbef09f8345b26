"""Numbers, texts and dates by the thousand: the columnar kernels do what plain Python does row by row."""

import calendar
import datetime as dt
import math
import re
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sql.evaluating import evaluate, values

settings.register_profile("no deadline", deadline=None)  # a busy machine is not a wrong result
settings.load_profile("no deadline")

INTS = st.lists(st.none() | st.integers(-(2**30), 2**30), min_size=1)
DOUBLES = st.lists(st.none() | st.floats(-1e12, 1e12, allow_subnormal=False), min_size=1)
TEXTS = st.lists(st.none() | st.text("abcdeXYZ äß🚰,.*", max_size=12), min_size=1)
STAMPS = st.lists(st.none() | st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9990, 1, 1)), min_size=1)
DATES = st.lists(st.none() | st.dates(dt.date(1, 1, 1), dt.date(9990, 1, 1)), min_size=1)


def by_row(function, items):
    return [None if item is None else function(item) for item in items]


@given(DOUBLES, st.integers(0, 6))
@pytest.mark.parametrize(("name", "rounding"), [("round", ROUND_HALF_UP), ("trunc", ROUND_DOWN)])
def test_rounding_goes_by_the_decimal_digits(name, rounding, items, digits):
    def expected(number):
        return float(Decimal(repr(number)).quantize(Decimal(1).scaleb(-digits), rounding))

    assert values(f"{name}(x, {digits})", "double", items) == by_row(expected, items)


@given(st.lists(st.integers(-9999, 9999), min_size=1))
def test_halves_are_rounded_away_from_zero_though_no_double_is_exact(items):
    halves = [number / 1000 for number in items]
    expected = [float(Decimal(repr(h)).quantize(Decimal("0.01"), ROUND_HALF_UP)) for h in halves]
    assert values("round(x, 2)", "double", halves) == expected


@given(INTS, st.integers(-50, 50).filter(bool))
def test_whole_numbers_are_divided_toward_zero(items, by):
    assert values(f"x / {by}", "int", items) == by_row(lambda n: int(Decimal(n) / by), items)
    assert values(f"x % {by}", "int", items) == by_row(lambda n: int(math.fmod(n, by)), items)
    assert values(f"mod(x, {by})", "int", items) == by_row(lambda n: int(math.fmod(n, by)), items)


@given(DOUBLES, st.floats(-1e6, 1e6).filter(bool))
def test_rests_of_doubles_have_the_sign_of_the_dividend(items, by):
    assert values(f"x % {by!r}", "double", items) == by_row(lambda n: math.fmod(n, by), items)


@given(st.lists(st.tuples(*[st.decimals(-99999, 99999, places=2)] * 2), min_size=1))
def test_sums_and_products_of_decimals_are_exact_up_to_the_scale(pairs):
    columns = {"x": ("decimal(20, 2)", [a for a, _ in pairs]), "y": ("decimal(20, 2)", [b for _, b in pairs])}
    cent = Decimal("0.01")
    assert evaluate("x + y", columns)[1] == [a + b for a, b in pairs]
    assert evaluate("x * y", columns)[1] == [(a * b).quantize(cent, ROUND_HALF_UP) for a, b in pairs]


@given(DOUBLES)
def test_ceiling_and_floor_are_whole_numbers(items):
    small = [None if item is None else item / 1e4 for item in items]
    assert values("ceil(x)", "double", small) == by_row(math.ceil, small)
    assert values("floor(x)", "double", small) == by_row(math.floor, small)


# ----------------------------------------------------------------------------------------------------------- texts


@given(TEXTS, st.integers(-14, 14), st.integers(-2, 14))
def test_substr_counts_from_one_and_from_the_end(items, start, length):
    def expected(text):
        begin = len(text) + start + 1 if start < 0 else start or 1
        places = range(max(begin, 1), min(begin + length, len(text) + 1))
        return "".join(text[place - 1] for place in places) or None

    assert values(f"substr(x, {start}, {length})", "string", items) == by_row(expected, items)


@given(TEXTS, st.integers(0, 14))
def test_left_right_and_padding_make_texts_of_a_length(items, size):
    assert values(f"left(x, {size})", "string", items) == by_row(lambda t: t[:size], items)
    assert values(f"right(x, {size})", "string", items) == by_row(
        lambda t: t[len(t) - size :] if size < len(t) else t, items
    )
    assert values(f"lpad(x, {size}, '*')", "string", items) == by_row(lambda t: t[:size].rjust(size, "*"), items)
    assert values(f"rpad(x, {size})", "string", items) == by_row(lambda t: t[:size].ljust(size), items)


@given(TEXTS)
def test_texts_are_cased_trimmed_found_and_replaced_as_python_does(items):
    assert values("upper(x)", "string", items) == by_row(str.upper, items)
    assert values("lower(x)", "string", items) == by_row(str.lower, items)
    assert values("trim(x)", "string", items) == by_row(lambda t: t.strip(" "), items)
    assert values("replace(x, 'a', 'bb')", "string", items) == by_row(lambda t: t.replace("a", "bb"), items)
    assert values("locate('b', x)", "string", items) == [0 if t is None else t.find("b") + 1 for t in items]
    assert values("length(x)", "string", items) == by_row(len, items)


@given(st.lists(st.tuples(*[st.none() | st.text("ab", max_size=3)] * 3), min_size=1))
def test_nulls_are_left_out_where_texts_are_joined(rows):
    columns = {name: ("string", [row[i] for row in rows]) for i, name in enumerate("xyz")}
    assert evaluate("concat(x, y, z)", columns)[1] == ["".join(t for t in row if t is not None) for row in rows]
    assert evaluate("concat_ws('-', x, y, z)", columns)[1] == [
        "-".join(t for t in row if t is not None) for row in rows
    ]
    assert evaluate("x || y", columns)[1] == ["".join(t for t in row[:2] if t is not None) for row in rows]


@given(TEXTS, st.sampled_from(["[a-c]+", "(a|b)X", r"\w+", r"\s", r"[^a]", "a*", r"\bX", "^a", "X$", "ä|ß", r"\d"]))
def test_both_engines_of_regular_expressions_find_the_same(items, pattern):
    java = re.compile(pattern.replace(r"\w", "[a-zA-Z0-9_]").replace(r"\d", "[0-9]"))
    assert values(f"regexp_replace(x, '{pattern}', '#')", "string", items) == by_row(lambda t: java.sub("#", t), items)
    assert values(f"regexp_like(x, '{pattern}')", "string", items) == by_row(lambda t: bool(java.search(t)), items)


# ----------------------------------------------------------------------------------------------------------- times


@given(STAMPS)
def test_fields_of_a_timestamp_are_those_of_the_calendar(items):
    for name, field in (
        ("year", "year"),
        ("month", "month"),
        ("day_of_month", "day"),
        ("hour", "hour"),
        ("second", "second"),
    ):
        assert values(f"{name}(x)", "timestamp", items) == by_row(lambda t, field=field: getattr(t, field), items)
    assert values("day_of_week(x)", "timestamp", items) == by_row(dt.datetime.isoweekday, items)
    assert values("dayname(x)", "timestamp", items) == by_row(lambda t: calendar.day_name[t.weekday()], items)
    assert values("week(x)", "timestamp", items) == by_row(
        lambda t: (int(t.strftime("%j")) - t.isoweekday() + 10) // 7 + 1, items
    )
    assert values("extract(isoyear from x)", "timestamp", items) == by_row(lambda t: t.isocalendar().year, items)
    assert values("extract(century from x)", "timestamp", items) == by_row(lambda t: (t.year + 99) // 100, items)


@given(STAMPS)
def test_formats_are_those_of_strftime(items):
    def expected(t):
        return f"{t.year:04d}" + t.strftime("/%m/%d %H:%M:%S.%f %b %A %j %I %p")

    made = values("formatdatetime(x, 'yyyy/MM/dd HH:mm:ss.SSSSSS MMM EEEE DDD hh a')", "timestamp", items)
    assert made == by_row(expected, items)


@given(st.lists(st.datetimes(dt.datetime(1000, 1, 1), dt.datetime(9990, 1, 1)), min_size=1))
@pytest.mark.parametrize("pattern", ["yyyy-MM-dd HH:mm:ss.SSSSSS", "yyyyMMddHHmmssSSSSSS", "d MMM yyyy h:m:s a S'µ's"])
def test_what_was_formatted_is_parsed_again(pattern, items):
    quoted = pattern.replace("'", "''")
    stamps = [t.replace(microsecond=t.microsecond // 100_000 * 100_000) for t in items]
    assert values(f"to_date(formatdatetime(x, '{quoted}'), '{quoted}')", "timestamp", stamps) == stamps


@given(DATES, st.integers(-500, 500))
def test_months_are_added_as_on_a_calendar(items, count):
    def expected(day):
        months = day.year * 12 + day.month - 1 + count
        year, month = divmod(months, 12)
        return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))

    known = [day for day in items if day is None or 100 < day.year < 9900]
    if known:
        assert values(f"dateadd(x, {count}, 'MONTH')", "date", known) == by_row(expected, known)


@given(st.lists(st.tuples(*[st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1))] * 2), min_size=1))
def test_differences_count_whole_units(pairs):
    columns = {"x": ("date", [a for a, _ in pairs]), "y": ("date", [b for _, b in pairs])}

    def months(a, b):
        total = (b.year - a.year) * 12 + b.month - a.month
        return total - (total > 0 and b.day < a.day) + (total < 0 and b.day > a.day)

    assert evaluate("datediff(x, y)", columns)[1] == [(b - a).days for a, b in pairs]
    assert evaluate("datediff(x, y, 'MONTH')", columns)[1] == [months(a, b) for a, b in pairs]
    assert evaluate("datediff(x, y, 'YEAR')", columns)[1] == [int(months(a, b) / 12) for a, b in pairs]
    assert evaluate("datediff(x, y, 'WEEK')", columns)[1] == [int((b - a).days / 7) for a, b in pairs]
