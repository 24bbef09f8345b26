"""Writing csv and text files: whole columns as texts, joined into lines; nothing that is read back otherwise."""

import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from headrace.errors import Rejected
from headrace.formats.beside import each
from headrace.formats.cells import SEPARATORS, cell_texts
from headrace.formats.dialect import Dialect
from headrace.formats.file_format import FormatWriter, WriteSettings
from headrace.formats.text_stream import TextStream

_IN_NUMBERS = frozenset("0123456789+-.:EeINTZafinstrulyN ")
"""What stands in the texts of numbers, truth values, dates and times without a pattern."""

_QUOTE = '"'


class DelimitedWriter(FormatWriter):
    """Writes one csv or text file. end: what ends a row, as it is written."""

    def __init__(
        self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings, dialect: Dialect, end: str
    ) -> None:
        self._stream, self._marks = TextStream(stream, settings.encoding), Marks(settings, dialect)
        self._delimiter, self._end = dialect.delimiter, end
        if settings.header:
            self._write_header(schema.names)

    def _write_header(self, names: Sequence[str]) -> None:
        rows = pa.RecordBatch.from_arrays([pa.array([name]) for name in names], list(map(str, range(len(names)))))
        for reason in self._marks.refused(rows).values():
            raise Rejected(f"the names {', '.join(names)} cannot be a header: {reason}")
        self.write(rows)

    def write(self, rows: pa.RecordBatch) -> None:  # noqa: D102
        if not rows.num_columns:
            return
        cells = each(lambda column: self._marks.quoted(column, self._marks.texts(column)), rows.columns, rows.num_rows)
        data = self._quickly(cells) if all(is_plain for _, is_plain in cells) else None
        self._stream.write(data if data is not None else self._joined([texts for texts, _ in cells]))

    def _quickly(self, cells: Sequence[tuple[pa.Array, bool]]) -> memoryview | None:
        """By Arrow's writer; None where it cannot write these delimiters, or finds one within a field."""
        if len(self._delimiter.encode()) > 1 or self._end != "\n":
            return None
        buffer = pa.BufferOutputStream()
        table = pa.RecordBatch.from_arrays([texts for texts, _ in cells], list(map(str, range(len(cells)))))
        options = pacsv.WriteOptions(include_header=False, delimiter=self._delimiter, quoting_style="none")
        try:
            pacsv.write_csv(table, buffer, options)
        except (pa.ArrowInvalid, ValueError):
            return None
        return memoryview(buffer.getvalue())

    def _joined(self, cells: Sequence[pa.Array]) -> memoryview:
        parts: list[pa.Array | str] = []
        for texts in cells:
            parts += [pc.fill_null(texts, ""), self._delimiter]
        parts[-1] = self._end
        lines = pc.binary_join_element_wise(*parts, "")
        return text_buffer(lines)

    def close(self) -> None:
        """Every line was written whole."""


class Marks:
    """What of a value would be read otherwise than it was written, and is quoted or refused."""

    def __init__(self, settings: WriteSettings, dialect: Dialect) -> None:
        self._settings, self._dialect = settings, dialect
        self._quoting = settings.quote_mode.upper() if dialect.quote else "NONE"
        ends = dialect.row_end or "\r\n"
        special = dialect.quote + dialect.delimiter + ends
        self._special = f"[{re.escape(special)}\\x00\ufeff]" if dialect.quote else f"[{re.escape(special)}]"
        self._special_bytes = [mark.encode() for mark in {*special, "\x00", "\ufeff"}]
        self._in_numbers = bool(set(dialect.delimiter + ends) & _IN_NUMBERS)

    def texts(self, column: pa.Array) -> pa.Array:
        """The texts of a column's cells, null where they are null."""
        return cell_texts(column, self._settings.formats(), None)

    def quoted(self, column: pa.Array, texts: pa.Array) -> tuple[pa.Array, bool]:
        """The texts in quotes where they need them, and whether none does."""
        if self._quoting == "NONE":
            return texts, True
        is_text = _is_text(column.type)
        if self._quoting == "ALL" and is_text:
            wanted = pc.is_valid(texts)
        elif self._may_be_special(column.type):
            wanted = self._wanted(texts, is_text)
        else:
            return texts, True
        if wanted is None or not pc.any(wanted, min_count=0).as_py():
            return texts, True
        quote = self._dialect.quote
        inner = pc.replace_substring(texts, quote, quote * 2)
        return pc.if_else(wanted, pc.binary_join_element_wise(quote, inner, quote, ""), texts), False

    def _wanted(self, texts: pa.Array, is_text: bool) -> pa.Array | None:
        """Which texts need quotes; an empty one does, for it is not null. None: none of them."""
        empty = pc.equal(pc.binary_length(texts), 0) if is_text else None
        if empty is not None and not pc.any(empty, min_count=0).as_py():
            empty = None
        if not self._is_any_special(texts):
            return empty
        special = pc.match_substring_regex(texts, self._special)
        return special if empty is None else pc.or_(special, empty)

    def _is_any_special(self, texts: pa.Array) -> bool:
        data = bytes(text_buffer(texts))  # one search for each byte is faster than one pattern for all of them
        return any(mark in data for mark in self._special_bytes)

    def _may_be_special(self, dtype: pa.DataType) -> bool:
        has_pattern = pa.types.is_temporal(dtype) and any(self._settings.formats().values())
        return self._in_numbers or has_pattern or _is_text(dtype)

    def refused(self, rows: pa.RecordBatch) -> dict[int, str]:
        """Rows that cannot be written so that they are read back: their numbers, from 0, with the column and why."""
        found: dict[int, str] = {}
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            for row, reason in self._refused(column):
                found.setdefault(row, f"column {name}: {reason}")
        return found

    def _refused(self, column: pa.Array) -> Iterator[tuple[int, str]]:
        dtype = column.type
        found: dict[int, str] = {}
        if pa.types.is_binary(dtype) or pa.types.is_large_binary(dtype):
            found.update(_no_text(column))
        if pa.types.is_nested(dtype):
            reasons = (_unreadable(value, is_strict=bool(self._dialect.quote)) for value in column.to_pylist())
            found.update((row, reason) for row, reason in enumerate(reasons) if reason)
        yield from found.items()
        if self._quoting != "NONE" or not self._may_be_special(dtype):
            return
        if found:  # they may have no text
            column = column.take(pa.array([None if row in found else row for row in range(len(column))], pa.int64()))
        texts = self.texts(column)
        if not self._is_any_special(texts):
            return
        odd = pc.fill_null(pc.match_substring_regex(texts, self._special), fill_value=False)
        for row in pc.indices_nonzero(odd).to_pylist():
            if reason := self._misread(texts[row].as_py()):
                yield row, reason

    def _misread(self, text: str) -> str:
        """Why a text without quotes is read otherwise; empty when it is not."""
        dialect, cure = self._dialect, "write csv files, which have quotes, or choose another"
        if dialect.quote:
            cure = "let csv_string_quote_mode be MINIMAL, or choose another"
        if dialect.quote and text.startswith(dialect.quote):
            return f"{_shown(text)} begins with a quote; let csv_string_quote_mode be MINIMAL"
        ends = [dialect.row_end] if dialect.row_end else ["\n", "\r"]
        for end in ends:
            if (text + end).find(end) < len(text):
                return f"{_shown(text)} holds {end!r}, which ends a row; {cure} row_delimiter"
        if dialect.delimiter and (text + dialect.delimiter).find(dialect.delimiter) < len(text):
            return f"{_shown(text)} holds the delimiter {dialect.delimiter!r}; {cure} field_delimiter"
        return ""


def _is_text(dtype: pa.DataType) -> bool:
    is_plain = pa.types.is_string(dtype) or pa.types.is_binary(dtype) or pa.types.is_large_binary(dtype)
    return is_plain or pa.types.is_nested(dtype) or isinstance(dtype, pa.ExtensionType)


def _no_text(column: pa.Array) -> Iterator[tuple[int, str]]:
    try:
        column.cast(pa.string())
    except pa.ArrowInvalid:
        for row, value in enumerate(column.to_pylist()):
            if reason := _undecodable(value or b""):
                yield row, reason


def _undecodable(value: bytes) -> str:
    try:
        value.decode()
    except UnicodeDecodeError:
        return f"the bytes {value[:20]!r} are not UTF-8 text; write json files, which hold bytes in base64"
    return ""


def _unreadable(value: object, *, is_strict: bool) -> str:
    """Why a nested value is read otherwise; empty when it is not. is_strict: an empty text within it is not null."""
    if isinstance(value, str):
        if any(separator in value for separator in SEPARATORS):
            return "a text in it holds one of the characters \\002 to \\007, which separate the parts of nested values"
        return "an empty text in it would be read as null; write json files" if is_strict and not value else ""
    if isinstance(value, bytes):
        return _undecodable(value)
    if is_strict and value in ([None], [[]]):
        return "an array of one null would be read as an empty one; write json files"
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return next(filter(None, (_unreadable(item, is_strict=is_strict) for item in inner)), "")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")


def text_buffer(texts: pa.Array) -> memoryview:
    """The bytes of all texts, one behind the other."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    _, offsets, data = texts.buffers()
    if data is None:
        return memoryview(b"")
    kind = pa.int64() if pa.types.is_large_string(texts.type) else pa.int32()
    ends = pa.Array.from_buffers(kind, len(texts) + 1, [None, offsets], offset=texts.offset)
    return memoryview(data)[ends[0].as_py() : ends[len(texts)].as_py()]
