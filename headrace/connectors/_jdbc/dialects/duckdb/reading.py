"""Reading DuckDB: by row numbers where rows have them, so that a read goes on exactly where it stopped.

Row numbers are places in the table: they change when rows before them are deleted and the file is tidied up. So the row
at a position, and the first of each part, is known by what it holds.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.connector import Batch, Position, Read, TaskContext
from headrace.connectors._jdbc.decoding import BadValues, set_aside, shown_value
from headrace.connectors._jdbc.dialect import Entry, Part, Splitting
from headrace.connectors._jdbc.dialects.duckdb.types import infinite
from headrace.connectors._jdbc.dialects.duckdb.writing import literal
from headrace.connectors._jdbc.parts import SIGNS, SPLIT_ROWS, SPLITS_PER_TASK, equal_ranges, parts_by_column
from headrace.errors import Rejected
from headrace.rows import Column

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.duckdb.database import Duckdb

CHUNK_ROWS = 16_384
"""Rows that DuckDB hands over at once, at most."""

SAMPLE_ROWS = 64
"""Rows that tell how wide the rows are."""


def parts(database: "Duckdb", entry: Entry, wanted: Splitting) -> Iterator[Part]:
    """The parts of one table or query."""
    if wanted.column is not None:
        yield from parts_by_column(entry, wanted, partial(_limits, database, entry), partial(_edges, database))
    elif entry.number is None:
        yield Part("all")
    else:
        yield from _numbered(database, entry, wanted)


def _numbered(database: "Duckdb", entry: Entry, wanted: Splitting) -> Iterator[Part]:
    [(low, high, rows)] = database.execute(f"SELECT min(rowid), max(rowid), count(*) FROM {entry.sql}")
    if low is None:
        yield Part("all", data={"upto": -1})
        return
    rows_each = wanted.rows or max(SPLIT_ROWS, math.ceil(rows / (wanted.parallelism * SPLITS_PER_TASK)))
    ranges = list(equal_ranges(low, high, math.ceil(rows / rows_each)))
    first = _marks(database, entry, [data["from"] for data in ranges])
    for number, data in enumerate(ranges):
        yield Part(str(number), rows // len(ranges), data | {"first": first.get(data["from"])})


def _limits(database: "Duckdb", entry: Entry, column: Column) -> tuple[Any, Any]:
    name = database.dialect.quote(column.name)
    where = f" WHERE {entry.where}" if entry.where else ""
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    limits = [of if is_number else f"CAST({of} AS VARCHAR)" for of in (f"min({name})", f"max({name})")]
    [(least, most)] = database.execute(f"SELECT {', '.join(limits)} FROM {entry.sql}{where}")
    return least, most


def _edges(database: "Duckdb", column: Column, low: Any, high: Any, count: int) -> list[str]:
    """Dates and times at the same distances."""
    declared = column.source_type
    rows = database.execute(
        f"SELECT CAST(CAST(make_timestamp(a + (b - a) * i // {count}) AS {declared}) AS VARCHAR) "
        f"FROM range({count} + 1) t(i), (SELECT epoch_us(CAST({literal(low)} AS {declared})) a, "
        f"epoch_us(CAST({literal(high)} AS {declared})) b) ORDER BY i"
    )
    return [str(low), *(row[0] for row in rows[1:-1]), str(high)]


# ------------------------------------------------------------------------------------------------------ reading


def read(
    database: "Duckdb", entry: Entry, data: Mapping[str, Any], position: Position | None, task: TaskContext, fetch: int
) -> Iterator[Read]:
    """See Database.read."""
    return _Reader(database, entry, data, task, fetch).read(position)


class _Reader:
    """Reads one split."""

    def __init__(
        self, database: "Duckdb", entry: Entry, data: Mapping[str, Any], task: TaskContext, fetch: int
    ) -> None:
        self._database, self._entry, self._task, self._data = database, entry, task, data
        self._conditions = list(_conditions(database, entry, data))
        self._most = min(fetch or CHUNK_ROWS, CHUNK_ROWS)
        self._selected, self._inexact = _selected(database, entry)

    def read(self, position: Position | None) -> Iterator[Read]:
        """All rows after the position, which is the last row's number and what it held, or how many were read."""
        if self._entry.number is None:
            yield from self._by_count(int(position or 0))
            return
        self._compare(position)
        after = [] if position is None else [f"rowid > {int(position[0])}"]
        with self._database.translated():
            for rows in self._batches(f"{self._select([*self._selected, 'rowid'], after)}"):
                *columns, numbers = rows.columns
                found = pa.RecordBatch.from_arrays(columns, rows.schema.names[:-1])
                mark = _mark(found.slice(found.num_rows - 1).select(self._entry.schema.names))
                yield Read(self._batch(found), [numbers[-1].as_py(), mark])

    def _by_count(self, done: int) -> Iterator[Read]:
        with self._database.translated():
            for rows in self._batches(f"{self._select(self._selected, [])} OFFSET {done}"):
                done += rows.num_rows
                yield Read(self._batch(rows), done)

    def _compare(self, position: Position | None) -> None:
        """Raises Rejected when the row that was read last, or else the first of the part, is another now."""
        number, mark = (self._data.get("from", 0), self._data.get("first")) if position is None else position
        if mark is None or _marks(self._database, self._entry, [number]).get(number) == mark:
            return
        path = self._entry.schema.path
        raise Rejected(
            f"cannot go on reading {path} of {self._database.shown}: row number {number} is not what it was when the "
            "job began, so rows were changed or deleted since, and the others may have moved; run the job anew under "
            "another id"
        )

    def _select(self, what: Sequence[str], more: Sequence[str]) -> str:
        conditions = [*self._conditions, *more]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {', '.join(what)} FROM {self._entry.sql}{where}"

    def _batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """What a query gives, in batches as big as the task wants them; never empty."""
        task, waiting, rows, size = self._task, list[pa.RecordBatch](), 0, 0
        reader = self._database.connection.sql(sql).to_arrow_reader(self._chunk(sql))
        for given in reader:
            chunk = given
            while chunk.num_rows:
                piece = chunk.slice(0, max(1, task.batch_rows - rows))
                chunk = chunk.slice(piece.num_rows)
                waiting.append(piece)
                rows, size = rows + piece.num_rows, size + piece.nbytes
                if rows >= task.batch_rows or size >= task.batch_bytes:
                    yield pa.concat_batches(waiting)
                    waiting, rows, size = [], 0, 0
        if waiting:
            yield pa.concat_batches(waiting)

    def _chunk(self, sql: str) -> int:
        """Rows that fill a batch, by the first ones."""
        sample = self._database.connection.sql(f"{sql} LIMIT {SAMPLE_ROWS}").to_arrow_table()
        width = max(1, sample.nbytes // max(1, sample.num_rows))
        return int(max(1, min(self._most, self._task.batch_bytes // width)))

    def _batch(self, rows: pa.RecordBatch) -> Batch:
        """The rows as the table's columns, without those that are set aside."""
        schema, path = self._entry.schema.arrow, self._entry.schema.path
        columns = [_as(rows.column(i), field.type) for i, field in enumerate(schema)]
        found = pa.RecordBatch.from_arrays(columns, schema=schema)
        bad = [BadValues(self._entry.schema.columns[i], mask, reason) for i, mask, reason in self._bad(rows, found)]
        if bad:
            cure = "; cast it in a query, or change it"
            found = set_aside(found, bad, path, self._task.rejects, cure)
        return Batch(found, path)

    def _bad(self, rows: pa.RecordBatch, found: pa.RecordBatch) -> Iterator[tuple[int, np.ndarray, str]]:
        for place, of in enumerate(self._inexact):
            mask = rows.column(len(found.schema) + place)
            if pc.any(mask).as_py():
                yield of, _numpy(mask), "the number has more than 38 digits, and DECIMAL takes 38"
        for i, column in enumerate(found.columns):
            infinity = infinite(column)
            if infinity is not None:
                yield i, _numpy(infinity), "infinity is not a date or time elsewhere"


def _selected(database: "Duckdb", entry: Entry) -> tuple[list[str], list[int]]:
    """What is selected for each column, then for each that may hold what has no type whether it does; and which."""
    relation = database.connection.sql(f"SELECT * FROM {entry.sql} LIMIT 0")
    types = dict(zip(relation.columns, relation.types, strict=True))
    selected, checks, inexact = [], [], []
    for i, name in enumerate(entry.schema.names):
        quoted = database.dialect.quote(name)
        dtype = types.get(name)
        if dtype is None:
            raise Rejected(f"{entry.schema.path} of {database.shown} has no column {name} any more")
        wire = database.wire(dtype)
        expression = wire.select(quoted, str(dtype))
        selected.append(f"{expression} AS {quoted}")
        if not wire.exact:
            checks.append(f"({quoted} IS NOT NULL AND {expression} IS NULL) AS headrace_{i}")
            inexact.append(i)
    return [*selected, *checks], inexact


def _conditions(database: "Duckdb", entry: Entry, data: Mapping[str, Any]) -> Iterator[str]:
    """What the rows of a part fulfil, as SQL."""
    if entry.where:
        yield f"({entry.where})"
    name = data.get("column")
    of = next((c for c in entry.schema.columns if c.name == name), None)
    column = database.dialect.quote(name) if name else "rowid"
    for key, sign in SIGNS.items():
        if key in data:
            value = repr(data[key])
            if isinstance(data[key], str) and of is not None:
                value = f"CAST({literal(data[key])} AS {of.source_type})"
            yield f"{column} {sign} {value}"
    if "hash" in data:
        count, number = data["hash"]
        yield f"md5_number_lower(CAST({column} AS VARCHAR)) % {count} = {number}"
    if "null" in data:
        yield f"{column} IS {'' if data['null'] else 'NOT '}NULL"


def _marks(database: "Duckdb", entry: Entry, numbers: Sequence[int]) -> dict[int, str]:
    """Row number → what tells its row from others; nothing for rows that are not there."""
    selected, _ = _selected(database, entry)
    listed = ", ".join(str(int(number)) for number in numbers)
    with database.translated():
        sql = f"SELECT {', '.join([*selected, 'rowid'])} FROM {entry.sql} WHERE rowid IN ({listed})"
        rows = database.connection.sql(sql).to_arrow_table()
    found = rows.combine_chunks().to_batches()
    return {
        batch.column(batch.num_columns - 1)[i].as_py(): _mark(batch.slice(i, 1).select(entry.schema.names))
        for batch in found
        for i in range(batch.num_rows)
    }


def _mark(row: pa.RecordBatch) -> str:
    """A short text for what a row holds."""
    values = repr([shown_value(column[0]) for column in row.columns])
    return hashlib.blake2b(values.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _as(column: pa.Array, dtype: pa.DataType) -> pa.Array:
    return column if column.type == dtype else column.cast(dtype)


def _numpy(mask: pa.Array) -> np.ndarray:
    return pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
