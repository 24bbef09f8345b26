"""Rows of csv and text files: Arrow reads whole blocks where that means the same, else each field is read by itself.

What a field means is said by the slow way, `_Fields`. Arrow's reader is only asked where it is known to agree, and what
it gives is looked at; a part of a block that it does not take, or might take otherwise, is read slowly.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from headrace.formats.cells import parse_cell
from headrace.formats.dialect import Quoted, TextRow
from headrace.formats.doubts import is_doubtful
from headrace.formats.file_format import BadLine, FilePart, ReadSettings
from headrace.formats.iso_texts import iso_patterns, to_iso
from headrace.formats.lines import Block, LineFormat
from headrace.formats.names import FieldNames
from headrace.formats.parsed import LineNumbers, Parsed, by_halves
from headrace.values import to_array

_STAND_IN = b"\x1f"
"""Stands for a delimiter of several bytes where Arrow reads, for it knows single ones only."""


class DelimitedRows:
    """Reads blocks of one file. names: where the wanted columns are in a row. strict: an uneven row is a bad one."""

    def __init__(
        self,
        schema: pa.Schema,
        names: FieldNames,
        settings: ReadSettings,
        form: LineFormat,
        *,
        strict: bool = False,
    ) -> None:
        self._schema, self._names, self._settings, self._form = schema, names, settings, form
        self._dialect = form.dialect
        self._strict = strict
        self._nulls = ["", *([settings.null_format] if settings.null_format is not None else [])]
        self._patterns = iso_patterns(settings.patterns())
        self._as_text = {f.name for f in schema if not self._is_native(f.type)}
        self._integers = [f.name for f in schema if pa.types.is_integer(f.type)]

    def parse(self, block: Block, part: FilePart) -> Parsed:
        """The rows of a block."""
        if block.last and self._dialect.leaves_open(block.data):
            return self.parse_slowly(block.data, part, block)  # Arrow would close it
        return by_halves(block, self._form, self._fast, lambda data, start: self.parse_slowly(data, part, block, start))

    # -------------------------------------------------------------------------------------------------------- quickly

    def _fast(self, data: memoryview) -> pa.Table | None:
        """The rows by Arrow's reader; None where it takes them otherwise than we do, or not at all."""
        ready = self._for_arrow(data)
        if ready is None:
            return None
        try:
            if self._integers and self._has_hexadecimals(ready):
                return None
            table = self._read(ready, self._schema.names, self._arrow_types())
            columns = [self._column(table.column(i), f) for i, f in enumerate(self._schema)]
        except (ValueError, pa.ArrowException):
            return None
        if any(column is None for column in columns):
            return None
        return pa.table(columns, schema=self._schema)

    def _for_arrow(self, data: memoryview) -> pa.Buffer | None:
        """The bytes as Arrow's reader can take them."""
        dialect, delimiter = self._dialect, self._dialect.delimiter.encode()
        if not (dialect.quote + dialect.escape).isascii() or delimiter in (b"\r", b"\n"):
            return None
        if not dialect.row_end and bytes(data[-1:]) not in (b"\n", b"\r"):  # without, an empty last field looks quoted
            if dialect.escape and data[-1:] == dialect.escape.encode():
                return None
            data = memoryview(bytes(data) + b"\n")
        if len(delimiter) <= 1 and not dialect.row_end:
            return pa.py_buffer(data)
        end, raw = dialect.row_end.encode(), bytes(data)
        marks = [dialect.quote, dialect.escape, *("\r\n" if end else ()), *("\x1f" if len(delimiter) > 1 else ())]
        if any(mark.encode() in raw for mark in marks if mark) or set(end) & set(delimiter):
            return None
        raw += b"" if raw.endswith(end) else end
        raw = raw.replace(delimiter, _STAND_IN) if len(delimiter) > 1 else raw
        return pa.py_buffer(raw.replace(end, b"\n") if end else raw)

    def _read(self, data: pa.Buffer, columns: Sequence[str], types: dict[str, pa.DataType]) -> pa.Table:
        dialect = self._dialect
        delimiter = dialect.delimiter or "\x01"  # a line that holds one has two fields, and is read slowly
        return pacsv.read_csv(
            pa.BufferReader(data),
            pacsv.ReadOptions(use_threads=False, block_size=data.size + 1, column_names=self._names.in_row),
            pacsv.ParseOptions(
                delimiter=delimiter if len(delimiter.encode()) == 1 else _STAND_IN.decode(),
                quote_char=dialect.quote or False,
                escape_char=dialect.escape or False,
                newlines_in_values=True,
                ignore_empty_lines=len(self._names.in_row) > 1,
            ),
            pacsv.ConvertOptions(
                column_types=types,
                null_values=self._nulls,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["true", "TRUE", "True", "1"],
                false_values=["false", "FALSE", "False", "0"],
                timestamp_parsers=[pacsv.ISO8601],
                include_columns=[self._names.of(name) for name in columns],
                include_missing_columns=True,
            ),
        )

    def _arrow_types(self) -> dict[str, pa.DataType]:
        texts = self._as_text
        return {self._names.of(f.name): pa.string() if f.name in texts else f.type for f in self._schema}

    def _is_native(self, dtype: pa.DataType) -> bool:
        """Whether Arrow's csv reader converts to the type as `parse_cell` does."""
        if pa.types.is_temporal(dtype):
            return all(pattern.is_iso(dtype) for pattern in self._patterns if pattern.fits(dtype))
        return not (pa.types.is_nested(dtype) or pa.types.is_null(dtype) or isinstance(dtype, pa.ExtensionType))

    def _has_hexadecimals(self, data: pa.Buffer) -> bool:
        """Whether a column of whole numbers holds a `0x10`, which Arrow takes for a number."""
        raw = memoryview(data).tobytes() if not isinstance(data, bytes) else data
        if (b"x" not in raw or b"0x" not in raw) and (b"X" not in raw or b"0X" not in raw):
            return False
        texts = self._read(data, self._integers, {self._names.of(name): pa.string() for name in self._integers})
        return any(pc.any(pc.match_substring_regex(c, "[xX]"), min_count=0).as_py() for c in texts.columns)

    def _column(self, column: pa.ChunkedArray, wanted: pa.Field) -> pa.ChunkedArray | None:
        """A column as its type; None where a value may be another one than the slow way gives."""
        found = column
        if wanted.name in self._as_text and pa.types.is_temporal(wanted.type):
            found = to_iso(column, self._patterns, wanted.type).cast(wanted.type)
        elif wanted.name in self._as_text:
            cells = _Fields(self._settings, self._nulls)
            values = [None if text is None else cells.value(Quoted(text), wanted.type) for text in column.to_pylist()]
            found = pa.chunked_array([to_array(values, wanted.type)])
        if (found.null_count and not wanted.nullable) or is_doubtful(found):
            return None
        return found

    # --------------------------------------------------------------------------------------------------------- slowly

    def parse_slowly(self, data: memoryview, part: FilePart, block: Block, start: int = 0) -> Parsed:
        """Field by field: where there are too few the rest is null, too many are dropped, as in SeaTunnel.

        start: where the data begins in the block, for the numbers of bad lines.
        """
        columns: list[list[Any]] = [[] for _ in self._schema]
        odd: list[BadLine] = []
        text = str(data, "utf-8", "surrogateescape")
        numbers = LineNumbers(part, block, start, self._form)
        one_column = len(self._names.in_row) == 1
        cells = _Fields(self._settings, self._nulls)
        wanted = [(self._names.index(f.name), f) for f in self._schema]
        count = 0
        for row in self._dialect.rows(text):
            if row.fields == [""] and not one_column and not row.raw:
                continue
            uneven = self._uneven(row)
            try:
                if row.unclosed >= 0:
                    raise _BadField(self._unclosed(row, text, part, numbers))
                if uneven and self._strict:
                    raise _BadField(f"{uneven}; look for a delimiter in a field without quotes")
                values = cells.values(row.fields, wanted, self._settings.encoding)
            except _BadField as error:
                place = f"{part.label} row {numbers.of(_bytes(text[: row.start]))}{error.place}"
                odd.append(BadLine(count, _as_it_was(row.raw), str(error), place))
                continue
            if uneven:
                place = f"{part.label} row {numbers.of(_bytes(text[: row.start]))}"
                odd.append(BadLine(count, _as_it_was(row.raw), uneven, place, mended=_mended(row, self._names)))
            for column, value in zip(columns, values, strict=True):
                column.append(value)
            count += 1
        arrays = [to_array(c, f.type) for c, f in zip(columns, self._schema, strict=True)]
        return Parsed(pa.table(arrays, schema=self._schema), odd)

    def _uneven(self, row: TextRow) -> str:
        """What is wrong with the number of fields; an empty one behind the last is no fault."""
        have, wanted = len(row.fields), len(self._names.in_row)
        if have == wanted or (have > wanted and not any(row.fields[wanted:])):
            return ""
        return f"it has {have} field{'s' * (have != 1)}, {self._names.told_by} {wanted}"

    def _unclosed(self, row: TextRow, text: str, part: FilePart, numbers: LineNumbers) -> str:
        begins = numbers.of(_bytes(text[: row.unclosed]))
        return (
            f"the {self._dialect.quote} that begins a field in line {begins} is never closed; close or double it, "
            "or set quote_char to another character"
        )


def _mended(row: TextRow, names: FieldNames) -> str:
    return "cut" if len(row.fields) > len(names.in_row) else "padded"


class _BadField(ValueError):
    """What is wrong with a row. place: which column, as text to append to the row's number."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place


class _Fields:
    """Fields as values: what a field of a csv or text file means."""

    def __init__(self, settings: ReadSettings, nulls: Sequence[str]) -> None:
        self._nulls, self._formats = frozenset(nulls), settings.patterns()

    def values(self, fields: Sequence[str], wanted: Sequence[tuple[int, pa.Field]], encoding: str) -> list[Any]:
        """The values of a row. Raises _BadField."""
        values = []
        for at, column in wanted:
            text = fields[at] if 0 <= at < len(fields) else None
            try:
                value = None if text is None else self.value(text, column.type)
                if value is None and not column.nullable:
                    raise ValueError("it is null, and the schema says nullable = false")
            except UnicodeEncodeError as error:
                raw = _as_it_was(error.object[error.start : error.end])
                message = f"it is not {encoding}: {raw!r}; set the option encoding"
                raise _BadField(message, f", column {column.name}") from error
            except ValueError as error:
                raise _BadField(str(error), f", column {column.name}") from error
            values.append(value)
        return values

    def value(self, text: str, dtype: pa.DataType) -> Any:
        """A field as the Python object that Arrow takes for `dtype`. Raises ValueError.

        One without quotes is null when it is empty or `null_format`. Texts and bytes are as they stand there; of
        everything else blanks around it mean nothing, and blanks alone are null; an array or map in quotes is empty.
        """
        if not isinstance(text, Quoted) and text in self._nulls:
            return None
        if pa.types.is_string(dtype):
            text.encode()
            return str(text)
        if pa.types.is_binary(dtype):
            return text.encode("utf-8", "surrogateescape")
        if isinstance(text, Quoted) and not text and (pa.types.is_list(dtype) or pa.types.is_map(dtype)):
            return []
        return parse_cell(str(text), dtype, self._formats)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _as_it_was(text: str) -> bytes | str:
    """A text whose wrong bytes were escaped, as bytes; a good one as it is."""
    try:
        text.encode()
    except UnicodeError:
        return text.encode("utf-8", "surrogateescape")
    return text
