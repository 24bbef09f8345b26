"""Csv and text files: fields between delimiters, with quotes or without."""

import re
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from headrace.connector import JobContext, Position, TaskContext
from headrace.errors import Rejected
from headrace.formats.cells import cell_texts
from headrace.formats.delimited_rows import DelimitedRows
from headrace.formats.delimited_writer import DelimitedWriter, Marks
from headrace.formats.dialect import Dialect
from headrace.formats.file_format import (
    BadLine,
    FileFormat,
    FilePart,
    FormatWriter,
    ReadSettings,
    WriteSettings,
    slices,
)
from headrace.formats.lines import Block, LineFormat, blocks, cut, header_row
from headrace.formats.names import FieldNames, nearest
from headrace.storage.opened import InMemory, Opened

NO_SCHEMA_COLUMN = "content"
"""The one column of a file that is read without a schema."""

_LINE_ENDS = ("\n", "\r\n")
"""Row delimiters that stand for the ends of lines, whichever a file has."""


class DelimitedFormat(FileFormat):
    """Fields between delimiters; `csv` knows quotes, `text` does not."""

    suffix = "csv"
    name = "csv"
    delimiter = ","
    quoted = True
    packable = True

    def cut(self, file: Opened, split_size: int, settings: ReadSettings) -> list[tuple[int, int]]:  # noqa: D102
        return cut(file, split_size, self.line_format(settings))

    def can_grow(self, settings: ReadSettings) -> bool:  # noqa: D102
        return self.line_format(settings).ascii_based

    def read(  # noqa: D102
        self,
        part: FilePart,
        position: Position | None,
        schema: pa.Schema,
        settings: ReadSettings,
        task: TaskContext,
        table: str,
    ) -> Iterator[tuple[pa.RecordBatch, Position]]:
        offset, skip = position or (part.start, 0)
        form = self.line_format(settings)
        try:
            names, header = self._names(part, schema, settings, form, task)
            task.notices.names(
                table,
                part.label,
                set(schema.names) - set(names.missing),
                {n: nearest(n, header) for n in names.missing},
            )
            rows = DelimitedRows(schema, names, settings, form, strict=task.rejects.sets_aside or settings.is_complete)
            for block in blocks(part, offset, form, task):
                found = rows.parse(block, part)
                yield from slices(found.rows, task, block.start, block.end, skip, found.odd, table)
                skip = max(skip - found.rows.num_rows, 0)  # blocks may be smaller than those of the position
        except UnicodeError as error:
            raise Rejected(f"{part.label} is not {settings.encoding}: {error}; set the option encoding") from error

    def _names(
        self, part: FilePart, schema: pa.Schema, settings: ReadSettings, form: LineFormat, task: TaskContext
    ) -> tuple[FieldNames, list[str]]:
        """Where the columns are in a row, and the names in the header, of a file that has one. Raises Rejected."""
        if not settings.use_header or settings.whole_lines:
            return FieldNames.by_position(schema), []
        raw = header_row(part.file, form, task)
        try:
            header = next((row.fields for row in form.dialect.rows(str(raw, "utf-8"))), [])
        except UnicodeDecodeError as error:
            what = f"the header is not {settings.encoding}: {raw[error.start : error.end]!r} at byte {error.start + 1}"
            raise Rejected(f"{part.label} row {form.skip + 1}: {what}; set the option encoding") from error
        if not header and part.file.size == 0:
            return FieldNames.by_position(schema), []
        cure = ""
        if settings.skip_header:
            cure = f"; skip_header_row_number = {settings.skip_header} leaves out lines above the line with the names"
        return FieldNames.by_header(header, schema, f"{part.label} row {form.skip + 1}", cure), list(header)

    def parse(  # noqa: D102
        self, raw: bytes, header: Opened | None, schema: pa.Schema, settings: ReadSettings
    ) -> tuple[pa.Table, list[BadLine]]:
        form = self.line_format(settings)
        names = FieldNames.by_position(schema)
        if settings.use_header and not settings.whole_lines:
            if header is None:
                raise ValueError("its columns stand in the first line of its file, which is not there any more")
            try:
                part = FilePart(header, 0, header.size)
                names, _ = self._names(part, schema, settings, form, TaskContext(JobContext(0)))
            except OSError as error:
                text = f"its columns stand in the first line of {header.name}, which cannot be read: {error.strerror}"
                raise ValueError(text) from error
        rows = DelimitedRows(schema, names, settings, form)
        block = Block(memoryview(raw), 0, 0, last=True)
        found = rows.parse_slowly(block.data, FilePart(InMemory("", raw), 0, 0), block)
        return found.rows, [line for line in found.odd if not line.mended]

    def writer(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> FormatWriter:  # noqa: D102
        return DelimitedWriter(stream, schema, settings, self._dialect(settings), unescape(settings.row_delimiter))

    def refused(self, rows: pa.RecordBatch, settings: WriteSettings) -> dict[int, str]:  # noqa: D102
        return Marks(settings, self._dialect(settings)).refused(rows)

    def kept(self, rows: pa.RecordBatch, settings: WriteSettings) -> pa.RecordBatch:
        """The texts of the cells; null, the empty text and blanks are one."""
        texts = [cell_texts(column, settings.formats()) for column in rows.columns]
        return _without_blanks(pa.RecordBatch.from_arrays(texts, rows.schema.names))

    def read_back(self, file: Opened, schema: pa.Schema, settings: WriteSettings) -> Iterator[pa.RecordBatch]:  # noqa: D102
        texts = pa.schema([pa.field(name, pa.string()) for name in schema.names])
        return map(_without_blanks, super().read_back(file, texts, settings))

    def _dialect(self, settings: ReadSettings | WriteSettings, quote: str = '"', escape: str = "") -> Dialect:
        delimiter = unescape(settings.field_delimiter or self.delimiter)
        end = unescape(settings.row_delimiter)
        quote = quote if self.quoted else ""
        return Dialect(delimiter, quote, escape if quote and escape != quote else "", "" if end in _LINE_ENDS else end)

    def line_format(self, settings: ReadSettings) -> LineFormat:
        """How the rows of a file are told apart."""
        dialect = self._dialect(settings, settings.quote_char, settings.escape_char or "")
        if settings.whole_lines:
            dialect = Dialect(row_end=dialect.row_end)
        return LineFormat(dialect, settings.encoding, settings.skip_header, settings.use_header and self.quoted)


def _without_blanks(rows: pa.RecordBatch) -> pa.RecordBatch:
    columns = [pc.fill_null(column, "") for column in rows.columns]
    kept = [pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), "", column) for column in columns]
    return pa.RecordBatch.from_arrays(kept, rows.schema.names)


class TextFormat(DelimitedFormat):
    """Text files: fields between `field_delimiter` without quotes, nested values between \\002 … \\007."""

    name = "text"
    suffix = "txt"
    delimiter = "\x01"
    quoted = False


def unescape(text: str) -> str:
    r"""A delimiter as the characters it means: `\t`, `\001` and `\u0001` written out, and `\|`, a regex escape."""
    return _ESCAPE.sub(_escaped, text) if len(text) > 1 else text


_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[0-7]{1,3}|[tnrfb]|[^A-Za-z0-9])")


def _escaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "ux" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0].isdigit():
        return chr(int(code, 8))
    return {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "b": "\b"}.get(code, code)
