"""Functions that choose, test and describe values, and TO_CHAR."""

import uuid
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from headrace.rows import type_name
from headrace.sql.casts import can_cast, to_text
from headrace.sql.conditions import BOOLEAN, compare_values
from headrace.sql.expressions import Expression, Frame, as_type, choose
from headrace.sql.functions import TEXTS, Argument, Value, array_of, first_type, function, on_storage, wrong
from headrace.sql.times import TEMPORAL, format_datetime
from headrace.sql.types import common_type


def _first_known(arguments: Sequence[Argument]) -> pa.DataType:
    """The type of the first argument that is not NULL itself; the others must be convertible to it."""
    known = [argument.type for argument in arguments if not pa.types.is_null(argument.type)]
    for dtype in known[1:]:
        if not can_cast(dtype, known[0]):
            raise wrong(f"{type_name(dtype)} cannot become {type_name(known[0])}, the type of the first value")
    return known[0] if known else pa.null()


@function("COALESCE", result=_first_known, most=None, lazy=True, fails=False)
def _coalesce(arguments: Sequence[Expression], frame: Frame, dtype: pa.DataType) -> Value:
    typed = [as_type(argument, dtype) for argument in arguments]
    if not any(argument.fails for argument in typed):
        values = [argument.evaluate(frame) for argument in typed]
        return values[0] if len(values) == 1 else on_storage(pc.coalesce, values, dtype)
    cases = [(_known(argument), value) for argument, value in zip(arguments, typed, strict=True)]
    return choose(frame, cases, None, dtype)


def _known(expression: Expression) -> Expression:
    return Expression(BOOLEAN, lambda frame: pc.is_valid(expression.evaluate(frame)), expression.text, expression.fails)


@function("IFNULL", result=_first_known, least=2, lazy=True, fails=False)
def _ifnull(arguments: Sequence[Expression], frame: Frame, dtype: pa.DataType) -> Value:
    return _coalesce(arguments, frame, dtype)


def _multi_if_type(arguments: Sequence[Argument]) -> pa.DataType:
    if len(arguments) % 2 == 0:
        raise wrong("MULTI_IF needs a last value, for when no condition holds")
    conditions = [a for a in arguments[:-1:2] if not pa.types.is_boolean(a.type)]
    if conditions:
        raise wrong(f"MULTI_IF takes a condition before each value, not {type_name(conditions[0].type)}")
    return common_type([a.type for a in [*arguments[1:-1:2], arguments[-1]]], "MULTI_IF")


@function("MULTI_IF", result=_multi_if_type, least=3, most=None, lazy=True)
def _multi_if(arguments: Sequence[Expression], frame: Frame, dtype: pa.DataType) -> Value:
    cases = list(zip(arguments[:-1:2], arguments[1:-1:2], strict=True))
    return choose(frame, cases, arguments[-1], dtype)


@function("NULLIF", result=first_type, least=2, lazy=True, fails=False)
def _nullif(arguments: Sequence[Expression], frame: Frame, dtype: pa.DataType) -> Value:
    value, other = arguments
    column = value.array(frame)
    same = array_of(compare_values("=", value, other, frame), frame.rows)
    return on_storage(lambda c: pc.if_else(same, pa.scalar(None, c.type), c), [column], dtype)


@function("TO_CHAR", result=pa.string(), most=2, takes=(None, TEXTS))
def _to_char(value: Value, pattern: Value = None, *, rows: int) -> Value:
    """Dates and times in a pattern, all else as Java prints it."""
    if pattern is not None and TEMPORAL.has(value.type):
        return format_datetime(value, pattern, rows)
    return to_text(value)


@function("UUID", result=pa.string(), least=0, volatile=True, fails=False)
def _uuid(rows: int) -> Value:
    return pa.array([str(uuid.uuid4()) for _ in range(rows)], pa.string())
