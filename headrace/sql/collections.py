"""Functions of arrays, maps and JSON."""

import re
from collections.abc import Sequence
from typing import Any

import orjson
import pyarrow as pa

from headrace.javatext import java_double
from headrace.rows import type_name
from headrace.sql.casts import cast, to_text
from headrace.sql.functions import Argument, Value, array_of, by_row, function, wrong
from headrace.sql.types import element_type

TEXT = pa.string()


def _array_type(arguments: Sequence[Argument]) -> pa.DataType:
    return pa.list_(element_type([argument.type for argument in arguments]))


@function("ARRAY", result=_array_type, least=0, most=None)
def _array(*values: Value, rows: int) -> Value:
    dtype = element_type([value.type for value in values])
    if not values:
        return pa.array([[]] * rows, pa.list_(dtype))
    return _lists([cast(array_of(value, rows), dtype) for value in values], rows)


def _lists(columns: Sequence[pa.Array], rows: int) -> pa.Array:
    """For each row the list of its values."""
    count = len(columns)
    order = pa.array([column * rows + row for row in range(rows) for column in range(count)], pa.int64())
    offsets = pa.array(range(0, count * rows + 1, count), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.concat_arrays(columns).take(order))


def _map_type(arguments: Sequence[Argument]) -> pa.DataType:
    if len(arguments) % 2:
        raise wrong("MAP takes pairs: MAP(key, value, key, value)")
    for dtype in (a.type for a in arguments):
        if pa.types.is_nested(dtype) or isinstance(dtype, pa.BaseExtensionType):
            raise wrong(f"MAP takes plain values, not {type_name(dtype)}")
    return pa.map_(element_type([a.type for a in arguments[::2]]), element_type([a.type for a in arguments[1::2]]))


@function("MAP", result=_map_type, least=2, most=None)
def _map(*values: Value, rows: int) -> Value:
    """The last of several values of one key counts."""
    keys = element_type([value.type for value in values[::2]])
    items = element_type([value.type for value in values[1::2]])
    names = [cast(array_of(value, rows), keys).to_pylist() for value in values[::2]]
    contents = [cast(array_of(value, rows), items).to_pylist() for value in values[1::2]]
    if any(None in column for column in names):
        raise ValueError("a key of MAP is null")
    pairs = zip(zip(*names, strict=True), zip(*contents, strict=True), strict=True)
    return pa.array([list(dict(zip(k, v, strict=True)).items()) for k, v in pairs], pa.map_(keys, items))


def _element(arguments: Sequence[Argument]) -> pa.DataType:
    dtype = arguments[0].type
    if not pa.types.is_list(dtype):
        raise wrong(f"ARRAY_MAX and ARRAY_MIN take arrays, not {type_name(dtype)}")
    return dtype.value_type


def _extreme(name: str, pick: Any) -> None:
    @function(name, result=_element)
    def apply(values: Value, rows: int) -> Value:
        known = ([v for v in row or () if v is not None] for row in array_of(values, rows).to_pylist())
        return pa.array([pick(row, default=None) for row in known], values.type.value_type)


_extreme("ARRAY_MAX", max)
_extreme("ARRAY_MIN", min)


_STEP = re.compile(r"\.([^.\[]+)|\[\s*(?:(\d+)|'([^']*)'|\"([^\"]*)\")\s*\]")


def _json_at(document: str, path: str) -> str | None:
    """The text at a path; null when the document is not JSON, or has nothing there."""
    try:
        value = orjson.loads(document)
    except orjson.JSONDecodeError:
        return None
    at = 1
    if not path.startswith("$"):
        return None
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return None
        name = next((match[i] for i in (1, 3, 4) if match[i] is not None), None)
        if name is not None and isinstance(value, dict):
            value = value.get(name)
        elif name is None and isinstance(value, list) and int(match[2]) < len(value):
            value = value[int(match[2])]
        else:
            return None
        at = match.end()
    return _printed(value)


def _printed(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return java_double(value)
    return str(value) if isinstance(value, int) else orjson.dumps(value).decode()


@function("GET_JSON_OBJECT", result=TEXT, least=2, fails=False)
def _get_json_object(document: Value, path: Value, rows: int) -> Value:
    """Paths are `$.a.b[0]['c']`, without wildcards."""
    return by_row(_json_at, [to_text(document), to_text(path)], TEXT)
