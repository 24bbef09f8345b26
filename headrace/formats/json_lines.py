"""Json files, one object a line: Arrow parses whole blocks; a block with an odd value is parsed again, line by line."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pajson

from headrace.connector import Position, TaskContext
from headrace.errors import Rejected
from headrace.formats.cells import cell_texts
from headrace.formats.file_format import (
    BadLine,
    FileFormat,
    FilePart,
    FormatWriter,
    ReadSettings,
    WriteSettings,
    slices,
)
from headrace.formats.lines import Block, LineFormat, blocks, cut, line_number
from headrace.leaves import printed_floats
from headrace.storage.opened import InMemory, Opened
from headrace.values import parse_value, to_array


class JsonFormat(FileFormat):
    """One object a line by the schema's names: what is missing is null, what is unknown is ignored."""

    name = "json"
    suffix = "json"
    packable = True

    def cut(self, file: Opened, split_size: int, settings: ReadSettings) -> list[tuple[int, int]]:  # noqa: D102
        return cut(file, split_size, LineFormat(encoding=settings.encoding))

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
        form = LineFormat(encoding=settings.encoding, skip=settings.skip_header)
        native = all(_is_native(field.type) for field in schema)
        try:
            for block in blocks(part, offset, form, task):
                bad: list[BadLine] = []
                rows = _fast(block, schema) if native else None
                if rows is None:
                    rows, bad = _slow(block, schema, part, form)
                yield from slices(rows, task, block.start, block.end, skip, bad, table)
                skip = max(skip - rows.num_rows, 0)  # blocks may be smaller than those the position was made with
        except UnicodeError as error:
            raise Rejected(f"{part.label} is not {settings.encoding}: {error}; set the option encoding") from error

    def parse(  # noqa: D102
        self, raw: bytes, header: Opened | None, schema: pa.Schema, settings: ReadSettings
    ) -> tuple[pa.Table, list[BadLine]]:
        return _slow(Block(memoryview(raw), 0, 0), schema, FilePart(InMemory("", raw), 0, 0), LineFormat())

    def kept(self, rows: pa.RecordBatch, settings: WriteSettings) -> pa.RecordBatch:
        """Dates and times as the texts that were written, for a format may drop a part of them."""
        columns = [_times(c, settings) if pa.types.is_temporal(c.type) else c for c in rows.columns]
        return pa.RecordBatch.from_arrays(columns, rows.schema.names)

    def read_back(self, file: Opened, schema: pa.Schema, settings: WriteSettings) -> Iterator[pa.RecordBatch]:  # noqa: D102
        fields = [pa.field(f.name, pa.string()) if pa.types.is_temporal(f.type) else f for f in schema]
        return super().read_back(file, pa.schema(fields), settings)

    def writer(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> FormatWriter:  # noqa: D102
        return _JsonWriter(stream, settings)


def _is_native(dtype: pa.DataType) -> bool:
    """Types that Arrow's reader takes from JSON exactly as SeaTunnel does."""
    if pa.types.is_struct(dtype):
        return all(_is_native(dtype.field(i).type) for i in range(dtype.num_fields))
    if pa.types.is_list(dtype):
        return _is_native(dtype.value_type)
    return (
        pa.types.is_string(dtype)
        or pa.types.is_integer(dtype)
        or pa.types.is_floating(dtype)
        or pa.types.is_boolean(dtype)
    )


def _fast(block: Block, schema: pa.Schema) -> pa.Table | None:
    try:
        table = pajson.read_json(
            pa.BufferReader(pa.py_buffer(block.data)),
            pajson.ReadOptions(use_threads=False, block_size=len(block.data) + 1),
            pajson.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
        return table.select(schema.names)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError):
        return None


def _slow(block: Block, schema: pa.Schema, part: FilePart, form: LineFormat) -> tuple[pa.Table, list[BadLine]]:
    columns: list[list[Any]] = [[] for _ in schema]
    bad: list[BadLine] = []
    first: int | None = None
    loads = _loads_exactly if any(_has_decimals(field.type) for field in schema) else orjson.loads
    for number, line in enumerate(bytes(block.data).split(b"\n")):
        if not line.strip():
            continue
        column, problem, values = "", "", []
        try:
            value = loads(line)
            if not isinstance(value, dict):
                raise ValueError("the line is no JSON object")
            for field in schema:
                column = field.name
                values.append(parse_value(value.get(field.name), field.type))
        except ValueError as error:
            problem = str(error)
        if problem:
            if first is None:
                first = line_number(part.file, block.start, form)
            place = f"{part.label} row {first + number}" + (f", column {column}" if column else "")
            bad.append(BadLine(len(columns[0]) if columns else 0, line, problem, place))
            continue
        for target, item in zip(columns, values, strict=True):
            target.append(item)
    return pa.table([to_array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema), bad


def _loads_exactly(line: bytes) -> Any:
    """A decimal keeps digits that a double has no room for."""
    return json.loads(line, parse_float=Decimal)


def _has_decimals(dtype: pa.DataType) -> bool:
    inner = [dtype.field(i).type for i in range(dtype.num_fields)] if pa.types.is_nested(dtype) else []
    return pa.types.is_decimal(dtype) or any(_has_decimals(item) for item in inner)


class _JsonWriter(FormatWriter):
    """All fields of every row, nulls included; times as ISO text, bytes as base64, decimals as numbers."""

    def __init__(self, stream: BinaryIO, settings: WriteSettings) -> None:
        self._stream, self._settings = stream, settings

    def write(self, rows: pa.RecordBatch) -> None:
        keys = [orjson.dumps(name).decode() for name in rows.schema.names]
        parts: list[Any] = []
        for i, (key, column) in enumerate(zip(keys, rows.columns, strict=True)):
            parts += [f"{'{' if i == 0 else ','}{key}:", _json_texts(column, self._settings)]
        lines = pc.binary_join_element_wise(*parts, "}\n", "") if parts else pa.array(["{}\n"] * rows.num_rows)
        text = b"".join(item.encode() for item in lines.to_pylist())
        utf8 = self._settings.encoding.lower().replace("-", "") == "utf8"
        self._stream.write(text if utf8 else text.decode().encode(self._settings.encoding))

    def close(self) -> None:
        """Every line was written whole."""


def _json_texts(column: pa.Array, settings: WriteSettings) -> pa.Array:
    """Each value of a column as JSON text."""
    dtype = column.type
    if pa.types.is_integer(dtype) or pa.types.is_boolean(dtype) or pa.types.is_decimal(dtype):
        return pc.fill_null(column.cast(pa.string()), "null")
    if pa.types.is_string(dtype) and not _needs_escapes(column):
        return pc.fill_null(pc.binary_join_element_wise('"', column, '"', ""), "null")
    if pa.types.is_temporal(dtype):
        return pc.fill_null(pc.binary_join_element_wise('"', _times(column, settings), '"', ""), "null")
    return pc.fill_null(pa.array(values_as_json(column), pa.string()), "null")


def _times(column: pa.Array, settings: WriteSettings) -> pa.Array:
    """Dates and times as texts, null where they are null."""
    formats = settings.formats()
    texts = cell_texts(column, formats)
    if pa.types.is_timestamp(column.type) and formats["datetime"] is None:
        texts = pc.replace_substring(texts, " ", "T")
    return pc.if_else(pc.is_valid(column), texts, None)


def _needs_escapes(column: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring_regex(column, r'["\\\x00-\x1f]'), min_count=0).as_py())


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
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, bytes):
        import base64

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
