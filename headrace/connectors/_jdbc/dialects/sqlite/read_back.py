"""Reading back what a transaction has written, before it is committed: the target's rows beside those it was given.

The rows that were given go through a temporary table with the columns of the target, so that what SQLite makes of a
value by a column's type is no difference; what triggers and the like do with a row is one.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from headrace.connector import Batch, Verifier
from headrace.connectors._jdbc.dialects.sqlite.types import storable
from headrace.connectors._jdbc.statements import Mode, Statements
from headrace.errors import Undelivered
from headrace.rows import TableSchema

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.sqlite.database import Sqlite

CHUNK_ROWS = 4096
"""Rows that become objects at once."""

Row = tuple[Any, ...]


class _Mark(NamedTuple):
    """fresh: it has no key, and is among the rows that came last. times: how many rows it stands for."""

    fresh: bool
    times: int


def unverified(database: "Sqlite", name: tuple[str, ...], statements: Statements) -> str:
    """Why what is written into a table cannot be told from its other rows; empty when it can."""
    mode, key = statements.mode, [statements.columns[column] for column in statements.key]
    if mode is Mode.QUERY:
        return "a query of one's own may write anything"
    target = database.table(name)
    if target is None:
        return f"there is no table {name[0]}"
    if mode is Mode.APPEND:
        is_table = database.has_rowid(name[0]) or target.primary_key is not None
        return "" if is_table else "the rows of a view cannot be told from one another"
    if database.collates(name[0]):
        return f"keys of table {name[0]} that differ may be the same there, as it says COLLATE"
    unique = [target.primary_key.columns] if target.primary_key else []
    unique += [tuple(name for name, _ in index.columns) for index in target.constraint_keys]
    wanted = {name.lower() for name in key}
    if mode in (Mode.UPSERT, Mode.LOOK_UP) or any({name.lower() for name in columns} <= wanted for columns in unique):
        return ""
    return f"rows of the same {', '.join(key)} cannot be told from one another without a unique index"


class SqliteReadBack:
    """One table of the target, from one batch to the next. Raises Undelivered when a row is not as it was written."""

    def __init__(self, database: "Sqlite", statements: Statements, target: TableSchema, number: int) -> None:
        self._database, self._statements = database, statements
        quoted = database.dialect.quote
        [self._table] = statements.table
        self._target, self._given = f"main.{quoted(self._table)}", f"temp.headrace_given_{number}"
        self._names_as_sql = database.dialect.columns(statements)
        self._columns = list(self._names_as_sql.values())
        self._number = database.row_number(self._table)
        self._key = self._lookup_key(target)
        self._before = 0
        self._parts: list[tuple[pa.RecordBatch, bool]] = []
        declared = {quoted(column.name).lower(): column.source_type or "" for column in target.columns}
        types = ", ".join(f"c{i} {declared.get(column.lower(), '')}" for i, column in enumerate(self._columns))
        strict = " STRICT" if database.is_strict(self._table) else ""
        database.execute(f"DROP TABLE IF EXISTS {self._given}")
        marks = "deleted INTEGER, fresh INTEGER"
        database.execute(f"CREATE TEMP TABLE {self._given.removeprefix('temp.')} ({types}, {marks}){strict}")

    def _quoted(self, name: str) -> str:
        return self._database.dialect.quote(name)

    def _lookup_key(self, target: TableSchema) -> list[int]:
        """The columns by which a row is found again, as their places; none where only new row numbers tell."""
        names = [column.lower() for column in self._columns]
        key = [self._names_as_sql[name].lower() for name in self._statements.key]
        if self._statements.mode is Mode.APPEND and self._number is not None:
            key = [self._quoted(self._number).lower()]
        elif self._statements.mode is Mode.APPEND and not self._database.has_rowid(self._table):
            key = [self._quoted(name).lower() for name in target.primary_key.columns] if target.primary_key else []
        return [names.index(name) for name in key] if set(key) <= set(names) else []

    def begin(self) -> None:
        """A batch is about to be written."""
        self._parts = []
        if self._database.has_rowid(self._table):
            self._before = self._database.execute(f"SELECT max(_rowid_) FROM {self._target}")[0][0] or 0

    def wrote(self, rows: pa.RecordBatch, *, deleted: bool) -> None:
        """These rows were executed, after the ones before."""
        self._parts.append((rows, deleted))

    def compare(self, table: str, replaced: Batch | None, verifier: Verifier) -> None:
        """Look what the batch has made of the target. replaced: rows whose key came again, so that they left no row."""
        marks = self._give(replaced)
        fresh = self._fresh()
        for start in range(0, len(marks), CHUNK_ROWS):
            of_chunk = marks[start : start + CHUNK_ROWS]
            chunk = f"g._rowid_ BETWEEN {start + 1} AND {start + CHUNK_ROWS}"
            given = self._database.execute(
                f"SELECT {self._names('g')}, deleted FROM {self._given} g WHERE {chunk} ORDER BY g._rowid_"
            )
            there = self._there(chunk, start + 1, of_chunk, fresh)
            if given != there:
                raise next(self._differs(table, a, b) for a, b in zip(given, there, strict=True) if a != b)
            rows = _rows(there, of_chunk)
            verifier.wrote(table, rows)  # the same, as was just seen: to turn it into columns once is enough
            verifier.found(table, rows)
        if not self._key and (more := next(fresh, None)) is not None:
            raise self._differs(table, None, more)

    def _there(self, chunk: str, first: int, marks: Sequence[_Mark], fresh: Iterator[Row]) -> Sequence[Row | None]:
        """What the target has for each row of a chunk, in their order; None for nothing."""
        if all(mark.fresh for mark in marks):
            return [next(fresh, None) for _ in marks]
        is_same = " AND ".join(f"t.{self._columns[i]} IS g.c{i}" for i in self._key)
        found = self._database.execute(
            f"SELECT {self._names('t')}, 0, g._rowid_ FROM {self._given} g CROSS JOIN {self._target} t ON {is_same} "
            f"WHERE NOT g.deleted AND NOT g.fresh AND {chunk}"
        )
        found += self._database.execute(
            f"SELECT {self._names('g')}, 1, g._rowid_ FROM {self._given} g WHERE g.deleted AND {chunk} "
            f"AND NOT EXISTS (SELECT 1 FROM {self._target} t WHERE {is_same})"
        )
        by_number = {row[-1]: row[:-1] for row in found}
        return [next(fresh, None) if mark.fresh else by_number.get(first + i) for i, mark in enumerate(marks)]

    def _give(self, replaced: Batch | None) -> list[_Mark]:
        """Fill the temporary table: the last row of each key, and every row without one; gives back what each is."""
        self._database.execute(f"DELETE FROM {self._given}")
        if not self._key:
            for rows, _ in self._parts:
                self._insert(rows, deleted=False, fresh=[True] * rows.num_rows)
            return [_Mark(fresh=True, times=1)] * sum(rows.num_rows for rows, _ in self._parts)
        times = Counter[Row]()
        if replaced is not None:
            times.update(self._keys(replaced.rows, deleted=False))
        last: dict[Row, tuple[int, int]] = {}
        keys = [self._keys(rows, deleted=deleted) for rows, deleted in self._parts]
        for part, of_part in enumerate(keys):
            times.update(of_part)
            last.update((key, (part, row)) for row, key in enumerate(of_part))
        marks = []
        for part, (rows, deleted) in enumerate(self._parts):
            of_part = keys[part]
            kept = [row for row, key in enumerate(of_part) if not key or last[key] == (part, row)]
            taken = rows if len(kept) == rows.num_rows else rows.take(pa.array(kept, pa.int64()))
            self._insert(taken, deleted=deleted, fresh=[not of_part[row] for row in kept])
            marks += [_Mark(not of_part[row], times[of_part[row]] if of_part[row] else 1) for row in kept]
        return marks

    def _insert(self, rows: pa.RecordBatch, *, deleted: bool, fresh: Sequence[bool]) -> None:
        statement = f"INSERT INTO {self._given} VALUES ({', '.join('?' * (rows.num_columns + 2))})"
        for at in range(0, rows.num_rows, CHUNK_ROWS):
            columns = [storable(column).to_pylist() for column in rows.slice(at, CHUNK_ROWS).columns]
            of_chunk = fresh[at : at + CHUNK_ROWS]
            self._database.write_rows(statement, [*columns, [deleted] * len(of_chunk), of_chunk])

    def _keys(self, rows: pa.RecordBatch, *, deleted: bool) -> list[Row]:
        """What each row is found by; empty where that is a new row number: null is not a key, but may be deleted."""
        if not self._key:
            return [()] * rows.num_rows
        keys = zip(*(storable(rows.column(i)).to_pylist() for i in self._key), strict=True)
        return [() if None in key and not deleted else key for key in keys]

    def _fresh(self) -> Iterator[Row]:
        """The rows that have come since `begin` without a key of their own, in their order."""
        last, conditions, names = self._before, "", self._names("t")
        if self._key:
            numbered = self._number is not None and [self._columns[i] for i in self._key] == [
                self._quoted(self._number)
            ]
            given = f"SELECT c{self._key[0]} FROM {self._given} WHERE NOT fresh"
            nulls = " OR ".join(f"t.{self._columns[i]} IS NULL" for i in self._key)
            conditions = f"AND t._rowid_ NOT IN ({given})" if numbered else f"AND ({nulls})"
            if numbered:  # the target gave numbers to rows that had none
                names = ", ".join("NULL" if i in self._key else f"t.{c}" for i, c in enumerate(self._columns))
        if not self._database.has_rowid(self._table):
            return
        rows = f"FROM {self._target} t WHERE t._rowid_ > ? {conditions} ORDER BY t._rowid_ LIMIT"
        while found := self._database.execute(f"SELECT {names}, 0 {rows} {CHUNK_ROWS}", (last,)):
            yield from found
            last = self._database.execute(f"SELECT t._rowid_ {rows} 1 OFFSET {len(found) - 1}", (last,))[0][0]

    def _names(self, of: str) -> str:
        return ", ".join(f"g.c{i}" if of == "g" else f"t.{column}" for i, column in enumerate(self._columns))

    def _differs(self, table: str, given: Row | None, there: Row | None) -> Undelivered:
        names = list(self._statements.columns)

        def text(row: Row | None) -> str:
            return str(dict(zip(names, islice(row, len(names)), strict=True))) if row is not None else "no such row"

        was = "was deleted" if given is not None and given[-1] else "was written"
        return Undelivered(
            f"not delivered: table {table} of the target does not hold what was written: {text(given)} {was}, and "
            f"{text(there)} is there; look at its triggers. Nothing since the last checkpoint is committed"
        )


def _rows(rows: Sequence[Row | None], marks: Sequence[_Mark]) -> pa.RecordBatch:
    """Rows as columns, each as often as it stands for rows."""
    columns = [_column(column) for column in zip(*(row for row in rows if row is not None), strict=True)]
    found = pa.RecordBatch.from_arrays(columns, [str(i) for i in range(len(columns))])
    if all(mark.times == 1 for mark in marks):
        return found
    return found.take(pa.array([i for i, mark in enumerate(marks) for _ in range(mark.times)], pa.int64()))


def _column(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # a column of SQLite may hold values of every type
        return pa.array([repr(value) for value in values])
