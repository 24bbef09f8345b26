"""Excel files: xlsx and xls are read, xlsx is written; nested values are JSON in a cell."""

import io
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

from headrace.connector import Position, TaskContext, needs
from headrace.errors import Rejected
from headrace.formats.byte_texts import refused_texts
from headrace.formats.cells import cell_texts
from headrace.formats.excel_cells import rows_of_sheet, text_of, value_of
from headrace.formats.file_format import FileFormat, FilePart, FormatWriter, ReadSettings, WriteSettings
from headrace.formats.json_lines import values_as_json
from headrace.storage.opened import Opened
from headrace.values import to_array

EXACT_INTEGER = 1 << 53
"""Excel's numbers are doubles; whole numbers from here on are written as text, so that no digit is lost."""

CELL_FACTOR = 4
"""A workbook that is being made takes so many times the memory of its rows."""

MOST_UNITS = 32_767
"""Of UTF-16 that a cell holds, as Excel counts them."""

SMALLEST, LARGEST = 2.3e-308, 9.99e307
"""Excel's numbers lie between these; others are written as text."""


class ExcelFormat(FileFormat):
    """One sheet of a workbook, its cells by position; a sheet is read whole. A position is the number of rows read."""

    name = "excel"
    suffix = "xlsx"
    suffixes = ("xlsx", "xls")
    unverified = "cells of a workbook have other types than the rows"

    def cut(self, file: Opened, split_size: int, settings: ReadSettings) -> list[tuple[int, int]]:  # noqa: D102
        return [(0, file.size)]

    def read(  # noqa: D102
        self,
        part: FilePart,
        position: Position | None,
        schema: pa.Schema,
        settings: ReadSettings,
        task: TaskContext,
        table: str,
    ) -> Iterator[tuple[pa.RecordBatch, Position]]:
        task.check_size(_unpacked_size(part), f"{part.label}, an Excel file,", "split it, or save it as csv")
        sheet = _sheet(part, settings)
        yield from _blocks(sheet, max(position or 0, settings.skip_header), schema, settings, part, task, table)

    def refused(self, rows: pa.RecordBatch, settings: WriteSettings) -> Mapping[int, str]:  # noqa: D102
        return refused_texts(rows, _wrong)

    def writer(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> FormatWriter:  # noqa: D102
        return _ExcelWriter(stream, schema, settings)


def cells_of(part: FilePart, settings: ReadSettings, task: TaskContext) -> Iterator[list[Any]]:
    """The cells of the sheet that is read, row by row. Raises Rejected."""
    task.check_size(_unpacked_size(part), f"{part.label}, an Excel file,", "split it, or save it as csv")
    yield from _sheet(part, settings).rows


def _unpacked_size(part: FilePart) -> int:
    """About what a workbook takes in memory: as much as it is unpacked, and its cells."""
    try:
        with part.file.stream() as stream, zipfile.ZipFile(stream) as book:
            return 2 * sum(info.file_size for info in book.infolist() if info.filename.startswith("xl/"))
    except (zipfile.BadZipFile, OSError):  # the older format is not packed
        return 3 * part.file.size


class _Sheet(NamedTuple):
    """height: rows down to the last one that has a value. there: which rows are there, None where that is not told."""

    rows: Iterator[list[Any]]
    height: int
    there: Callable[[], Collection[int] | None]


def _sheet(part: FilePart, settings: ReadSettings) -> _Sheet:
    """The cells of the sheet that is read, as numbers, texts, dates and times, from the cell A1 on."""
    needs("python_calamine", "excel", "reading Excel files")
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    content = part.file.content()
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        if settings.sheet_name is not None and settings.sheet_name not in book.sheet_names:
            raise Rejected(f"{part.label} has no sheet {settings.sheet_name!r}; it has {', '.join(book.sheet_names)}")
        if not book.sheet_names:
            raise Rejected(f"{part.label} has no sheet")
        name = settings.sheet_name or book.sheet_names[0]
        sheet = book.get_sheet_by_name(name)
    except PasswordError as error:
        raise Rejected(f"{part.label} is protected by a password; save it without one") from error
    except (CalamineError, OSError) as error:
        raise Rejected(f"{part.label} is not an Excel file that can be read: {error}; save it as xlsx again") from error
    there = cache(lambda: rows_of_sheet(content, name))  # asked for only where a row is empty
    before = [""] * (sheet.start or (0, 0))[1]  # columns left of the first that has a value are not given
    rows = (before + row for row in sheet.iter_rows())
    return _Sheet(rows, 0 if sheet.end is None else sheet.end[0] + 1, there)


def _blocks(
    sheet: _Sheet, first: int, schema: pa.Schema, settings: ReadSettings, part: FilePart, task: TaskContext, table: str
) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Batches of the rows from `first` on, and the number of the row behind each."""
    held: list[list[Any]] = []
    given = first
    for number, cells in enumerate(sheet.rows):
        if number < first:
            continue
        if any(cell != "" for cell in cells) or number in (sheet.there() or ()):
            values = _values(cells, number, schema, settings, part, task, table)
            held += [] if values is None else [values]
        if number + 1 - given >= task.batch_rows:
            yield _batch(held, schema), number + 1  # empty where all its rows were bad: the position lies behind them
            held, given = [], number + 1
    if given < sheet.height:
        yield _batch(held, schema), sheet.height


def _values(
    cells: list[Any],
    number: int,
    schema: pa.Schema,
    settings: ReadSettings,
    part: FilePart,
    task: TaskContext,
    table: str,
) -> list[Any] | None:
    values = []
    for i, field in enumerate(schema):
        try:
            values.append(value_of(cells[i] if i < len(cells) else "", field.type, settings))
        except ValueError as error:
            raw = str([text_of(cell) or None for cell in cells])
            task.rejects.add_raw(table, [raw], str(error), f"{part.label} row {number + 1}, column {field.name}")
            return None
    return values


def _batch(rows: list[list[Any]], schema: pa.Schema) -> pa.RecordBatch:
    columns = [to_array([row[i] for row in rows], field.type) for i, field in enumerate(schema)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class _ExcelWriter(FormatWriter):
    """The columns' names in the first row. A workbook is made when it is whole; a new sheet begins at the limit."""

    def __init__(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> None:
        self._stream, self._schema, self._settings = stream, schema, settings
        self._batches: list[pa.RecordBatch] = []

    def write(self, rows: pa.RecordBatch) -> None:
        self._batches.append(rows)
        self.held += CELL_FACTOR * rows.nbytes

    def close(self) -> None:
        needs("rustpy_xlsxwriter", "excel", "writing Excel files")
        from rustpy_xlsxwriter import write_worksheets

        table = pa.Table.from_batches(self._batches, self._schema)
        limit = self._settings.sheet_max_rows - 1
        sheets: list[Any] = [
            (f"{self._settings.sheet_name}{f'_{number}' if number else ''}", self._records(table.slice(start, limit)))
            for number, start in enumerate(range(0, max(table.num_rows, 1), limit))
        ]
        write_worksheets(sheets, self._stream)
        self._batches = []

    def _records(self, table: pa.Table) -> Iterator[dict[str, Any]]:
        if not table.num_rows:  # names alone make no row
            yield dict.fromkeys(table.column_names)
        for batch in table.to_batches():
            cells = [_cells(column, self._settings) for column in batch.columns]
            for row in zip(*cells, strict=True):
                record = dict(zip(batch.schema.names, row, strict=True))
                if all(value is None or value == "" for value in row):  # a row without cells would not be there
                    record[batch.schema.names[0]] = " "
                yield record


def _wrong(text: str) -> str:
    """Why a cell cannot hold a text; empty where it can."""
    if odd := next((char for char in "\ufffe\uffff" if char in text), ""):
        return f"has the character U+{ord(odd):04X}, which no xlsx file can hold"
    if len(text) > MOST_UNITS // 2 and (units := len(text.encode("utf-16-le", "surrogatepass")) // 2) > MOST_UNITS:
        return f"has {units:,} characters, and a cell holds {MOST_UNITS:,}"
    return ""


def _cells(column: pa.Array, settings: WriteSettings) -> list[Any]:
    dtype = column.type
    if pa.types.is_binary(dtype):
        return list(column.cast(pa.string()).to_pylist())
    if pa.types.is_boolean(dtype) or pa.types.is_null(dtype):
        return list(column.to_pylist())
    if pa.types.is_floating(dtype):
        return [v if v is None or v == 0 or SMALLEST < abs(v) < LARGEST else str(v) for v in column.to_pylist()]
    if pa.types.is_integer(dtype):
        return [v if v is None or -EXACT_INTEGER <= v <= EXACT_INTEGER else str(v) for v in column.to_pylist()]
    if pa.types.is_nested(dtype) or isinstance(dtype, pa.ExtensionType):
        return list(values_as_json(column))
    return [
        t if v else None
        for t, v in zip(cell_texts(column, settings.formats()).to_pylist(), column.is_valid().to_pylist(), strict=True)
    ]
