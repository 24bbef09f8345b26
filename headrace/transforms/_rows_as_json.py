"""Columns as the values that JSON holds, the way SeaTunnel writes rows as JSON."""

import base64
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from headrace.javatext import java_time, java_timestamp
from headrace.leaves import printed_floats


def json_columns(rows: pa.RecordBatch) -> list[list[Any]]:
    """Each column's values: times as ISO text, decimals as numbers, bytes as base64, maps as objects."""
    return [_values(column) for column in rows.columns]


def json_rows(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows as objects by column name."""
    names = rows.schema.names
    return [dict(zip(names, row, strict=True)) for row in zip(*json_columns(rows), strict=True)]


def _values(column: pa.Array) -> list[Any]:
    dtype = column.type
    if pa.types.is_decimal(dtype):
        return column.cast(pa.float64()).to_pylist()
    values = printed_floats(column).to_pylist()
    if (pa.types.is_primitive(dtype) and not pa.types.is_temporal(dtype)) or pa.types.is_string(dtype):
        return values
    return [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) for item in value):
            return {str(key): _plain(inner) for key, inner in value}
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return java_timestamp(value)
    if hasattr(value, "isoformat"):
        return java_time(value) if hasattr(value, "hour") else value.isoformat()
    return value
