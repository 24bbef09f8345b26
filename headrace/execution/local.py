"""A job run by this process, without a server: an id, a lock, a place for its checkpoints, then a job master."""

import hashlib
import json
import os
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from headrace.checkpoint.store import CheckpointStore, FileStore
from headrace.errors import JobExists, JobNotFound, StoreUnavailable
from headrace.execution.delivery import DeliveryReport, save_report
from headrace.execution.embedded import EmbeddedRunner
from headrace.execution.master import JobMaster, JobSettings, Result
from headrace.execution.owner import JobLock, JobsOfHome, beginning_in
from headrace.execution.processes import ProcessesRunner
from headrace.execution.progress import Progress
from headrace.execution.runner import Runner
from headrace.plan.plan import Plan
from headrace.storage.local import write_whole

_IDS_BEGIN = 1_514_764_800_000  # 2018-01-01, as SeaTunnel's ids
_RANDOM_BITS = 14


def new_job_id() -> int:
    """An id that no other job of this home is likely to have; below 2^53 until 2035, so that no client loses digits."""
    return (int(time.time() * 1000) - _IDS_BEGIN) << _RANDOM_BITS | random.getrandbits(_RANDOM_BITS)


def make_runner(
    name: str,
    workers: int | None = None,
    memory: int | None = None,
    plan: Plan | None = None,
    ray_address: str | None = None,
) -> Runner:
    """The runner called `embedded`, `processes` or `ray`. memory: what it may hold, in bytes. plan: of its only job.

    ray_address: of a Ray that runs already. Raises MissingExtra, and ConfigError where Ray cannot be used.
    """
    if name == "embedded":
        return EmbeddedRunner(memory)
    tasks = max(p.parallelism for p in plan.pipelines) if plan else None
    if name == "ray":
        from headrace.execution.ray_runner import ray_runner  # who does not ask for Ray never imports it

        return ray_runner(ray_address or "", workers, memory, tasks)
    return ProcessesRunner(workers, memory, tasks)


class LocalJob:
    """`run` blocks; `cancel`, `savepoint` and `progress` may be called from other threads or a signal handler.

    job_id: made anew when None; with `restore` and no id, that of the last run of this job file in this home.
    Raises JobExists when a living process runs the id, JobNotFound when there is nothing to restore, as after FINISHED,
    NotEnoughMemory when the job cannot run in what the runner may hold, HomeUnusable when the home cannot be written.
    """

    def __init__(
        self,
        plan: Plan,
        home: Path,
        *,
        runner: Runner,
        job_id: int | None = None,
        restore: bool = False,
        name: str | None = None,
        settings: JobSettings | None = None,
        checkpoints: CheckpointStore | None = None,
        save_modes: bool = True,
        on_delivered: Callable[[], None] = lambda: None,
        on_status: Callable[[str], None] = lambda status: None,
        on_print: Callable[[str], None] = print,
        on_log: Callable[[str, str], None] = lambda level, text: None,
    ) -> None:
        runner.check(plan)
        self._home, self._runner, self._file = home.resolve(), runner, plan.job.file
        self._on_log = on_log
        store = checkpoints or FileStore(self._home / "checkpoints")
        last = self._last_run()
        self._forget_finished(last, store)
        self.job_id, self._run = self._identify(last, job_id, restore)
        self._lock = self._begin()
        self._master = JobMaster(
            plan,
            runner,
            store,
            job_id=self.job_id,
            run=self._run,
            name=name,
            restore=restore,
            known_jobs=self._known_jobs(store),
            settings=settings,
            save_modes=save_modes,
            on_delivered=on_delivered,
            on_status=on_status,
            on_print=on_print,
            on_log=on_log,
        )

    def run(self) -> Result:
        """Run the job to its end and give its lock back. Ctrl-C cancels it, and is raised again when that is done."""
        try:
            result = self._master.run()
            self._keep(result.report)
            if self._record_end(result.status):
                self._master.forget()
            if self._master.interrupted:
                raise KeyboardInterrupt
            return result
        finally:
            self._runner.close()
            self._lock.close()

    def _known_jobs(self, store: CheckpointStore) -> JobsOfHome:
        with beginning_in(self._home), ExitStack() as undo:
            undo.callback(self._lock.close)
            known = JobsOfHome(self._home, store)
            undo.pop_all()
        return known

    def _begin(self) -> JobLock:
        with beginning_in(self._home), ExitStack() as undo:
            lock = undo.enter_context(closing(JobLock(self._home, self.job_id)))
            self._remember("RUNNING")
            undo.pop_all()
        return lock

    def _record_end(self, status: str) -> bool:
        """Whether the end is known from now on; else saved state stays, so that a restore moves no row again."""
        try:
            self._remember(status)
        except OSError as error:
            text = f"the end of job {self.job_id}, {status}, cannot be recorded in {self._record}: {error.strerror}"
            self._on_log("warning", f"{text}; what is saved of it stays, and --restore goes on from there")
            return False
        return True

    def _keep(self, report: DeliveryReport | None) -> None:
        if report is not None:
            for warning in report.warnings:
                self._on_log("warning", warning)
            try:
                save_report(report, self._home)
            except OSError as error:
                self._on_log("warning", f"the delivery report was not kept: {error}")

    def cancel(self) -> None:
        """See JobMaster.cancel."""
        self._master.cancel()

    def abandon(self) -> None:
        """See JobMaster.abandon."""
        self._master.abandon()

    def savepoint(self) -> "Future[str]":
        """See JobMaster.savepoint."""
        return self._master.savepoint()

    @property
    def takes_checkpoints(self) -> bool:
        """Whether the job saves its state on the way."""
        return self._master.takes_checkpoints

    def progress(self) -> Progress:
        """See JobMaster.progress."""
        return self._master.progress()

    @property
    def _record(self) -> Path:
        """Where the last run of this job file is remembered."""
        name = hashlib.sha256(os.path.abspath(self._file).encode()).hexdigest()[:32]
        return self._home / "runs" / f"{name}.json"

    def _last_run(self) -> Mapping[str, Any]:
        """What is remembered of the last run of this job file; empty when there was none."""
        with suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads(self._record.read_text()) if self._file else {}
            return found
        return {}

    def _forget_finished(self, last: Mapping[str, Any], store: CheckpointStore) -> None:
        """Remove what a run has left that was killed after its end was recorded: its lock, perhaps its saved state."""
        if last.get("status") == "FINISHED" and JobLock.exists(self._home, last["job_id"]):
            with suppress(JobExists, StoreUnavailable), closing(JobLock(self._home, last["job_id"])):
                store.delete(last["job_id"])

    def _identify(self, last: Mapping[str, Any], job_id: int | None, restore: bool) -> tuple[int, int]:
        """The job id and the number of this run of it."""
        if restore:
            if job_id is None and not last:
                raise JobNotFound(
                    f"cannot restore {self._file or 'this job'}: it was never run with the home {self._home}; "
                    "name the job with --job-id, or another home with --home"
                )
            if last.get("status") == "FINISHED" and job_id in (None, last["job_id"]):
                raise JobNotFound(
                    f"cannot restore {self._file}: its last run, job {last['job_id']}, is FINISHED, all its rows are "
                    "delivered; run it without --restore to move them again"
                )
            job_id = last["job_id"] if job_id is None else job_id
        if job_id is None:
            return new_job_id(), 1
        return job_id, last["run"] + 1 if last.get("job_id") == job_id else int(time.time())

    def _remember(self, status: str) -> None:
        """Whole or not at all: it decides what a restore goes on with."""
        if self._file:
            record = {"job_id": self.job_id, "run": self._run, "status": status}
            write_whole(self._record, json.dumps(record).encode())
