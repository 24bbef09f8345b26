"""One task's end of the sink: rows are committed with the positions they reach, in one transaction.

Where a database lets many connections write, rows go into the open transaction as they come. Where only one writes at
a time, a transaction that stayed open from barrier to barrier would keep the other tasks from ever reaching theirs:
rows wait in the task, and the transaction is short.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from headrace.connector import (
    Batch,
    Committable,
    Position,
    SinkSession,
    SinkWriter,
    State,
    TableSchema,
    TaskContext,
    Written,
)
from headrace.connectors._jdbc.dialect import Database, ReadBack, Undone
from headrace.connectors._jdbc.options import Connection, JdbcSinkOptions
from headrace.connectors._jdbc.positions import PositionsTables, TargetRecord
from headrace.connectors._jdbc.spool import Spool
from headrace.connectors._jdbc.statements import Action, Mode, Statements
from headrace.connectors._jdbc.targets import statements_of
from headrace.errors import Unavailable
from headrace.rows import EncodedBatch

if TYPE_CHECKING:
    from headrace.connectors._jdbc.sink import JdbcSink


REST = 15
"""How many batches are written row by row, or by their keys, after one that could not be added as a whole."""


_ADDING = (Mode.APPEND, Mode.INSERT, Mode.BY_KIND, Mode.UPSERT)
"""Where a row whose key is not there yet is inserted."""


@dataclass
class _Target:
    """A table of the target. declared: the types of its columns by the rows' names, where they are known.

    never_null: columns of the rows that must not be null, as they are found by them. read_back: where what is written
    is compared; None where the job does not ask, or it cannot be. rest: batches that are not tried to be added.
    """

    statements: Statements
    declared: Mapping[str, str]
    never_null: Sequence[str] = ()
    read_back: ReadBack | None = None
    rest: int = 0


class JdbcSession(SinkSession):
    """One task's rows until their commit, and the transaction they are committed in."""

    def __init__(self, sink: "JdbcSink", task: TaskContext, tables: PositionsTables) -> None:
        super().__init__(sink, task)
        self._options, self._tables = sink.options, tables
        self._connection: Connection = sink.options.connection()
        self._streams = self._connection.dialect.streams
        self._database: Database | None = None
        self._targets: dict[str, _Target] = {}
        self._spool = Spool(task.held_bytes)
        self._begun = False
        self._executed: Counter[str] = Counter()
        self._committed: dict[str, tuple[Position | None, bool]] | None = None

    @property
    def database(self) -> Database:
        """The session's connection."""
        if self._database is None:
            job = self.task.job
            label = f"headrace {job.job_id}/{job.pipeline}/{job.epoch} task {self.task.index}"
            self._database = self._connection.open(read_only=False, memory=self.task.memory_bytes, label=label)
        return self._database

    @property
    def _record(self) -> TargetRecord:
        return TargetRecord(self.database, self._tables)

    def writer(self, table: TableSchema, state: State | None = None) -> SinkWriter:
        """See SinkSession.writer; a table whose writer was closed to make room is known already."""
        if table.path not in self._targets:
            self._targets[table.path] = self._target(table)
        return _JdbcWriter(self)

    def _target(self, table: TableSchema) -> _Target:
        options: JdbcSinkOptions = self.sink.options_for(table)
        statements = statements_of(options, table)
        found = None if statements.mode is Mode.QUERY else self.database.table(statements.table)
        if found is None:
            return _Target(statements, {})
        there = {column.name.lower(): column.source_type or "" for column in found.columns}
        declared = {name: there[to.lower()] for name, to in statements.columns.items() if to.lower() in there}
        of_key = {name.lower() for name in found.primary_key.columns} if found.primary_key else set()
        keyed = [name for name in statements.key if statements.columns[name].lower() in of_key]
        never_null = keyed if statements.needs_key else []
        return _Target(statements, declared, never_null, self._read_back(statements, found))

    def _read_back(self, statements: Statements, found: TableSchema) -> ReadBack | None:
        if self.task.verifier is None or self.database.unverified(statements.table, statements):
            return None
        return self.database.read_back(statements, found, len(self._targets))

    # ---------------------------------------------------------------------------------------------------- rows

    def take(self, batch: Batch) -> None:
        """Write rows, or keep them for the commit; those that the target would change are set aside at once."""
        if isinstance(batch, EncodedBatch) and self._passed_on(batch):
            return
        batch = self._fitting(batch)
        if not batch.num_rows:
            return
        if not self._streams:
            self._spool.add(batch)
            return
        self._begin()
        self._write_all([batch])

    def _passed_on(self, batch: EncodedBatch) -> bool:
        """Whether undecoded rows are in. Columns of the same types change no value; what is refused is looked at."""
        target = self._targets[batch.table]
        if list(target.declared.values()) != list(batch.encoded.types):
            return False
        self._begin()
        try:
            return self._added(batch, target)
        except BaseException:
            self._roll_back()
            raise

    def _fitting(self, batch: Batch) -> Batch:
        target = self._targets[batch.table]
        for name in target.never_null:
            bad = pc.is_null(batch.rows.column(name))
            batch = self._without(batch, bad, f"column {name} is part of the primary key, and a key is not null")
        for name in batch.rows.schema.names:
            found = self._connection.dialect.unstorable(batch.rows.column(name), target.declared.get(name))
            if found is not None:
                batch = self._without(batch, pc.fill_null(found[0], False), f"column {name}: {found[1]}")
        return batch

    def _without(self, batch: Batch, bad: pa.BooleanArray, reason: str) -> Batch:
        """The batch without bad rows, which are set aside."""
        if not pc.any(bad).as_py():
            return batch
        self.task.rejects.add(batch, bad, reason)
        return batch.filter(pc.invert(bad))

    def flush(self) -> None:
        """Write the rows that wait, in the transaction that will commit them."""
        if not self._spool:
            return
        self._begin()
        counts = {path: (self._executed[path], target.statements.counts()) for path, target in self._targets.items()}
        try:
            self._write_all(self._spool)
        except Undone:
            for path, (executed, of_kinds) in counts.items():
                self._executed[path] = executed
                self._targets[path].statements.set_counts(of_kinds)
            self._begin()
            self._write_all(self._spool)
        self._spool.clear()

    def _write_all(self, batches: Sequence[Batch] | Spool) -> None:
        try:
            refused = [found for batch in batches for found in self._write_batch(batch)]
            for batch, reason in refused:
                self.task.rejects.add(batch, pa.array([True]), reason)
        except BaseException:
            self._roll_back()
            raise

    def _write_batch(self, batch: Batch) -> Iterator[tuple[Batch, str]]:
        """Write the rows; gives back those that the target refuses, one by one, with the reason."""
        target, refused = self._targets[batch.table], list[tuple[Batch, str]]()
        if self._added(batch, target):
            return
        if target.read_back is not None:
            target.read_back.begin()
        for actions, rows in target.statements.plan(batch):
            refused += self._write(actions, rows, target)
        yield from refused
        behind = target.statements.behind([rows for rows, _ in refused])
        if target.read_back is not None and self.task.verifier is not None:
            target.read_back.compare(batch.table, target.statements.replaced, self.task.verifier)
        if behind is not None:
            yield from self._write_batch(behind)

    def _added(self, batch: Batch, target: _Target) -> bool:
        """Whether the rows went in as a whole: new ones, of which none is refused. Where they did not, none did."""
        if batch.kinds is not None or target.read_back is not None or target.statements.mode not in _ADDING:
            return False
        if target.rest:
            target.rest -= 1
            return False
        if self.database.add(target.statements, batch):
            self._executed[batch.table] += batch.num_rows
            return True
        target.rest = REST
        return False

    def _write(self, actions: Sequence[Action], batch: Batch, target: _Target) -> Iterator[tuple[Batch, str]]:
        for action in actions:
            if not batch.num_rows:
                return
            refused = dict(self.database.write(action, target.statements, batch.rows))
            yield from ((batch.slice(row, 1), reason) for row, reason in refused.items())
            if refused:
                batch = batch.filter(pa.array([row not in refused for row in range(batch.num_rows)]))
        self._executed[batch.table] += batch.num_rows
        if target.read_back is not None:
            target.read_back.wrote(batch.rows, deleted=actions[0] is Action.DELETE)

    # ------------------------------------------------------------------------------------------- transactions

    def commit_positions(
        self, checkpoint_id: int, positions: Mapping[str, Position | None], finished: Sequence[str]
    ) -> None:
        """The positions in the transaction of the rows, which checks the epoch (guarantees 4 and 9)."""
        self.flush()
        ended = frozenset(finished)
        now = {split: (positions.get(split), split in ended) for split in {*positions, *finished}}
        if not self._begun:
            if self._committed == now:
                return
            self._begin()
        try:
            if self._streams:  # the lock on the epoch is held for a moment only, so that a new start never waits long
                self._record.check_epoch(self.task.job)
            before = self._committed or {}
            changed = {split: state for split, state in now.items() if before.get(split) != state}
            self._record.save(self.task.job, checkpoint_id, changed, self.task.index)
            self.database.commit()
        finally:
            self._roll_back()
        self._committed = now

    def _begin(self) -> None:
        """Begin the transaction of this epoch, unless it is open."""
        if self._begun:
            return
        self._lock()
        self._begun = True
        try:
            if not self._streams:
                self._record.check_epoch(self.task.job)
        except BaseException:
            self._roll_back()
            raise

    def _lock(self) -> None:
        for attempt in range(self._options.max_retries + 1):
            try:
                self.database.begin()
                return
            except Unavailable as error:
                if attempt == self._options.max_retries:
                    raise
                self.task.log.warning("%s; waiting once more", error)

    def _roll_back(self) -> None:
        self._begun = False
        if self._database is not None:
            self._database.rollback()

    def written(self) -> Mapping[str, Written]:
        """What the statements took; a row whose key came again in its batch counts with that one."""
        found = {}
        for path, target in self._targets.items():
            statements = target.statements
            rows = self._executed[path] + statements.superseded
            if rows or statements.left_out:
                found[path] = Written(rows, statements.left_out)
        return found

    def close(self) -> None:
        """Rows without a commit are dropped."""
        self._spool.clear()
        if self._database is not None:
            self._database.close()


class _JdbcWriter(SinkWriter):
    """Hands rows to the session; the task closes it at any time, the session keeps the rows."""

    def __init__(self, session: JdbcSession) -> None:
        self._session = session

    def write(self, batch: Batch) -> None:
        self._session.take(batch)

    def prepare_commit(self, checkpoint_id: int) -> Committable | None:
        return None
