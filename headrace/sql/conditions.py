"""Comparisons, IN and LIKE. A condition is true or false, never null, as in SeaTunnel's ZetaSQLFilter."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import ConfigError
from headrace.rows import type_name
from headrace.sql.casts import to_text
from headrace.sql.digits import KERNELS, compare_digits
from headrace.sql.expressions import Expression, Frame, as_type, folded
from headrace.sql.functions import NUMBERS, UNKNOWN, Value, array_of, by_row, wrong
from headrace.sql.regexes import compiled
from headrace.texts import with_article

LOG = logging.getLogger("headrace")
BOOLEAN = pa.bool_()


def condition(compute: Callable[[Frame], Value], text: str, parts: Sequence[Expression]) -> Expression:
    """An expression that is true or false, made of parts."""
    fails, volatile = any(part.fails for part in parts), any(part.volatile for part in parts)
    return folded(Expression(BOOLEAN, compute, text, fails, volatile), parts)


def compare(operator: str, left: Expression, right: Expression, text: str) -> Expression:
    """`left operator right`. Null is unlike every value, and what is unlike is `!=` only.

    Texts written in the query are read as dates and times where they are compared with such. Values of other types
    are never equal. Raises ConfigError when they would have to be ordered.
    """
    left, right = _adapted(left, right), _adapted(right, left)
    ordered = operator not in ("=", "!=")
    if not _comparable(left.type, right.type) or (ordered and (_is_compound(left.type) or _is_compound(right.type))):
        if ordered:
            raise wrong(f"{type_name(left.type)} and {type_name(right.type)} have no order: {text}", "CAST one of them")
        LOG.warning(
            "%s: %s and %s are never equal; CAST one of them", text, type_name(left.type), type_name(right.type)
        )
        kernel = _never if operator == "=" else _unlike
        return condition(lambda frame: kernel(left.evaluate(frame), right.evaluate(frame)), text, [left, right])

    def compute(frame: Frame) -> Value:
        return _compare(operator, left.evaluate(frame), right.evaluate(frame))

    return condition(compute, text, [left, right])


def compare_values(operator: str, left: Expression, right: Expression, frame: Frame) -> Value:
    """The worth of a comparison of two expressions, for kernels that compare their arguments."""
    try:
        left, right = _adapted(left, right), _adapted(right, left)
    except ConfigError as error:
        raise ValueError(error.problems[0].message) from error
    if not _comparable(left.type, right.type):
        return pa.scalar(False)
    return _compare(operator, left.evaluate(frame), right.evaluate(frame))


def _compare(operator: str, left: Value, right: Value) -> Value:
    if any(_is_compound(side.type) or pa.types.is_null(side.type) for side in (left, right)):
        result = by_row(lambda a, b: a == b, [left, right], BOOLEAN)
        if isinstance(left, pa.Scalar) and isinstance(right, pa.Scalar):
            result = result[0]
        result = pc.invert(result) if operator == "!=" else result
    elif NUMBERS.has(left.type) and not left.type.equals(right.type):
        result = compare_digits(operator, left, right)
    else:
        result = KERNELS[operator](*_zones(left, right))
    if isinstance(result, pa.Scalar):
        if result.is_valid:
            return result
        return pa.scalar(operator == "!=" and left.is_valid != right.is_valid)
    if not result.null_count:
        return result
    return pc.if_else(result.is_valid(), result, _unlike_nulls(left, right) if operator == "!=" else False)


def _unlike_nulls(left: Value, right: Value) -> Value:
    """Where one is null and the other is not."""
    return pc.xor(pc.is_valid(left), pc.is_valid(right))


def _is_compound(dtype: pa.DataType) -> bool:
    """Whether values of a type are made of others, so that Arrow compares none of them."""
    return pa.types.is_nested(dtype) or isinstance(dtype, pa.BaseExtensionType)


def _never(left: Value, right: Value) -> Value:
    return pa.scalar(False)


def _unlike(left: Value, right: Value) -> Value:
    return pc.or_(pc.is_valid(left), pc.is_valid(right))


def _zones(left: Value, right: Value) -> tuple[Value, Value]:
    """Times without a zone beside such with one are taken as UTC."""
    sides = []
    for side, other in ((left, right), (right, left)):
        if pa.types.is_timestamp(other.type) and other.type.tz and not getattr(side.type, "tz", None):
            side = side.cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
        sides.append(side)
    return sides[0], sides[1]


def _comparable(left: pa.DataType, right: pa.DataType) -> bool:
    if pa.types.is_null(left) or pa.types.is_null(right) or left.equals(right):
        return True
    days = (pa.types.is_date, pa.types.is_timestamp)
    return any(
        any(check(left) for check in group) and any(check(right) for check in group)
        for group in ((NUMBERS.has,), days, (pa.types.is_time,), (pa.types.is_string,), (pa.types.is_binary,))
    )


def _adapted(side: Expression, other: Expression) -> Expression:
    """A text that the query writes beside a date or time, as such."""
    if isinstance(side.literal, str) and (pa.types.is_temporal(other.type)):
        made = as_type(side, other.type)
        if made.literal is UNKNOWN and pa.types.is_timestamp(other.type):  # a day is its midnight
            made = as_type(as_type(side, pa.date32()), other.type)
        if made.literal is UNKNOWN:
            raise wrong(f"{side.text} is not {with_article(type_name(other.type))}")
        return made
    return side


def contained(value: Expression, items: Sequence[Expression], negated: bool, text: str) -> Expression:
    """`value [NOT] IN (items)`. Null is in a list that begins with null, and neither in nor not in any other."""
    items = [_adapted(item, value) for item in items]
    for item in items:
        if not _comparable(value.type, item.type):
            LOG.warning("%s: %s and %s are never equal", text, type_name(value.type), type_name(item.type))
    items = [item for item in items if _comparable(value.type, item.type)]
    null_first = bool(items) and items[0].literal is None
    known = [item for item in items if item.literal is not None]
    quick = _value_set(value.type, known)
    equal = [compare("=", value, item, text) for item in known] if quick is None else []

    def compute(frame: Frame) -> Value:
        column = value.array(frame)
        if quick is not None:
            found = pc.is_in(column.cast(quick.type, safe=False), quick)
        else:
            found = array_of(pa.scalar(False), frame.rows)
            for one in equal:
                found = pc.or_(found, one.array(frame))
        found = pc.invert(found) if negated else found
        return pc.if_else(column.is_valid(), found, null_first) if column.null_count else found

    return condition(compute, text, [value, *items])


def _value_set(dtype: pa.DataType, items: Sequence[Expression]) -> pa.Array | None:
    """The items as one array of a type that also holds all values; None when they are not all constants."""
    if any(item.literal is UNKNOWN for item in items) or _is_compound(dtype) or pa.types.is_null(dtype):
        return None
    types = [dtype, *(item.type for item in items)]
    if any(pa.types.is_decimal(t) or pa.types.is_timestamp(t) for t in types):
        return None
    if any(map(pa.types.is_floating, types)) and any(map(pa.types.is_int64, types)):
        return None  # a double has no room for all digits of the one
    if any(pa.types.is_floating(t) for t in types):
        dtype = pa.float64()
    elif pa.types.is_integer(dtype):
        dtype = pa.int64()
    return pa.array([item.literal for item in items], dtype)


def like(value: Expression, pattern: Expression, negated: bool, text: str) -> Expression:
    """`value [NOT] LIKE pattern`, with `%` and `_`; false where one is null."""

    def compute(frame: Frame) -> Value:
        column, wanted = to_text(value.array(frame)), to_text(pattern.evaluate(frame))
        if isinstance(wanted, pa.Scalar):
            found = pc.match_like(column, wanted.as_py()) if wanted.is_valid else pa.nulls(frame.rows, BOOLEAN)
        else:
            found = by_row(_matches, [column, wanted], BOOLEAN)
        return pc.fill_null(pc.invert(found) if negated else found, False)

    return condition(compute, text, [value, pattern])


def _matches(text: str, pattern: str) -> bool:
    regex = "".join({"%": ".*", "_": "."}.get(char, _quoted(char)) for char in pattern)
    return compiled(regex, "n").fullmatch(text) is not None


def _quoted(char: str) -> Any:
    return char if char.isalnum() or char.isspace() else f"\\{char}"
