"""Json files, one object a line."""

import base64
import math
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from headrace.connector import Position, TaskContext
from headrace.errors import Rejected
from headrace.formats.beside import ahead, each
from headrace.formats.cells import cell_texts
from headrace.formats.delimited_writer import text_buffer
from headrace.formats.file_format import (
    BadLine,
    FileFormat,
    FilePart,
    FormatWriter,
    ReadSettings,
    WriteSettings,
    slices,
)
from headrace.formats.json_rows import JsonRows, first_object
from headrace.formats.lines import Block, LineFormat, blocks, cut, header_row
from headrace.formats.names import check_names, nearest
from headrace.formats.text_stream import TextStream
from headrace.javatext import java_double
from headrace.leaves import printed_floats
from headrace.storage.opened import InMemory, Opened


class JsonFormat(FileFormat):
    """One object a line by the schema's names: what is missing is null, what is unknown is ignored."""

    name = "json"
    suffix = "json"
    packable = True

    def cut(self, file: Opened, split_size: int, settings: ReadSettings) -> list[tuple[int, int]]:  # noqa: D102
        return cut(file, split_size, _lines(settings))

    def can_grow(self, settings: ReadSettings) -> bool:  # noqa: D102
        return LineFormat(encoding=settings.encoding).ascii_based

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
        form = _lines(settings)
        try:
            first = first_object(header_row(part.file, _lines(settings, header=True), task))
            rows = JsonRows(schema, first, settings, form)
            for block, found in ahead(blocks(part, offset, form, task), lambda block: rows.parse(block, part), task):
                rows.count(found.rows, block)
                yield from slices(found.rows, task, block.start, block.end, skip, found.odd, table)
                skip = max(skip - found.rows.num_rows, 0)  # blocks may be smaller than those of the position
        except UnicodeError as error:
            raise Rejected(f"{part.label} is not {settings.encoding}: {error}; set the option encoding") from error
        if rows.rows:
            missing = [field for field in schema if field.name not in rows.found]
            if first and not part.start and not offset and not part.growing:
                check_names(missing if len(missing) == len(schema) else [], schema, list(first), part.label)
            near = {field.name: nearest(field.name, list(first)) for field in missing}
            task.notices.names(table, part.label, rows.found, near)

    def parse(  # noqa: D102
        self, raw: bytes, header: Opened | None, schema: pa.Schema, settings: ReadSettings
    ) -> tuple[pa.Table, list[BadLine]]:
        part, block = FilePart(InMemory("", raw), 0, 0), Block(memoryview(raw), 0, 0, last=True)
        found = JsonRows(schema, first_object(raw), settings, LineFormat()).parse_slowly(block.data, part, block)
        return found.rows, found.odd

    def kept(self, rows: pa.RecordBatch, settings: WriteSettings) -> pa.RecordBatch:
        """Dates and times as the texts that were written, for a format may drop a part of them."""
        columns = [_times(c, settings) if pa.types.is_temporal(c.type) else c for c in rows.columns]
        return pa.RecordBatch.from_arrays(columns, rows.schema.names)

    def read_back(self, file: Opened, schema: pa.Schema, settings: WriteSettings) -> Iterator[pa.RecordBatch]:  # noqa: D102
        fields = [pa.field(f.name, pa.string()) if pa.types.is_temporal(f.type) else f for f in schema]
        return super().read_back(file, pa.schema(fields), settings.model_copy(update={"header": False}))

    def writer(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> FormatWriter:  # noqa: D102
        return _JsonWriter(stream, settings)


def _lines(settings: ReadSettings, *, header: bool = False) -> LineFormat:
    return LineFormat(encoding=settings.encoding, skip=settings.skip_header, header=header)


class _JsonWriter(FormatWriter):
    """All fields of every row, nulls included; times as ISO text, bytes as base64, decimals as numbers.

    Numbers that JSON does not have are the texts that Jackson writes: `"NaN"`, `"Infinity"`, `"-Infinity"`.
    """

    def __init__(self, stream: BinaryIO, settings: WriteSettings) -> None:
        self._stream, self._settings = TextStream(stream, settings.encoding), settings

    def write(self, rows: pa.RecordBatch) -> None:
        keys = [orjson.dumps(name).decode() for name in rows.schema.names]
        texts = each(lambda column: _json_texts(column, self._settings), rows.columns, rows.num_rows)
        parts: list[Any] = []
        end = "{"
        for key, (column, quote) in zip(keys, texts, strict=True):
            parts += [f"{end}{key}:{quote}", column]
            end = f"{quote},"
        parts += [f"{end[:-1]}}}\n"]
        lines = pc.binary_join_element_wise(*parts, "") if rows.num_columns else pa.array(["{}\n"] * rows.num_rows)
        self._stream.write(text_buffer(lines))

    def close(self) -> None:
        """Every line was written whole."""


def _json_texts(column: pa.Array, settings: WriteSettings) -> tuple[pa.Array, str]:
    """Each value of a column as JSON text, and the quote that is to stand around all of them, or nothing.

    Where each value is a text that needs no more than its quotes, they are joined with what stands between the fields.
    """
    dtype = column.type
    if pa.types.is_integer(dtype) or pa.types.is_boolean(dtype) or pa.types.is_decimal(dtype):
        return _with_nulls(column.cast(pa.string())), ""
    if pa.types.is_string(dtype):
        return _strings(column)
    if pa.types.is_temporal(dtype):
        return _in_quotes(_times(column, settings))
    if pa.types.is_float32(dtype) or pa.types.is_float64(dtype):
        return _with_nulls(_numbers(column)), ""
    return _with_nulls(pa.array(values_as_json(column), pa.string())), ""


def _with_nulls(texts: pa.Array) -> pa.Array:
    return pc.fill_null(texts, "null") if texts.null_count else texts


def _in_quotes(texts: pa.Array) -> tuple[pa.Array, str]:
    """See _json_texts: null has no quotes, so where there is one they are part of each text."""
    if not texts.null_count:
        return texts, _QUOTE
    return _with_nulls(pc.binary_join_element_wise(_QUOTE, texts, _QUOTE, "")), ""


def _strings(column: pa.Array) -> tuple[pa.Array, str]:
    if _ESCAPED.search(text_buffer(column)) is None:
        return _in_quotes(column)
    odd = pc.fill_null(pc.match_substring_regex(column, _ESCAPED.pattern.decode()), fill_value=False)
    escaped = [orjson.dumps(text).decode()[1:-1] for text in column.filter(odd).to_pylist()]
    return _in_quotes(pc.replace_with_mask(column, odd, pa.array(escaped, pa.string())))


_QUOTE = '"'

_ESCAPED = re.compile(rb'["\\\x00-\x1f]')
"""What cannot stand in a JSON text as it is."""


def _numbers(column: pa.Array) -> pa.Array:
    texts = cell_texts(column, {}, None)
    odd = pc.fill_null(pc.invert(pc.is_finite(column)), fill_value=False)
    if not pc.any(odd, min_count=0).as_py():
        return texts
    return pc.if_else(odd, pc.binary_join_element_wise('"', texts, '"', ""), texts)


def _times(column: pa.Array, settings: WriteSettings) -> pa.Array:
    """Dates and times as texts, null where they are null."""
    formats = settings.formats()
    texts = cell_texts(column, formats, None)
    if pa.types.is_timestamp(column.type) and formats["datetime"] is None:
        texts = pc.replace_substring(texts, " ", "T")
    return texts


def values_as_json(column: pa.Array) -> list[str | None]:
    """The values of a column as JSON, see `json_text`; None where they are null."""
    values = printed_floats(column).to_pylist()
    return [None if value is None else json_text(value, column.type) for value in values]


def json_text(value: Any, dtype: pa.DataType) -> str:
    """One value as JSON: bytes in base64, times in ISO, decimals with all their digits."""
    return orjson.dumps(_plain(value, dtype), default=str).decode()


def _plain(value: Any, dtype: pa.DataType) -> Any:
    if isinstance(dtype, pa.ExtensionType):
        dtype = dtype.storage_type
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else java_double(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if pa.types.is_map(dtype):
        return {str(k): _plain(v, dtype.item_type) for k, v in value}
    if pa.types.is_struct(dtype):
        return {
            dtype.field(i).name: _plain(value[dtype.field(i).name], dtype.field(i).type)
            for i in range(dtype.num_fields)
        }
    if pa.types.is_list(dtype):
        return [_plain(item, dtype.value_type) for item in value]
    if pa.types.is_decimal(dtype):
        return orjson.Fragment(f"{value:f}")
    return value.isoformat()
