"""How far a pipeline has come, kept in its target and changed in the transactions that write its rows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.connector import JobContext, Position, TargetPositions, dump_json
from headrace.connectors._jdbc.dialect import Database, Dialect, Name, Sql
from headrace.errors import Rejected

POSITIONS, EPOCHS = "headrace_positions", "headrace_epochs"
"""The tables in a target that say how far each split has come, and which start of a pipeline may write."""

_MINE = "WHERE job_id = ? AND pipeline = ?"

_BEGUN = " headrace: task {} has committed"
"""The split of a row that only says that the pipeline has committed; one for each task, so that none waits."""


@dataclass(frozen=True)
class PositionsTables:
    """The two tables of one target, by their names there."""

    positions: Name
    epochs: Name

    def create(self, dialect: Dialect) -> list[str]:
        """The statements that make them where they are missing."""
        words, end = dialect.words, dialect.words[Sql.TABLE_SUFFIX]
        number = words[Sql.BIG_INTEGER]
        mine = f"job_id {number} NOT NULL, pipeline {number} NOT NULL, epoch {number} NOT NULL"
        return [
            f"CREATE TABLE IF NOT EXISTS {dialect.quoted(self.epochs)} ({mine}, PRIMARY KEY (job_id, pipeline)){end}",
            f"CREATE TABLE IF NOT EXISTS {dialect.quoted(self.positions)} "
            f"({mine}, split {words[Sql.KEY_TEXT]} NOT NULL, position {words[Sql.TEXT]} NOT NULL, "
            f"finished {words[Sql.BOOLEAN]} NOT NULL, checkpoint_id {number} NOT NULL, "
            f"PRIMARY KEY (job_id, pipeline, split)){end}",
        ]

    def is_one(self, name: Name) -> bool:
        """Whether a table of the target is one of the two."""
        return name in (self.positions, self.epochs)


class TargetRecord:
    """What one target knows of pipelines, asked and changed through one connection."""

    def __init__(self, database: Database, tables: PositionsTables) -> None:
        self._database, self._tables = database, tables
        self._positions = database.dialect.quoted(tables.positions)
        self._epochs = database.dialect.quoted(tables.epochs)

    def _exists(self) -> bool:
        """Whether both tables are there."""
        return all(self._database.table(name) for name in (self._tables.epochs, self._tables.positions))

    def _epoch(self, job: JobContext, *, lock: bool) -> int | None:
        """The pipeline's newest start; None where it is not known."""
        end = self._database.dialect.words[Sql.LOCK_ROW] if lock else ""
        found = self._database.execute(f"SELECT epoch FROM {self._epochs} {_MINE}{end}", (job.job_id, job.pipeline))
        return found[0][0] if found else None

    def fence(self, job: JobContext) -> None:
        """A new epoch begins: older ones can commit no more (guarantee 9). Raises Rejected when it is older itself."""
        self._database.evict(job)
        if not self._exists():
            self._create()
        with self._database.transaction():
            epoch = self._epoch(job, lock=False)
            if epoch is not None and epoch > job.epoch:
                raise self._replaced(job, epoch)
            mine = (job.job_id, job.pipeline)
            if epoch is None:
                self._database.execute(
                    f"INSERT INTO {self._epochs} (job_id, pipeline, epoch) VALUES (?, ?, ?)", (*mine, job.epoch)
                )
            else:
                self._database.execute(
                    f"UPDATE {self._epochs} SET epoch = ? {_MINE} AND epoch <= ?", (job.epoch, *mine, job.epoch)
                )
                now = self._epoch(job, lock=False)
                if now != job.epoch:
                    raise self._replaced(job, now or 0)

    def _create(self) -> None:
        """Each in a transaction of its own: on some databases it ends the one that is open."""
        self._database.make_room(self._tables.epochs)
        for statement in self._tables.create(self._database.dialect):
            with self._database.transaction():
                self._database.execute(statement)

    def check_epoch(self, job: JobContext) -> None:
        """Within the transaction that commits. Raises Rejected when another start owns the pipeline now."""
        epoch = self._epoch(job, lock=True) if self._exists() else None
        if epoch is None:
            raise Rejected(
                f"cannot commit to {self._database.shown}: its table {'.'.join(self._tables.epochs)} no longer knows "
                f"pipeline {job.pipeline} of job {job.job_id}; the job has ended, or somebody has removed the table"
            )
        if epoch != job.epoch:
            raise self._replaced(job, epoch)

    def _replaced(self, job: JobContext, epoch: int) -> Rejected:
        return Rejected(
            f"cannot commit to {self._database.shown}: start {job.epoch} of pipeline {job.pipeline} of job "
            f"{job.job_id} was replaced by start {epoch}; if the state of that start was removed, run the job under "
            "a new id"
        )

    def load(self, job: JobContext) -> TargetPositions | None:
        """How far the target has come; None when the pipeline has never committed there."""
        if not self._exists():
            return None
        rows = self._database.execute(
            f"SELECT split, position, finished FROM {self._positions} {_MINE}", (job.job_id, job.pipeline)
        )
        if not rows:
            return None
        rows = [(s.decode() if isinstance(s, bytes) else s, position, finished) for s, position, finished in rows]
        positions = {split: json.loads(position) for split, position, _ in rows}
        return TargetPositions(
            {split: position for split, position in positions.items() if position is not None},
            frozenset(split for split, _, finished in rows if finished),
        )

    def save(
        self,
        job: JobContext,
        checkpoint_id: int,
        changed: Mapping[str, tuple[Position | None, bool]],
        task: int = 0,
    ) -> None:
        """Within the transaction that commits the rows. changed: split → its position, and whether it is finished.

        task: the number of the task whose rows they are.
        """
        mine = (job.job_id, job.pipeline)
        for split, (position, finished) in (changed or {_BEGUN.format(task): (None, False)}).items():
            values = (dump_json(position), finished, checkpoint_id, job.epoch)
            here = (*mine, split)
            known = self._database.execute(f"SELECT 1 FROM {self._positions} {_MINE} AND split = ?", here)
            if known:
                self._database.execute(
                    f"UPDATE {self._positions} SET position = ?, finished = ?, checkpoint_id = ?, epoch = ? "
                    f"{_MINE} AND split = ?",
                    (*values, *here),
                )
            else:
                self._database.execute(
                    f"INSERT INTO {self._positions} (position, finished, checkpoint_id, epoch, job_id, pipeline, "
                    "split) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (*values, *here),
                )

    def forget(self, job: JobContext) -> None:
        """The job will not be restored: remove what is known of it, and with the last one the tables of one writer.

        Nothing is removed by a start that was replaced: it is no longer its own (guarantee 9).
        """
        if not self._exists():
            return
        with self._database.transaction():
            epoch = self._epoch(job, lock=False)
            if epoch is not None and epoch > job.epoch:
                return
            for table in (self._positions, self._epochs):
                self._database.execute(f"DELETE FROM {table} {_MINE}", (job.job_id, job.pipeline))
            one_writer = not self._database.dialect.streams  # elsewhere another job may be about to use the tables
            if one_writer and not self._database.execute(f"SELECT 1 FROM {self._epochs} LIMIT 1"):
                for table in (self._positions, self._epochs):
                    self._database.execute(f"DROP TABLE {table}")
