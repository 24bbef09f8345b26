"""`headrace replay`: bad rows that a job has set aside are sent in again."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from headrace.cli.exits import INTERRUPTED, exit_code
from headrace.cli.output import print_error, print_warnings
from headrace.cli.run import Signals, make_local
from headrace.cli.terminal import Screen
from headrace.cli.variables import parse_variables
from headrace.config.job import load_job
from headrace.errors import HeadraceError
from headrace.execution.ledger import Ledger
from headrace.execution.local import new_job_id
from headrace.execution.master import Result
from headrace.execution.replay import Selection, read_bad_rows, select
from headrace.plan.plan import Plan, make_plan
from headrace.settings import Settings, load_settings


def replay_job(job: Path, variables: Sequence[str], overrides: Mapping[str, Any], *, quiet: bool, as_json: bool) -> int:
    """Send in what was not replayed yet; the exit code: 0 when every row is delivered, or there was none."""
    try:
        settings = load_settings(overrides)
        plan = make_plan(load_job(job, parse_variables(variables)))
        if not quiet:
            print_warnings(plan.warnings)
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
        chosen = [
            (place, row) for place, rows in read_bad_rows(self._plan).items() for row in self._ledger.fresh(place, rows)
        ]
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
        for reason, count in selection.kept.most_common():
            print(f"{_rows(count)} cannot be replayed: {reason}", file=sys.stderr)
        if not self._quiet:
            text = f"{_rows(self._sent)} tried: {self._sent - self._again:,} delivered"
            text += f", {self._again:,} rejected again" if self._again else ""
            print(text if self._sent or kept else "there is nothing to replay")


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"
