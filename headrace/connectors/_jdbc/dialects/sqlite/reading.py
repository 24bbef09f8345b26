"""Reading SQLite: by row numbers where rows have them, so that a read goes on exactly where it stopped."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.connector import Batch, Position, Read, TaskContext
from headrace.connectors._jdbc.dialect import Entry, Part, Splitting
from headrace.connectors._jdbc.dialects.sqlite.types import from_values, misfits
from headrace.connectors._jdbc.parts import SIGNS, SPLIT_ROWS, SPLITS_PER_TASK, equal_ranges, part_column
from headrace.errors import ConfigError
from headrace.rows import TARGET_ROWS, type_name

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.sqlite.database import Fetch, Sqlite

CHUNK_BYTES = 64 * 1024
"""Rows become columns in chunks of about this size: while their objects fit the processor's cache, reading is half as
fast again, and wide rows do not fill the memory."""


def parts(database: "Sqlite", entry: Entry, wanted: Splitting) -> Iterator[Part]:
    """The parts of one table or query."""
    if wanted.column is not None:
        yield from _partitions(database, entry, wanted)
    elif entry.number is None:
        yield Part("all")
    else:
        yield from _numbered(database, entry, wanted)


def _numbered(database: "Sqlite", entry: Entry, wanted: Splitting) -> Iterator[Part]:
    [(low, high)] = database.execute(f"SELECT min({entry.number}), max({entry.number}) FROM {entry.sql}")
    if low is None:
        yield Part("all", data={"upto": 0})
        return
    span, most = high - low + 1, wanted.parallelism * SPLITS_PER_TASK
    rows_each = wanted.rows or max(SPLIT_ROWS, math.ceil(span / most))
    count = math.ceil(span / rows_each)
    if count > most:  # numbers may be far apart: no more parts than the rows fill
        [(rows,)] = database.execute(f"SELECT count(*) FROM {entry.sql}")
        count = min(count, math.ceil(rows / rows_each))
    for number, data in enumerate(equal_ranges(low, high, count)):
        yield Part(str(number), span // count, data)


def _partitions(database: "Sqlite", entry: Entry, wanted: Splitting) -> Iterator[Part]:
    """Parts by a column: ranges of numbers, or texts by a hash; rows where it is null are a part of their own."""
    column = part_column(entry, wanted)
    here = {"column": column.name}
    count = wanted.parts or wanted.parallelism
    low: Any = wanted.lower
    high: Any = wanted.upper
    if low is None and high is None:
        yield Part("null", data=here | {"null": True})
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        for number in range(count):
            yield Part(str(number), data=here | {"hash": [count, number]})
        return
    for bound in (low, high):
        if isinstance(bound, str):
            raise ConfigError([f"partition_lower_bound and partition_upper_bound are numbers here, not {bound!r}"])
    quoted = database.dialect.quote(column.name)
    [(least, most)] = database.execute(
        f"SELECT min(c), max(c) FROM (SELECT {quoted} c FROM {entry.sql}) WHERE typeof(c) IN ('integer', 'real')"
    )
    start, end = (least if low is None else low), (most if high is None else high)
    if start is None or end is None or start > end:
        bounds = {} if low is None else {"from": low}
        yield Part("0", data=here | bounds | ({"null": False} if high is None else {"upto": high}))
        return
    if pa.types.is_integer(column.type):
        start, end = math.ceil(start), math.floor(end)
        count = max(1, min(count, end - start + 1))
    for number, data in enumerate(equal_ranges(start, end, count)):
        if low is None and number == 0:
            del data["from"]
        if high is None and "upto" in data:  # what is not a number comes after all of them, and is to be noticed
            del data["upto"]
            data.setdefault("null", False)
        yield Part(str(number), data=here | data)


def _hash(column: str) -> str:
    """A number for each text; SQLite has no hash function."""
    text = f"CAST({column} AS TEXT)"
    return f"(length({text}) * 31 + coalesce(unicode({text}), 0) * 7 + coalesce(unicode(substr({text}, -1)), 0))"


def read(
    database: "Sqlite", entry: Entry, data: Mapping[str, Any], position: Position | None, task: TaskContext, fetch: int
) -> Iterator[Read]:
    """See Database.read."""
    reader = _Reader(database, entry, data, task, fetch)
    yield from reader.by_number(position) if entry.number else reader.by_count(position)


def _conditions(quote: Any, entry: Entry, data: Mapping[str, Any]) -> list[str]:
    """What the rows of a part fulfil, as SQL."""
    found = [f"({entry.where})"] if entry.where else []
    column = quote(data["column"]) if "column" in data else str(entry.number)
    for key, sign in SIGNS.items():
        if key in data:
            found.append(f"{column} {sign} {data[key]!r}")
    if "hash" in data:
        count, number = data["hash"]
        found.append(f"{_hash(column)} % {count} = {number}")
    if "null" in data:
        found.append(f"{column} IS {'' if data['null'] else 'NOT '}NULL")
    return found


class _Reader:
    """Reads one split."""

    def __init__(
        self, database: "Sqlite", entry: Entry, data: Mapping[str, Any], task: TaskContext, fetch_size: int
    ) -> None:
        quote = database.dialect.quote
        self._database, self._entry, self._task = database, entry, task
        self._conditions = _conditions(quote, entry, data)
        self._columns = ", ".join(map(quote, entry.schema.names))
        self._most = fetch_size or TARGET_ROWS
        self._chunk = min(8, self._most)  # how wide the rows are is not known yet

    def by_number(self, position: Position | None) -> Iterator[Read]:
        """A query for each batch, which ends before the batch is handed on: nobody waits for our lock meanwhile."""
        number = self._entry.number
        while True:
            after = [] if position is None else [f"{number} > {position}"]
            sql = f"{self._select(f'{self._columns}, {number}', after)} ORDER BY {number} LIMIT {self._task.batch_rows}"
            with self._database.reading(sql) as fetch:
                count, last, rows = self._batch(fetch, 0)
            if not count:
                return
            position = last
            yield Read(Batch(rows, self._entry.schema.path), position)

    def by_count(self, position: Position | None) -> Iterator[Read]:
        """One query; the position is the number of rows."""
        done = position or 0
        with self._database.reading(f"{self._select(self._columns, [])} LIMIT -1 OFFSET {done}") as fetch:
            while True:
                count, _, rows = self._batch(fetch, done)
                if not count:
                    return
                done += count
                yield Read(Batch(rows, self._entry.schema.path), done)

    def _select(self, what: str, more: Sequence[str]) -> str:
        conditions = [*self._conditions, *more]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {what} FROM {self._entry.sql}{where}"

    def _batch(self, fetch: "Fetch", done: int) -> tuple[int, Any, pa.RecordBatch]:
        """How many rows were fetched, the last one's number, and the good ones as columns."""
        parts: list[pa.RecordBatch] = []
        count, size, last = 0, 0, None
        while count < self._task.batch_rows and size < self._task.batch_bytes:
            rows = fetch(min(self._chunk, self._task.batch_rows - count))
            if not rows:
                break
            part = self._columnar(rows, done + count)
            count, size, last = count + len(rows), size + part.nbytes, rows[-1][-1]
            self._chunk = max(1, min(self._most, len(rows) * CHUNK_BYTES // max(1, part.nbytes)))
            parts += [part] if part.num_rows else []
        none = pa.RecordBatch.from_pylist([], self._entry.schema.arrow)
        return count, last, pa.concat_batches(parts) if parts else none

    def _columnar(self, rows: Sequence[tuple[Any, ...]], done: int) -> pa.RecordBatch:
        """Fetched rows as columns, without those that are set aside."""
        schema = self._entry.schema.arrow
        values = list(zip(*rows, strict=True)) or [()] * (len(schema) + 1)
        try:
            columns = [from_values(values[i], field.type) for i, field in enumerate(schema)]
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return self._columnar(self._without_misfits(rows, done), done)
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def _without_misfits(self, rows: Sequence[tuple[Any, ...]], done: int) -> list[tuple[Any, ...]]:
        """The rows whose values have their columns' types; the others are set aside."""
        bad: dict[int, str] = {}
        for at, column in enumerate(self._entry.schema.columns):
            for row, misfit in enumerate(misfits([row[at] for row in rows], column.type)):
                if misfit and row not in bad:
                    declared = column.source_type or "unknown"
                    bad[row] = (
                        f"column {column.name} (declared {declared}) holds {_shown(rows[row][at])}, which is not of "
                        f"type {type_name(column.type)}; cast it in a query, or change the column's type"
                    )
        for row, reason in bad.items():
            place = f"row number {rows[row][-1]}" if self._entry.number else f"row {done + row + 1}"
            values = dict(zip(self._entry.schema.names, map(_shown, rows[row]), strict=False))
            self._task.rejects.add_raw(
                self._entry.schema.path, [str(values)], reason, f"{self._entry.schema.path} {place}"
            )
        return [values for row, values in enumerate(rows) if row not in bad]


def _shown(value: Any) -> Any:
    """A fetched value for people."""
    return value.decode(errors="replace")[:200] if isinstance(value, bytes) else value
