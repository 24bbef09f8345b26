"""From parts of a parsed query to expressions over the columns of a table."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from headrace.rows import type_name
from headrace.sql import functions
from headrace.sql.casts import can_cast, cast_type, never_fails, try_cast
from headrace.sql.conditions import BOOLEAN, compare, condition, contained, like
from headrace.sql.digits import number_literal
from headrace.sql.expressions import Expression, Frame, as_type, call, choose, folded, literal, split
from headrace.sql.functions import NUMBERS, UNKNOWN, Value, wrong
from headrace.sql.grammar import Node, text_of
from headrace.sql.numbers import arithmetic, arithmetic_type
from headrace.sql.types import common_type, plain_type
from headrace.texts import with_article

_OPERATORS = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
_COMPARISONS = {exp.EQ: "=", exp.NEQ: "!=", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_NOW: dict[Any, str] = {
    exp.CurrentDate: "CURRENT_DATE",
    exp.CurrentTime: "CURRENT_TIME",
    exp.CurrentTimestamp: "CURRENT_TIMESTAMP",
}


class Compiler:
    """Compiles the parts of one query. What stands in it twice is compiled once, and evaluated once for a frame.

    columns: names and types, in the order of the frames' columns. tables: names that may stand before a column.
    path: the table's, for messages.
    """

    def __init__(self, columns: Sequence[tuple[str, pa.DataType]], tables: Sequence[str], path: str) -> None:
        self._columns, self._path = columns, path
        self._tables = {table.lower() for table in tables}
        self._done: dict[Node, Expression] = {}
        self._makers: dict[type, Callable[[Any], Expression]] = {
            **dict.fromkeys(_OPERATORS, self._arithmetic),
            **dict.fromkeys(_COMPARISONS, self._comparison),
            **dict.fromkeys(_NOW, self._now),
            exp.Column: self._column, exp.Dot: self._column, exp.Bracket: self._bracket, exp.Literal: self._literal,
            exp.Boolean: lambda node: literal(bool(node.this), BOOLEAN, text_of(node)),
            exp.Null: lambda node: literal(None, pa.null(), "NULL"),
            exp.Neg: self._negative, exp.DPipe: self._concatenation, exp.And: self._and, exp.Or: self._or,
            exp.Not: self._not, exp.Is: self._is, exp.In: self._in, exp.Like: self._like, exp.Between: self._between,
            exp.Case: self._case, exp.If: self._refuse_if, exp.Cast: self._cast, exp.TryCast: self._cast,
            exp.Extract: self._extract, exp.AtTimeZone: self._at_time_zone, exp.Anonymous: self._function,
            exp.Interval: self._refuse_interval,
        }  # fmt: skip

    def expression(self, node: Node) -> Expression:
        """The expression of a node. Raises ConfigError."""
        while isinstance(node, exp.Paren):
            node = node.this
        known = self._done.get(node)
        if known is not None:
            known.shared = True
            return known
        maker = self._makers.get(type(node))
        if maker is None:
            raise wrong(f"{text_of(node)!r} is not part of a transform's SQL")
        made = maker(node)
        if not made.volatile:
            self._done[node] = made
        return made

    def column(self, name: str) -> Expression:
        """A column of the table by its exact name."""
        return self._at([known for known, _ in self._columns].index(name))

    def condition(self, node: Node) -> Expression:
        """An expression that is true or false. Raises ConfigError for others."""
        made = self.expression(node)
        if not pa.types.is_boolean(made.type) and not pa.types.is_null(made.type):
            raise wrong(f"{text_of(node)} is {type_name(made.type)}, not a condition", "compare it, as in … = 1")
        return as_type(made, pa.bool_())

    # ------------------------------------------------------------------------------------------------ constants

    def _literal(self, node: exp.Literal) -> Expression:
        text = str(node.this)
        if node.is_string:
            return literal(text, pa.string(), text_of(node))
        try:
            return literal(*number_literal(text), text)
        except ValueError as error:
            raise wrong(str(error), "write fewer digits") from error

    def _negative(self, node: exp.Neg) -> Expression:
        inner = self.expression(node.this)
        if not NUMBERS.has(inner.type):
            raise wrong(f"{text_of(node)}: only numbers have a sign, not {type_name(inner.type)}", NUMBERS.cure)
        fails = inner.fails or not pa.types.is_floating(inner.type)
        made = Expression(
            inner.type, lambda frame: pc.negate_checked(inner.evaluate(frame)), text_of(node), fails, inner.volatile
        )
        return folded(made, [inner])

    def _now(self, node: Node) -> Expression:
        return call(functions.find(_NOW[type(node)]), [], text_of(node))

    # -------------------------------------------------------------------------------------------------- columns

    def _column(self, node: Any) -> Expression:
        parts = [part.name for part in node.parts]
        first = self._index(parts[0])
        nested = first is not None and pa.types.is_nested(self._columns[first][1])
        if len(parts) > 1 and not nested and (parts[0].lower() in self._tables or first is None):
            # SeaTunnel looks at the last name only, so that whatever stands before it is taken for the table.
            rest = parts[1:] if parts[0].lower() in self._tables or self._index(parts[-1]) is None else parts[-1:]
            if self._index(rest[0]) is not None:
                parts, first = rest, self._index(rest[0])
        if first is None:
            raise self._unknown(parts[0])
        value = self._at(first)
        for place, name in enumerate(parts[1:], 2):
            value = self._step(value, name, last=place == len(parts))
        return value

    def _index(self, name: str) -> int | None:
        """The place of a column; its own spelling first, then any case."""
        names = [known for known, _ in self._columns]
        if name in names:
            return names.index(name)
        lower = [known.lower() for known in names]
        return lower.index(name.lower()) if name.lower() in lower else None

    def _unknown(self, name: str) -> Exception:
        names = {known.lower(): known for known, _ in self._columns}
        near = get_close_matches(name.lower(), names, 1)
        cure = f"did you mean {names[near[0]]!r}?" if near else f"its columns are {', '.join(names.values())}"
        return wrong(f"table {self._path} has no column {name!r}", cure)

    def _at(self, index: int) -> Expression:
        name, dtype = self._columns[index]
        plain = plain_type(dtype)
        if plain.equals(dtype):
            return Expression(dtype, lambda frame: frame.column(index), name, source=index)
        made = Expression(plain, lambda frame: frame.column(index).cast(plain, safe=False), name, source=index)
        made.shared = True
        return made

    def _step(self, value: Expression, name: str, last: bool) -> Expression:
        """A field of a ROW, or the value of a key of a MAP."""
        text = f"{value.text}.{name}"
        if pa.types.is_struct(value.type):
            names = [field.name.lower() for field in value.type]
            if name.lower() not in names:
                fields = ", ".join(field.name for field in value.type)
                raise wrong(f"{value.text} has no field {name!r}", f"its fields are {fields}")
            place = names.index(name.lower())
            return Expression(
                value.type.field(place).type,
                lambda frame: pc.struct_field(value.array(frame), place),
                text,
                value.fails,
            )
        if pa.types.is_map(value.type):
            if not last:
                raise wrong(f"{text} is the value of a map, and nothing can follow it")
            return self._key(value, name, text)
        raise wrong(f"{value.text} is {type_name(value.type)}, and has no field {name!r}")

    def _key(self, value: Expression, key: Any, text: str) -> Expression:
        wanted = as_type(literal(key, pa.string(), repr(key)), value.type.key_type)
        if wanted.literal is UNKNOWN:
            needed = with_article(type_name(value.type.key_type))
            raise wrong(f"{key!r} is not {needed}, which the keys of {value.text} are")
        scalar = pa.scalar(wanted.literal, value.type.key_type)
        return Expression(
            value.type.item_type, lambda frame: pc.map_lookup(value.array(frame), scalar, "first"), text, value.fails
        )

    def _bracket(self, node: exp.Bracket) -> Expression:
        value = self.expression(node.this)
        key = self.expression(node.expressions[0]) if len(node.expressions) == 1 else None
        text = text_of(node)
        if key is not None and pa.types.is_map(value.type) and isinstance(key.literal, str | int):
            return self._key(value, str(key.literal), text)
        if key is None or not pa.types.is_list(value.type) or not isinstance(key.literal, int) or key.literal < 0:
            raise wrong(f"{text}: write map['key'], or array[0] for the first of an array")
        place = key.literal
        return Expression(
            value.type.value_type, lambda frame: pc.list_element(value.array(frame), place), text, fails=True
        )

    # ----------------------------------------------------------------------------------------------- arithmetic

    def _arithmetic(self, node: Node) -> Expression:
        left, right = self.expression(node.left), self.expression(node.right)
        dtype, operator = arithmetic_type(left.type, right.type), _OPERATORS[type(node)]

        def compute(frame: Frame) -> Value:
            values = [left.evaluate(frame), right.evaluate(frame)]
            if all(isinstance(value, pa.Scalar) for value in values):
                values = [pa.array([value.as_py()], value.type) for value in values]
                return arithmetic(operator, values[0], values[1], dtype)[0]
            return arithmetic(operator, values[0], values[1], dtype)

        fails = left.fails or right.fails or not pa.types.is_floating(dtype)
        return folded(Expression(dtype, compute, text_of(node), fails, left.volatile or right.volatile), [left, right])

    def _concatenation(self, node: exp.DPipe) -> Expression:
        # One call for a || b || c: nulls count as nothing in each, as in SeaTunnel.
        return call(functions.find("CONCAT"), [self.expression(part) for part in node.flatten()], text_of(node))

    # ----------------------------------------------------------------------------------------------- conditions

    def _comparison(self, node: Node) -> Expression:
        left, right = self.expression(node.left), self.expression(node.right)
        return compare(_COMPARISONS[type(node)], left, right, text_of(node))

    def _and(self, node: exp.And) -> Expression:
        left, right = self.condition(node.left), self.condition(node.right)

        def compute(frame: Frame) -> Value:
            if right.fails:
                return split(frame, left.mask(frame), right.mask, lambda part: pa.scalar(False))
            return pc.and_(left.mask(frame), right.mask(frame))

        return condition(compute, text_of(node), [left, right])

    def _or(self, node: exp.Or) -> Expression:
        left, right = self.condition(node.left), self.condition(node.right)

        def compute(frame: Frame) -> Value:
            if right.fails:
                return split(frame, left.mask(frame), lambda part: pa.scalar(True), right.mask)
            return pc.or_(left.mask(frame), right.mask(frame))

        return condition(compute, text_of(node), [left, right])

    def _not(self, node: exp.Not) -> Expression:
        inner = node.this
        if isinstance(inner, exp.Is):
            return self._is(inner, negated=True)
        if isinstance(inner, exp.In):
            return self._in(inner, negated=True)
        if isinstance(inner, exp.Like):
            return self._like(inner, negated=True)
        if isinstance(inner, exp.Between):
            return self._between(inner, negated=True)
        cure = "write the opposite: !=, NOT IN, NOT LIKE, IS NOT NULL, or turn the comparison round"
        raise wrong(f"{text_of(node)}: NOT before a condition is not part of a transform's SQL", cure)

    def _is(self, node: exp.Is, negated: bool = False) -> Expression:
        if not isinstance(node.expression, exp.Null):
            raise wrong(f"{text_of(node)}: only IS NULL and IS NOT NULL are known", "write … = true")
        value = self.expression(node.this)
        negated = negated != bool(node.args.get("negate"))
        kernel = pc.is_valid if negated else pc.is_null
        return condition(lambda frame: kernel(value.evaluate(frame)), text_of(node), [value])

    def _in(self, node: exp.In, negated: bool = False) -> Expression:
        if not node.expressions:
            raise wrong(f"{text_of(node)}: IN takes a list of values")
        items = [self.expression(item) for item in node.expressions]
        negated = negated != bool(node.args.get("negate"))
        return contained(self.expression(node.this), items, negated, text_of(node))

    def _like(self, node: exp.Like, negated: bool = False) -> Expression:
        negated = negated != bool(node.args.get("negate"))
        return like(self.expression(node.this), self.expression(node.expression), negated, text_of(node))

    def _between(self, node: exp.Between, negated: bool = False) -> Expression:
        value, text = self.expression(node.this), text_of(node)
        negated = negated != bool(node.args.get("negate"))
        low = compare("<" if negated else ">=", value, self.expression(node.args["low"]), text)
        high = compare(">" if negated else "<=", value, self.expression(node.args["high"]), text)
        join = pc.or_ if negated else pc.and_
        return condition(lambda frame: join(low.mask(frame), high.mask(frame)), text, [low, high])

    def _case(self, node: exp.Case) -> Expression:
        subject = None if node.this is None else self.expression(node.this)
        cases = [(self._when(subject, branch), self.expression(branch.args["true"])) for branch in node.args["ifs"]]
        default = node.args.get("default")
        otherwise = None if default is None else self.expression(default)
        values = [value for _, value in cases] + ([] if otherwise is None else [otherwise])
        dtype = common_type([value.type for value in values], text_of(node))
        parts = [*(c for c, _ in cases), *values]
        fails = any(part.fails for part in parts) or not all(never_fails(v.type, dtype) for v in values)
        volatile = any(part.volatile for part in parts)
        return Expression(dtype, lambda frame: choose(frame, cases, otherwise, dtype), text_of(node), fails, volatile)

    def _when(self, subject: Expression | None, branch: exp.If) -> Expression:
        if subject is None:
            return self.condition(branch.this)
        when = self.expression(branch.this)
        if pa.types.is_boolean(when.type) and not pa.types.is_boolean(subject.type):
            return when
        return compare("=", subject, when, text_of(branch.this))

    # ------------------------------------------------------------------------------------------ types and calls

    def _cast(self, node: exp.Cast) -> Expression:
        value = self.expression(node.this)
        target = _target(node.to)
        if not can_cast(value.type, target):
            raise wrong(f"{text_of(node)}: {type_name(value.type)} cannot become {type_name(target)}")
        if not isinstance(node, exp.TryCast):
            made = as_type(value, target)
            return Expression(target, made.compute, text_of(node), made.fails, made.volatile, made.literal)
        return Expression(
            target, lambda frame: try_cast(value.array(frame), target), text_of(node), value.fails, value.volatile
        )

    def _extract(self, node: exp.Extract) -> Expression:
        unit = literal(node.this.name.upper(), pa.string(), node.this.name)
        return call(functions.find("EXTRACT"), [self.expression(node.expression), unit], text_of(node))

    def _at_time_zone(self, node: exp.AtTimeZone) -> Expression:
        zone = self.expression(node.args["zone"])
        return call(functions.find("AT TIME ZONE"), [self.expression(node.this), zone], text_of(node))

    def _function(self, node: exp.Anonymous) -> Expression:
        arguments = list(node.expressions)
        if node.name.upper() == "POSITION" and len(arguments) == 1 and isinstance(arguments[0], exp.In):
            arguments = [arguments[0].this, arguments[0].args["field"]]
        return call(functions.find(node.name), [self.expression(a) for a in arguments], text_of(node))

    def _refuse_if(self, node: exp.If) -> Expression:
        raise wrong("there is no function IF", "write CASE WHEN … THEN … ELSE … END, or MULTI_IF")

    def _refuse_interval(self, node: exp.Interval) -> Expression:
        raise wrong("INTERVAL is not part of a transform's SQL", "write DATEADD(time, 1, 'DAY')")


_TYPE_NAMES = {"TEXT": "string", "CHAR": "string", "NCHAR": "string", "NVARCHAR": "string", "VARBINARY": "bytes"}


def _target(node: exp.DataType) -> pa.DataType:
    """The type that CAST names. Raises ConfigError."""
    name = str(node.args["kind"]) if node.args.get("kind") else node.this.value
    numbers = [int(item.this.this) for item in node.expressions if isinstance(item, exp.DataTypeParam)]
    try:
        return cast_type(_TYPE_NAMES.get(name, name), numbers)
    except ValueError as error:
        raise wrong(f"CAST AS {text_of(node)}: {error}") from error
