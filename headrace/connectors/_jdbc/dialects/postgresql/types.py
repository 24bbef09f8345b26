"""PostgreSQL's types ↔ SeaTunnel's (PostgresTypeConverter.java), and how the value of each travels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from headrace.rows import MAX_DECIMAL_PRECISION, Column, decimal_type

OPEN_DECIMAL = pa.decimal128(38, 18)
"""What a numeric without precision is read as, as in SeaTunnel; a value that does not fit is a bad row."""


SMALL_DECIMAL = 18
"""Digits up to which numbers are decoded from their own bytes; the database makes texts of bigger ones."""


@dataclass(frozen=True)
class Wire:
    """How a column travels in a binary COPY. as_sql: what is selected, `{}` for the column; width: bytes, 0 any.

    kind: what the bytes are: `>i8` and the like, `bool`, `date`, `timestamp`, `time`, `text`, `bytes`, `numeric`,
    `decimal` (a text), `list` (JSON), `uuid` or `jsonb`.
    """

    type: pa.DataType
    kind: str
    as_sql: str = "{}"


_TEXT = Wire(pa.string(), "text", "{}::text")
"""Every type that has no counterpart comes as PostgreSQL writes it."""

_PLAIN: dict[str, Wire] = {
    "bool": Wire(pa.bool_(), "bool"),
    "int2": Wire(pa.int16(), ">i2"),
    "int4": Wire(pa.int32(), ">i4"),
    "int8": Wire(pa.int64(), ">i8"),
    "float4": Wire(pa.float32(), ">f4"),
    "float8": Wire(pa.float64(), ">f8"),
    "text": Wire(pa.string(), "text"),
    "varchar": Wire(pa.string(), "text"),
    "bpchar": Wire(pa.string(), "text"),
    "json": Wire(pa.string(), "text"),
    "bytea": Wire(pa.binary(), "bytes"),
    "date": Wire(pa.date32(), "date"),
    "time": Wire(pa.time64("us"), "time"),
    "timestamp": Wire(pa.timestamp("us"), "timestamp"),
    "timestamptz": Wire(pa.timestamp("us", tz="UTC"), "timestamp"),
}

_IN_ARRAYS = ("bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "bpchar")
"""Elements of arrays that are read as ARRAY; other arrays are read as texts."""

KEYS = ("int2", "int4", "int8", "text", "varchar", "bpchar", "uuid", "date", "numeric")
"""Types whose values can be written into a condition again, so that a table is read in their order."""


def wire(name: str, modifier: int) -> Wire:
    """How a type is read. name: of pg_type, without a domain around it. modifier: its atttypmod, below 0 without."""
    if name == "numeric":
        dtype = _numeric(modifier)
        is_small = modifier >= 0 and dtype.precision <= SMALL_DECIMAL
        return Wire(dtype, "numeric") if is_small else Wire(dtype, "decimal", "{}::text")
    if name.startswith("_") and name[1:] in _IN_ARRAYS:
        return Wire(pa.list_(_PLAIN[name[1:]].type), "list", "array_to_json({})::text")
    return _PLAIN.get(name, _TEXT)


def native(name: str, modifier: int) -> Wire | None:
    """How a type is read where its own bytes are wanted; None where they are not known."""
    if name == "numeric":
        return Wire(_numeric(modifier), "numeric")
    found = _NATIVE.get(name) or wire(name, modifier)
    return found if found.as_sql == "{}" else None


_NATIVE = {"uuid": Wire(pa.string(), "uuid"), "jsonb": Wire(pa.string(), "jsonb")}


def _numeric(modifier: int) -> pa.DataType:
    """The scale has eleven bits, and may be below 0 (since 15)."""
    if modifier < 0:
        return OPEN_DECIMAL
    precision, scale = ((modifier - 4) >> 16) & 0xFFFF, ((modifier - 4) & 0x7FF ^ 1024) - 1024
    if scale < 0:
        precision, scale = precision - scale, 0
    precision = max(precision, scale)
    return decimal_type(precision, scale) if precision <= MAX_DECIMAL_PRECISION else OPEN_DECIMAL


def length(name: str, modifier: int) -> int | None:
    """Characters of a varchar(n) or char(n)."""
    return modifier - 4 if name in ("varchar", "bpchar") and modifier >= 4 else None


# ------------------------------------------------------------------------------------------------------- declaring

_DECLARED: list[tuple[Any, str]] = [
    (pa.types.is_boolean, "boolean"),
    (lambda t: pa.types.is_int8(t) or pa.types.is_int16(t) or pa.types.is_uint8(t), "smallint"),
    (lambda t: pa.types.is_int32(t) or pa.types.is_uint16(t), "integer"),
    (lambda t: pa.types.is_int64(t) or pa.types.is_uint32(t), "bigint"),
    (pa.types.is_uint64, "numeric(20, 0)"),
    (lambda t: pa.types.is_float32(t) or pa.types.is_float16(t), "real"),
    (pa.types.is_float64, "double precision"),
    (pa.types.is_date, "date"),
    (pa.types.is_time, "time"),
    (lambda t: pa.types.is_binary(t) or pa.types.is_large_binary(t) or pa.types.is_fixed_size_binary(t), "bytea"),
]


def declare(column: Column) -> str:
    """The type a column gets in a new table."""
    if column.sink_type:
        return column.sink_type
    dtype = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_decimal(dtype):
        return f"numeric({dtype.precision}, {dtype.scale})"
    if pa.types.is_timestamp(dtype):
        return "timestamptz" if dtype.tz else "timestamp"
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        return f"varchar({column.length})" if column.length and column.length <= 10_485_760 else "text"
    if isinstance(dtype, pa.BaseExtensionType):
        return "jsonb"
    if pa.types.is_list(dtype):
        inner = next((name for check, name in _DECLARED if check(dtype.value_type)), None)
        inner = "text" if pa.types.is_string(dtype.value_type) else inner
        return f"{inner}[]" if inner in _ARRAY_NAMES else "jsonb"
    if pa.types.is_nested(dtype):
        return "jsonb"
    return next((name for check, name in _DECLARED if check(dtype)), "text")


_ARRAY_NAMES = ("boolean", "smallint", "integer", "bigint", "real", "double precision", "text")

TABLE: Mapping[str, str] = {
    "boolean": "BOOLEAN",
    "smallint, integer, bigint": "SMALLINT, INT, BIGINT",
    "real, double precision": "FLOAT, DOUBLE; NaN and infinity as they are",
    "numeric(p, s)": "DECIMAL(p, s) up to 76 digits; NaN and infinity are bad rows",
    "numeric without precision, or of more digits": "DECIMAL(38, 18); a value that does not fit is a bad row",
    "text, varchar, char, name, json, jsonb, xml": "STRING",
    "bytea": "BYTES",
    "date, timestamp, timestamptz": "DATE, TIMESTAMP, TIMESTAMP_TZ, also of years BC; infinity is a bad row",
    "time": "TIME; 24:00:00 is a bad row",
    "arrays of boolean, integers, floats, texts": "ARRAY; one of several dimensions is a bad row",
    "domains": "as the type below them",
    "all others: uuid, inet, cidr, macaddr, bit, interval, money, enum, ranges, timetz, other arrays, geometry, …":
    "STRING, as PostgreSQL writes them",
}  # fmt: skip
"""For the docs: what each type is read as."""
