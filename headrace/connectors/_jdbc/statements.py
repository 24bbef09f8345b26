"""The statements that write one table: which rows each takes, and in which order they run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.connectors._jdbc.sqlite import quoted
from headrace.rows import Batch, RowKind


class Mode(StrEnum):
    """How rows reach the table."""

    QUERY = "query"
    """The user's own statement for every row, whatever its kind."""
    APPEND = "append"
    """No key: every row is an INSERT, whatever its kind, as in SeaTunnel."""
    UPSERT = "upsert"
    """ON CONFLICT; needs a unique index on the key."""
    LOOK_UP = "look up"
    """UPDATE what is there, INSERT the rest."""
    INSERT = "insert"
    """INSERT and DELETE; the target itself replaces rows of the same key."""
    BY_KIND = "by kind"
    """INSERT, UPDATE and DELETE as the kinds say."""


@dataclass(frozen=True)
class Statement:
    """columns: what each `?` stands for, in order; None: all columns of the rows in order."""

    sql: str
    columns: tuple[str, ...] | None = None
    deletes: bool = False


class Statements:
    """The SQL of one table. names: the rows' columns; target: what they are called in the table; key: of the rows'.

    columns: the rows' columns with their names in the table as SQL. query: the statement of Mode.QUERY.
    left_out: rows so far of kinds that change nothing. superseded: rows so far whose key came again in their batch;
    replaced: those of the last batch.
    """

    def __init__(
        self,
        table: str,
        names: Sequence[str],
        target: Sequence[str],
        key: Sequence[str] = (),
        mode: Mode = Mode.APPEND,
        query: str = "",
    ) -> None:
        self.table, self.key, self.mode, self._query = table, tuple(key), mode, query
        self.columns = {name: quoted(to) for name, to in zip(names, target, strict=True)}
        self.left_out, self.superseded = 0, 0
        self.replaced: Batch | None = None

    def insert(self) -> Statement:
        """A plain INSERT."""
        marks = ", ".join("?" * len(self.columns))
        return Statement(f"INSERT INTO {quoted(self.table)} ({', '.join(self.columns.values())}) VALUES ({marks})")

    def upsert(self) -> Statement:
        """An INSERT that updates the row with the same key."""
        changes = ", ".join(f"{self.columns[n]} = excluded.{self.columns[n]}" for n in self._others)
        action = f"UPDATE SET {changes}" if changes else "NOTHING"
        return Statement(f"{self.insert().sql} ON CONFLICT ({self._key_list()}) DO {action}")

    def update(self) -> Statement | None:
        """An UPDATE by the key; None where there is nothing but the key."""
        if not self._others:
            return None
        changes = ", ".join(f"{self.columns[n]} = ?" for n in self._others)
        sql = f"UPDATE {quoted(self.table)} SET {changes} WHERE {self._is_key(self._equals)}"
        return Statement(sql, (*self._others, *self.key))

    def insert_missing(self) -> Statement:
        """An INSERT of rows whose key is not there."""
        marks = ", ".join("?" * len(self.columns))
        sql = (
            f"INSERT INTO {quoted(self.table)} ({', '.join(self.columns.values())}) SELECT {marks} "
            f"WHERE NOT EXISTS (SELECT 1 FROM {quoted(self.table)} WHERE {self._is_key(self._equals)})"
        )
        return Statement(sql, (*self.columns, *self.key))

    def delete(self) -> Statement:
        """A DELETE by the key."""
        return Statement(f"DELETE FROM {quoted(self.table)} WHERE {self._is_key()}", self.key, deletes=True)

    @property
    def _others(self) -> list[str]:
        return [name for name in self.columns if name not in self.key]

    def _key_list(self) -> str:
        return ", ".join(self.columns[name] for name in self.key)

    @property
    def _equals(self) -> str:
        """Looked up as an index would: null is no key, and its row is inserted."""
        return "=" if self.mode is Mode.LOOK_UP else "IS"

    def _is_key(self, equals: str = "IS") -> str:
        return " AND ".join(f"{self.columns[name]} {equals} ?" for name in self.key)

    def plan(self, batch: Batch) -> Iterator[tuple[list[Statement], Batch]]:
        """Which statements run for which rows, one after the other; their effect is that of the rows in order."""
        self.replaced = None
        if self.mode is Mode.APPEND:
            yield [self.insert()], batch
        elif self.mode is Mode.QUERY:
            yield [Statement(self._query)], batch
        elif self.mode in (Mode.BY_KIND, Mode.INSERT):
            yield from self._by_kind(batch)
        else:
            yield from self._by_key(batch)

    def _by_key(self, batch: Batch) -> Iterator[tuple[list[Statement], Batch]]:
        """Each key's last row decides, so the order of different keys no longer matters: deletes come first."""
        writes = [self.upsert()]
        if self.mode is Mode.LOOK_UP:
            update = self.update()
            writes = [*([update] if update else []), self.insert_missing()]
        if batch.kinds is None and self.mode is Mode.UPSERT:
            yield writes, batch
            return
        if batch.kinds is not None:
            kept = batch.filter(pc.not_equal(batch.kinds, int(RowKind.UPDATE_BEFORE)))
            self.left_out += batch.num_rows - kept.num_rows
            batch = kept
        last = self._is_last_of_key(batch)
        if pc.any(pc.invert(last)).as_py():
            self.replaced = batch.filter(pc.invert(last))
            self.superseded += self.replaced.num_rows
            batch = batch.filter(last)
        gone = pc.equal(batch.kind_array(), int(RowKind.DELETE))
        yield [self.delete()], batch.filter(gone)
        yield writes, batch.filter(pc.invert(gone))

    def _is_last_of_key(self, batch: Batch) -> pa.BooleanArray:
        """Which rows no later one has the key of. Null equals nothing: each row with one in its key is its own."""
        columns = [batch.rows.column(name) for name in self.key]
        rows = pa.array(range(batch.num_rows), pa.int64())
        is_open = reduce(pc.or_, [pc.is_null(column) for column in columns])
        keys = [*columns, pc.if_else(is_open, rows, -1)]
        names = [str(i) for i in range(len(keys))]
        table = pa.table([*keys, rows], [*names, "row"])
        last = table.group_by(names, use_threads=False).aggregate([("row", "max")])
        return pc.is_in(rows, last.column("row_max").combine_chunks())

    def behind(self, refused: Sequence[Batch]) -> Batch | None:
        """Rows of the last batch that were replaced by refused ones, and count as not yet written; None without any."""
        if self.replaced is None or not refused:
            return None
        keys = {self._keys(batch)[0] for batch in refused}
        batch = self.replaced.filter(pa.array([key in keys for key in self._keys(self.replaced)]))
        self.superseded -= batch.num_rows
        return batch if batch.num_rows else None

    def _keys(self, batch: Batch) -> list[tuple[Any, ...]]:
        return list(zip(*(batch.rows.column(name).to_pylist() for name in self.key), strict=True))

    def _by_kind(self, batch: Batch) -> Iterator[tuple[list[Statement], Batch]]:
        """Runs of rows of one kind, in order."""
        kinds = batch.kind_array().to_numpy()
        starts = [0, *((kinds[1:] != kinds[:-1]).nonzero()[0] + 1).tolist(), batch.num_rows]
        update = self.insert() if self.mode is Mode.INSERT else self.update()
        statements: dict[int, list[Statement]] = {
            RowKind.INSERT: [self.insert()],
            RowKind.UPDATE_AFTER: [update] if update else [],
            RowKind.DELETE: [self.delete()],
        }
        for start, end in pairwise(starts):
            chosen = statements.get(int(kinds[start])) if end > start else None
            if chosen:
                yield chosen, batch.slice(start, end - start)
            else:
                self.left_out += end - start
