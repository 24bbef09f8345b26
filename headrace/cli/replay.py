"""`headrace replay`: bad rows that a job has set aside are sent in again, or only looked at."""

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.cli.exits import INTERRUPTED, exit_code
from headrace.cli.output import print_error, print_warnings
from headrace.cli.preview import as_lines
from headrace.cli.run import Signals, make_local
from headrace.cli.terminal import Screen
from headrace.cli.variables import parse_variables
from headrace.config.job import load_job
from headrace.errors import HeadraceError
from headrace.execution.bad_places import places_of
from headrace.execution.bad_rows import plain_text
from headrace.execution.delivery import counted
from headrace.execution.ledger import Ledger, Replayed, Row
from headrace.execution.local import new_job_id
from headrace.execution.master import Result
from headrace.execution.replay import Selection, rehearse, select
from headrace.plan.plan import Plan, make_plan
from headrace.settings import Settings, load_settings
from headrace.texts import readable

MOST_REASONS = 10
"""Reasons that a terminal shows."""

MOST_ROWS = 10
"""Rows of each table, or rows that would not fit, that a terminal shows."""


def replay_job(
    job: Path,
    variables: Sequence[str],
    overrides: Mapping[str, Any],
    *,
    quiet: bool,
    as_json: bool,
    dry_run: bool = False,
) -> int:
    """Send in what was not replayed yet; the exit code: 0 when every row is delivered, or there was none.

    dry_run: only say what would be written, and what would not fit and why.
    """
    try:
        settings = load_settings(overrides)
        plan = make_plan(load_job(job, parse_variables(variables)))
        if not quiet:
            print_warnings(plan.warnings)
        if dry_run:
            return _rehearse(plan, settings.home, as_json=as_json)
        with closing(Ledger(settings.home)) as ledger:
            return _Replay(plan, settings, ledger, quiet=quiet, as_json=as_json).run()
    except HeadraceError as error:
        print_error(error)
        return exit_code(error)


class _Replay:
    """Finishes a replay that did not come to its end, then sends in the rows that are there now."""

    def __init__(self, plan: Plan, settings: Settings, ledger: Ledger, *, quiet: bool, as_json: bool) -> None:
        self._plan, self._settings, self._ledger = plan, settings, ledger
        self._quiet, self._as_json = quiet, as_json
        self._job = os.path.abspath(plan.job.file)
        self._sent = self._again = 0

    def run(self) -> int:
        code = 0
        pending = self._ledger.pending(self._job)
        if pending is not None:
            job_id, rows = pending
            selection = select(self._plan, rows)
            if selection.kept:
                reasons = "; ".join(selection.kept)
                raise HeadraceError(
                    f"replay {job_id} did not come to its end and may have delivered some of its rows; the job "
                    f"as it is now does not take the others: {reasons}; take the change back, and replay again"
                )
            code = self._send(selection, job_id, restore=True)
        if code == 0:
            code = self._send_fresh()
        return code

    def _send_fresh(self) -> int:
        chosen = _fresh(self._plan, self._ledger)
        selection = select(self._plan, [row for _, row in chosen])
        code = 0
        if selection.sent:
            taken = {id(row) for row in selection.sent}
            job_id = new_job_id()
            self._ledger.begin(self._job, job_id, [(place, row) for place, row in chosen if id(row) in taken])
            code = self._send(selection, job_id, restore=False)
        self._tell(selection)
        return code or (1 if selection.kept or self._again else 0)

    def _send(self, selection: Selection, job_id: int, *, restore: bool) -> int:
        local, _, close_log = make_local(
            selection.plan,
            self._settings,
            job_id,
            f"{self._plan.job.env.job_name} replay",
            restore=restore,
            screen=Screen(),
            runner="embedded",
            save_modes=False,
            on_delivered=lambda: self._ledger.done(job_id),
        )
        with Signals(local.abandon, guarded=True) as signals:
            result = local.run()
        close_log()
        if result.status == "FINISHED":
            self._again += result.progress.rows_rejected
            self._sent += len(selection.sent)
            return 0
        self._failed(result, job_id, keep=restore or signals.interrupted or result.progress.checkpoints > 0)
        return INTERRUPTED if signals.interrupted else 1

    def _failed(self, result: Result, job_id: int, *, keep: bool) -> None:
        if result.error is not None:
            print_error(result.error)
        if keep:
            print(f"replay {job_id} {result.status}; the next replay goes on with it", file=sys.stderr)
            return
        self._ledger.forget(job_id)
        print(f"replay {job_id} {result.status}; nothing was delivered", file=sys.stderr)

    def _tell(self, selection: Selection) -> None:
        kept = sum(selection.kept.values())
        if self._as_json:
            found = {"replayed": self._sent, "setAsideAgain": self._again, "kept": dict(selection.kept)}
            print(json.dumps(found))
            return
        for reason, count in selection.kept.most_common(MOST_REASONS):
            print(f"{counted(count)} cannot be replayed: {reason}", file=sys.stderr)
        if (others := len(selection.kept) - MOST_REASONS) > 0:
            print(f"… and rows with {others:,} more reasons: `headrace replay --dry-run --json`", file=sys.stderr)
        if not self._quiet:
            text = f"{counted(self._sent)} tried: {self._sent - self._again:,} delivered"
            text += f", {self._again:,} rejected again" if self._again else ""
            print(text if self._sent or kept else "there is nothing to replay")


def _fresh(plan: Plan, replayed: Replayed) -> list[tuple[str, Row]]:
    """The rows of the job's error sinks that were not replayed, each with its place."""
    places = {place.key(): place for place in places_of(plan)}
    return [(key, row) for key, place in places.items() for row in replayed.fresh(key, place.rows())]


def _rehearse(plan: Plan, home: Path, *, as_json: bool) -> int:
    """Print what a replay would do; the exit code: 1 where a row would not fit."""
    with closing(Replayed.of(home)) as replayed:
        selection = select(plan, [row for _, row in _fresh(plan, replayed)])
    found = rehearse(selection.plan)
    unfit = [(reason, str(row["source_table_path"]), row["original_data"]) for row, reason in selection.left]
    unfit += [(record.message, record.table, record.original) for record in found.rejected]
    written = {key: pa.Table.from_batches(batches) for key, batches in found.written.items()}
    if as_json:
        print(json.dumps(_rehearsal_json(written, unfit), ensure_ascii=False, default=str))
        return 1 if unfit else 0
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for (sink, table), rows in written.items():
        print(f"{sink} {table}: {counted(rows.num_rows)} would be written")
        print("\n".join(f"  {line.rstrip()}" for line in as_lines(rows.slice(0, MOST_ROWS), width and width - 2)))
        if rows.num_rows > MOST_ROWS:
            print(f"  … and {counted(rows.num_rows - MOST_ROWS)} more")
    for reason, table, original in unfit[:MOST_ROWS]:
        print(readable(f"a row of {table} would not fit: {reason}"))
        print(readable(f"  {plain_text(original)}".rstrip()) or "  the row itself was not kept")
    if len(unfit) > MOST_ROWS:
        print(f"… and {counted(len(unfit) - MOST_ROWS)} more that would not fit")
    if not written and not unfit:
        print("there is nothing to replay")
        return 0
    delivered = sum(rows.num_rows for rows in written.values())
    print(f"dry run: {counted(delivered)} would be written, {counted(len(unfit))} would not fit; nothing was written")
    print("What the target itself refuses, such as a key that is there already, shows only when rows are written.")
    return 1 if unfit else 0


def _rehearsal_json(
    written: Mapping[tuple[str, str], pa.Table], unfit: Sequence[tuple[str, str, str | None]]
) -> dict[str, Any]:
    return {
        "dryRun": True,
        "wouldWrite": [
            {"sink": sink, "table": table, "rows": rows.num_rows, "first": rows.slice(0, MOST_ROWS).to_pylist()}
            for (sink, table), rows in written.items()
        ],
        "wouldNotFit": [
            {"table": table, "reason": reason, "row": plain_text(original)} for reason, table, original in unfit
        ],
    }
