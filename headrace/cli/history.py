"""`headrace history`: the runs of this home, failed ones likewise, with their logs and delivery reports."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from headrace.cli.ending import Ending
from headrace.cli.exits import FAILED, FINISHED
from headrace.cli.output import amount, duration, print_error
from headrace.errors import HeadraceError, JobNotFound
from headrace.execution.delivery import report_path
from headrace.execution.owner import JobLock
from headrace.settings import load_settings
from headrace.texts import readable, storable_values

MOST_RUNS = 1000
"""Runs that are remembered; of older ones only the log and the delivery report stay."""

LOST = "LOST"
"""Status of a run whose process was killed before it could tell its end."""


@dataclass
class Record:
    """A run of a job file in this home, with the names of JSON.

    started, ended: seconds since 1970. report: the file of its delivery report.
    """

    jobId: int
    jobName: str
    file: str
    status: str
    started: float
    log: str
    ended: float | None = None
    exitCode: int | None = None
    rowsRead: int = 0
    rowsWritten: int = 0
    rowsRejected: int = 0
    summary: str = ""
    error: str = ""
    report: str = ""
    home: str = ""

    @classmethod
    def begin(cls, home: Path, job_id: int, name: str, file: str, log: Path) -> "Record":
        """A run begins: from now on the history has it."""
        made = cls(job_id, name, os.path.abspath(file), "RUNNING", time.time(), str(log), home=str(home))
        made._save()
        made._forget_old()
        return made

    def end(self, ending: Ending, code: int) -> None:
        """The run has ended."""
        self.status, self.exitCode, self.ended = ending.status, code, ending.ended
        self.rowsRead, self.rowsWritten, self.rowsRejected = ending.read, ending.written, ending.rejected
        self.summary, self.error = ending.summary, ending.error
        if ending.report is not None:
            path = report_path(Path(self.home), self.jobId, ending.report.run)
            self.report = str(path) if path.exists() else ""
        self._save()

    def fail(self, error: str, code: int) -> None:
        """It came to no result."""
        self.status, self.exitCode, self.ended, self.error = "FAILED", code, time.time(), error
        self.summary = "nothing delivered: the job was not started"
        self._save()

    @property
    def _path(self) -> Path:
        return Path(self.home) / "history" / f"{int(self.started * 1000):013d}-{self.jobId}.json"

    def _save(self) -> None:
        """A home that is full or cannot be written loses its history, never a job."""
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._path.with_suffix(f".{os.getpid()}.tmp")
            fresh.write_text(json.dumps(storable_values(asdict(self))), encoding="utf-8")
            os.replace(fresh, self._path)

    def _forget_old(self) -> None:
        with suppress(OSError):
            names = sorted(entry.name for entry in os.scandir(self._path.parent))
            for name in names[:-MOST_RUNS]:
                (self._path.parent / name).unlink(missing_ok=True)


def records(home: Path) -> Iterator[Record]:
    """The runs of a home, the newest first."""
    for file in sorted((home / "history").glob("*.json"), reverse=True):
        with suppress(OSError, ValueError, TypeError):
            found = Record(**json.loads(file.read_text(encoding="utf-8")))
            if found.status == "RUNNING" and not JobLock.is_held(home, found.jobId):
                found.status = LOST
                found.summary = "its process was killed before it could tell its end"
            yield found


def show_history(job_id: int | None, overrides: Mapping[str, Any], most: int, *, as_json: bool) -> int:
    """Print the newest runs, or all that is known of one job's; the exit code."""
    try:
        home = load_settings(overrides).home
        found = [r for r in records(home) if job_id in (None, r.jobId)]
        if job_id is not None and not found:
            raise JobNotFound(f"no run of job {job_id} is remembered in the home {home}; `headrace history` lists them")
    except HeadraceError as error:
        print_error(error)
        return FAILED
    if as_json:
        print(json.dumps([_with_report(r) for r in found[:most]]))
    elif job_id is not None:
        for record in found:
            _print_one(record)
    elif not found:
        print(f"no runs in the home {home}")
    else:
        _print_table(found[:most])
        if len(found) > most:
            print(f"… and {len(found) - most:,} older ones; -n shows more")
    return FINISHED


def _with_report(record: Record) -> dict[str, Any]:
    report = None
    with suppress(OSError, ValueError):
        report = json.loads(Path(record.report).read_text(encoding="utf-8")) if record.report else None
    return {**{k: v for k, v in asdict(record).items() if k not in ("home", "report")}, "deliveryReport": report}


def _print_table(found: list[Record]) -> None:
    rows = [("ID", "STARTED", "STATUS", "TIME", "READ", "WRITTEN", "REJECTED", "NAME")]
    for r in found:
        spent = "" if r.ended is None else duration(r.ended - r.started)
        counts = (amount(r.rowsRead), amount(r.rowsWritten), amount(r.rowsRejected) if r.rowsRejected else "")
        rows.append((str(r.jobId), _moment(r.started), r.status, spent, *counts, readable(r.jobName)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_one(record: Record) -> None:
    spent = "" if record.ended is None else f" in {duration(record.ended - record.started)}"
    code = "" if record.exitCode is None else f", exit code {record.exitCode}"
    print(f"Job {record.jobId} {readable(record.jobName)}: {record.status}{spent}{code}")
    print(f"  started  {_moment(record.started)}")
    print(f"  file     {record.file}")
    print(f"  log      {record.log}")
    if record.report:
        print(f"  report   {record.report}")
    print(f"  rows     {record.rowsRead:,} read, {record.rowsWritten:,} written, {record.rowsRejected:,} rejected")
    if record.summary:
        print(f"  {readable(record.summary)}")
    for line in record.error.splitlines():
        print(f"  error: {readable(line)}")


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"  # noqa: DTZ006  the user's own time
