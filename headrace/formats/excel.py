"""Excel files: xlsx and xls are read, xlsx is written; nested values are JSON in a cell."""

import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from headrace.connector import Position, TaskContext
from headrace.errors import Rejected
from headrace.formats.cells import cell_texts, parse_text_cell
from headrace.formats.file_format import FileFormat, FilePart, FormatWriter, ReadSettings, WriteSettings
from headrace.formats.json_lines import values_as_json
from headrace.storage.opened import Opened
from headrace.values import to_array

EXACT_INTEGER = 1 << 53
"""Excel's numbers are doubles; whole numbers from here on are written as text, so that no digit is lost."""

CELL_FACTOR = 4
"""A workbook that is being made takes so many times the memory of its rows."""

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
        cells = _sheet(part, settings)
        total = cells.num_rows
        for start in range(max(position or 0, settings.skip_header), total, task.batch_rows):
            block = cells.slice(start, task.batch_rows)
            # Empty where all its rows were bad: the position lies behind them.
            yield _parse(block, start, schema, settings, part, task, table), start + block.num_rows

    def writer(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> FormatWriter:  # noqa: D102
        return _ExcelWriter(stream, schema, settings)


def _unpacked_size(part: FilePart) -> int:
    """About what a workbook takes in memory: as much as it is unpacked, and the cells as texts."""
    try:
        with part.file.stream() as stream, zipfile.ZipFile(stream) as book:
            return 2 * sum(info.file_size for info in book.infolist() if info.filename.startswith("xl/"))
    except (zipfile.BadZipFile, OSError):  # the older format is not packed
        return 3 * part.file.size


def _sheet(part: FilePart, settings: ReadSettings) -> pa.RecordBatch:
    """All cells as text."""
    import fastexcel

    try:
        book = fastexcel.read_excel(part.file.content())
    except (fastexcel.FastExcelError, OSError) as error:
        raise Rejected(f"{part.label} is no Excel file: {error}") from error
    if settings.sheet_name is not None and settings.sheet_name not in book.sheet_names:
        raise Rejected(f"{part.label} has no sheet {settings.sheet_name!r}; it has {', '.join(book.sheet_names)}")
    sheet = book.load_sheet(settings.sheet_name or 0, header_row=None, skip_rows=0, dtypes="string")
    return pa.record_batch(sheet)


def _parse(
    cells: pa.RecordBatch,
    start: int,
    schema: pa.Schema,
    settings: ReadSettings,
    part: FilePart,
    task: TaskContext,
    table: str,
) -> pa.RecordBatch:
    texts = [column.to_pylist() for column in cells.columns]
    columns: list[list[Any]] = [[] for _ in schema]
    for row in range(cells.num_rows):
        values = []
        for i, field in enumerate(schema):
            try:
                values.append(parse_text_cell(texts[i][row] if i < len(texts) else None, field.type, settings))
            except ValueError as error:
                raw = str([column[row] for column in texts])
                task.rejects.add_raw(
                    table, [raw], str(error), f"{part.label} row {start + row + 1}, column {field.name}"
                )
                break
        else:
            for column, value in zip(columns, values, strict=True):
                column.append(value)
    arrays = [to_array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


class _ExcelWriter(FormatWriter):
    """The columns' names in the first row. A workbook is made when it is whole; a new sheet begins at the limit."""

    def __init__(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> None:
        self._stream, self._schema, self._settings = stream, schema, settings
        self._batches: list[pa.RecordBatch] = []

    def write(self, rows: pa.RecordBatch) -> None:
        self._batches.append(rows)
        self.held += CELL_FACTOR * rows.nbytes

    def close(self) -> None:
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
                yield dict(zip(batch.schema.names, row, strict=True))


def _cells(column: pa.Array, settings: WriteSettings) -> list[Any]:
    dtype = column.type
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
