"""A job that this service runs: its thread, its job master, its log."""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headrace.checkpoint.history import History
from headrace.errors import HeadraceError, JobExists, NotEnoughSlots, told
from headrace.execution.bad_places import remember
from headrace.execution.delivery import save_report
from headrace.execution.master import JobMaster, Result
from headrace.execution.owner import JobLock
from headrace.execution.progress import Progress
from headrace.jobs.outline import outline_of
from headrace.jobs.owned import OwnedStore
from headrace.jobs.record import JobRecord, Metrics
from headrace.jobs.status import ALLOWED, JobStatus
from headrace.logs import job_log
from headrace.plan.plan import Plan
from headrace.secrets import Masker

if TYPE_CHECKING:
    from headrace.jobs.service import JobService

LOCK_SECONDS = 10.0
"""How long the process of a service that died may hold on to its jobs' locks."""

_GIVEN = (JobStatus.CREATED, JobStatus.PENDING, JobStatus.SCHEDULED, JobStatus.RUNNING)

STORE_SECONDS = 1.0
"""How long a job that has ended waits before it asks the store again to write that down."""


class RunningJob:
    """Made when a job is taken, over when `done` is set. unplaced: see Submitted."""

    def __init__(
        self, service: "JobService", record: JobRecord, plan: Plan, unplaced: NotEnoughSlots | None = None
    ) -> None:
        self.record, self.plan, self._unplaced = record, plan, unplaced
        self.done, self.canceled = threading.Event(), threading.Event()
        self._service = service
        self._master: JobMaster | None = None
        self._abandoned = False
        self._stored = record.status
        self._acted = ""
        self._changes = threading.RLock()
        self._mask = Masker(
            plan.job.env_raw, *(plugin.options for plugin in plan.job.plugins), plan.job.variables or {}
        )
        self._write, self._close_log = job_log(service.home, record.job_id)

    def start(self) -> None:
        """Run the job on a thread of its own."""
        threading.Thread(target=self._run, name=f"job-{self.record.job_id}", daemon=True).start()

    @property
    def is_stopping(self) -> bool:
        """Whether it is being canceled, also where the store has no room to say so."""
        return self.canceled.is_set() and not self._abandoned

    def metrics(self) -> Metrics | None:
        """Its counts at this moment; None before it runs."""
        return None if self._master is None else Metrics.of(self._master.progress())

    def progress(self) -> Progress | None:
        """How far it is at this moment; None before it runs."""
        return None if self._master is None else self._master.progress()

    def histories(self) -> list[History]:
        """See JobMaster.histories."""
        return [] if self._master is None else self._master.histories()

    def act(self, request: str) -> None:
        """Do what a user asked for, once."""
        if request == "cancel" and not self.canceled.is_set():
            self.canceled.set()
            self.log("info", "it is being canceled")
            if self._master is not None:
                self._master.cancel()
        elif request == "savepoint" and self._acted != "savepoint" and self._master is not None:
            self._acted = "savepoint"
            self.log("info", "a savepoint is being taken")
            self._master.savepoint().add_done_callback(self._savepoint_answered)
        elif request == "savepoint" and self.record.status is JobStatus.PENDING:  # it began to wait after it was asked
            self.refuse_savepoint()

    def refuse_savepoint(self) -> None:
        """Say why the savepoint of a job that waits for slots is not taken."""
        text = refusal(self.record.job_id)
        if not self.record.error.startswith(text):
            self.log("error", text)
            self.change(request="", error=f"{text}; {self.record.error}")

    def abandon(self) -> None:
        """Stop as if this process had died: what is stored stays as it is."""
        self._abandoned = True
        self.canceled.set()
        if self._master is not None:
            self._master.abandon()

    def hand_over(self, owner: str) -> bool:
        """Have another service go on with the job from its last checkpoint; False where it is ending, or not ours."""
        with self._changes:
            if self._abandoned or self.canceled.is_set() or self.record.status not in _GIVEN:
                return False
            values = {"owner": owner, "epoch": self.record.epoch + 1, "status": JobStatus.CREATED, "error": ""}
            restore = self.record.restore or self.record.status not in (JobStatus.CREATED, JobStatus.PENDING)
            if self._service.store.change(self.record, **values, restore=restore).result() is None:
                return False
            self.abandon()
            return True

    def change(self, **values: Any) -> "Future[JobRecord | None]":
        """Store a change of the record. It is lost, rightly, when another service has or will have the job, and when
        the job has ended: the counts that the service saves each second do not replace those of the end."""
        with self._changes:
            if self._abandoned or self.record.status.is_end:
                lost: Future[JobRecord | None] = Future()
                lost.set_result(None)
                return lost
            if values.get("status") == self.record.status:
                values.pop("status")
            if "status" in values and values["status"] not in ALLOWED[self.record.status]:
                values.pop("status")
            future = self._service.store.change(self.record, **values)
            self.record = replace(self.record, **values)
        future.add_done_callback(self._changed)
        return future

    def _changed(self, future: "Future[JobRecord | None]") -> None:
        """A change was stored, or came to nothing: the store could not write it, or one before it, or another service
        owns the job by now, and this one's part of it is over."""
        if future.exception() is None and (changed := future.result()) is not None:
            self._stored = changed.status
            return
        if self._abandoned:
            return
        if future.exception() is None and not self._is_still_mine():
            self._service.log("warning", f"job {self.record.job_id} was taken over by another service")
            self.abandon()
            return
        with self._changes:
            self.record = replace(self.record, status=self._stored, metrics=Metrics())  # to be stored again

    def _is_still_mine(self) -> bool:
        """Whether the store says so; its status then counts. Without an answer from the store it is taken for true."""
        mine = self.record
        with suppress(HeadraceError):
            found = self._service.store.get(mine.job_id)
            if found is None or (found.run, found.owner, found.epoch) != (mine.run, mine.owner, mine.epoch):
                return False
            self._stored = found.status
        return True

    def log(self, level: str, text: str) -> None:
        """Write into the job's log."""
        self._write(level, self._mask(text))

    # ---------------------------------------------------------------------------------------------------- its thread

    def _run(self) -> None:
        try:
            if self._unplaced is not None:
                raise self._unplaced
            if self._service.take_slots(self):
                self._run_with_slots()
            else:
                self._end(JobStatus.CANCELED)
        except HeadraceError as error:
            self._end(JobStatus.FAILED, error)
        except Exception as error:  # a mistake of ours must end the job, and be seen
            self._service.log("error", f"job {self.record.job_id} met a mistake of the engine: {error!r}")
            self._end(JobStatus.FAILED, error)
        finally:
            self._service.ended(self)
            self._close_log()
            self.done.set()

    def _run_with_slots(self) -> None:
        record, service = self.record, self._service
        self.log("info", f"Init JobMaster for Job {_one_line(record.name)} ({record.job_id})")
        for warning in self.plan.warnings:
            self.log("warning", str(warning))
        lock = self._lock()
        try:
            self._master = JobMaster(
                self.plan,
                service.runner,
                OwnedStore(service.checkpoints, self._is_owner),
                job_id=record.job_id,
                run=record.run,
                name=record.name,
                restore=record.restore,
                known_jobs=service.known_jobs,
                settings=service.settings.job,
                on_status=self._status_changed,
                on_print=lambda text: self.log("info", text),
                on_log=self.log,
            )
            told: dict[str, Any] = {"error": ""} if record.error else {}  # what it waited for
            self.change(status=JobStatus.SCHEDULED, started=time.time(), **told)
            remember(service.home, self.plan, record.name)
            if self._abandoned:
                self._master.abandon()
            elif self.canceled.is_set():
                self._master.cancel()
            self._take_result(self._master.run())
            self._master.forget()
        finally:
            lock.close()

    def _is_owner(self) -> bool:
        """What the store of jobs says at this moment; it is asked only when another service may have taken the job."""
        if self._service.is_surely_alive():
            return True
        mine = self.record
        return self._service.store.owner(mine.job_id) == (mine.run, mine.owner, mine.epoch)

    def _lock(self) -> JobLock:
        """A job that was taken over from a service that is frozen, not dead, gets a lock beside that of the frozen one:
        its epoch is closed, so that it changes nothing when it thaws (guarantee 9)."""
        record, home = self.record, self._service.home
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            late = time.monotonic() > deadline
            try:
                return JobLock(home, record.job_id, record.epoch if late else 1)
            except JobExists:
                if self.canceled.is_set() or (late and (record.epoch == 1 or time.monotonic() > deadline + 1)):
                    raise
                time.sleep(0.1)

    def _take_result(self, result: Result) -> None:
        outline = outline_of(self.plan, result.tables) if result.tables else self.record.outline
        metrics = Metrics.of(result.progress)
        if result.report is not None:
            metrics = replace(metrics, report=result.report.to_json())
            self.log("info", result.report.summary)
            for warning in result.report.warnings:
                self.log("warning", warning)
            try:
                save_report(result.report, self._service.home, durable=False)
            except OSError as error:
                self.log("warning", f"the delivery report was not kept: {error}")
        self._end(JobStatus(result.status), result.error, metrics=metrics, outline=outline)

    def _end(self, status: JobStatus, error: BaseException | None = None, **values: Any) -> None:
        if self._abandoned:
            return
        text = self._mask(told(error)) if error is not None else ""
        if text:
            self.log("error", text)
        values |= {"error": text, "ended": time.time(), "request": ""}
        while not self._store_end(status, values):
            time.sleep(STORE_SECONDS)
        self.log("info", f"Job {_one_line(self.record.name)} ({self.record.job_id}) ended {status}")

    def _store_end(self, status: JobStatus, values: Mapping[str, Any]) -> bool:
        """Whether nothing is left to do; a store that cannot be written to now is asked again."""
        try:
            if status not in ALLOWED[self.record.status]:  # the way there was too short to be seen
                self.change(status=JobStatus.SCHEDULED)
            if self.change(status=status, **values).result() is not None:
                return True
        except HeadraceError as error:
            self.log("warning", f"the job's end is not stored yet: {error}; it is tried again")
        return self._abandoned or self._stored.is_end

    # -------------------------------------------------------------------------------- called on threads of the master

    def _status_changed(self, status: str) -> None:
        values: dict[str, Any] = {"status": JobStatus(status)}
        if status == "RUNNING" and self._master is not None and self._master.tables:
            values["outline"] = outline_of(self.plan, self._master.tables)
        self.change(**values)

    def _savepoint_answered(self, answer: "Future[str]") -> None:
        problem = answer.result()
        if problem and not self.record.status.is_end:
            self._acted = ""
            text = self._mask(f"the savepoint failed and the job goes on: {problem}")
            self.log("error", text)
            self.change(request="", error=text)


def refusal(job_id: int) -> str:
    """Why no savepoint of a job that waits for slots is taken."""
    return f"the savepoint is refused: job {job_id} is PENDING, nothing of it can be saved before it runs"


def _one_line(name: str) -> str:
    """A name as it may stand in a log: whoever gives it must not write lines of his own."""
    return name if name.isprintable() else name.encode("unicode_escape").decode()
