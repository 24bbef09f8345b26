"""Patterns of dates and times, and Java's regular expressions: the edges."""

import datetime as dt

import pyarrow as pa
import pytest

from headrace.sql.patterns import format_column, parse, result_type
from headrace.sql.regexes import compiled, for_arrow

STAMP = dt.datetime(2024, 12, 30, 0, 5, 9, 45000)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("y-M-d H:m:s", "2024-12-30 0:5:9"),
        ("yy/MM/dd", "24/12/30"),
        ("MMMM MMM MMMMM", "December Dec D"),
        ("EEEE, EEE E", "Monday, Mon Mon"),
        ("hh:mm a", "12:05 AM"),
        ("k K h H", "24 0 12 0"),
        ("S SS SSS SSSSSSSSS", "0 04 045 045000000"),
        ("n", "45000000"),
        ("A", "309045"),
        ("DDD Q QQQ e", "365 4 Q4 2"),
        ("yyyy'T'''HH[mm]", "2024T'0005"),
        ("'only text'", "only text"),
        ("G", "AD"),
    ],
)
def test_letters_are_those_of_java(pattern, expected):
    column = pa.array([STAMP, None], pa.timestamp("us"))
    assert format_column(column, pattern).to_pylist() == [expected, None]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("X", "+0530 Z"), ("XXX", "+05:30 Z"), ("xx", "+0530 +0000"), ("Z", "+0530 +0000"), ("x", "+0530 +00")],
)
def test_offsets_are_those_of_the_zone(pattern, expected):
    moment = pa.array([STAMP], pa.timestamp("us", "UTC"))
    there = format_column(moment.cast(pa.timestamp("us", "Asia/Kolkata")), pattern)[0].as_py()
    assert f"{there} {format_column(moment, pattern)[0].as_py()}" == expected


def test_a_value_cannot_show_what_it_has_not():
    for column, pattern in (
        (pa.array([STAMP.date()]), "HH"),
        (pa.array([STAMP.time()]), "yyyy"),
        (pa.array([STAMP]), "X"),
    ):
        with pytest.raises(ValueError, match="the value has no|needs a time zone"):
            format_column(column, pattern)


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("2021-02-30", "yyyy-MM-dd", dt.date(2021, 2, 28)),
        ("24/1/5", "yy/M/d", dt.date(2024, 1, 5)),
        ("5 Jan 2024", "d MMM yyyy", dt.date(2024, 1, 5)),
        ("2024060", "yyyyDDD", dt.date(2024, 2, 29)),
        ("12:05 AM", "hh:mm a", dt.time(0, 5)),
        ("24:05", "kk:mm", dt.time(0, 5)),
        ("2024-01-02 03:04", "yyyy-MM-dd HH:mm[:ss]", dt.datetime(2024, 1, 2, 3, 4)),
        ("2024-01-02 03:04:05", "yyyy-MM-dd HH:mm[:ss]", dt.datetime(2024, 1, 2, 3, 4, 5)),
        ("20240102030405123", "yyyyMMddHHmmssSSS", dt.datetime(2024, 1, 2, 3, 4, 5, 123000)),
        ("00:05:09.045", "HH:mm:ss.SSS", dt.time(0, 5, 9, 45000)),
    ],
)
def test_texts_are_read_as_java_reads_them(text, pattern, expected):
    assert parse(text, pattern, result_type(pattern)) == expected


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("2021-02-32", "yyyy-MM-dd"),
        ("2021-13-01", "yyyy-MM-dd"),
        ("2021-1-1", "yyyy-MM-dd"),
        ("25:00", "HH:mm"),
        ("2023366", "yyyyDDD"),
        ("x", "yyyy"),
    ],
)
def test_other_texts_are_not_of_the_form(text, pattern):
    with pytest.raises(ValueError, match="is not of the form"):
        parse(text, pattern, result_type(pattern))


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"\d+", "a12٣", "12"),
        (r"[\w.]+", "é a.b", "a.b"),
        (r"\p{Upper}\p{Lower}+", "x Ab", "Ab"),
        (r"\P{Alpha}", "ab1", "1"),
        (r"\p{IsHan}+", "a東京b", "東京"),
        (r"\Qa.b\E+", "axb a.bb", "a.bb"),
        (r"(?<word>b+)\k<word>", "abbbb", "bbbb"),
        (r"a\Z", "a\n", "a"),
        (r"x\R", "x\r\n", "x\r\n"),
        (r"a++b", "aab", "aab"),
    ],
)
def test_java_writes_some_expressions_in_its_own_way(pattern, text, found):
    assert compiled(pattern).search(text)[0] == found


@pytest.mark.parametrize("pattern", [r"\p{Klingon}", "("])
def test_expressions_that_cannot_be_read_are_named(pattern):
    with pytest.raises(ValueError, match="is not a regular expression"):
        compiled(pattern)


@pytest.mark.parametrize(
    ("pattern", "flags", "text", "found"),
    [
        ("a.b", None, "a\nb", False),
        ("a.b", "n", "a\nb", True),
        ("^b$", None, "a\nb\nc", False),
        ("^b$", "m", "a\nb\nc", True),
        ("AB", "ic", "ab", False),
        ("AB", "ci", "ab", True),
    ],
)
def test_letters_are_flags(pattern, flags, text, found):
    assert (compiled(pattern, flags).search(text) is not None) is found


@pytest.mark.parametrize("pattern", [r"[\w-\.]+", "[a-z&&[^b]]", "[a[bc]]", r"\p{L}", "(?i)a", "a++", "^a", "a*"])
def test_what_arrow_would_read_otherwise_is_left_to_python(pattern):
    compiled(pattern)
    assert for_arrow(pattern, None) is None
