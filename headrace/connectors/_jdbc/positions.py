"""How far a pipeline has come, kept in its target and changed in the transactions that write its rows."""

import json
from collections.abc import Mapping, Sequence

from headrace.connector import JobContext, Position, TargetPositions, dump_json
from headrace.connectors._jdbc.sqlite import EPOCHS, POSITIONS, Sqlite
from headrace.errors import Rejected

_CREATE = (
    f"CREATE TABLE IF NOT EXISTS {EPOCHS} (job_id BIGINT, pipeline INTEGER, epoch BIGINT NOT NULL, "
    "checkpoint_id BIGINT, PRIMARY KEY (job_id, pipeline)) WITHOUT ROWID",
    f"CREATE TABLE IF NOT EXISTS {POSITIONS} (job_id BIGINT, pipeline INTEGER, split TEXT, position TEXT NOT NULL, "
    "finished BOOLEAN NOT NULL, checkpoint_id BIGINT NOT NULL, epoch BIGINT NOT NULL, "
    "PRIMARY KEY (job_id, pipeline, split)) WITHOUT ROWID",
)
_MINE = "WHERE job_id = ? AND pipeline = ?"


def _exists(database: Sqlite) -> bool:
    return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (EPOCHS,)))


def fence(database: Sqlite, job: JobContext) -> None:
    """A new epoch begins: older ones can commit no more (guarantee 9). Raises Rejected when it is older itself."""
    with database.transaction():
        for statement in _CREATE:
            database.execute(statement)
        found = database.execute(f"SELECT epoch FROM {EPOCHS} {_MINE}", (job.job_id, job.pipeline))
        if found and found[0][0] > job.epoch:
            raise _replaced(database, job, found[0][0])
        database.execute(
            f"INSERT INTO {EPOCHS} (job_id, pipeline, epoch) VALUES (?, ?, ?) "
            "ON CONFLICT (job_id, pipeline) DO UPDATE SET epoch = excluded.epoch",
            (job.job_id, job.pipeline, job.epoch),
        )


def check_epoch(database: Sqlite, job: JobContext) -> None:
    """Within the transaction that commits. Raises Rejected when another start owns the pipeline now."""
    found = (
        database.execute(f"SELECT epoch FROM {EPOCHS} {_MINE}", (job.job_id, job.pipeline)) if _exists(database) else []
    )
    if not found:
        raise Rejected(
            f"cannot commit to {database.path}: its table {EPOCHS} no longer knows pipeline {job.pipeline} of job "
            f"{job.job_id}; the job has ended, or somebody has removed the table"
        )
    if found[0][0] != job.epoch:
        raise _replaced(database, job, found[0][0])


def _replaced(database: Sqlite, job: JobContext, epoch: int) -> Rejected:
    return Rejected(
        f"cannot commit to {database.path}: start {job.epoch} of pipeline {job.pipeline} of job {job.job_id} was "
        f"replaced by start {epoch}; if the state of that start was removed, run the job under a new id"
    )


def load(database: Sqlite, job: JobContext) -> TargetPositions | None:
    """How far the target has come; None when the pipeline has never committed there."""
    mine = (job.job_id, job.pipeline)
    if not _exists(database):
        return None
    if not database.execute(f"SELECT 1 FROM {EPOCHS} {_MINE} AND checkpoint_id IS NOT NULL", mine):
        return None
    rows = database.execute(f"SELECT split, position, finished FROM {POSITIONS} {_MINE}", mine)
    positions = {split: json.loads(position) for split, position, _ in rows}
    return TargetPositions(
        {split: position for split, position in positions.items() if position is not None},
        frozenset(split for split, _, finished in rows if finished),
    )


def save(
    database: Sqlite, job: JobContext, checkpoint_id: int, changed: Mapping[str, tuple[Position | None, bool]]
) -> None:
    """Within the transaction that commits the rows. changed: split → its position, and whether it is finished."""
    mine: Sequence[int] = (job.job_id, job.pipeline)
    database.execute(f"UPDATE {EPOCHS} SET checkpoint_id = ? {_MINE}", (checkpoint_id, *mine))
    for split, (position, finished) in changed.items():
        database.execute(
            f"INSERT OR REPLACE INTO {POSITIONS} VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*mine, split, dump_json(position), finished, checkpoint_id, job.epoch),
        )


def forget(database: Sqlite, job: JobContext) -> None:
    """The job will not be restored: remove what is known of it, and the tables with the last one.

    Nothing is removed by a start that was replaced: it is no longer its own (guarantee 9).
    """
    if not _exists(database):
        return
    with database.transaction():
        found = database.execute(f"SELECT epoch FROM {EPOCHS} {_MINE}", (job.job_id, job.pipeline))
        if found and found[0][0] > job.epoch:
            return
        for table in (POSITIONS, EPOCHS):
            database.execute(f"DELETE FROM {table} {_MINE}", (job.job_id, job.pipeline))
        if not database.execute(f"SELECT 1 FROM {EPOCHS} LIMIT 1"):
            for table in (POSITIONS, EPOCHS):
                database.execute(f"DROP TABLE {table}")
