"""`headrace run`: one job in this process, with its progress on the terminal."""

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

from headrace.checkpoint.location import open_store
from headrace.cli.ending import Ending
from headrace.cli.exits import BROKEN_PIPE, INTERRUPTED, exit_code
from headrace.cli.guard import Guard
from headrace.cli.history import Record
from headrace.cli.output import amount, duration, failure_json, print_error, print_warnings, problems_of, say, tell
from headrace.cli.starting import uncollected
from headrace.cli.terminal import Screen, drop_output, fit, is_terminal, only_for_the_answer, width_of
from headrace.cli.variables import parse_variables
from headrace.config.job import JobConfig, load_job
from headrace.errors import HeadraceError, NotEnoughSlots, Problem, told
from headrace.execution.bad_places import remember
from headrace.execution.local import LocalJob, make_runner, new_job_id
from headrace.execution.master import JobSettings
from headrace.execution.progress import Progress
from headrace.jobs.outline import outline_of
from headrace.logs import LogFormat, is_json, job_log, json_to_stderr, log_path
from headrace.options import is_slip
from headrace.plan.plan import Plan, make_plan
from headrace.settings import RunnerName, Settings, home_of, load_settings
from headrace.texts import readable

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
    fail_on_rejects: bool = False,
    on_start: Callable[[int, str], None] = lambda job_id, name: None,
) -> int:
    """Run a job file; the exit code. on_start: called with the job's id and name before its first row."""
    with only_for_the_answer() if as_json else nullcontext(print) as answer:
        run = _Run(job, name, job_id, overrides, quiet=quiet, as_json=as_json, fail_on_rejects=fail_on_rejects)
        try:
            return run.to_its_end(variables, restore=restore, strict=strict, on_start=on_start, answer=answer)
        except BrokenPipeError:
            drop_output()
            return BROKEN_PIPE
        except BaseException as error:
            code = run.failed(error)
            if not as_json or not isinstance(error, Exception):
                raise
            traceback.print_exc()
            answer(json.dumps(failure_json(error, code, jobId=run.job_id, jobName=name)))
            return code


class _Run:
    """One call of `headrace run`: a job file that may be wrong, then a job; a log and a line of the history of both."""

    def __init__(
        self,
        job: Path | JobConfig,
        name: str | None,
        job_id: int | None,
        overrides: Mapping[str, Any],
        *,
        quiet: bool,
        as_json: bool,
        fail_on_rejects: bool,
    ) -> None:
        self._job, self._name, self._overrides = job, name, overrides
        self._file = job.file if isinstance(job, JobConfig) else str(job)
        self._quiet, self._as_json, self._fail_on_rejects = quiet, as_json, fail_on_rejects
        self.job_id = job_id
        self._record: Record | None = None
        self._write: Callable[[str, str], None] = lambda level, text: None

    def to_its_end(
        self,
        variables: Sequence[str],
        *,
        restore: bool,
        strict: bool,
        on_start: Callable[[int, str], None],
        answer: Callable[[str], None],
    ) -> int:
        """The exit code."""
        screen = Screen()
        notes: list[Problem] = []
        try:
            settings = load_settings(self._overrides, on_warning=notes.append)
            if settings.log_format is LogFormat.JSON:
                json_to_stderr(settings.log_level)
            with uncollected():
                job = self._job
                config = job if isinstance(job, JobConfig) else load_job(job, parse_variables(variables))
                plan = make_plan(config, strict=strict)
            self._name = self._name or plan.job.env.job_name
            _check_slots(plan, settings.slots)
            local, self._write, close_log = make_local(
                plan, settings, self.job_id, self._name, restore=restore, screen=screen
            )
        except HeadraceError as error:
            print_error(error)
            code = self.failed(error)
            if self._as_json:
                answer(json.dumps(failure_json(error, code, jobId=self.job_id, jobName=self._name)))
            return code
        self.job_id = local.job_id
        self._record = Record.begin(
            settings.home, local.job_id, self._name, self._file, log_path(settings.home, local.job_id)
        )
        self._write("info", f"job {local.job_id} {self._name} starts: {os.path.abspath(self._file)}")
        if not self._quiet:
            print_warnings([*notes, *plan.warnings])
            if not self._as_json:
                tell(f"job {local.job_id} {self._name}: its log is {self._record.log}")
        remember(settings.home, plan, self._name)
        on_start(local.job_id, self._name)
        save = partial(_save, local) if local.takes_checkpoints else None
        with Signals(local.cancel, save, guarded=settings.runner == RunnerName.EMBEDDED) as signals:
            screen.on_closed = lambda: threading.Thread(target=local.cancel, daemon=True).start()
            shown = None if self._quiet or self._as_json or is_json() else _ProgressLine(local, screen)
            try:
                result = local.run()
            finally:
                if shown:
                    shown.stop()
        end = Ending(plan, result, self._name, self._file, fail_on_rejects=self._fail_on_rejects)
        code = BROKEN_PIPE if screen.is_closed else end.code(interrupted=signals.interrupted)
        for level, text in end.log_lines():
            self._write(level, text)
        close_log()
        self._record.end(end, code)
        if screen.is_closed:
            return code
        if self._as_json:
            answer(json.dumps({**end.to_json(), "exitCode": code, "log": self._record.log}))
        if not self._as_json and not self._quiet:
            end.print_counts()
        if result.error is not None:
            print_error(result.error)
        if not self._quiet and not self._as_json:
            print_warnings(filter(is_slip, plan.warnings))  # again: it may be far above by now
        for line in end.hints(interrupted=signals.interrupted):
            tell(line)
        if not self._as_json and not self._quiet:
            print(end.last_line)
        return code

    def failed(self, error: BaseException) -> int:
        """Leave a log and a line of the history of what came to no result; the exit code."""
        code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else exit_code(error)
        with suppress(OSError, HeadraceError):
            if self._record is None:
                home = home_of(self._overrides)
                (home / "logs").mkdir(parents=True, exist_ok=True)  # a home that cannot be used is told already
                self.job_id = self.job_id or new_job_id()
                self._write, _ = job_log(home, self.job_id)
                name = self._name or Path(self._file).name
                self._record = Record.begin(home, self.job_id, name, self._file, log_path(home, self.job_id))
                self._write("info", f"job {self.job_id} {name} was not started: {os.path.abspath(self._file)}")
            for problem in problems_of(error):
                self._write("error", str(problem))
            if not isinstance(error, HeadraceError):
                self._write("error", "".join(traceback.format_exception(error)))
            self._record.fail(told(error), code)
        return code


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
    screen: Screen,
    runner: str | None = None,
    save_modes: bool = True,
    on_delivered: Callable[[], None] = lambda: None,
) -> tuple[LocalJob, Callable[[str, str], None], Callable[[], None]]:
    """A job that prints and logs as commands do, what writes into its log alone, and what closes it.

    runner: instead of the settings'.
    """
    log: list[Any] = []

    def on_log(level: str, text: str) -> None:
        log[0](level, text)
        if level in ("warning", "error") and not is_json():
            screen.tell(say(level, text))

    def on_print(text: str) -> None:
        log[0]("info", text)
        screen.print(text)

    local = LocalJob(
        plan,
        settings.home,
        runner=make_runner(runner or settings.runner, settings.workers, settings.memory, plan, settings.ray_address),
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
    return local, write, close


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
        tell(f"no savepoint was taken: {problem}; the last checkpoint is kept", "warning")
        job.abandon()


class _ProgressLine:
    """A progress line each second: in place on a terminal, on lines of their own each ten seconds elsewhere."""

    def __init__(self, job: LocalJob, screen: Screen) -> None:
        self._job, self._screen, self._ended = job, screen, threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        self._screen.clear()

    def _show(self) -> None:
        terminal = is_terminal(sys.stderr)
        unicode = "utf" in (sys.stderr.encoding or "").lower()
        before = None
        while not self._ended.wait(PROGRESS_SECONDS if terminal else 10 * PROGRESS_SECONDS):
            now = self._job.progress(), time.monotonic()
            if now[0].started is not None:
                parts = progress_parts(now[0], before, now[1])
                if terminal:  # the last column stays free: some terminals wrap when it is written
                    self._screen.draw(fit(parts, width_of(sys.stderr) - 1, unicode=unicode))
                else:
                    self._screen.tell(readable("  ".join(parts)))
            before = now


def progress_parts(progress: Progress, before: tuple[Progress, float] | None, now: float) -> list[str]:
    """`RUNNING`, `62%, 12 s left`, `1.2 M rows`, `340 K rows/s`, `45 MiB/s`, `waits for the sink 80% of the time`.

    The most important ones come first, for those that find no room are left out.
    """
    rows, size = progress.rows_read, progress.bytes_read
    parts = [progress.status]
    if progress.size_total and progress.started is not None:
        share = progress.size_done / progress.size_total
        left = (time.time() - progress.started) * (1 - share) / share if share else None
        parts.append(f"{share:.0%}" + (f", {duration(left)} left" if left is not None else ""))
    parts.append(f"{amount(rows)} rows")
    if progress.rows_rejected:
        parts.append(f"{amount(progress.rows_rejected)} rejected")
    if before is not None and now > before[1]:
        seconds = now - before[1]
        parts.append(f"{amount((rows - before[0].rows_read) / seconds)} rows/s")
        parts.append(f"{amount((size - before[0].bytes_read) / seconds, 'B')}/s")
    if slow := progress.slow_side():
        parts.append(slow)
    tables = progress.rows_by_table()
    if 1 < len(tables) <= 5:
        parts.append(", ".join(f"{table} {amount(count)}" for table, count in tables.items()))
    return parts
