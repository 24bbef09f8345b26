"""Values as Java prints them: SeaTunnel's users compare these texts (Console lines, REST metrics)."""

import math
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from headrace.leaves import printed_floats
from headrace.rows import VectorType, type_name


def java_double(value: float) -> str:
    """`Double.toString`: `0.0`, `12.5`, `8.5210718E7`, `1.2E-4`."""
    return _java_float(value, repr(float(value)))


def java_float(value: float) -> str:
    """`Float.toString`: the shortest digits that give the same 32 bits."""
    return _java_float(value, str(np.float32(value)))


def _java_float(value: float, digits: str) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "-0.0" if math.copysign(1, value) < 0 else "0.0"
    number = Decimal(digits)
    sign, figures, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, figures)).rstrip("0") or "0"
    exponent += len(figures) - 1
    minus = "-" * sign
    if -3 <= exponent < 7:
        plain = f"{number:f}"
        return plain if "." in plain else f"{plain}.0"
    return f"{minus}{text[0]}.{text[1:] or '0'}E{exponent}"


def java_time(value: time) -> str:
    """`LocalTime.toString`: seconds and fraction only where they are not zero, the fraction in threes."""
    text = f"{value.hour:02d}:{value.minute:02d}"
    if value.second or value.microsecond:
        text += f":{value.second:02d}"
    if value.microsecond:
        text += f".{value.microsecond // 1000:03d}" if value.microsecond % 1000 == 0 else f".{value.microsecond:06d}"
    return text


def java_timestamp(value: datetime) -> str:
    """`LocalDateTime.toString`, or `OffsetDateTime.toString` in UTC for a value with a zone."""
    return f"{value.date().isoformat()}T{java_time(value.time())}" + ("Z" if value.tzinfo else "")


def java_text(value: Any, dtype: pa.DataType) -> str:
    """A value as SeaTunnel's Console sink prints it (ConsoleSinkWriter.fieldToString)."""
    if value is None:
        return "null"
    if isinstance(value, VectorType) or isinstance(dtype, VectorType):
        dtype = dtype.storage_type
    if pa.types.is_struct(dtype):
        inner = [java_text(value[dtype.field(i).name], dtype.field(i).type) for i in range(dtype.num_fields)]
        return f"[{', '.join(inner)}]"
    if pa.types.is_map(dtype):
        return orjson.dumps({str(k): json_value(v) for k, v in value}).decode()
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype):
        return f"[{', '.join(java_text(item, dtype.value_type) for item in value)}]"
    if isinstance(value, bytes):
        return f"[{', '.join(str(b - 256 if b > 127 else b) for b in value)}]"
    return _scalar(value, dtype)


def _scalar(value: Any, dtype: pa.DataType) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return java_double(value) if pa.types.is_float64(dtype) else java_float(value)
    if isinstance(value, datetime):
        return java_timestamp(value)
    if isinstance(value, time):
        return java_time(value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def json_value(value: Any) -> Any:
    """A nested value as JSON takes it: decimals as numbers in text, times as text."""
    if isinstance(value, Decimal | date | time):
        return java_timestamp(value) if isinstance(value, datetime) else str(value)
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) for item in value):
            return {str(k): json_value(v) for k, v in value}
        return [json_value(item) for item in value]
    if isinstance(value, dict):
        return {k: json_value(v) for k, v in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    return value


def java_texts(column: pa.Array) -> list[str]:
    """All values of a column as `java_text`, by Arrow where it prints the same as Java."""
    dtype = column.type
    if (
        pa.types.is_string(dtype)
        or pa.types.is_integer(dtype)
        or pa.types.is_boolean(dtype)
        or pa.types.is_date32(dtype)
    ):
        return ["null" if text is None else text for text in column.cast(pa.string()).to_pylist()]
    return [java_text(value, dtype) for value in printed_floats(column).to_pylist()]


def java_type(dtype: pa.DataType) -> str:
    """A type as SeaTunnel's types print themselves: as in a schema, but `Decimal(10, 2)`, `Map<STRING, INT>`."""
    if pa.types.is_struct(dtype):
        fields = [dtype.field(i) for i in range(dtype.num_fields)]
        return f"ROW<{','.join(f'{field.name} {java_type(field.type)}' for field in fields)}>"
    if pa.types.is_map(dtype):
        return f"Map<{java_type(dtype.key_type)}, {java_type(dtype.item_type)}>"
    if pa.types.is_list(dtype):
        return f"ARRAY<{java_type(dtype.value_type)}>"
    return type_name(dtype).replace("DECIMAL", "Decimal")
