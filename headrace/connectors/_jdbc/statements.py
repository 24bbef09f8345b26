"""What is done to one table for which rows, and in which order; the SQL of it is the dialect's."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import reduce
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

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


class Action(StrEnum):
    """What one statement does with each of its rows."""

    QUERY = "query"
    INSERT = "insert"
    UPSERT = "upsert"
    """Insert, or update the row with the same key."""
    UPDATE = "update"
    """Update the row with the same key; nothing where there is none."""
    INSERT_MISSING = "insert missing"
    """Insert where there is no row with the same key."""
    DELETE = "delete"


class Statements:
    """What happens to one table. table: its name in the target, from the outside in.

    names: the rows' columns; target: what they are called in the table; key: of the rows'. columns: the rows' columns
    with their names in the table. query: the statement of Mode.QUERY. bulk: of Dialect.bulk.
    left_out: rows so far of kinds that change nothing. superseded: rows so far whose key came again in their batch;
    replaced: those of the last batch.
    """

    def __init__(
        self,
        table: tuple[str, ...],
        names: Sequence[str],
        target: Sequence[str],
        key: Sequence[str] = (),
        mode: Mode = Mode.APPEND,
        query: str = "",
        *,
        bulk: bool = False,
    ) -> None:
        self.table, self.key, self.mode, self.query, self._bulk = table, tuple(key), mode, query, bulk
        self.columns = dict(zip(names, target, strict=True))
        self.left_out, self.superseded = 0, 0
        self.replaced: Batch | None = None

    def counts(self) -> tuple[int, int]:
        """What was counted so far, for `set_counts` when a transaction is written again."""
        return self.left_out, self.superseded

    def set_counts(self, counts: tuple[int, int]) -> None:
        """Count from there on."""
        self.left_out, self.superseded = counts

    @property
    def others(self) -> list[str]:
        """The rows' columns that are not of the key."""
        return [name for name in self.columns if name not in self.key]

    @property
    def needs_key(self) -> bool:
        """Whether rows are found by their key, so that it must not be null."""
        return self.mode not in (Mode.QUERY, Mode.APPEND)

    def plan(self, batch: Batch) -> Iterator[tuple[list[Action], Batch]]:
        """Which statements run for which rows, one after the other; their effect is that of the rows in order."""
        self.replaced = None
        if self.mode is Mode.APPEND:
            yield [Action.INSERT], batch
        elif self.mode is Mode.QUERY:
            yield [Action.QUERY], batch
        elif self.mode in (Mode.BY_KIND, Mode.INSERT):
            yield from self._by_kind(batch)
        else:
            yield from self._by_key(batch)

    def _by_key(self, batch: Batch) -> Iterator[tuple[list[Action], Batch]]:
        """Each key's last row decides, so the order of different keys no longer matters: deletes come first."""
        writes = [Action.UPSERT]
        if self.mode is Mode.LOOK_UP:
            writes = [*([Action.UPDATE] if self.others else []), Action.INSERT_MISSING]
        if batch.kinds is None and self.mode is Mode.UPSERT and not self._bulk:
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
        yield [Action.DELETE], batch.filter(gone)
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

    def _by_kind(self, batch: Batch) -> Iterator[tuple[list[Action], Batch]]:
        """Runs of rows of one kind, in order."""
        kinds = batch.kind_array().to_numpy()
        starts = [0, *((kinds[1:] != kinds[:-1]).nonzero()[0] + 1).tolist(), batch.num_rows]
        update = Action.INSERT if self.mode is Mode.INSERT else Action.UPDATE
        actions: dict[int, list[Action]] = {
            RowKind.INSERT: [Action.INSERT],
            RowKind.UPDATE_AFTER: [update] if update is Action.INSERT or self.others else [],
            RowKind.DELETE: [Action.DELETE],
        }
        for start, end in pairwise(starts):
            chosen = actions.get(int(kinds[start])) if end > start else None
            if chosen:
                yield chosen, batch.slice(start, end - start)
            else:
                self.left_out += end - start
