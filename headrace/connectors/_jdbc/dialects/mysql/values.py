"""Values as SQL, column by column, and which of them a column of the target would change without a word."""

import re
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

from headrace.connectors._jdbc.dialects.mysql.types import TEXTS, Declared, declared
from headrace.formats.json_lines import values_as_json

_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "integer", "bigint")


class Form(StrEnum):
    """What the text of a value is to the database."""

    NUMBER = "number"
    TEXT = "text"
    BYTES = "bytes"


def as_literals(column: pa.Array, source_type: str, zone: str = "UTC") -> pa.Array:
    """A column as SQL, in bytes; null where the value is. See `as_plain`."""
    plain, form = as_plain(column, source_type, zone)
    if form is Form.NUMBER:
        return plain
    return _quoted(plain, b"_binary'" if form is Form.BYTES else b"'")


def as_plain(column: pa.Array, source_type: str, zone: str = "UTC") -> tuple[pa.Array, Form]:
    """The text of each value, neither quoted nor escaped, in bytes; null where the value is.

    source_type: of the target's column; empty unknown. zone: of timestamps without one that go into a column of points
    in time.
    """
    dtype = column.type
    if pa.types.is_dictionary(dtype):
        return as_plain(column.cast(dtype.value_type), source_type, zone)
    if pa.types.is_null(dtype):
        return pa.nulls(len(column), pa.large_binary()), Form.NUMBER
    if pa.types.is_boolean(dtype):
        return pc.if_else(column, "1", "0").cast(pa.large_binary()), Form.NUMBER
    if pa.types.is_integer(dtype) or pa.types.is_decimal(dtype):
        return _decimals(column).cast(pa.large_string()).cast(pa.large_binary()), Form.NUMBER
    if pa.types.is_floating(dtype):
        return column.cast(pa.float64()).cast(pa.large_string()).cast(pa.large_binary()), Form.NUMBER
    if pa.types.is_binary(dtype) or pa.types.is_large_binary(dtype) or pa.types.is_fixed_size_binary(dtype):
        found = column.cast(pa.binary()) if pa.types.is_fixed_size_binary(dtype) else column
        return found.cast(pa.large_binary()), Form.BYTES
    form = Form.TEXT
    if pa.types.is_timestamp(dtype):
        texts = _in_utc(column, source_type, zone).cast(pa.string())
    elif pa.types.is_date(dtype):
        texts = column.cast(pa.date32()).cast(pa.string())
    elif pa.types.is_time(dtype):
        texts = column.cast(pa.time64("us"), safe=dtype != pa.time64("ns")).cast(pa.string())
    elif pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        texts, form = column, Form.BYTES if _is_bytes(source_type) else Form.TEXT
    else:
        texts = pa.array(values_as_json(column), pa.string())
    return texts.cast(pa.large_binary()), form


def _decimals(column: pa.Array) -> pa.Array:
    """Arrow writes decimals with an exponent where the scale is big; MySQL would take those for inexact numbers."""
    if not pa.types.is_decimal(column.type) or column.type.scale <= 6:
        return column
    return pa.array([None if value is None else f"{value:f}" for value in column.to_pylist()], pa.large_string())


def _is_bytes(source_type: str) -> bool:
    return declared(source_type).base.endswith(("binary", "blob"))


def _in_utc(column: pa.Array, source_type: str, zone: str) -> pa.Array:
    """Microseconds without a zone, as the session takes them."""
    own = column.type.tz
    plain = column.cast(pa.timestamp("us", own), safe=False)
    if own is None and zone != "UTC" and declared(source_type).base == "timestamp":
        plain = pc.assume_timezone(plain, zone, ambiguous="earliest", nonexistent="latest")
    return plain.cast(pa.timestamp("us"))


def _quoted(plain: pa.Array, begin: bytes) -> pa.Array:
    for sign in (b"\\", b"'"):
        if pc.any(pc.match_substring(plain, sign)).as_py():
            plain = pc.replace_substring(plain, sign, sign + sign)
    nothing, end = pa.scalar(b"", pa.large_binary()), pa.scalar(b"'", pa.large_binary())
    return pc.binary_join_element_wise(pa.scalar(begin, pa.large_binary()), plain, end, nothing)


# ---------------------------------------------------------------------------------------------------- what changes


def unstorable(column: pa.Array, source_type: str) -> tuple[pa.BooleanArray, str] | None:
    """Which values a column declared so would change without an error or a warning, and how."""
    dtype, found = column.type, declared(source_type)
    if pa.types.is_dictionary(dtype):
        return unstorable(column.cast(dtype.value_type), source_type)
    if pa.types.is_floating(dtype):
        values = column.cast(pa.float64())
        if not pc.all(pc.is_finite(values)).as_py() and pc.any(pc.invert(pc.is_finite(values))).as_py():
            return pc.invert(pc.is_finite(values)), "the database has no infinity and no NaN"
        return _changed_number(values, found)
    if pa.types.is_decimal(dtype) or pa.types.is_integer(dtype):
        return _changed_number(column, found)
    if pa.types.is_timestamp(dtype) or pa.types.is_time(dtype):
        return _changed_time(column, found)
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        return _changed_text(column, found)
    if found.base == "binary" and (pa.types.is_binary(dtype) or pa.types.is_large_binary(dtype)):
        size = (found.numbers or (1,))[0]
        return pc.less(pc.binary_length(column), size), f"binary({size}) would fill it up with zero bytes"
    return None


def _changed_number(column: pa.Array, found: Declared) -> tuple[pa.BooleanArray, str] | None:
    dtype = column.type
    if found.base == "year":
        numbers = column.cast(pa.float64())
        good = pc.or_(pc.equal(numbers, 0.0), pc.greater(numbers, 1900.0))
        return pc.invert(good), "a year of two digits would become another"
    if found.base in _INTEGERS or found.base == "bit":
        if pa.types.is_integer(dtype):
            return None
        whole = pc.equal(pc.round(column), column)
        return pc.invert(whole), f"{found.base} would round it"
    if found.base == "float":
        numbers = column if pa.types.is_float64(dtype) else column.cast(pa.float64(), safe=False)
        single = numbers.cast(pa.float32(), safe=False).cast(pa.float64())
        exact = pc.equal(single, numbers)
        return pc.invert(exact), "float would round it"
    if found.base in ("double", "real") and not pa.types.is_floating(dtype):
        if pa.types.is_decimal(dtype) and dtype.precision <= 15:
            return None
        if pa.types.is_integer(dtype) and dtype.bit_width <= 32:
            return None
        wide = pa.decimal256(76, dtype.scale) if pa.types.is_decimal(dtype) else pa.decimal256(76, 0)
        exact = [None if v is None else float(v) == v for v in column.cast(wide).to_pylist()]
        return pc.invert(pa.array(exact, pa.bool_())), "double would round it"
    return None


_UNITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def _changed_time(column: pa.Array, found: Declared) -> tuple[pa.BooleanArray, str] | None:
    """Fractions of a second are cut to what the column keeps, without a word."""
    if found.base not in ("datetime", "timestamp", "time", "date"):
        return None
    digits, have = (found.numbers or (0,))[0], _UNITS[column.type.unit]
    if found.base == "date":
        numbers, keeps = column.cast(pa.int64()), 86400 * 10**have
    elif have <= digits:
        return None
    else:
        whole = column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64())
        numbers, keeps = whole.cast(pa.int64()), 10 ** (have - digits)
    rest = pc.subtract(numbers, pc.multiply(pc.divide(numbers, keeps), keeps))
    what = "the time of day" if found.base == "date" else f"fractions of a second after {digits} digits"
    return pc.not_equal(rest, 0), f"{found.base} would cut {what} off"


def _changed_text(column: pa.Array, found: Declared) -> tuple[pa.BooleanArray, str] | None:
    if found.base == "char":
        return pc.ends_with(column, " "), "char would lose the spaces at its end"
    if found.base == "binary":
        size = (found.numbers or (1,))[0]
        return pc.less(pc.binary_length(column), size), f"binary({size}) would fill it up with zero bytes"
    if found.base == "enum":
        return pc.invert(_in(column, found.members)), f"it is not one of {found.given}"
    if found.base == "set":
        members = found.members
        allowed = [value for value in pc.unique(column).to_pylist() if value is not None and _is_set(value, members)]
        return pc.invert(_in(column, allowed)), f"set({found.given}) would write it otherwise"
    if found.base in TEXTS or found.base == "json":
        return None
    if found.base in ("year", "bit", "datetime", "timestamp", "date", "time", "float", *_INTEGERS):
        return _text_for(column, found)
    return None


def _in(column: pa.Array, values: list[str]) -> pa.BooleanArray:
    return pc.or_kleene(pc.is_in(column, pa.array(values, column.type)), pc.is_null(column))


def _is_set(value: str, members: list[str]) -> bool:
    parts = value.split(",") if value else []
    places = [members.index(part) if part in members else -1 for part in parts]
    return -1 not in places and places == sorted(set(places))


_FORMS = {
    "year": r"^(19|20|21)\d\d$|^0000$",
    "datetime": r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,%d}0*|\.0*)?$",
    "timestamp": r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,%d}0*|\.0*)?$",
    "date": r"^\d{4}-\d\d-\d\d$",
    "time": r"^-?\d{2,3}:\d\d:\d\d(\.\d{1,%d}0*|\.0*)?$",
    "float": r"^$",
}


def _text_for(column: pa.Array, found: Declared) -> tuple[pa.BooleanArray, str]:
    """A text that the database would have to understand must leave it no choice."""
    form = _FORMS.get(found.base, r"^[+-]?\d+$" if found.base != "bit" else r"^[01]$")
    if "%d" in form:
        digits = (found.numbers or (0,))[0]
        form = form % digits if digits else re.sub(r"\\\.\\d\{1,%d\}0\*\|", "", form)
    good = pc.match_substring_regex(column, form)
    return pc.invert(good), f"{found.base} may mean another value than this text; convert it before"
