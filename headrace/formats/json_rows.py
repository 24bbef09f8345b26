"""Rows of json files: Arrow reads whole blocks where that means the same, else each line is read by itself."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.json as pajson

from headrace.formats.cells import parse_cell
from headrace.formats.doubts import is_doubtful
from headrace.formats.file_format import BadLine, FilePart, ReadSettings
from headrace.formats.iso_texts import iso_patterns, to_iso
from headrace.formats.lines import Block, LineFormat
from headrace.formats.names import place_of
from headrace.formats.parsed import LineNumbers, Parsed, by_halves
from headrace.values import loads_exactly, parse_value, to_array

_OPENS, _CLOSES, _RETURN, _LINE = b"{}\r\n"
_NO_NUMBER = re.compile(r"[:,\[]\s*-?(?:NaN|Inf)")
"""What Arrow takes for a number though JSON does not have it."""

_ONE_A_LINE = "; a json file has an object, or an array of objects, on each line: write it so, as `jq -c .` does"


class JsonRows:
    """Reads blocks of one file. first: its first object, whose names say how those of the columns are written.

    found: the columns whose names were in a row so far. rows: how many rows there were.
    """

    def __init__(self, schema: pa.Schema, first: Mapping[str, Any], settings: ReadSettings, form: LineFormat) -> None:
        self._schema, self._form, self._formats = schema, form, settings.patterns()
        self._patterns = iso_patterns(self._formats)
        names = list(first)
        places = [place_of(field.name, names) for field in schema]
        self._keys = [names[place] if place >= 0 else f.name for place, f in zip(places, schema, strict=True)]
        self._read = [pa.field(key, _read_as(f.type)) for key, f in zip(self._keys, schema, strict=True)]
        self._is_complete = settings.is_complete
        self._native = all(_is_native(f.type) for f in self._read) and len(set(self._keys)) == len(self._keys)
        self.found: set[str] = set()
        self.rows = 0

    def parse(self, block: Block, part: FilePart) -> Parsed:
        """The rows of a block."""
        return by_halves(block, self._form, self._fast, lambda data, start: self.parse_slowly(data, part, block, start))

    def count(self, rows: pa.Table, block: Block) -> None:
        """Keep how many rows there were, and which columns are in them. Not for several threads at once."""
        self.rows += rows.num_rows
        for name, key, column in zip(self._schema.names, self._keys, rows.columns, strict=True):
            if name in self.found:
                continue
            if column.null_count < len(column) or orjson.dumps(key) in bytes(block.data):
                self.found.add(name)

    # -------------------------------------------------------------------------------------------------------- quickly

    def _fast(self, data: memoryview) -> pa.Table | None:
        """The rows by Arrow's reader; None where it takes them otherwise than we do, or not at all."""
        lines = _lines_with_an_object(data) if self._native else 0
        if not lines:
            return None
        try:
            text = str(data, "utf-8")  # Arrow does not look
            if ("NaN" in text or "Inf" in text) and _NO_NUMBER.search(text):
                return None
            table = pajson.read_json(
                pa.BufferReader(pa.py_buffer(data)),
                pajson.ReadOptions(use_threads=False, block_size=len(data) + 1),
                pajson.ParseOptions(
                    explicit_schema=pa.schema(self._read),
                    unexpected_field_behavior="error" if self._is_complete else "ignore",
                ),
            )
            if table.num_rows != lines:
                return None
            columns = [self._column(table.column(key), f) for key, f in zip(self._keys, self._schema, strict=True)]
        except (ValueError, KeyError, pa.ArrowException):
            return None
        if any(column is None for column in columns):
            return None
        return pa.table(columns, schema=self._schema)

    def _column(self, column: pa.ChunkedArray, wanted: pa.Field) -> pa.ChunkedArray | None:
        if pa.types.is_temporal(wanted.type):
            column = to_iso(column, self._patterns, wanted.type).cast(wanted.type)
        if (column.null_count and not wanted.nullable) or is_doubtful(column):
            return None
        return column

    # --------------------------------------------------------------------------------------------------------- slowly

    def parse_slowly(self, data: memoryview, part: FilePart, block: Block, start: int = 0) -> Parsed:
        """Line by line. start: where the data begins in the block."""
        columns: list[list[Any]] = [[] for _ in self._schema]
        odd: list[BadLine] = []
        numbers, at, raw = LineNumbers(part, block, start, self._form), 0, bytes(data)
        for line in raw.split(b"\n"):
            for text, found in objects(line):
                try:
                    values = self._values(text, found)
                except _BadValue as error:
                    place = f"{part.label} row {numbers.of(raw[:at])}{error.place}"
                    odd.append(BadLine(len(columns[0]) if columns else 0, text, str(error), place))
                    continue
                for target, item in zip(columns, values, strict=True):
                    target.append(item)
            at += len(line) + 1
        arrays = [to_array(c, f.type) for c, f in zip(columns, self._schema, strict=True)]
        return Parsed(pa.table(arrays, schema=self._schema), odd)

    def _values(self, text: bytes, found: Any) -> list[Any]:
        """The values of an object. Raises _BadValue."""
        if isinstance(found, ValueError):
            is_part = len(text.strip()) < 2 or text.rstrip().endswith((b",", b"{", b"["))
            raise _BadValue(f"it is not a JSON object: {found}{_ONE_A_LINE if is_part else ''}") from found
        if not isinstance(found, dict):
            raise _BadValue(f"it is not a JSON object{_ONE_A_LINE}")
        if self._is_complete and (others := ", ".join(dict.fromkeys(_strangers(found, pa.struct(self._read))))):
            raise _BadValue(f"it has {others}, which no row had that was looked at")
        exact: Any = None
        values = []
        for key, column in zip(self._keys, self._schema, strict=True):
            value = found.get(key)
            if (isinstance(value, float | list | dict) and not _is_exact(column.type)) or (
                value == 0 and b"-0" in text
            ):
                exact = loads_exactly(text) if exact is None else exact
                value = exact[key]
            try:
                parsed = self._value(value, column.type)
                if parsed is None and not column.nullable:
                    there = "" if key in found else f": there is only {', '.join(found) or 'nothing'}"
                    raise ValueError(f"it is null, and the schema says nullable = false{there}")
            except ValueError as error:
                raise _BadValue(str(error), f", column {column.name}") from error
            values.append(parsed)
        return values

    def _value(self, value: Any, dtype: pa.DataType) -> Any:
        if isinstance(value, str) and pa.types.is_temporal(dtype):
            if not value.strip():
                raise ValueError(f"cannot read {value!r} as a date or time")
            return parse_cell(value, dtype, self._formats)
        return parse_value(value, dtype)


class _BadValue(ValueError):
    """What is wrong with a row. place: which column, as text to append to the row's number."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place


def _strangers(value: Any, dtype: pa.DataType, name: str = "") -> Iterator[str]:
    """The fields of an object, and of those within it, that its type lacks."""
    if pa.types.is_list(dtype) and isinstance(value, list):
        for item in value:
            yield from _strangers(item, dtype.value_type, name)
    if not (pa.types.is_struct(dtype) and isinstance(value, dict)):
        return
    for key, item in value.items():
        path, index = f"{name}.{key}" if name else key, dtype.get_field_index(key)
        if index < 0:
            yield path
        else:
            yield from _strangers(item, dtype.field(index).type, path)


def objects(line: bytes) -> Iterator[tuple[bytes, Any]]:
    """The objects of a line, each with its text: one, or those of an array; an error for what is not JSON."""
    if not line.strip():
        return
    try:
        found = orjson.loads(line)
    except ValueError as error:
        yield line, error
        return
    if not isinstance(found, list):
        yield line, found
        return
    for item, exact in zip(found, loads_exactly(line), strict=True):
        yield parse_value(exact, pa.string()).encode() if isinstance(exact, dict | list) else orjson.dumps(item), item


def _lines_with_an_object(data: memoryview) -> int:
    """How many lines there are, where each begins with `{` and ends with `}`; else 0.

    Within an object no `}` stands before a line's end that a `{` follows: so no object goes on in the next line.
    """
    size = len(data)
    while size and data[size - 1] in (_LINE, _RETURN):
        size -= 1
    if size < 2 or data[0] != _OPENS or data[size - 1] != _CLOSES:
        return 0
    at = np.frombuffer(data, np.uint8, size)
    ends = np.flatnonzero(at == _LINE)
    before = at[ends - 1]
    if _RETURN in before:
        before = np.where(before == _RETURN, at[ends - 2], before)
    return len(ends) + 1 if (before == _CLOSES).all() and (at[ends + 1] == _OPENS).all() else 0


def _read_as(dtype: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_temporal(dtype) else dtype


def _is_native(dtype: pa.DataType, *, inner: bool = False) -> bool:
    """Whether Arrow takes the type from JSON as `parse_value` does."""
    if pa.types.is_struct(dtype):
        return all(_is_native(dtype.field(i).type, inner=True) for i in range(dtype.num_fields))
    if pa.types.is_list(dtype):
        return _is_native(dtype.value_type, inner=True)
    if pa.types.is_float32(dtype) or pa.types.is_decimal(dtype):
        return not inner  # what does not fit is not seen within
    return (
        pa.types.is_string(dtype)
        or pa.types.is_integer(dtype)
        or pa.types.is_floating(dtype)
        or pa.types.is_boolean(dtype)
    )


def _is_exact(dtype: pa.DataType) -> bool:
    """Whether a number that was read as a double is no other one then."""
    return pa.types.is_float64(dtype) or pa.types.is_boolean(dtype) or pa.types.is_temporal(dtype)


def first_object(raw: bytes) -> Mapping[str, Any]:
    """The first object of a file's first line; an empty one when there is none."""
    found = next(objects(raw), (b"", None))[1]
    return found if isinstance(found, dict) else {}
