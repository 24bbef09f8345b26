"""Excel sheets as others write them."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from headrace.errors import BadRow, Rejected
from headrace.formats.file_format import WriteSettings
from headrace.formats.registry import file_format
from tests.formats.reading import read, schema_of, written
from tests.formats.workbooks import CLOCK, DATE, DURATION, STAMP, number, text, workbook

ROW = '<row r="1">{}</row>'


@pytest.mark.parametrize(
    ("value", "double", "shown"),
    [
        ("3.141592653589793", 3.141592653589793, "3.141592653589793"),
        ("1.5E-12", 1.5e-12, "1.5E-12"),
        ("1.2345678901234567E-5", 1.2345678901234567e-05, "1.2345678901234568E-5"),
        ("7", 7.0, "7"),
        ("-0.1", -0.1, "-0.1"),
        ("1e300", 1e300, "1.0E300"),
    ],
)
def test_numbers_have_all_their_digits(value, double, shown):
    book = workbook(ROW.format(number("A1", value) + number("B1", value)))
    assert read("excel", book, schema_of(a="double", b="string")) == [[double, shown]]


@pytest.mark.parametrize(
    ("cell", "dtype", "expected"),
    [
        (number("A1", 0.75, CLOCK), "time", dt.time(18)),
        (number("A1", 0.75, CLOCK), "string", "18:00:00"),
        (number("A1", 1.5, DURATION), "string", "36:00:00"),
        (number("A1", 0.25, DURATION), "time", dt.time(6)),
        (number("A1", 33.5, DURATION), "string", "804:00:00"),
        (number("A1", 45000, DATE), "date", dt.date(2023, 3, 15)),
        (number("A1", 45000, DATE), "timestamp", dt.datetime(2023, 3, 15)),
        (number("A1", 45000.5, STAMP), "timestamp", dt.datetime(2023, 3, 15, 12)),
        (number("A1", 2958465, DATE), "date", dt.date(9999, 12, 31)),
        (number("A1", 0.30000000000000004), "decimal(10, 2)", Decimal("0.30")),
        (number("A1", 5), "bigint", 5),
        (text("A1", "007"), "string", "007"),
        (text("A1", ""), "string", None),
    ],
)
def test_cells_are_what_their_format_says(cell, dtype, expected):
    assert read("excel", workbook(ROW.format(cell)), schema_of(a=dtype)) == [[expected]]


@pytest.mark.parametrize(
    ("cell", "dtype", "reason"),
    [
        (
            number("A1", 1.5, DURATION),
            "time",
            "cannot read the duration 36:00:00 as TIME; declare the column as string",
        ),
        (number("A1", 0.75, CLOCK), "date", "cannot read the time 18:00:00 as DATE; declare the column as time"),
        (number("A1", 45000), "date", "cannot read the number 45000 as DATE; give the cells the format of a date"),
        (number("A1", 1.5), "int", "cannot read '1.5' as INT"),
    ],
)
def test_a_cell_of_another_kind_says_what_to_do(cell, dtype, reason):
    with pytest.raises(BadRow, match=rf"in row 1, column a: {reason}"):
        read("excel", workbook(ROW.format(cell)), schema_of(a=dtype))


def test_empty_first_columns_stay_and_rows_that_are_not_there_are_left_out():
    rows = f'<row r="3">{number("C3", 5)}</row><row r="5"><c r="B5" s="1"/></row><row r="8">{text("B8", "x")}</row>'
    schema = schema_of(a="int", b="string", c="int")
    assert read("excel", workbook(rows), schema) == [[None, None, 5], [None, None, None], [None, "x", None]]
    assert read("excel", workbook(rows), schema, skip_header_row_number=3) == [[None, None, None], [None, "x", None]]


def test_rows_of_nulls_are_written_so_that_they_are_there():
    rows = pa.record_batch({"a": pa.array([1, None, None, 2, None]), "b": pa.array(["x", None, None, "y", None])})
    back = read("excel", written("excel", rows), schema_of(a="bigint", b="string"), skip_header_row_number=1)
    assert back == [[1, "x"], [None, None], [None, None], [2, "y"], [None, None]]


@pytest.mark.parametrize("data", [b"", b"id,name\n1,a\n", b"PK\x03\x04 cut off", workbook("")[:500]])
def test_what_is_not_a_workbook_is_refused_by_name(data):
    with pytest.raises(Rejected, match="books.xlsx is not an Excel file that can be read: .*; save it as xlsx again"):
        read("excel", data, schema_of(a="int"), name="books.xlsx")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a" * 32_767, ""),
        ("a" * 32_768, "has 32,768 characters, and a cell holds 32,767"),
        ("😀" * 16_384, "has 32,768 characters, and a cell holds 32,767"),
        ("a\uffff", "has the character U+FFFF, which no xlsx file can hold"),
        (b"\xff\x00", "the bytes ff00 are not a text in UTF-8"),
        ({"s": "a" * 32_767}, "a cell holds 32,767"),
    ],
    ids=range(6),
)
def test_what_a_cell_cannot_hold_is_refused_with_its_row_and_column(value, reason):
    rows = pa.record_batch({"id": pa.array([1, 2, 3]), "v": pa.array([None, value, None])})
    refused = file_format("excel").refused(rows, WriteSettings())
    assert list(refused) == [1] * bool(reason)
    assert all("column v: " in told and reason in told for told in refused.values())
    if not reason:
        back = read("excel", written("excel", rows), schema_of(id="bigint", v="string"), skip_header_row_number=1)
        assert back == [[1, None], [2, value], [3, None]]
