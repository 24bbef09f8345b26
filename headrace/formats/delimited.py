"""Csv and text files: Arrow parses whole blocks; a block with an odd cell is parsed again, cell by cell."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from headrace.connector import JobContext, Position, TaskContext
from headrace.errors import Rejected
from headrace.formats.cells import cell_texts, parse_cell
from headrace.formats.file_format import (
    BadLine,
    FileFormat,
    FilePart,
    FormatWriter,
    ReadSettings,
    WriteSettings,
    slices,
)
from headrace.formats.java_dates import strftime_pattern
from headrace.formats.lines import Block, LineFormat, blocks, cut, line_number
from headrace.storage.opened import InMemory, Opened

csv.field_size_limit(1 << 30)

NO_SCHEMA_COLUMN = "content"
"""The one column of a file that is read without a schema."""


class DelimitedFormat(FileFormat):
    """Fields between delimiters; `csv` knows quotes, `text` does not."""

    suffix = "csv"
    name = "csv"
    delimiter = ","
    quoted = True
    packable = True

    def cut(self, file: Opened, split_size: int, settings: ReadSettings) -> list[tuple[int, int]]:  # noqa: D102
        return cut(file, split_size, self._lines(settings))

    def can_grow(self, settings: ReadSettings) -> bool:  # noqa: D102
        return self._lines(settings).ascii_based

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
        form = self._lines(settings)
        named = settings.use_header and not settings.whole_lines
        names = _header(part.file, settings, form, self._delimiter(settings)) if named else schema.names
        parser = _Parser(schema, names, settings, self._delimiter(settings), self._quote(settings), form)
        try:
            for block in blocks(part, offset, form, task):
                rows, bad = parser.parse(block, part)
                yield from slices(rows, task, block.start, block.end, skip, bad, table)
                skip = max(skip - rows.num_rows, 0)  # blocks may be smaller than those the position was made with
        except UnicodeError as error:
            raise Rejected(f"{part.label} is not {settings.encoding}: {error}; set the option encoding") from error

    def parse(  # noqa: D102
        self, raw: bytes, header: Opened | None, schema: pa.Schema, settings: ReadSettings
    ) -> tuple[pa.Table, list[BadLine]]:
        form = self._lines(settings)
        names = schema.names
        if settings.use_header and not settings.whole_lines:
            if header is None:
                raise ValueError("its columns stand in the first line of its file, which is not there any more")
            try:
                names = _header(header, settings, form, self._delimiter(settings))
            except OSError as error:
                text = f"its columns stand in the first line of {header.name}, which cannot be read: {error.strerror}"
                raise ValueError(text) from error
        parser = _Parser(schema, names, settings, self._delimiter(settings), self._quote(settings), form)
        return parser.parse_slowly(Block(memoryview(raw), 0, 0), FilePart(InMemory("", raw), 0, 0))

    def writer(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> FormatWriter:  # noqa: D102
        delimiter = settings.field_delimiter or self.delimiter
        return _DelimitedWriter(stream, schema, settings, delimiter, quoted=self.quoted)

    def kept(self, rows: pa.RecordBatch, settings: WriteSettings) -> pa.RecordBatch:
        """The texts of the cells; null, the empty text and blanks are one."""
        texts = [cell_texts(column, settings.formats()) for column in rows.columns]
        return _without_blanks(pa.RecordBatch.from_arrays(texts, rows.schema.names))

    def read_back(self, file: Opened, schema: pa.Schema, settings: WriteSettings) -> Iterator[pa.RecordBatch]:  # noqa: D102
        texts = pa.schema([pa.field(name, pa.string()) for name in schema.names])
        return map(_without_blanks, super().read_back(file, texts, settings))

    def _delimiter(self, settings: ReadSettings) -> str:
        return "" if settings.whole_lines else unescape(settings.field_delimiter or self.delimiter)

    def _quote(self, settings: ReadSettings) -> str:
        return settings.quote_char if self.quoted and not settings.whole_lines else ""

    def _lines(self, settings: ReadSettings) -> LineFormat:
        skip = settings.skip_header + (1 if settings.use_header and not settings.skip_header else 0)
        row_delimiter = unescape(settings.row_delimiter).encode() if not self.quoted else b"\n"
        return LineFormat(row_delimiter, self._quote(settings).encode(), settings.encoding, skip)


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


def _header(file: Opened, settings: ReadSettings, form: LineFormat, delimiter: str) -> list[str]:
    first = LineFormat(form.delimiter, form.quote, form.encoding, max(settings.skip_header - 1, 0))
    block = next(blocks(FilePart(file, 0, 1 << 20), 0, first, TaskContext(JobContext(0))), None)
    line = str(block.data, "utf-8").partition("\n")[0] if block else ""
    return next(csv.reader([line], delimiter=delimiter), [])


class _BadCell(ValueError):
    """What is wrong with a line. place: which column, as text to append to the line's number."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place


def _as_it_was(text: str) -> bytes | str:
    """A text whose wrong bytes were escaped, as bytes; a good one as it is."""
    try:
        text.encode()
    except UnicodeError:
        return text.encode("utf-8", "surrogateescape")
    return text


class _Parser:
    """Parses blocks of one file. names: the fields of a line in order; schema: the wanted columns.

    delimiter: between the fields; empty when a line is one field.
    """

    def __init__(
        self,
        schema: pa.Schema,
        names: Sequence[str],
        settings: ReadSettings,
        delimiter: str,
        quote: str,
        form: LineFormat,
    ) -> None:
        self._schema, self._names, self._settings = schema, list(names), settings
        self._delimiter, self._quote, self._form = delimiter, quote, form
        self._nested = {f.name: f.type for f in schema if pa.types.is_nested(f.type) or not _is_native(f.type)}
        self._nulls = ["", *([settings.null_format] if settings.null_format is not None else [])]
        patterns = [_arrow_pattern(p) for p in settings.patterns()]
        self._convert = pacsv.ConvertOptions(
            column_types={f.name: pa.string() if f.name in self._nested else f.type for f in schema},
            null_values=self._nulls,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["true", "TRUE", "True", "1"],
            false_values=["false", "FALSE", "False", "0"],
            timestamp_parsers=[*(p for p in patterns if p), pacsv.ISO8601],
            include_columns=schema.names,
            include_missing_columns=True,
        )

    def parse(self, block: Block, part: FilePart) -> tuple[pa.Table, list[BadLine]]:
        if len(self._delimiter) <= 1 and self._form.delimiter in (b"\n", b"\r\n"):
            try:
                return self._fast(block), []
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                pass
        return self.parse_slowly(block, part)

    def _fast(self, block: Block) -> pa.Table:
        if self._delimiter in ("\r", "\n"):
            raise pa.ArrowInvalid("a field delimiter that ends lines")
        table = pacsv.read_csv(
            pa.BufferReader(pa.py_buffer(block.data)),
            pacsv.ReadOptions(use_threads=False, block_size=len(block.data) + 1, column_names=self._names),
            pacsv.ParseOptions(
                delimiter=self._delimiter or "\x01",  # a line that holds one has two fields, and is read slowly
                quote_char=self._quote or False,
                escape_char=(self._delimiter and self._settings.escape_char) or False,
                newlines_in_values=block.quoted,
                ignore_empty_lines=True,
            ),
            self._convert,
        )
        for name, dtype in self._nested.items():
            index = self._schema.names.index(name)
            texts = table.column(index).to_pylist()
            try:
                values = pa.array([self._cell(text, dtype) for text in texts], dtype)
            except ValueError as error:
                raise pa.ArrowInvalid(str(error)) from error
            table = table.set_column(index, pa.field(name, dtype), values)
        return table.cast(self._schema)

    def _cell(self, text: str | None, dtype: pa.DataType) -> Any:
        if text is None or text in self._nulls:
            return None
        return parse_cell(text, dtype, self._settings.patterns())

    def parse_slowly(self, block: Block, part: FilePart) -> tuple[pa.Table, list[BadLine]]:
        """Cell by cell: too few fields are null, too many are dropped, as in SeaTunnel; wrong values are bad lines."""
        columns: list[list[Any]] = [[] for _ in self._schema]
        bad: list[BadLine] = []
        wanted = [(self._names.index(f.name) if f.name in self._names else -1, f) for f in self._schema]
        first: int | None = None
        for number, (raw, fields) in enumerate(self._rows(str(block.data, "utf-8", "surrogateescape"))):
            try:
                values = self._values(raw, fields, wanted)
            except _BadCell as error:
                if first is None:
                    first = line_number(part.file, block.start, self._form)
                place = f"{part.label} row {first + number}{error.place}"
                bad.append(BadLine(len(columns[0]) if columns else 0, _as_it_was(raw), str(error), place))
                continue
            for column, value in zip(columns, values, strict=True):
                column.append(value)
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, self._schema, strict=True)], self._schema), bad

    def _values(self, raw: str, fields: list[str], wanted: Sequence[tuple[int, pa.Field]]) -> list[Any]:
        """The values of a line. Raises _BadCell."""
        try:
            raw.encode()
        except UnicodeEncodeError as error:
            text = f"it is not {self._settings.encoding}: {_as_it_was(raw[error.start : error.end])!r}"
            raise _BadCell(f"{text}; set the option encoding") from error
        values = []
        for at, field in wanted:
            cell = fields[at] if 0 <= at < len(fields) else None
            try:
                values.append(self._cell(cell, field.type))
            except ValueError as error:
                raise _BadCell(str(error), f", column {field.name}") from error
        return values

    def _quoted(self, field: str) -> str:
        """A field as it may stand in a line."""
        if any(mark in field for mark in (self._delimiter, self._quote, "\n", "\r")):
            return self._quote + field.replace(self._quote, self._quote * 2) + self._quote
        return field

    def _rows(self, text: str) -> Iterator[tuple[str, list[str]]]:
        if self._quote and len(self._delimiter) == 1:
            lines = text.splitlines(keepends=True) if "\r" in text else io.StringIO(text, newline="")
            reader = csv.reader(
                lines,
                delimiter=self._delimiter,
                quotechar=self._quote,
                escapechar=self._settings.escape_char,
                strict=False,
            )
            for fields in reader:
                if fields:
                    yield self._delimiter.join(map(self._quoted, fields)), fields
            return
        for line in text.split(self._form.delimiter.decode()):
            line = line.removesuffix("\r") if self._form.delimiter == b"\n" else line
            if line:
                yield line, line.split(self._delimiter) if self._delimiter else [line]


def _is_native(dtype: pa.DataType) -> bool:
    """Whether Arrow's csv reader converts to the type."""
    return not (pa.types.is_null(dtype) or isinstance(dtype, pa.ExtensionType))


def _arrow_pattern(pattern: str) -> str | None:
    """A pattern for Arrow's parser; it knows no fractions."""
    text = strftime_pattern(pattern)
    return None if "%f" in text else text


class _DelimitedWriter(FormatWriter):
    def __init__(
        self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings, delimiter: str, *, quoted: bool
    ) -> None:
        self._stream, self._settings = stream, settings
        self._delimiter = unescape(delimiter)
        self._end = unescape(settings.row_delimiter)
        self._quoting = settings.quote_mode.upper() if quoted else "NONE"
        if settings.header:
            names = pa.RecordBatch.from_arrays([pa.array([name]) for name in schema.names], schema.names)
            self.write(names)

    def write(self, rows: pa.RecordBatch) -> None:
        cells = [self._quote(column, cell_texts(column, self._settings.formats())) for column in rows.columns]
        if not cells:
            return
        lines = pc.binary_join_element_wise(*cells, self._delimiter)
        ended = pc.binary_join_element_wise(lines, "", self._end)
        for chunk in ended.chunks if isinstance(ended, pa.ChunkedArray) else [ended]:
            data = _text_buffer(chunk)
            utf8 = self._settings.encoding.lower().replace("-", "") == "utf8"
            self._stream.write(data if utf8 else bytes(data).decode().encode(self._settings.encoding))

    def _quote(self, column: pa.Array, texts: pa.Array) -> pa.Array:
        if self._quoting == "NONE" or not (pa.types.is_string(column.type) or pa.types.is_nested(column.type)):
            return texts
        if self._quoting == "ALL":
            wanted = pc.is_valid(column)
        else:
            special = f'["\\r\\n{"" if len(self._delimiter) > 1 else _in_class(self._delimiter)}]'
            wanted = pc.or_(pc.match_substring_regex(texts, special), self._is_empty_text(column, texts))
        if not pc.any(wanted, min_count=0).as_py():
            return texts
        quoted = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
        return pc.if_else(wanted, quoted, texts)

    def _is_empty_text(self, column: pa.Array, texts: pa.Array) -> pa.Array:
        """An empty text is quoted, so that it does not come back as null."""
        return pc.and_(pc.equal(texts, ""), pc.is_valid(column))

    def close(self) -> None:
        """Every line was written whole."""


def _in_class(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 128 else char


def _text_buffer(texts: pa.Array) -> memoryview:
    """The bytes of all texts, one behind the other."""
    _, offsets, data = texts.buffers()
    if data is None:
        return memoryview(b"")
    ends = pa.Array.from_buffers(pa.int32(), len(texts) + 1, [None, offsets], offset=texts.offset)
    return memoryview(data)[ends[0].as_py() : ends[len(texts)].as_py()]
