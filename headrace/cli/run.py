"""`headrace run`: one job in this process, with its progress on the terminal."""

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from headrace.checkpoint.location import open_store
from headrace.cli.guard import Guard
from headrace.cli.output import amount, delivery_lines, duration, print_error, print_warnings, statistics, tell
from headrace.cli.variables import parse_variables
from headrace.config.job import JobConfig, load_job
from headrace.errors import HeadraceError, NotEnoughSlots, Problem
from headrace.execution.local import LocalJob, make_runner
from headrace.execution.master import JobSettings, Result
from headrace.execution.progress import Progress
from headrace.jobs.outline import outline_of
from headrace.logs import job_log
from headrace.options import is_slip
from headrace.plan.plan import Plan, make_plan
from headrace.settings import RunnerName, Settings, load_settings

INTERRUPTED = 130
"""128 + SIGINT, as shells expect it."""

SAVE_SECONDS = 20.0
"""How long SIGTERM waits for a savepoint; those who send it usually kill after 30 s."""

PROGRESS_SECONDS = 1.0
"""A job that is over before the first tick prints no progress at all."""


def run_job(
    job: Path | JobConfig,
    variables: Sequence[str],
    overrides: Mapping[str, Any],
    job_id: int | None,
    name: str | None,
    *,
    restore: bool,
    strict: bool,
    quiet: bool,
    as_json: bool,
    on_start: Callable[[int, str], None] = lambda job_id, name: None,
) -> int:
    """Run a job file; the exit code. on_start: called with the job's id and name before its first row."""
    try:
        notes: list[Problem] = []
        settings = load_settings(overrides, on_warning=notes.append)
        config = job if isinstance(job, JobConfig) else load_job(job, parse_variables(variables))
        plan = make_plan(config, strict=strict)
        _check_slots(plan, settings.slots)
        local, close_log = make_local(plan, settings, job_id, name, restore=restore, as_json=as_json)
    except HeadraceError as error:
        print_error(error)
        return 1
    if not quiet:
        print_warnings([*notes, *plan.warnings])
    on_start(local.job_id, name or plan.job.env.job_name)
    save = partial(_save, local) if local.takes_checkpoints else None
    with Signals(local.cancel, save, guarded=settings.runner == RunnerName.EMBEDDED) as signals:
        screen = None if quiet or as_json else _Screen(local)
        result = local.run()
        if screen:
            screen.stop()
    close_log()
    return _report(plan, result, signals.interrupted, quiet=quiet, as_json=as_json)


def _check_slots(plan: Plan, slots: int | None) -> None:
    """Fixed slots count here as on a server, where nothing else runs. Raises NotEnoughSlots."""
    needed = outline_of(plan, {}).slots()
    if slots is not None and needed > slots:
        raise NotEnoughSlots(
            f"the job needs {needed} slots, and there are {slots}; raise slot-service.slot-num or lower its parallelism"
        )


def make_local(
    plan: Plan,
    settings: Settings,
    job_id: int | None,
    name: str | None,
    *,
    restore: bool,
    as_json: bool,
    runner: str | None = None,
    save_modes: bool = True,
    on_delivered: Callable[[], None] = lambda: None,
) -> tuple[LocalJob, Any]:
    """A job that prints and logs as commands do, and what closes its log. runner: instead of the settings'."""
    log: list[Any] = []

    def on_log(level: str, text: str) -> None:
        log[0](level, text)
        if level in ("warning", "error"):
            print(f"{level}: {text}", file=sys.stderr)

    def on_print(text: str) -> None:
        log[0]("info", text)
        stream = sys.stderr if as_json else sys.stdout
        # At once: tasks print on threads of their own, and print() writes the end of a line apart.
        stream.write(f"{text}\n")
        stream.flush()

    local = LocalJob(
        plan,
        settings.home,
        runner=make_runner(runner or settings.runner, settings.workers, settings.memory, plan),
        job_id=job_id,
        restore=restore,
        name=name,
        settings=JobSettings(
            default_interval=settings.checkpoint_interval,
            checkpoint_timeout=settings.checkpoint_timeout,
            retain=settings.checkpoint_retain,
            patience=settings.checkpoint_patience,
        ),
        checkpoints=open_store(settings.checkpoint_store, settings.home / "checkpoints", settings.store_options()),
        save_modes=save_modes,
        on_delivered=on_delivered,
        on_print=on_print,
        on_log=on_log,
    )
    write, close = job_log(settings.home, local.job_id)
    log.append(write)
    for warning in plan.warnings:
        write("warning", str(warning))
    return local, close


class Signals:
    """Ctrl-C cancels the job; SIGTERM and a closed terminal save it where `save` is given. A second one ends at once.

    guarded: whether plugins run in this process, so that one may keep it from ending.
    """

    def __init__(
        self, cancel: Callable[[], None], save: Callable[[], None] | None = None, *, guarded: bool = False
    ) -> None:
        self._cancel, self._save, self._guarded = cancel, save, guarded
        self._guard: Guard | None = None
        self.interrupted = False

    def __enter__(self) -> "Signals":
        self._guard = Guard() if self._guarded else None
        heard = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
            heard.append(signal.SIGHUP)
        self._before = {s: signal.signal(s, self._handle) for s in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._guard is not None:
            self._guard.close()

    def _handle(self, number: int, frame: object) -> None:
        if self.interrupted:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.interrupted = True
        if self._guard is not None:
            self._guard.live()
        saves = number != signal.SIGINT and self._save is not None
        tell("saving the job, then stopping" if saves else "canceling; uncommitted rows are discarded")
        threading.Thread(target=self._save if saves else self._cancel, daemon=True).start()


def _save(job: LocalJob) -> None:
    """Take a savepoint; where none can be taken in time, the last checkpoint is what a restore goes on from."""
    try:
        problem = job.savepoint().result(SAVE_SECONDS)
    except TimeoutError:
        problem = f"it took longer than {SAVE_SECONDS:.0f} s"
    if problem:
        print(f"warning: no savepoint was taken: {problem}; the last checkpoint is kept", file=sys.stderr)
        job.abandon()


class _Screen:
    """A progress line each second: in place on a terminal, on lines of their own each ten seconds elsewhere."""

    def __init__(self, job: LocalJob) -> None:
        self._job, self._ended = job, threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _show(self) -> None:
        terminal = sys.stderr.isatty()
        shown, before = False, None
        while not self._ended.wait(PROGRESS_SECONDS if terminal else 10 * PROGRESS_SECONDS):
            now = self._job.progress(), time.monotonic()
            if now[0].started is not None:
                line = progress_line(now[0], before, now[1])
                print(
                    f"\r\x1b[K{line}" if terminal else line, end="" if terminal else "\n", file=sys.stderr, flush=True
                )
                shown = terminal
            before = now
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr)


def progress_line(progress: Progress, before: tuple[Progress, float] | None, now: float) -> str:
    """`RUNNING  1.2 M rows  340 K rows/s  45 MiB/s  62 %, 12 s left  waits for the sink 80% of the time`."""
    rows, size = progress.rows_read, progress.bytes_read
    parts = [progress.status, f"{amount(rows)} rows"]
    if progress.rows_rejected:
        parts.append(f"{amount(progress.rows_rejected)} rejected")
    if before is not None and now > before[1]:
        seconds = now - before[1]
        parts.append(f"{amount((rows - before[0].rows_read) / seconds)} rows/s")
        parts.append(f"{amount((size - before[0].bytes_read) / seconds, 'B')}/s")
    if progress.size_total and progress.started is not None:
        share = progress.size_done / progress.size_total
        left = (time.time() - progress.started) * (1 - share) / share if share else None
        parts.append(f"{share:.0%}" + (f", {duration(left)} left" if left is not None else ""))
    tables = progress.rows_by_table()
    if 1 < len(tables) <= 5:
        parts.append(", ".join(f"{table} {amount(count)}" for table, count in tables.items()))
    if slow := progress.slow_side():
        parts.append(slow)
    return "  ".join(parts)


def _report(plan: Plan, result: Result, interrupted: bool, *, quiet: bool, as_json: bool) -> int:
    names = {step.id: step.name for pipeline in plan.pipelines for step in pipeline.steps()}
    counts = {(names[step], table): c for (step, table), c in result.progress.counts.items()}
    read = sum(c.rows for (step, _), c in counts.items() if step.startswith("Source["))
    written = sum(c.committed for (step, _), c in counts.items() if step.startswith("Sink["))
    progress = result.progress
    started, ended = progress.started or time.time(), progress.ended or time.time()
    if as_json:
        print(
            json.dumps(
                {
                    "jobId": result.job_id,
                    "jobName": plan.job.env.job_name,
                    "status": result.status,
                    "seconds": round(ended - started, 3),
                    "rowsRead": read,
                    "rowsWritten": written,
                    "rowsRejected": progress.rows_rejected,
                    "tables": [
                        {
                            "step": step,
                            "table": table,
                            "rows": c.rows,
                            "bytes": c.bytes,
                            "committed": c.committed,
                            "rejected": c.rejected,
                        }
                        for (step, table), c in counts.items()
                    ],
                    "deliveryReport": result.report.to_json() if result.report else None,
                    "warnings": [str(warning) for warning in plan.warnings],
                    "error": str(result.error) if result.error else None,
                }
            )
        )
    elif not quiet:
        print(statistics(started, ended, read, written))
        if result.report is not None:
            print("\n".join(delivery_lines(result.report)))
        rate = f", {amount(read / (ended - started))} rows/s" if ended > started else ""
        print(f"Job {result.job_id} {result.status} in {duration(ended - started)}{rate}")
    if result.error is not None:
        print_error(result.error)
    if not quiet and not as_json:
        print_warnings(filter(is_slip, plan.warnings))  # again: it may be far above by now
    if interrupted and result.saved:
        print(f"job {result.job_id} is saved; go on with --restore --job-id {result.job_id}", file=sys.stderr)
    if result.status == "FINISHED":
        return 0
    return INTERRUPTED if interrupted else 1
