"""Compiled expressions: what they are worth for the rows of a frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.sql.casts import cast, never_fails
from headrace.sql.functions import UNKNOWN, Argument, Function, Value, array_of, on_storage

FAILURES = (ValueError, ArithmeticError, LookupError, pa.ArrowCapacityError)
"""What kernels raise for values they have no result for; ArrowInvalid is a ValueError."""


class Frame:
    """Rows that expressions are evaluated on; columns of a part of them are made when they are first used."""

    def __init__(self, columns: Sequence[pa.Array], rows: int) -> None:
        self.rows = rows
        self._columns: dict[int, pa.Array] = dict(enumerate(columns))
        self._source: Callable[[int], pa.Array] | None = None
        self.known: dict[int, Value] = {}

    def column(self, index: int) -> pa.Array:
        """A column by its place."""
        found = self._columns.get(index)
        if found is None:
            assert self._source is not None
            found = self._columns[index] = self._source(index)
        return found

    def where(self, mask: pa.BooleanArray, rows: int) -> "Frame":
        """The rows where the mask is true; `rows` is how many."""
        part = Frame((), rows)
        part._source = lambda index: self.column(index).filter(mask)
        return part


@dataclass(eq=False)
class Expression:
    """A compiled expression.

    compute: its worth for a frame. fails: whether some rows may have none. text: how the query writes it.
    shared: it stands in the query more than once, so its worth is kept while a frame lives.
    volatile: two evaluations may differ. source: the place of the column that it is, unchanged.
    """

    type: pa.DataType
    compute: Callable[[Frame], Value]
    text: str
    fails: bool = False
    volatile: bool = False
    literal: Any = UNKNOWN
    shared: bool = False
    source: int | None = None

    def evaluate(self, frame: Frame) -> Value:
        """The worth for a frame: an array of its length, or a scalar. Raises one of FAILURES."""
        if not self.shared:
            return self.compute(frame)
        if id(self) not in frame.known:
            frame.known[id(self)] = self.compute(frame)
        return frame.known[id(self)]

    def array(self, frame: Frame) -> pa.Array:
        """The worth as an array."""
        return array_of(self.evaluate(frame), frame.rows)

    def mask(self, frame: Frame) -> pa.BooleanArray:
        """A condition's worth: true where it holds, false elsewhere; never null."""
        return pc.fill_null(self.array(frame), False)

    @property
    def argument(self) -> Argument:
        """What a function may know of it before anything runs."""
        return Argument(self.type, self.literal)


def literal(value: Any, dtype: pa.DataType, text: str) -> Expression:
    """A constant."""
    scalar = pa.scalar(value, dtype)
    return Expression(dtype, lambda frame: scalar, text, literal=value)


def as_type(expression: Expression, dtype: pa.DataType) -> Expression:
    """The expression converted to a type."""
    if expression.type.equals(dtype):
        return expression

    def compute(frame: Frame) -> Value:
        return cast(expression.evaluate(frame), dtype)

    fails = expression.fails or not never_fails(expression.type, dtype)
    return folded(Expression(dtype, compute, expression.text, fails, expression.volatile), [expression])


def call(function: Function, arguments: Sequence[Expression], text: str) -> Expression:
    """A call of a function of the table; folded when all its arguments are constants. Raises ConfigError."""
    dtype = function.type_of([argument.argument for argument in arguments])
    volatile = function.volatile or any(argument.volatile for argument in arguments)
    fails = function.fails or any(argument.fails for argument in arguments)
    if function.lazy:
        return Expression(dtype, lambda frame: function.kernel(arguments, frame, dtype), text, fails, volatile)

    def compute(frame: Frame) -> Value:
        return apply(function, [argument.evaluate(frame) for argument in arguments], frame.rows, dtype)

    return folded(Expression(dtype, compute, text, fails, volatile), arguments)


def folded(expression: Expression, parts: Sequence[Expression]) -> Expression:
    """A constant instead of an expression of constants; one that fails stays, and fails for the rows that need it."""
    if expression.volatile or any(part.literal is UNKNOWN for part in parts):
        return expression
    try:
        value = expression.evaluate(Frame((), 1))
    except FAILURES:
        return expression
    scalar = value if isinstance(value, pa.Scalar) else value[0]
    return Expression(expression.type, lambda frame: scalar, expression.text, literal=scalar.as_py())


def apply(function: Function, values: Sequence[Value], rows: int, dtype: pa.DataType) -> Value:
    """The worth of a function for evaluated arguments."""
    if values and all(isinstance(value, pa.Scalar) for value in values) and not function.volatile:
        return apply(function, [array_of(values[0], 1), *values[1:]], 1, dtype)[0]
    result = function.kernel(*function.read(values), rows=rows)
    return result if result.type.equals(dtype) else result.cast(dtype)


def choose(
    frame: Frame, cases: Sequence[tuple[Expression, Expression]], otherwise: Expression | None, dtype: pa.DataType
) -> Value:
    """For each row the value of the first case whose condition holds.

    What may fail is evaluated only for the rows that come to it.
    """
    if not any(condition.fails or value.fails for condition, value in cases) and not (otherwise and otherwise.fails):
        masks = [condition.mask(frame) for condition, _ in cases]
        values = [value.evaluate(frame) for _, value in cases]
        values += [] if otherwise is None else [otherwise.evaluate(frame)]
        values = [value if value.type.equals(dtype) else cast(value, dtype) for value in values]
        conditions = pc.make_struct(*masks, field_names=[str(i) for i in range(len(masks))])
        return on_storage(lambda *picked: pc.case_when(conditions, *picked), values, dtype)
    return _choose_by_part(frame, list(cases), otherwise, dtype)


def _choose_by_part(
    frame: Frame, cases: list[tuple[Expression, Expression]], otherwise: Expression | None, dtype: pa.DataType
) -> pa.Array:
    if not cases:
        return (
            pa.nulls(frame.rows, dtype) if otherwise is None else array_of(_typed(otherwise, frame, dtype), frame.rows)
        )
    condition, value = cases[0]
    return split(
        frame,
        condition.mask(frame),
        lambda part: _typed(value, part, dtype),
        lambda part: _choose_by_part(part, cases[1:], otherwise, dtype),
    )


def _typed(expression: Expression, frame: Frame, dtype: pa.DataType) -> Value:
    value = expression.evaluate(frame)
    return value if value.type.equals(dtype) else cast(value, dtype)


def split(
    frame: Frame, mask: pa.BooleanArray, then: Callable[[Frame], Value], otherwise: Callable[[Frame], Value]
) -> pa.Array:
    """One value for the rows of the mask, another for the rest; each is evaluated on its own rows only."""
    hits = pc.sum(mask, min_count=0).as_py()
    if hits == frame.rows:
        return array_of(then(frame), frame.rows)
    if not hits:
        return array_of(otherwise(frame), frame.rows)
    rest = pc.invert(mask)
    both = pa.concat_arrays(
        [
            array_of(then(frame.where(mask, hits)), hits),
            array_of(otherwise(frame.where(rest, frame.rows - hits)), frame.rows - hits),
        ]
    )
    places = pa.concat_arrays([pc.indices_nonzero(mask), pc.indices_nonzero(rest)])
    return both.take(pc.inverse_permutation(places.cast(pa.int64())))
