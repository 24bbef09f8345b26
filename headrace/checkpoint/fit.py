"""Whether saved state fits a job file that may have been changed since."""

from collections.abc import Mapping, Sequence

from headrace.checkpoint.checkpoint import Checkpoint
from headrace.errors import CheckpointError
from headrace.rows import TableSchema

Columns = Mapping[str, Mapping[str, str]]


def columns_of(tables: Sequence[TableSchema]) -> dict[str, dict[str, str]]:
    """Table → column → type, as a checkpoint keeps them."""
    return {table.path: {column.name: str(column.type) for column in table.columns} for table in tables}


def check_fit(saved: Checkpoint, steps: Sequence[str], columns: Columns) -> None:
    """Raises CheckpointError that names everything that does not fit.

    A plugin that holds state must be in its place: names are the keys, as in SeaTunnel. Every table of the saved splits
    must still be read, with the columns it had, in the types they had; more tables and columns are no trouble.
    """
    problems = [*_plugins(saved, steps), *(_tables(saved, columns) if columns else ())]
    if problems:
        raise CheckpointError(
            f"the saved state of job {saved.job_id} does not fit the job file: {'; '.join(problems)}. Restore with the "
            "job file that it was saved with, or start under a new job id"
        )


def changed_wiring(saved: Checkpoint, wiring: Sequence[str]) -> str:
    """What to tell of a job file whose rows go other ways than those that were counted; empty when there is nothing."""
    new = [entry for entry in wiring if entry not in saved.wiring]
    gone = [entry for entry in saved.wiring if entry not in wiring]
    if not saved.counts or not (new or gone):
        return ""
    return (
        f"the job file was changed since the state of job {saved.job_id} was saved: it had "
        f"{'; '.join(gone) or 'nothing else'}, and has {'; '.join(new) or 'nothing else'}. A new sink gets only rows "
        "that are read from now on, and only these are in the delivery report"
    )


def _plugins(saved: Checkpoint, steps: Sequence[str]) -> list[str]:
    held = {saved.steps[0], *saved.states, *(name for name, items in saved.committables.items() if items)}
    missing = sorted(held - set(steps))
    return [f"it holds the state of {', '.join(missing)}, the job has {', '.join(steps)}"] if missing else []


def _tables(saved: Checkpoint, columns: Columns) -> list[str]:
    unread = {split.table for split in saved.splits if split.table and split.id not in saved.finished}
    given = ", ".join(sorted(columns))
    found = [
        f"table {table} was not read to its end, and the source gives only {given}"
        for table in sorted(unread - columns.keys())
    ]
    for table, before in saved.columns.items():
        now = columns.get(table, before)
        if gone := [name for name in before if name not in now]:
            found.append(f"table {table} had the column {', '.join(gone)}, and has {', '.join(now)}")
        changed = [
            f"{name} was {kind} and is {now[name]}" for name, kind in before.items() if now.get(name, kind) != kind
        ]
        if changed:
            found.append(f"in table {table} {', '.join(changed)}")
    return found
