"""The types of MySQL and MariaDB ↔ SeaTunnel's (MySqlTypeConverter.java), and how the value of each travels."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from headrace.rows import Column, decimal_type


@dataclass(frozen=True)
class Wire:
    """How a column travels as text. kind: what the bytes are. as_sql: what is selected, `{}` for the column."""

    type: pa.DataType
    kind: str
    as_sql: str = "{}"


@dataclass(frozen=True)
class Declared:
    """A type as the database writes it. base: its first word. given: what stands in parentheses."""

    base: str
    given: str = ""
    unsigned: bool = False

    @property
    def numbers(self) -> tuple[int, ...]:
        """What stands in parentheses, as numbers."""
        return tuple(int(part) for part in self.given.split(",") if part.strip().isdecimal())

    @property
    def members(self) -> list[str]:
        """The values of an enum or set."""
        return [text.replace("''", "'") for text in re.findall(r"'((?:[^']|'')*)'", self.given)]


def declared(text: str) -> Declared:
    """`int(10) unsigned` taken apart."""
    found = re.match(r"\s*(\w+)(?: precision)?\s*(?:\((.*)\))?\s*([\w ]*)", text, re.DOTALL)
    if found is None:
        return Declared(text)
    return Declared(found[1].lower(), found[2] or "", "unsigned" in found[3].lower() or "zerofill" in found[3].lower())


_INTEGERS: dict[str, tuple[Any, Any]] = {
    "tinyint": (pa.int8(), pa.int16()),
    "smallint": (pa.int16(), pa.int32()),
    "mediumint": (pa.int32(), pa.int32()),
    "int": (pa.int32(), pa.int64()),
    "integer": (pa.int32(), pa.int64()),
    "bigint": (pa.int64(), pa.decimal128(20, 0)),
}
"""Signed and unsigned."""

TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_GEOMETRY = ("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
             "geometrycollection", "geomcollection")  # fmt: skip

_PLAIN: dict[str, Wire] = {
    "float": Wire(pa.float32(), "float", "({} + 0e0)"),  # as it is, it would be written with six digits
    "double": Wire(pa.float64(), "float"),
    "real": Wire(pa.float64(), "float"),
    "year": Wire(pa.int32(), "integer"),
    "date": Wire(pa.date32(), "date"),
    "datetime": Wire(pa.timestamp("us"), "timestamp"),
    "timestamp": Wire(pa.timestamp("us", tz="UTC"), "timestamp"),
    "time": Wire(pa.time64("us"), "time"),
    **dict.fromkeys((*BYTES, *_GEOMETRY, "vector"), Wire(pa.binary(), "bytes")),
}

KEYS = (*_INTEGERS, "decimal", "numeric", "char", "varchar", "binary", "varbinary", "date", "datetime", "timestamp",
        "uuid")  # fmt: skip
"""Types whose values can be written into a condition again, so that a table is read in their order."""


def wire(text: str, *, narrow: bool = True) -> Wire:
    """How a type is read. text: as the database writes it. narrow: whether tinyint(1) is a boolean."""
    found = declared(text)
    base, numbers = found.base, found.numbers
    if base == "tinyint" and numbers == (1,) and not found.unsigned and narrow:
        return Wire(pa.bool_(), "boolean")
    if base in _INTEGERS:
        signed, unsigned = _INTEGERS[base]
        dtype = unsigned if found.unsigned else signed
        return Wire(dtype, "decimal" if pa.types.is_decimal(dtype) else "integer")
    if base in ("decimal", "numeric"):
        precision, scale = (*numbers, *(10, 0)[len(numbers) :])[:2]
        return Wire(decimal_type(precision, scale), "decimal")
    if base == "bit":
        return Wire(pa.bool_(), "bit") if (numbers or (1,)) == (1,) else Wire(pa.binary(), "bytes")
    return _PLAIN.get(base, Wire(pa.string(), "text"))


def length(text: str) -> int | None:
    """Characters or bytes of a char(n), varchar(n), binary(n), varbinary(n)."""
    found = declared(text)
    return found.numbers[0] if found.numbers and found.base in (*TEXTS, *BYTES) else None


# ------------------------------------------------------------------------------------------------------- declaring

_DECLARED: list[tuple[Any, str]] = [
    (pa.types.is_boolean, "tinyint(1)"),
    (pa.types.is_int8, "tinyint"),
    (pa.types.is_uint8, "tinyint unsigned"),
    (pa.types.is_int16, "smallint"),
    (pa.types.is_uint16, "smallint unsigned"),
    (pa.types.is_int32, "int"),
    (pa.types.is_uint32, "int unsigned"),
    (pa.types.is_int64, "bigint"),
    (pa.types.is_uint64, "bigint unsigned"),
    (lambda t: pa.types.is_float32(t) or pa.types.is_float16(t), "float"),
    (pa.types.is_float64, "double"),
    (pa.types.is_date, "date"),
]


def declare(column: Column, *, in_key: bool = False) -> str:
    """The type a column gets in a new table. in_key: an index takes a length, and tells texts apart as they are."""
    if column.sink_type:
        return column.sink_type
    dtype = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_decimal(dtype):
        return f"decimal({dtype.precision},{dtype.scale})" if _holds(dtype) else "varchar(80)"
    if pa.types.is_timestamp(dtype):
        return "timestamp(6) NULL" if dtype.tz else "datetime(6)"
    if pa.types.is_time(dtype):
        return "time(6)"
    if pa.types.is_binary(dtype) or pa.types.is_large_binary(dtype) or pa.types.is_fixed_size_binary(dtype):
        return f"varbinary({min(column.length or 255, 767)})" if in_key else "longblob"
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        if in_key:
            return f"varchar({min(column.length or 191, 768)}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        return f"varchar({column.length})" if column.length and column.length <= 4096 else "longtext"
    return next((name for check, name in _DECLARED if check(dtype)), "longtext")


def _holds(dtype: Any) -> bool:
    """Whether a decimal of the database has as many digits."""
    return bool(dtype.precision <= 65 and 0 <= dtype.scale <= 30)


TABLE: Mapping[str, str] = {
    "tinyint(1), bit(1)": "BOOLEAN; a tinyint(1) other than 0 and 1 is a bad row (with "
    "`tinyInt1isBit=false` in the url it is a TINYINT)",
    "tinyint, smallint, mediumint, int, bigint": "TINYINT, SMALLINT, INT, INT, BIGINT",
    "the same, unsigned": "SMALLINT, INT, INT, BIGINT, DECIMAL(20, 0)",
    "decimal(p, s)": "DECIMAL(p, s), up to 65 digits",
    "float, double": "FLOAT, DOUBLE",
    "year": "INT",
    "char, varchar, texts, enum, set, json, uuid, inet4, inet6": "STRING, of every character set",
    "binary, varbinary, blobs, bit(n), vector": "BYTES",
    "geometry": "BYTES: four bytes of the SRID, then WKB, as it is stored",
    "date, datetime": "DATE, TIMESTAMP; 0000-00-00 and days of month 0 are bad rows, or what "
    "`zeroDateTimeBehavior` says",
    "timestamp": "TIMESTAMP_TZ: the same point in time, whatever the server's time zone",
    "time": "TIME; below 0 or above 24 hours it is a bad row",
}
"""For the docs: what each type is read as."""
