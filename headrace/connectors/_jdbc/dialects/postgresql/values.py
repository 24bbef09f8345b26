"""Values as the text that PostgreSQL reads."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.formats.json_lines import values_as_json


def as_text(column: pa.Array, declared: str) -> pa.Array:
    """A column as Arrow writes it into CSV, or as texts where that is not what PostgreSQL reads.

    declared: the type of the target's column: a list is an array there, or else JSON.
    """
    dtype = column.type
    if pa.types.is_dictionary(dtype):
        return as_text(column.cast(dtype.value_type), declared)
    if pa.types.is_binary(dtype) or pa.types.is_large_binary(dtype) or pa.types.is_fixed_size_binary(dtype):
        return _hex(column.cast(pa.binary()))
    if pa.types.is_timestamp(dtype):
        return _timestamps(column)
    if pa.types.is_date(dtype):
        return _days(column.cast(pa.date32()))
    if pa.types.is_time(dtype):
        return column.cast(pa.time64("us"), safe=dtype != pa.time64("ns")).cast(pa.string())
    if pa.types.is_decimal(dtype) or pa.types.is_float16(dtype):
        return column.cast(pa.string())
    if pa.types.is_null(dtype):
        return pa.nulls(len(column), pa.string())
    if pa.types.is_boolean(dtype) and declared not in ("boolean", ""):
        return column.cast(pa.int8())
    if isinstance(dtype, pa.BaseExtensionType):
        return pa.array(values_as_json(column), pa.string())
    if declared.endswith("[]") and (pa.types.is_list(dtype) or pa.types.is_large_list(dtype)):
        return pa.array([None if value is None else _array(value) for value in column.to_pylist()], pa.string())
    if pa.types.is_nested(dtype):
        return pa.array(values_as_json(column), pa.string())
    return column


def _hex(column: pa.Array) -> pa.Array:
    r"""Bytes as `\x00ff`."""
    return pa.array([None if value is None else "\\x" + value.hex() for value in column.to_pylist()], pa.string())


def _timestamps(column: pa.Array) -> pa.Array:
    """In UTC with `+00` where they have a zone; nanoseconds are cut, as PostgreSQL keeps microseconds."""
    zone = column.type.tz
    plain = column.cast(pa.timestamp("us", zone), safe=False).cast(pa.timestamp("us"))
    return _days(plain, "+00" if zone else "")


def _days(column: pa.Array, end: str = "") -> pa.Array:
    """Dates or timestamps; years before 1 and after 9999 as PostgreSQL writes them: year 0 is 1 BC."""
    numbers = column.cast(pa.int32() if pa.types.is_date32(column.type) else pa.int64())
    a_day = 1 if pa.types.is_date32(column.type) else 86_400_000_000
    found = pc.min_max(numbers).as_py()
    if found["min"] is None or (found["min"] >= _FIRST * a_day and found["max"] < _LAST * a_day):
        texts = column.cast(pa.string())
        return pc.binary_join_element_wise(texts, end, "") if end else texts
    unit = "D" if a_day == 1 else "us"
    values = pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False).astype(f"datetime64[{unit}]")
    written = [_with_era(str(text).replace("T", " "), end) for text in np.datetime_as_string(values)]
    return pc.if_else(pc.is_valid(column), pa.array(written, pa.string()), pa.scalar(None, pa.string()))


_FIRST, _LAST = -719_162, 2_932_897
"""Days from 1970 to the year 1, and to the year 10000."""


def _with_era(text: str, end: str) -> str:
    if not text.startswith(("-", "0000")):
        return text + end
    cut = text.index("-", 1)
    return f"{1 - int(text[:cut]):04}{text[cut:]}{end} BC"


def _array(values: Any) -> str:
    """A list as an array of PostgreSQL: `{1,NULL,"a\\"b"}`."""
    return "{" + ",".join(_element(value) for value in values) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list | tuple | np.ndarray):
        return _array(value)
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, bytes):
        value = "\\x" + value.hex()
    text = str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
