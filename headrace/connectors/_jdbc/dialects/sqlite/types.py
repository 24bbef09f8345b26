"""SQLite's types ↔ SeaTunnel's (SqliteTypeMapper.java), and their values; nothing is narrowed without a word."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.formats.json_lines import values_as_json
from headrace.rows import Column

EXACT_DIGITS = 15
"""Digits that a column of numeric affinity keeps of a number with a fraction (sqlite.org/datatype3, 3)."""

EXACT_INTEGER = 2**53
"""Up to here a column of real affinity keeps every integer."""

_TEXT = (
    "CHAR CHARACTER VARYING_CHARACTER NATIVE_CHARACTER NCHAR VARCHAR LONGVARCHAR LONGNVARCHAR NVARCHAR TINYTEXT "
    "MEDIUMTEXT TEXT LONGTEXT JSON CLOB DATE DATETIME TIME TIMESTAMP"
)
_BYTES = "TINYBLOB MEDIUMBLOB BLOB LONGBLOB VARBINARY BINARY LONGVARBINARY"
_DECLARED: dict[str, pa.DataType] = {
    **dict.fromkeys(("BIT", "BOOLEAN"), pa.bool_()),
    **dict.fromkeys(("TINYINT", "TINYINT UNSIGNED", "SMALLINT", "SMALLINT UNSIGNED"), pa.int16()),
    **dict.fromkeys(("MEDIUMINT", "MEDIUMINT UNSIGNED", "INT", "INTEGER"), pa.int32()),
    **dict.fromkeys(("INT UNSIGNED", "INTEGER UNSIGNED", "BIGINT", "BIGINT UNSIGNED", "NUMERIC"), pa.int64()),
    **dict.fromkeys(("DECIMAL", "DECIMAL UNSIGNED", "DOUBLE", "DOUBLE PRECISION", "DOUBLE UNSIGNED"), pa.float64()),
    # SeaTunnel reads FLOAT with 32 bits, but SQLite keeps 64: half of the digits would be lost.
    **dict.fromkeys(("REAL", "FLOAT", "FLOAT UNSIGNED"), pa.float64()),
    **dict.fromkeys(_TEXT.split(), pa.string()),
    **dict.fromkeys(_BYTES.split(), pa.binary()),
}


def type_of(declared: str) -> pa.DataType | None:
    """The type of a column declared so; None where only its values can tell.

    Names that SeaTunnel refuses follow SQLite's own rules of affinity.
    """
    name = " ".join(re.sub(r"\(.*?\)", " ", declared).upper().split())
    if name in _DECLARED:
        return _DECLARED[name]
    return {"INTEGER": pa.int64(), "TEXT": pa.string(), "REAL": pa.float64()}.get(affinity(name) if name else "")


def affinity(declared: str) -> str:
    """What a column turns values into: INTEGER, TEXT, BLOB (nothing), REAL, NUMERIC (sqlite.org/datatype3, 3.1)."""
    name = declared.upper()
    rules = (("INTEGER", "INT"), ("TEXT", "CHAR|CLOB|TEXT"), ("BLOB", "BLOB|^$"), ("REAL", "REAL|FLOA|DOUB"))
    return next((kind for kind, words in rules if re.search(words, name)), "NUMERIC")


def declare(column: Column) -> str:
    """The type a column gets in a new table: SeaTunnel's names, so that reading gives the same types as far as can be.

    Decimals of more digits than a number keeps are TEXT.
    """
    if column.sink_type:
        return column.sink_type
    dtype = column.type
    if pa.types.is_decimal(dtype):
        return "TEXT" if dtype.precision > EXACT_DIGITS else f"DECIMAL({dtype.precision}, {dtype.scale})"
    for check, name in _NEW:
        if check(dtype):
            return name
    return "TEXT"


_NEW: list[tuple[Callable[[pa.DataType], bool], str]] = [
    (pa.types.is_boolean, "BOOLEAN"),
    (pa.types.is_int8, "TINYINT"),
    (lambda t: pa.types.is_int16(t) or pa.types.is_uint8(t), "SMALLINT"),
    (lambda t: pa.types.is_int32(t) or pa.types.is_uint16(t), "INTEGER"),
    (lambda t: pa.types.is_int64(t) or pa.types.is_uint32(t), "BIGINT"),
    (lambda t: pa.types.is_float32(t) or pa.types.is_float16(t), "FLOAT"),
    (pa.types.is_float64, "DOUBLE"),
    (pa.types.is_date, "DATE"),
    (pa.types.is_time, "TIME"),
    (pa.types.is_timestamp, "TIMESTAMP"),
    (lambda t: pa.types.is_binary(t) or pa.types.is_large_binary(t) or pa.types.is_fixed_size_binary(t), "BLOB"),
    (pa.types.is_nested, "JSON"),
    (lambda t: isinstance(t, pa.BaseExtensionType), "JSON"),
]


# ---------------------------------------------------------------------------------------------------- to SQLite


def storable(column: pa.Array) -> pa.Array:
    """The column as what SQLite stores: integers, doubles, texts or bytes.

    Times are texts as SQLite's functions take them, in UTC with `+00:00` where they have a zone; nested values JSON.
    """
    dtype = column.type
    if pa.types.is_dictionary(dtype):
        return storable(column.cast(dtype.value_type))
    if pa.types.is_boolean(dtype):
        return column.cast(pa.int8())
    if pa.types.is_floating(dtype):
        return column.cast(pa.float64())
    if pa.types.is_uint64(dtype) or pa.types.is_date(dtype):
        return column.cast(pa.string())
    if pa.types.is_decimal(dtype):
        return _decimal_texts(column)
    if pa.types.is_time(dtype):
        return _without_zeros(column.cast(pa.time64("us"), safe=dtype != pa.time64("ns")).cast(pa.string()))
    if pa.types.is_timestamp(dtype):
        texts = _without_zeros(column.cast(pa.timestamp(dtype.unit)).cast(pa.string()))
        return pc.binary_join_element_wise(texts, "+00:00", "") if dtype.tz else texts
    if pa.types.is_nested(dtype) or isinstance(dtype, pa.BaseExtensionType):
        return pa.array(values_as_json(column), pa.string())
    return column


def _decimal_texts(column: pa.Array) -> pa.Array:
    """With all digits; Arrow writes tiny numbers as 1E-7."""
    texts = column.cast(pa.string())
    if pc.any(pc.match_substring(texts, "E")).as_py():
        return pa.array([None if value is None else f"{value:f}" for value in column.to_pylist()], pa.string())
    return texts


def _without_zeros(texts: pa.Array) -> pa.Array:
    """Without a fraction where it is zero."""
    return pc.replace_substring_regex(texts, r"\.0+$", "")


def unstorable(column: pa.Array, declared: str) -> tuple[pa.BooleanArray, str] | None:
    """Which values a column declared so would change, and how; None where none can be."""
    dtype, kind = column.type, affinity(declared)
    if pa.types.is_floating(dtype):
        return pc.is_nan(column.cast(pa.float64())), "SQLite cannot store NaN"
    if pa.types.is_integer(dtype) and dtype.bit_width == 64 and kind == "REAL":
        wide = column.cast(pa.decimal128(20, 0))
        return pc.greater(pc.abs(wide), pa.scalar(EXACT_INTEGER, pa.decimal128(20, 0))), _rounded(declared)
    if kind in ("TEXT", "BLOB") or not (pa.types.is_decimal(dtype) or pa.types.is_uint64(dtype)):
        return None
    if pa.types.is_decimal(dtype) and dtype.precision <= EXACT_DIGITS:
        return None
    texts = pc.replace_substring_regex(storable(column), r"^-|(\.\d*?)0+$", r"\1")
    digits = pc.utf8_length(pc.utf8_ltrim(pc.replace_substring(texts, ".", ""), "0"))
    return pc.and_(pc.greater(digits, EXACT_DIGITS), pc.invert(_is_integer(texts, digits, kind))), _rounded(declared)


def _is_integer(texts: pa.Array, digits: pa.Array, kind: str) -> pa.BooleanArray:
    """Which numbers without sign are kept as integers: those of 64 bits, or of 53 in a column of real affinity."""
    largest = str(EXACT_INTEGER if kind == "REAL" else 2**63 - 1)
    whole = pc.utf8_rtrim(texts, ".")
    fits = pc.or_(pc.less(digits, len(largest)), pc.and_(pc.equal(digits, len(largest)), pc.less_equal(whole, largest)))
    return pc.and_(pc.invert(pc.match_substring(whole, ".")), fits)


def _rounded(declared: str) -> str:
    return f"a column of the type {declared} would round the number; declare it TEXT"


# -------------------------------------------------------------------------------------------------- from SQLite


def from_values(values: Sequence[Any], dtype: pa.DataType) -> pa.Array:
    """Fetched values, texts as bytes, as a column. Raises pa.ArrowInvalid or ArrowTypeError when one does not fit."""
    if pa.types.is_string(dtype):
        try:
            return pa.array(values, pa.string())
        except pa.ArrowTypeError:
            return pa.array([_as_text(value) for value in values], pa.string())
    if pa.types.is_binary(dtype):
        return pa.array(values, pa.binary())
    found = pa.array(values)
    if pa.types.is_null(found.type):
        return found.cast(dtype)
    if not (pa.types.is_integer(found.type) or pa.types.is_floating(found.type)):
        raise pa.ArrowInvalid(f"a text in a column of type {dtype}")
    return pc.not_equal(found, 0) if pa.types.is_boolean(dtype) else found.cast(dtype)


def _as_text(value: Any) -> Any:
    """Numbers as SQLite writes them, as JDBC's getString gives them."""
    return value if value is None or isinstance(value, bytes) else f"{value!r}"


def misfits(values: Sequence[Any], dtype: pa.DataType) -> list[bool]:
    """Which of the values `from_values` does not take."""
    found = []
    for value in values:
        try:
            from_values([value], dtype)
            found.append(False)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            found.append(True)
    return found
