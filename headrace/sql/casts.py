"""CAST: SeaTunnel's conversions between types (its SystemFunction.castAs and CastFunction).

Beyond SeaTunnel, texts become dates and times, and numbers that do not fit are errors where Java would cut their bits.
"""

from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.javatext import java_texts
from headrace.rows import decimal_type, parse_type, type_name
from headrace.sql.functions import Value, by_row
from headrace.texts import with_article
from headrace.values import parse_date, parse_time, parse_timestamp

_WIDE = Context(prec=1000)
_INTEGER = r"^[+-]?[0-9]+$"
_NUMBER = r"(?i)^\s*([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|[+-]?inf(inity)?)\s*$"
_NAMES = {"binary": "bytes", "bool": "boolean", "numeric": "decimal", "timestamptz": "timestamp_tz"}


def cast_type(name: str, numbers: list[int]) -> pa.DataType:
    """The type that CAST names, such as `DECIMAL` with [10, 2]. Raises ValueError."""
    name = _NAMES.get(name.lower(), name.lower())
    if name == "decimal":
        if len(numbers) != 2:
            raise ValueError("DECIMAL needs its precision and scale, such as DECIMAL(10, 2)")
        return decimal_type(*numbers)
    return parse_type(name)


def can_cast(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether some values of `source` have a form of type `target`."""
    if source.equals(target) or pa.types.is_null(source) or pa.types.is_string(target):
        return True
    number = pa.types.is_integer(source) or pa.types.is_floating(source) or pa.types.is_decimal(source)
    text, stamp = pa.types.is_string(source), pa.types.is_timestamp(source)
    if pa.types.is_integer(target) or pa.types.is_floating(target) or pa.types.is_decimal(target):
        return number or text
    if pa.types.is_boolean(target):
        return number or text
    if pa.types.is_timestamp(target):
        return stamp or text or pa.types.is_integer(source) or pa.types.is_date(source)
    if pa.types.is_date(target) or pa.types.is_time(target):
        same = pa.types.is_date(source) if pa.types.is_date(target) else pa.types.is_time(source)
        return stamp or text or pa.types.is_integer(source) or same
    return pa.types.is_binary(target) and not pa.types.is_nested(source)


def never_fails(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether every value of `source` has a form of type `target`."""
    if source.equals(target) or pa.types.is_null(source) or pa.types.is_string(target) or pa.types.is_binary(target):
        return True
    numbers = pa.types.is_integer(source) or pa.types.is_floating(source)
    if pa.types.is_floating(target):
        return numbers
    return pa.types.is_integer(target) and pa.types.is_integer(source) and target.bit_width >= source.bit_width


def cast(value: Value, dtype: pa.DataType) -> Value:
    """The value as another type. Raises ValueError, ArithmeticError or pa.ArrowInvalid where it has no such form."""
    source = value.type
    if source.equals(dtype):
        return value
    if isinstance(value, pa.Scalar):
        return cast(pa.array([value.as_py()], source), dtype)[0]
    if pa.types.is_null(source):
        return pa.nulls(len(value), dtype)
    if pa.types.is_string(dtype):
        return to_text(value)
    if pa.types.is_binary(dtype):
        return to_text(value).cast(pa.binary())
    if pa.types.is_integer(dtype):
        return _integers(value, dtype)
    if pa.types.is_floating(dtype):
        return _floats(value, dtype)
    if pa.types.is_decimal(dtype):
        return _decimals(value, dtype)
    if pa.types.is_timestamp(source) and not pa.types.is_boolean(dtype):
        return _of_timestamps(value, dtype)
    return by_row(lambda v: _convert(v, dtype), [value], dtype)


def try_cast(column: pa.Array, dtype: pa.DataType) -> pa.Array:
    """The column as another type, null where a value has no such form."""
    try:
        return cast(column, dtype)
    except (ValueError, ArithmeticError):
        pass
    pattern = _INTEGER if pa.types.is_integer(dtype) else _NUMBER if pa.types.is_floating(dtype) else None
    if pattern is None:
        return by_row(lambda v: _or_null(v, column.type, dtype), [column], dtype)
    if pa.types.is_string(column.type):
        column = pc.if_else(pc.match_substring_regex(column, pattern), column, pa.scalar(None, pa.string()))
    return _without_failures(column, dtype)


def _or_null(value: Any, source: pa.DataType, dtype: pa.DataType) -> Any:
    try:
        return cast(pa.array([value], source), dtype)[0].as_py()
    except (ValueError, ArithmeticError):
        return None


def _without_failures(column: pa.Array, dtype: pa.DataType) -> pa.Array:
    """In halves, down to the few values that are too big."""
    try:
        return cast(column, dtype)
    except (ValueError, ArithmeticError):
        if len(column) == 1:
            return pa.nulls(1, dtype)
    half = len(column) // 2
    return pa.concat_arrays([_without_failures(part, dtype) for part in (column.slice(0, half), column.slice(half))])


def to_text(value: Value) -> Value:
    """Values as Java prints them; null stays null."""
    if pa.types.is_string(value.type):
        return value
    if isinstance(value, pa.Scalar):
        return to_text(pa.array([value.as_py()], value.type))[0]
    if pa.types.is_null(value.type):
        return pa.nulls(len(value), pa.string())
    if pa.types.is_integer(value.type) or pa.types.is_boolean(value.type) or pa.types.is_date(value.type):
        return value.cast(pa.string())
    if pa.types.is_binary(value.type):
        return by_row(lambda v: v.decode(errors="replace"), [value], pa.string())
    texts = pa.array(java_texts(value), pa.string())
    return pc.if_else(value.is_valid(), texts, pa.scalar(None, pa.string())) if value.null_count else texts


def _integers(column: pa.Array, dtype: pa.DataType) -> pa.Array:
    if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        column = pc.trunc(column)
    elif pa.types.is_string(column.type):
        bad = pc.invert(pc.match_substring_regex(column, _INTEGER))
        if pc.any(bad).as_py():
            raise ValueError(f"{column.filter(bad)[0].as_py()!r} is not a whole number")
        column = pc.ascii_ltrim(column, "+")
    return column.cast(dtype)


def _floats(column: pa.Array, dtype: pa.DataType) -> pa.Array:
    if pa.types.is_string(column.type):
        return pc.utf8_trim_whitespace(column).cast(dtype)
    if pa.types.is_decimal(column.type):  # by its digits: Arrow's own cast is off in the last bits
        return column.cast(pa.string()).cast(dtype)
    return column.cast(dtype, safe=False)


def _decimals(column: pa.Array, dtype: Any) -> pa.Array:
    if pa.types.is_integer(column.type):
        return column.cast(decimal_type(min(19 + dtype.scale, 76), dtype.scale)).cast(dtype)
    if pa.types.is_decimal(column.type):
        return pc.round(column, dtype.scale, "up").cast(dtype)
    rounding = ROUND_HALF_UP if pa.types.is_floating(column.type) else ROUND_CEILING
    unit = Decimal(1).scaleb(-dtype.scale)

    def convert(value: Any) -> Decimal:
        try:
            return Decimal(str(value).strip()).quantize(unit, rounding=rounding, context=_WIDE)
        except InvalidOperation as error:
            raise ValueError(f"{value!r} is not a number") from error

    return by_row(convert, [column], dtype)


def _of_timestamps(column: pa.Array, dtype: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(dtype):
        if dtype.tz and not column.type.tz:
            return pc.assume_timezone(column, "UTC").cast(dtype)
        return column.cast(dtype) if dtype.tz else pc.local_timestamp(column)
    return (pc.local_timestamp(column) if column.type.tz else column).cast(dtype)


def _convert(value: Any, dtype: pa.DataType) -> Any:
    if pa.types.is_boolean(dtype):
        return _boolean(value)
    if pa.types.is_timestamp(dtype):
        if isinstance(value, int):  # milliseconds since 1970, in UTC
            moment = datetime.fromtimestamp(value // 1000, UTC).replace(microsecond=value % 1000 * 1000)
            return moment if dtype.tz is not None else moment.replace(tzinfo=None)
    elif isinstance(value, int):
        parts = value // 10_000, value // 100 % 100, value % 100
        return date(*parts) if pa.types.is_date(dtype) else time(*parts)
    try:
        if pa.types.is_timestamp(dtype):
            return parse_timestamp(value, zoned=dtype.tz is not None)
        return parse_date(value) if pa.types.is_date(dtype) else parse_time(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is not {with_article(type_name(dtype))}") from error


def _boolean(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in ("true", "false"):
        return text == "true"
    if value in (0, 1) or text in ("0", "1"):
        return text[0] == "1"
    raise ValueError(f"{value!r} is not a BOOLEAN: true, false, 1 or 0")
