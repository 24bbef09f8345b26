"""Cells of Excel sheets: numbers, texts, dates, times and durations → values; and which rows a sheet has."""

import io
import posixpath
import re
import zipfile
from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa

from headrace.formats.cells import parse_text_cell
from headrace.formats.file_format import ReadSettings
from headrace.javatext import java_double
from headrace.rows import type_name
from headrace.values import parse_value

EXACT = 10**16
"""Whole numbers below it are printed without a point, as Excel shows them."""
_DAY = timedelta(days=1)
_MIDNIGHT = datetime(2000, 1, 1)  # noqa: DTZ001  only its time of day counts
_ROW = re.compile(rb"<(?:\w+:)?row\b([^>]*)>")
_NUMBER = re.compile(rb"\br=[\"'](\d+)[\"']")


def value_of(cell: Any, dtype: pa.DataType, settings: ReadSettings) -> Any:
    """A cell as the Python object that Arrow takes for `dtype`; an empty one is null. Raises ValueError.

    cell: bool, int, float, str, date, datetime, time or timedelta, as the number format of the cell says.
    """
    if isinstance(cell, str):
        return parse_text_cell(cell, dtype, settings)
    if isinstance(cell, float) and pa.types.is_floating(dtype):
        return parse_value(cell, dtype)
    if isinstance(cell, float) and pa.types.is_decimal(dtype):
        return _decimal(cell, dtype)
    if isinstance(cell, timedelta) and not pa.types.is_string(dtype):
        if pa.types.is_time(dtype) and timedelta(0) <= cell < _DAY:
            return (_MIDNIGHT + cell).time()
        raise ValueError(
            f"cannot read the duration {text_of(cell)} as {type_name(dtype)}; declare the column as string"
        )
    if isinstance(cell, time) and not (pa.types.is_string(dtype) or pa.types.is_time(dtype)):
        raise ValueError(f"cannot read the time {text_of(cell)} as {type_name(dtype)}; declare the column as time")
    if isinstance(cell, time) and pa.types.is_time(dtype):
        return cell
    if isinstance(cell, int | float) and pa.types.is_temporal(dtype):
        raise ValueError(
            f"cannot read the number {text_of(cell)} as {type_name(dtype)}; give the cells the format of a date"
        )
    return parse_text_cell(text_of(cell), dtype, settings)


def _decimal(cell: float, dtype: pa.DataType) -> Any:
    """The digits of the number; where they are too many, the 15 that Excel works with."""
    try:
        return parse_value(Decimal(repr(cell)), dtype)
    except ValueError:
        return parse_value(Decimal(f"{cell:.15g}"), dtype)


def text_of(cell: Any) -> str:
    """A cell as text: whole numbers without a point, dates with their midnight, durations in hours."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < EXACT else java_double(cell)
    if isinstance(cell, timedelta):
        return _duration(cell)
    if isinstance(cell, date) and not isinstance(cell, datetime):
        cell = datetime.combine(cell, time())
    return cell.isoformat(sep=" ") if isinstance(cell, datetime) else str(cell)


def _duration(span: timedelta) -> str:
    seconds, micros = divmod(abs(span) // timedelta(microseconds=1), 1_000_000)
    fraction = f".{micros:06d}".rstrip("0") if micros else ""
    sign = "-" if span < timedelta(0) else ""
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction}"


def rows_of_sheet(content: bytes, name: str) -> Collection[int] | None:
    """The numbers, from 0, of the rows that a sheet of an xlsx file has, even if they are empty; None for other files.

    SeaTunnel leaves out rows that are not there, and gives empty ones as rows of nulls (POI: Sheet.getRow).
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as book, book.open(_path_of(book, name)) as sheet:
            return _row_numbers(sheet.read())
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError):
        return None


def _path_of(book: zipfile.ZipFile, name: str) -> str:
    """The path of a sheet within the file. Raises KeyError."""
    link = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
    sheets = ElementTree.fromstring(book.read("xl/workbook.xml")).iter()
    ident = next((e.get(link) for e in sheets if e.tag.endswith("}sheet") and e.get("name") == name), None)
    targets = ElementTree.fromstring(book.read("xl/_rels/workbook.xml.rels"))
    target = next((e.get("Target", "") for e in targets if e.get("Id") == ident), None)
    if target is None:
        raise KeyError(name)
    return posixpath.normpath(posixpath.join("xl", target)).lstrip("/")


def _row_numbers(sheet: bytes) -> Collection[int]:
    found, number = set(), 0
    for row in _ROW.finditer(sheet):
        written = _NUMBER.search(row[1])
        number = int(written[1]) if written else number + 1
        found.add(number - 1)
    return found
