"""Numbers of different types compared by their digits, so that none is rounded to a double first.

SeaTunnel's ZetaSQLFilter compares doubles: of 18 digits it sees 15 to 17. Here 123456789012345678.99 is greater than
123456789012345678.98, whatever types the two sides have.
"""

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.rows import MAX_DECIMAL_PRECISION, decimal_type
from headrace.sql.casts import cast
from headrace.sql.functions import Value, by_row

DOUBLE = pa.float64()
_SURE = 15
"""So many digits are the same in a double as in the decimal that it was made of."""
KERNELS: dict[str, Any] = {
    "=": pc.equal,
    "!=": pc.not_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
    "<": pc.less,
    "<=": pc.less_equal,
}
"""Arrow's comparisons, of two values of one type."""
_PLAIN: dict[str, Any] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


def number_literal(text: str) -> tuple[Any, pa.DataType]:
    """A number as a query writes it, without a sign: its value and its type, which holds every digit of it.

    INT or BIGINT without a point, DOUBLE with one, as in SeaTunnel; where these lack room, DECIMAL. Raises ValueError.
    """
    if text.isdigit() and int(text) < 1 << 63:
        return int(text), pa.int32() if int(text) < 1 << 31 else pa.int64()
    exact, double = Decimal(text), float(text)
    if not text.isdigit() and math.isfinite(double) and Decimal(repr(double)) == exact:
        return double, DOUBLE
    dtype = _type_of(exact)
    if dtype is None:
        raise ValueError(f"{text} has more digits than the {MAX_DECIMAL_PRECISION} that a DECIMAL holds")
    return exact, dtype


def _type_of(number: Decimal) -> pa.DataType | None:
    """The smallest decimal type that holds a number; None where there is none."""
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int), "the number is finite"
    scale = max(0, -exponent)
    precision = max(len(digits) + max(0, exponent), scale, 1)
    return decimal_type(precision, scale) if precision <= MAX_DECIMAL_PRECISION else None


def compare_digits(operator: str, left: Value, right: Value) -> Value:
    """`left operator right` of two numbers, null where one is. A double counts as the digits it is printed with."""
    left, right = _written(left), _written(right)
    if pa.types.is_floating(left.type) or pa.types.is_floating(right.type):
        return _with_doubles(operator, left, right)
    if not (pa.types.is_decimal(left.type) or pa.types.is_decimal(right.type)):
        return KERNELS[operator](left, right)
    sides = _on_one_scale(left, right)
    if sides is None:  # more digits than Arrow has room for
        return _by_row(operator, left, right)
    return KERNELS[operator](*sides)


def _written(value: Value) -> Value:
    """A double that the query writes, as the decimal it writes; columns, NaN and infinity as they are."""
    if not (isinstance(value, pa.Scalar) and pa.types.is_float64(value.type) and value.is_valid):
        return value
    number = value.as_py()
    if not math.isfinite(number):
        return value
    dtype = _type_of(Decimal(repr(number)))
    return value if dtype is None else pa.scalar(Decimal(repr(number)), dtype)


def _shape(dtype: Any) -> tuple[int, int]:
    """How many digits stand before the point, and how many behind it."""
    if pa.types.is_integer(dtype):
        return 20, 0
    return dtype.precision - dtype.scale, max(dtype.scale, 0)


def _on_one_scale(left: Value, right: Value) -> tuple[Value, Value] | None:
    """Both as decimals of one type; None where no type has room for both."""
    (before, behind), (other_before, other_behind) = _shape(left.type), _shape(right.type)
    scale = max(behind, other_behind)
    precision = max(before, other_before, 1) + scale
    if precision > MAX_DECIMAL_PRECISION:
        return None
    dtype = decimal_type(precision, scale)
    return left.cast(dtype), right.cast(dtype)


def _with_doubles(operator: str, left: Value, right: Value) -> Value:
    """As doubles; where these are equal and may have been rounded, by the digits.

    Rounding keeps the order of unequal numbers, so only equal doubles can hide a difference.
    """
    doubles = cast(left, DOUBLE), cast(right, DOUBLE)
    result = KERNELS[operator](*doubles)
    if _is_sure(left.type) and _is_sure(right.type):
        return result
    equal = pc.fill_null(pc.equal(*doubles), False)
    if isinstance(result, pa.Scalar):
        return pa.scalar(_PLAIN[operator](_digits(left), _digits(right))) if equal.as_py() else result
    places = np.flatnonzero(equal.to_numpy(zero_copy_only=False))
    if not len(places):
        return result
    picked = [side.take(pa.array(places)) if isinstance(side, pa.Array) else side for side in (left, right)]
    return pc.replace_with_mask(result, equal, _by_row(operator, *picked))


def _is_sure(dtype: Any) -> bool:
    if pa.types.is_floating(dtype):
        return True
    return bool(dtype.bit_width <= 32) if pa.types.is_integer(dtype) else dtype.precision <= _SURE


def _by_row(operator: str, left: Value, right: Value) -> Value:
    compare = _PLAIN[operator]
    printed = [_as_printed(side) for side in (left, right)]
    if all(isinstance(side, pa.Scalar) for side in printed):
        return pa.scalar(compare(*map(_digits, printed)), pa.bool_())
    return by_row(lambda a, b: compare(Decimal(str(a)), Decimal(str(b))), printed, pa.bool_())


def _as_printed(value: Value) -> Value:
    return cast(value, DOUBLE) if pa.types.is_floating(value.type) else value


def _digits(value: pa.Scalar) -> Decimal:
    return Decimal(str(value.as_py()))
