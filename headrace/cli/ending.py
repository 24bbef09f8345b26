"""The end of `headrace run`: a result in, exit code, last lines and JSON out, true to what is in the targets."""

import shlex
import sys
import time
from collections.abc import Iterator
from typing import Any

from headrace.cli.exits import FAILED, FINISHED, INTERRUPTED, REJECTED
from headrace.cli.output import amount, delivery_lines, duration, problem_json, problems_of, statistics
from headrace.cli.terminal import paint
from headrace.execution.delivery import DeliveryReport, counted
from headrace.execution.master import Result
from headrace.plan.plan import Plan

_COLOURS = {"FINISHED": "green", "FAILED": "red", "CANCELED": "yellow"}


class Ending:
    """How a run ended. file: the job file, as the hints name it. fail_on_rejects: one rejected row is too many."""

    def __init__(self, plan: Plan, result: Result, name: str, file: str, *, fail_on_rejects: bool = False) -> None:
        self._plan, self._result, self._fail_on_rejects = plan, result, fail_on_rejects
        self.name, self._file = name, file
        names = {step.id: step.name for pipeline in plan.pipelines for step in pipeline.steps()}
        self._counts = {(names[step], table): c for (step, table), c in result.progress.counts.items() if step in names}
        self.read = sum(c.rows for (step, _), c in self._counts.items() if step.startswith("Source["))
        self.written = sum(c.committed for (step, _), c in self._counts.items() if step.startswith("Sink["))
        self.filtered = sum(c.filtered for c in self._counts.values())
        self.rejected = result.progress.rows_rejected
        self.started = result.progress.started or time.time()
        self.ended = result.progress.ended or time.time()

    @property
    def status(self) -> str:
        """FINISHED, CANCELED, SAVEPOINT_DONE or FAILED."""
        return self._result.status

    @property
    def error(self) -> str:
        """Why it failed; empty when it did not."""
        return str(self._result.error) if self._result.error else ""

    @property
    def report(self) -> DeliveryReport | None:
        """What became of every row; None when the job ended before anything could move."""
        return self._result.report

    def code(self, *, interrupted: bool) -> int:
        """The exit code."""
        if self.status != "FINISHED":
            return INTERRUPTED if interrupted else FAILED
        return REJECTED if self._all_rejected or (self._fail_on_rejects and self.rejected) else FINISHED

    @property
    def _all_rejected(self) -> str:
        return self.report.all_rejected if self.report is not None and self.status == "FINISHED" else ""

    @property
    def summary(self) -> str:
        """What is in the targets now, in one line."""
        if self.report is not None:
            return self.report.summary
        end = "was canceled" if self.status == "CANCELED" else "failed"
        return f"nothing delivered: the job {end} before its first row"

    @property
    def last_line(self) -> str:
        """`Job 42 FINISHED in 1.2 s, 340 K rows/s`."""
        seconds = self.ended - self.started
        status = paint(self.status, _COLOURS.get(self.status, "yellow"), sys.stdout)
        if self._all_rejected:
            end = f", but nothing was delivered: {self._all_rejected}"
        elif self.status == "FINISHED" and self.rejected:
            end = f", {counted(self.rejected)} rejected"
        elif self.status == "FINISHED" and seconds >= 1 and self.read / seconds >= 2:
            end = f", {amount(self.read / seconds)} rows/s"
        else:
            end = ""
        return f"Job {self._result.job_id} {status} in {duration(seconds)}{end}"

    def print_counts(self) -> None:
        """SeaTunnel's box, a line for each table, and what is in the targets."""
        print(statistics(self.started, self.ended, self.read, self.written, self.rejected, self.filtered))
        if self.report is not None:
            print("\n".join(delivery_lines(self.report)))
        print(self.summary, flush=True)

    def hints(self, *, interrupted: bool) -> Iterator[str]:
        """What to do next, as commands."""
        job = shlex.quote(self._file)
        aside = list(dict.fromkeys(s.name for p in self._plan.pipelines for s in p.error_sinks()))
        if self.rejected and aside and self.status == "FINISHED":
            where = ", ".join(
                filter(None, (_place(s.plugin.options) for p in self._plan.pipelines for s in p.error_sinks()))
            )
            yield f"{counted(self.rejected)} set aside in {where or ', '.join(aside)}: `headrace replay {job}`"
        elif self.rejected and self.status == "FINISHED":
            yield f"{counted(self.rejected)} rejected: the reasons are in the log"
        if interrupted and self._result.saved:
            yield f"job {self._result.job_id} is saved; go on with --restore --job-id {self._result.job_id}"
        elif self.status in ("FAILED", "CANCELED"):
            yield self._next_step(job)

    def _next_step(self, job: str) -> str:
        progress = self._result.progress
        mend = "mend the cause, then " if self.status == "FAILED" else ""
        kept = self.status == "FAILED" or self._plan.job.env.retain_after_cancel
        if self._file and kept and (progress.checkpoints or progress.restored_from is not None):
            return (
                f"{mend}go on from the last checkpoint: `headrace run {job} --restore --job-id {self._result.job_id}`"
            )
        if not self._file:
            return f"{mend}run it again"
        is_plain = self.report is not None and any(d.is_plain for d in self.report.deliveries)
        again = ", and writes its rows again" if self.written or is_plain else ""
        return f"{mend}run it again: `headrace run {job}` starts from the beginning{again}"

    def log_lines(self) -> Iterator[tuple[str, str]]:
        """(level, text) of what the log tells of the end."""
        for problem in problems_of(self._result.error) if self._result.error else ():
            yield "error", str(problem)
        yield "info", self.summary
        level = "info" if self.status in ("FINISHED", "SAVEPOINT_DONE") else "error"
        yield level, f"job {self._result.job_id} {self.status} in {duration(self.ended - self.started)}"

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        error = self._result.error
        return {
            "jobId": self._result.job_id,
            "jobName": self.name,
            "status": self.status,
            "seconds": round(self.ended - self.started, 3),
            "rowsRead": self.read,
            "rowsWritten": self.written,
            "rowsRejected": self.rejected,
            "rowsFiltered": self.filtered,
            "tables": [
                {
                    "step": step,
                    "table": table,
                    **{name: getattr(c, name) for name in ("rows", "bytes", "committed", "rejected", "filtered")},
                }
                for (step, table), c in self._counts.items()
            ],
            "deliveryReport": self.report.to_json() if self.report is not None else None,
            "summary": self.summary,
            "warnings": [str(warning) for warning in self._plan.warnings],
            "error": str(error) if error is not None else None,
            "problems": [problem_json(problem) for problem in problems_of(error)] if error is not None else [],
        }


def _place(options: Any) -> str:
    """Where a sink for bad rows writes, as its options say it: a path, a table; passwords are in neither."""
    return next((str(options[key]) for key in ("path", "table", "error_table") if options.get(key)), "")
