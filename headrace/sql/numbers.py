"""Functions of numbers, and arithmetic."""

import math
from collections.abc import Callable, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.rows import MAX_DECIMAL_PRECISION, decimal_type, type_name
from headrace.sql.casts import cast
from headrace.sql.functions import (
    COUNTS,
    NUMBERS,
    Argument,
    Value,
    array_of,
    by_row,
    constant,
    first_type,
    function,
    wrong,
)

INT, LONG, DOUBLE = pa.int32(), pa.int64(), pa.float64()
_WIDE = Context(prec=1000)
"""More digits than two doubles need side by side, so that sums and rests of them are exact."""

_FEW = 1e9
"""Below it, a product with a power of ten is off by far less than _CLOSE."""
_CLOSE = 1e-5


def doubles(value: Value) -> Value:
    """The value as DOUBLE."""
    return cast(value, DOUBLE)


def _as_numpy(column: pa.Array, filler: float = 0.0) -> Any:
    return pc.fill_null(column, filler).to_numpy(zero_copy_only=False)


def _keep_nulls(values: Any, *columns: Value) -> pa.Array:
    """The results as an array, null where a column is."""
    made = pa.array(values)
    for column in columns:
        if column.null_count if isinstance(column, pa.Array) else not column.is_valid:
            made = pc.if_else(pc.is_valid(column), made, pa.scalar(None, made.type))
    return made


def _numpy(kernel: Callable[[Any], Any]) -> Callable[[pa.Array], pa.Array]:
    """A kernel of numpy that keeps nulls."""

    def apply(column: pa.Array) -> pa.Array:
        with np.errstate(all="ignore"):
            return _keep_nulls(kernel(_as_numpy(column)), column)

    return apply


def _of_one(name: str, kernel: Callable[[Any], Any]) -> None:
    @function(name, result=DOUBLE, takes=NUMBERS, fails=False)
    def apply(number: Value, rows: int) -> Value:
        return kernel(doubles(number))


for _name, _kernel in (
    ("ACOS", pc.acos),
    ("ASIN", pc.asin),
    ("ATAN", pc.atan),
    ("COS", pc.cos),
    ("SIN", pc.sin),
    ("TAN", pc.tan),
    ("COSH", _numpy(np.cosh)),
    ("SINH", _numpy(np.sinh)),
    ("TANH", _numpy(np.tanh)),
    ("EXP", _numpy(np.exp)),
    ("SQRT", pc.sqrt),
    ("RADIANS", _numpy(np.radians)),
):
    _of_one(_name, _kernel)


@function("COT", result=DOUBLE, takes=NUMBERS)
def _cot(number: Value, rows: int) -> Value:
    tangent = pc.tan(doubles(number))
    if pc.any(pc.equal(tangent, 0.0)).as_py():
        raise ZeroDivisionError("COT of 0 is a division by zero")
    return pc.divide(1.0, tangent)


@function("ATAN2", result=DOUBLE, least=2, takes=(NUMBERS, NUMBERS), fails=False)
def _atan2(y: Value, x: Value, rows: int) -> Value:
    return pc.atan2(doubles(y), doubles(x))


def _positive(number: Value, name: str) -> Value:
    """The number as DOUBLE. Raises ValueError when one is not above zero."""
    value = doubles(number)
    if pc.any(pc.less_equal(pa.array([value.as_py()], DOUBLE) if isinstance(value, pa.Scalar) else value, 0.0)).as_py():
        raise ValueError(f"{name} takes numbers above 0 only")
    return value


@function("LN", result=DOUBLE, takes=NUMBERS)
def _ln(number: Value, rows: int) -> Value:
    return pc.ln(_positive(number, "LN"))


@function("LOG10", result=DOUBLE, takes=NUMBERS)
def _log10(number: Value, rows: int) -> Value:
    return pc.log10(_positive(number, "LOG10"))


@function("LOG", result=DOUBLE, most=2, takes=(NUMBERS, NUMBERS))
def _log(base: Value, number: Value = None, *, rows: int) -> Value:
    """LOG(base, number); of one number, the natural logarithm."""
    if number is None:
        return _ln(base, rows)
    base, number = _positive(base, "LOG"), _positive(number, "LOG")
    if constant(base) == 10:
        return pc.log10(number)
    return pc.divide(pc.ln(number), pc.ln(base))


@function("POWER", "POW", result=DOUBLE, least=2, takes=(NUMBERS, NUMBERS), fails=False)
def _power(base: Value, exponent: Value, rows: int) -> Value:
    return pc.power(doubles(base), doubles(exponent))


@function("PI", result=DOUBLE, least=0)
def _pi(rows: int) -> Value:
    return pa.scalar(math.pi)


def _java_random(seed: int) -> float:
    """`new Random(seed).nextDouble()`: the first number of Java's generator."""
    state = (int(seed) ^ 0x5DEECE66D) & ((1 << 48) - 1)
    bits = 0
    for width in (26, 27):
        state = (state * 0x5DEECE66D + 0xB) & ((1 << 48) - 1)
        bits = (bits << width) + (state >> (48 - width))
    return bits / (1 << 53)


@function("RAND", "RANDOM", result=DOUBLE, least=0, most=1, takes=COUNTS, volatile=True)
def _rand(seed: Value = None, *, rows: int) -> Value:
    """A seed gives the same number in every row, as in SeaTunnel."""
    if seed is None or (isinstance(seed, pa.Scalar) and not seed.is_valid):
        return pa.array(np.random.default_rng().random(rows), DOUBLE)
    return by_row(_java_random, [array_of(seed, rows)], DOUBLE)


@function("ABS", result=first_type, takes=NUMBERS)
def _abs(number: Value, rows: int) -> Value:
    return pc.abs_checked(number)


@function("SIGN", result=INT, takes=NUMBERS, fails=False)
def _sign(number: Value, rows: int) -> Value:
    sign = pc.sign(doubles(number))
    return pc.if_else(pc.is_nan(sign), 0.0, sign).cast(INT)


def _whole_type(arguments: Sequence[Argument]) -> pa.DataType:
    """INT of FLOAT and DOUBLE, as in SeaTunnel's engine and jobs; else the argument's type, as its page has it.

    A decimal loses what stands behind the point, and has room for the next number.
    """
    dtype = arguments[0].type
    if pa.types.is_floating(dtype):
        return INT
    if not pa.types.is_decimal(dtype) or dtype.scale <= 0:
        return dtype
    return decimal_type(dtype.precision - dtype.scale + 1, 0)


@function("CEIL", "CEILING", result=_whole_type, takes=NUMBERS)
def _ceil(number: Value, rows: int) -> Value:
    return number if pa.types.is_integer(number.type) else _whole(pc.ceil(_with_room(number)))


@function("FLOOR", result=_whole_type, takes=NUMBERS)
def _floor(number: Value, rows: int) -> Value:
    return number if pa.types.is_integer(number.type) else _whole(pc.floor(_with_room(number)))


def _whole(number: Value) -> Value:
    """Doubles as INT. Raises ValueError for one that INT has no room for."""
    if not pa.types.is_floating(number.type):
        return number
    beyond = pc.invert(pc.and_(pc.greater_equal(number, -(2.0**31)), pc.less(number, 2.0**31)))
    if pc.any(pc.fill_null(beyond, False)).as_py():
        first = number if isinstance(number, pa.Scalar) else number.filter(beyond)[0]
        text = f"{first.as_py()!r} is outside INT, which FLOOR and CEIL give of a DOUBLE"
        raise ValueError(f"{text}; write them of CAST(… AS DECIMAL(20, 2)), which keeps its type")
    return number.cast(INT)


def _with_room(number: Value) -> Value:
    """Decimals with one digit more before the point: the ceiling of 9.5 is 10."""
    dtype = number.type
    if not pa.types.is_decimal(dtype) or dtype.scale <= 0 or dtype.precision == MAX_DECIMAL_PRECISION:
        return number
    return number.cast(decimal_type(dtype.precision + 1, dtype.scale))


# -------------------------------------------------------------------------------------------------------- rounding


def _to_digits(names: tuple[str, ...], rounding: str) -> None:
    @function(*names, result=first_type, most=2, takes=(NUMBERS, COUNTS))
    def apply(number: Value, digits: Value = None, *, rows: int) -> Value:
        count = 0 if digits is None else constant(digits)
        if isinstance(count, int) and isinstance(number, pa.Array) and not pa.types.is_decimal(number.type):
            if pa.types.is_integer(number.type) and count >= 0:
                return number
            if pa.types.is_floating(number.type) and 0 <= count <= 15:
                return _round_doubles(number, count, rounding)
        return by_row(
            lambda n, d=0: _rounded(n, d, rounding, number.type),
            [number, *([] if digits is None else [digits])],
            number.type,
        )


def _rounded(number: Any, digits: int, rounding: str, dtype: Any) -> Any:
    """A number's decimal digits, as Java's BigDecimal rounds them."""
    if isinstance(number, float) and not math.isfinite(number):
        return number
    rounded = Decimal(str(number)).quantize(Decimal(1).scaleb(-digits), rounding=rounding, context=_WIDE)
    if pa.types.is_floating(dtype):
        return float(rounded)
    return int(rounded) if pa.types.is_integer(dtype) else rounded.quantize(Decimal(1).scaleb(-dtype.scale))


def _round_doubles(column: pa.Array, digits: int, rounding: str) -> pa.Array:
    """By machine arithmetic where the digits are clear, by decimal arithmetic near the borders and for big numbers."""
    values = _as_numpy(column).astype(np.float64)
    power = 10.0**digits
    with np.errstate(all="ignore"):
        scaled = np.abs(values) * power
        floor = np.floor(scaled)
        rest = scaled - floor
        if rounding == ROUND_DOWN:
            clear, whole = (rest > _CLOSE) & (rest < 1 - _CLOSE), floor
        else:
            clear, whole = np.abs(rest - 0.5) > _CLOSE, np.floor(scaled + 0.5)
        made = np.copysign(whole / power, values)
    text = np.float32 if pa.types.is_float32(column.type) else float
    for index in np.flatnonzero(~(clear & (scaled < _FEW))):
        made[index] = _rounded(float(str(text(values[index]))), digits, rounding, DOUBLE)
    return _keep_nulls(made, column).cast(column.type)


_to_digits(("ROUND",), ROUND_HALF_UP)
_to_digits(("TRUNC", "TRUNCATE"), ROUND_DOWN)


@function("TRIM_SCALE", result=pa.string(), takes=NUMBERS)
def _trim_scale(number: Value, rows: int) -> Value:
    return by_row(lambda n: f"{Decimal(str(n)).normalize(_WIDE):f}", [number], pa.string())


# ------------------------------------------------------------------------------------------------------ arithmetic


def arithmetic_type(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    """The type of a sum, difference, product, quotient or rest. Raises ConfigError when one is not a number."""
    for dtype in (left, right):
        if not NUMBERS.has(dtype) and not pa.types.is_null(dtype):
            raise wrong(f"arithmetic takes numbers, not {type_name(dtype)}", NUMBERS.cure)
    decimals = [t for t in (left, right) if pa.types.is_decimal(t)]
    if decimals:
        scale = max(t.scale for t in decimals)
        return decimal_type(max(max(t.precision for t in decimals), scale), scale)
    if pa.types.is_floating(left) or pa.types.is_floating(right):
        return DOUBLE
    return LONG if pa.types.is_int64(left) or pa.types.is_int64(right) else INT


_CHECKED = {"+": pc.add_checked, "-": pc.subtract_checked, "*": pc.multiply_checked, "/": pc.divide_checked}
_FLOATING = {"+": pc.add, "-": pc.subtract, "*": pc.multiply, "/": pc.divide}


def arithmetic(operator: str, left: Value, right: Value, dtype: Any) -> Value:
    """`left operator right` as `dtype`. Whole numbers outside of it, and divisions of them by zero, raise."""
    if pa.types.is_decimal(dtype):
        return _decimal_arithmetic(operator, left, right, dtype)
    left, right = left.cast(dtype, safe=False), right.cast(dtype, safe=False)
    if operator == "%":
        return _rest(left, right)
    return (_FLOATING if pa.types.is_floating(dtype) else _CHECKED)[operator](left, right)


def _rest(left: Value, right: Value) -> Value:
    """What a division leaves, with the sign of the dividend, as in Java."""
    if pa.types.is_integer(left.type):
        return pc.subtract(left, pc.multiply(pc.divide_checked(left, right), right))
    rows = len(left) if isinstance(left, pa.Array) else len(right)
    sides = [_as_numpy(v) if isinstance(v, pa.Array) else np.full(rows, v.as_py() or 0.0) for v in (left, right)]
    with np.errstate(all="ignore"):
        return _keep_nulls(np.fmod(*sides), left, right)


def _decimal_arithmetic(operator: str, left: Value, right: Value, dtype: Any) -> Value:
    """Exact, then brought to the scale of the type: quotients away from zero, all others to the nearest."""
    fast = _arrow_decimals(operator, [left, right]) if operator in ("+", "-", "*") else None
    if fast is not None:
        return pc.round(fast, dtype.scale, "half_towards_infinity").cast(dtype)
    unit = Decimal(1).scaleb(-dtype.scale)

    def compute(x: Any, y: Any) -> Decimal:
        a, b = Decimal(str(x)), Decimal(str(y))
        if operator == "/":
            return _WIDE.divide(a, b).quantize(unit, ROUND_UP, _WIDE)
        if operator == "%":
            return _WIDE.remainder(a, b).quantize(unit, ROUND_HALF_UP, _WIDE)
        exact = {"+": _WIDE.add, "-": _WIDE.subtract, "*": _WIDE.multiply}[operator](a, b)
        return exact.quantize(unit, ROUND_HALF_UP, _WIDE)

    return by_row(compute, [left, right], dtype)


def _arrow_decimals(operator: str, sides: Sequence[Value]) -> Any:
    """By Arrow where it has room for all digits; None elsewhere."""
    made = []
    for side in sides:
        if pa.types.is_integer(side.type):
            side = side.cast(pa.decimal128(19, 0))
        elif isinstance(side, pa.Scalar) and pa.types.is_floating(side.type):
            number = side.as_py()
            if number is None or not math.isfinite(number):
                return None
            side = pa.scalar(Decimal(str(number)))
        if not pa.types.is_decimal(side.type) or side.type.scale < 0:
            return None
        made.append(side)
    a, b = made[0].type, made[1].type
    digits = (
        a.precision + b.precision + 1 if operator == "*" else max(a.precision, b.precision) + max(a.scale, b.scale) + 1
    )
    if digits > 76:
        return None
    if digits > 38:
        made = [side.cast(pa.decimal256(side.type.precision, side.type.scale)) for side in made]
    return _CHECKED[operator](*made)


def _mod_type(arguments: Sequence[Argument]) -> pa.DataType:
    return arguments[1].type


@function("MOD", result=_mod_type, least=2, takes=(NUMBERS, NUMBERS))
def _mod(number: Value, by: Value, rows: int) -> Value:
    """Unlike `%`, by decimal digits: MOD(13, 5.4) is 2.2."""
    dtype = by.type
    if pa.types.is_integer(number.type) and pa.types.is_integer(dtype):
        wide = LONG if pa.types.is_int64(number.type) or pa.types.is_int64(dtype) else INT
        return _rest(number.cast(wide), by.cast(wide)).cast(dtype)

    def compute(n: Any, d: Any) -> Any:
        if not d:
            raise ZeroDivisionError("MOD by zero")
        rest = _WIDE.remainder(Decimal(str(n)), Decimal(str(d)))
        if pa.types.is_decimal(dtype):
            return rest.quantize(Decimal(1).scaleb(-dtype.scale), ROUND_HALF_UP, _WIDE)
        return float(rest) if pa.types.is_floating(dtype) else int(rest)

    return by_row(compute, [number, by], dtype)
