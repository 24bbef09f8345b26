"""A query that is ready to run on the batches of a table."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from headrace.connector import Batch, Rejects, TableSchema
from headrace.errors import ConfigError, Problem
from headrace.rows import Column, type_name
from headrace.sql.compiler import Compiler
from headrace.sql.expressions import FAILURES, Expression, Frame
from headrace.sql.functions import wrong
from headrace.sql.grammar import Explode, Query, parse_query, text_of


class CannotCompute(Exception):
    """An expression has no result for some row."""

    def __init__(self, expression: str, error: BaseException) -> None:
        super().__init__(f"cannot compute {expression}: {error}")


@dataclass(frozen=True)
class _Exploded:
    """One LATERAL VIEW: the array, and the places of the output columns that take its elements."""

    array: Expression
    places: tuple[int, ...]
    outer: bool
    text: str


class _Beside(NamedTuple):
    """What goes with the rows of a batch beside their values."""

    kinds: pa.UInt8Array | None
    metadata: pa.RecordBatch | None

    def each(self, change: Callable[..., Any]) -> "_Beside":
        """The same of other rows."""
        return _Beside(*(None if part is None else change(part) for part in self))


class Select:
    """A query over one table. Raises ConfigError with all that is wrong in it.

    table: as it arrives. `output` is the table as it leaves.
    """

    def __init__(self, sql: str, table: TableSchema) -> None:
        query = parse_query(sql)
        compiler = Compiler([(c.name, c.type) for c in table.columns], _names(query, table), table.path)
        self._width = len(table.columns)
        self._problems: list[Problem] = []
        self._items: list[Expression] = []
        self._later: dict[str, list[int]] = {e.name: [] for e in query.explodes if e.name not in table.names}
        columns = self._select(query, table, compiler)
        self._where: Expression | None = None
        if query.where is not None:
            try:
                self._need_known(query.where)
                self._where = compiler.condition(query.where)
            except ConfigError as error:
                self._problems += error.problems
        if self._problems:
            raise ConfigError(self._problems)
        self._explodes: list[_Exploded] = []
        for explode in query.explodes:
            columns = self._explode(explode, columns, table, query)
        _check_names(columns)
        self.output = table.with_columns(columns)
        self._schema = self.output.arrow

    def _select(self, query: Query, table: TableSchema, compiler: Compiler) -> list[Column]:
        columns: list[Column] = []
        for item in query.items:
            try:
                if item.name is None:
                    for column in table.columns:
                        self._items.append(compiler.column(column.name))
                        columns.append(column)
                elif isinstance(item.expression, exp.Column) and item.expression.name in self._later:
                    self._later[item.expression.name].append(len(columns))
                    self._items.append(compiler.expression(exp.Null()))
                    columns.append(Column(item.name, pa.null()))
                else:
                    self._need_known(item.expression)
                    made = compiler.expression(item.expression)
                    self._items.append(made)
                    columns.append(_described(item.name, made, table))
            except ConfigError as error:
                self._problems += error.problems
        return columns

    def _need_known(self, expression: Any) -> None:
        """Refuses an expression over what a LATERAL VIEW only makes afterwards."""
        for column in expression.find_all(exp.Column):
            if column.name in self._later:
                raise wrong(
                    f"{text_of(expression)}: LATERAL VIEW makes {column.name!r} after the rest of the query",
                    f"select {column.name} alone, and use it in a Sql transform after this one",
                )

    def _explode(self, explode: Explode, columns: list[Column], table: TableSchema, query: Query) -> list[Column]:
        """The columns with one more, or with another type; the array is looked up among them, then in the table."""
        known = [(c.name, c.type) for c in columns]
        behind = [(c.name, c.type) for c in table.columns]
        array = Compiler(known + behind, _names(query, table), table.path).expression(explode.expression)
        text = f"EXPLODE({text_of(explode.expression)})"
        if not pa.types.is_list(array.type):
            raise wrong(f"{text}: {type_name(array.type)} is not an array", "write EXPLODE(SPLIT(text, ','))")
        made = Column(explode.name, array.type.value_type)
        names = [c.name for c in columns]
        places = self._later.get(explode.name) or [names.index(made.name) if made.name in names else len(columns)]
        self._explodes.append(_Exploded(array, tuple(places), explode.outer, text))
        columns = list(columns)
        for place in places:
            columns[place : place + 1] = [replace(made, name=[*names, made.name][place])]
        return columns

    def run(self, batch: Batch) -> Batch:
        """The rows that pass, with the columns of `output`. Raises CannotCompute."""
        frame, beside = Frame(batch.rows.columns, batch.num_rows), _Beside(batch.kinds, batch.metadata)
        if self._where is not None:
            mask = pc.fill_null(_evaluated(self._where, frame), False)
            kept = pc.sum(mask, min_count=0).as_py()
            if kept != batch.num_rows:
                frame = frame.where(mask, kept)
                beside = beside.each(lambda values: values.filter(mask))
        columns = [
            _evaluated(item, frame) if item.source is None else frame.column(item.source) for item in self._items
        ]
        if self._explodes:
            columns, beside = self._exploded(columns, frame, beside)
        arrays = [c if c.type.equals(f.type) else c.cast(f.type) for c, f in zip(columns, self._schema, strict=True)]
        rows = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        return Batch(rows, self.output.path, beside.kinds, beside.metadata)

    def _exploded(
        self, columns: Sequence[pa.Array], frame: Frame, beside: "_Beside"
    ) -> tuple[list[pa.Array], "_Beside"]:
        out = list(columns)
        behind = [frame.column(index) for index in range(self._width)]
        rows = frame.rows
        for explode in self._explodes:
            array = _evaluated(explode.array, Frame([*out, *behind], rows))
            parents, items = _flat(array, explode.outer)
            out = [column.take(parents) for column in out]
            for place in explode.places:
                out[place : place + 1] = [items]
            behind = [column.take(parents) for column in behind]
            beside = beside.each(lambda values, parents=parents: values.take(parents))
            rows = len(items)
        return out, beside


def _names(query: Query, table: TableSchema) -> list[str]:
    """Names that may stand before a column's."""
    return [query.table, table.path, table.path_parts[2]]


def _evaluated(expression: Expression, frame: Frame) -> pa.Array:
    """The worth as an array. Raises CannotCompute."""
    try:
        return expression.array(frame)
    except FAILURES as error:
        raise CannotCompute(expression.text, error) from error


def _flat(array: pa.Array, outer: bool) -> tuple[pa.Array, pa.Array]:
    """For each element the row it is of, and the element; `outer` keeps rows without one, with null."""
    if not outer:
        parents, items = pc.list_parent_indices(array), pc.list_flatten(array)
        known = items.is_valid()
        return parents.filter(known), items.filter(known)
    empty = pc.fill_null(pc.equal(pc.list_value_length(array), 0), True)
    rows = pa.array(range(len(array)), pa.int64())
    parents = pa.concat_arrays([pc.list_parent_indices(array).cast(pa.int64()), rows.filter(empty)])
    items = pa.concat_arrays(
        [pc.list_flatten(array), pa.nulls(pc.sum(empty, min_count=0).as_py(), array.type.value_type)]
    )
    order = pc.array_sort_indices(parents)
    return parents.take(order), items.take(order)


def _described(name: str, expression: Expression, table: TableSchema) -> Column:
    """The output column of an expression; a column of the table keeps what is known of it."""
    if expression.source is not None:
        return replace(table.columns[expression.source], name=name)
    dtype = expression.type
    return Column(name, pa.timestamp("us", "UTC") if pa.types.is_timestamp(dtype) and dtype.tz else dtype)


def _check_names(columns: Sequence[Column]) -> None:
    names = [column.name for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise wrong(f"several columns are named {', '.join(map(repr, twice))}", "give them different names with AS")


# ------------------------------------------------------------------------------------------------- rows that fail


def run_rows(select: Select, batch: Batch, rejects: Rejects) -> Batch | list[Batch]:
    """Run a query; rows that it cannot compute are rejected, each with its reason, and the others go on.

    Raises what `rejects` raises, which by default is BadRow at the first such row.
    """
    try:
        return select.run(batch)
    except CannotCompute:
        found: dict[int, str] = {}
        done = list(_parts(select, batch, 0, batch, found, rejects))
        later = dict(list(found.items())[1:])
        if later:
            _reject(batch, later, rejects)
        return done


def _parts(
    select: Select, part: Batch, start: int, batch: Batch, found: dict[int, str], rejects: Rejects
) -> Iterator[Batch]:
    """The results of ever smaller parts of a batch, until only rows are left out that fail by themselves.

    The first such row is rejected at once, since that may end the job; the others are left in `found`.
    """
    try:
        yield select.run(part)
        return
    except CannotCompute as error:
        if part.num_rows == 1:
            found[start] = str(error)
            if len(found) == 1:
                _reject(batch, found, rejects)
            return
    half = part.num_rows // 2
    yield from _parts(select, part.slice(0, half), start, batch, found, rejects)
    yield from _parts(select, part.slice(half), start + half, batch, found, rejects)


def _reject(batch: Batch, reasons: dict[int, str], rejects: Rejects) -> None:
    rows = range(batch.num_rows)
    rejects.add(
        batch, pa.array([row in reasons for row in rows]), pa.array([reasons.get(row, "") for row in rows], pa.string())
    )
