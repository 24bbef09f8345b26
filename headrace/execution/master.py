"""One job from its plan to its end: describe, save modes, its pipelines side by side, savepoints, cancel."""

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from headrace.checkpoint.checkpoint import CheckpointKind
from headrace.checkpoint.coordinator import CheckpointSettings
from headrace.checkpoint.history import History
from headrace.checkpoint.store import CheckpointStore
from headrace.config.env import FailurePolicy, Verify
from headrace.connector import CallsRun, Claim, JobContext
from headrace.errors import (
    CheckpointError,
    HeadraceError,
    JobCanceled,
    StoreUnavailable,
    StuckTask,
    TablesFailed,
    Unavailable,
    Undelivered,
    WorkerLost,
)
from headrace.execution.delivery import DeliveryReport
from headrace.execution.limits import check_limits
from headrace.execution.messages import Call, Event, FromTask, Printed, Reply, SetTables, WorkerGone, portable
from headrace.execution.owner import KnownJobs
from headrace.execution.pipeline import Cancel, PipelineRun
from headrace.execution.progress import Counts, Flow, Progress
from headrace.execution.runner import Lane, Runner
from headrace.execution.savepoints import Savepoints
from headrace.execution.terms import PipelineSettings
from headrace.plan.plan import Plan, Step
from headrace.rows import TableSchema

T = TypeVar("T")

FINAL_CALLS = frozenset({"commit", "abort", "end_sink"})
"""Calls that a cancel tears away only when they take too long: they leave the target whole."""

REPEATABLE_CALLS = frozenset({
    "describe", "left", "remove_left", "check_save_modes", "save_modes", "end_sink", "unverified", "merge_states",
    "commit", "abort",
})  # fmt: skip
"""Calls that are made again on another worker when theirs dies: made twice, they move nothing twice (guarantee 3)."""

CALL_TRIES = 3
"""How often the deaths of its workers may be the fault of a call; those that are not are not counted."""

CLEAN_UP_SECONDS = 10.0
"""How long the end of a job waits until what it no longer needs is removed."""

CANCELED_SECONDS = 2.0
"""The same after a cancel, which must end soon; so long the calls may take that it does not tear away at once."""

CALL_SECONDS = 300.0
"""How long a worker may take to answer a call, such as describing a source."""


@dataclass(frozen=True)
class JobSettings:
    """What a job master needs to know beside the job itself; `env` keys of the job win over the cluster's defaults.

    Seconds. checkpoint_interval: None takes none in BATCH jobs; a STREAMING job without its own uses the default below.
    """

    default_interval: float = 300.0
    checkpoint_timeout: float = 60.0
    retain: int = 3
    patience: float = 300.0


@dataclass(frozen=True)
class Result:
    """How a job ended. status: FINISHED, CANCELED, SAVEPOINT_DONE or FAILED. tables: step id → its tables.

    saved: whether it was stopped so that a restore goes on with it. report: None when the job ended before anything
    could move.
    """

    job_id: int
    status: str
    progress: Progress
    tables: Mapping[int, list[TableSchema]] = field(default_factory=dict)
    error: HeadraceError | None = None
    saved: bool = False
    report: DeliveryReport | None = None


class JobMaster:
    """Runs one job. `run` blocks; the other methods may be called from any thread meanwhile, `forget` afterwards.

    restore: go on from the saved state of this job id, when there is one; otherwise state under the id is forgotten.
    save_modes: False leaves the targets as they are. on_delivered: called once all rows are committed, before the saved
    state goes; when this process dies before it returns, a restore calls it again.
    on_status: called with RUNNING, DOING_SAVEPOINT, CANCELING, FAILING as they come. on_print: a Console sink's lines.
    on_log: (level, text) of what an operator should know.
    """

    def __init__(
        self,
        plan: Plan,
        runner: Runner,
        store: CheckpointStore,
        *,
        job_id: int,
        run: int = 1,
        name: str | None = None,
        restore: bool = False,
        known_jobs: KnownJobs | None = None,
        settings: JobSettings | None = None,
        save_modes: bool = True,
        on_delivered: Callable[[], None] = lambda: None,
        on_status: Callable[[str], None] = lambda status: None,
        on_print: Callable[[str], None] = print,
        on_log: Callable[[str, str], None] = lambda level, text: None,
    ) -> None:
        self.plan, self._runner, self._store = plan, runner, store
        self.job_id, self._run_number, self._restore = job_id, run, restore
        self._name = name or plan.job.env.job_name
        self._known_jobs = known_jobs or KnownJobs()
        self._settings = settings or JobSettings()
        self._on_status, self._on_print, self._on_log = on_status, on_print, on_log
        self._save_modes, self._on_delivered = save_modes, on_delivered
        self._key = f"{job_id}.{run}"
        self._calls: dict[int, tuple[str, Future[Any], Lane]] = {}
        self._call_ids = itertools.count(1)
        self._canceled = threading.Event()
        self._abandoned = self.interrupted = False
        self._status = "SCHEDULED"
        self._pipelines: dict[int, PipelineRun] = {}
        self._ends: dict[int, CheckpointKind | HeadraceError] = {}
        self._savepoints = Savepoints(lambda: self._set_status("DOING_SAVEPOINT"), lambda: self._set_status("RUNNING"))
        self._started: float | None = None
        self._ended: float | None = None
        self._tables: Mapping[int, list[TableSchema]] = {}
        self._known_tables: set[str] = set()
        self._spared: set[str] = set()
        self._error: HeadraceError | None = None
        self._saved = True

    # ---------------------------------------------------------------------------------------------------- running

    def run(self) -> Result:
        """Run the job to its end. Raises nothing of the job's own: the result tells.

        Ctrl-C in a program that calls it cancels the job; `interrupted` tells.
        """
        self._started = time.time()
        try:
            self._prepare()
            status = self._run_pipelines()
            self._prove(status)
            if status == "FINISHED":
                self._on_delivered()
        except JobCanceled:
            status = "CANCELED"
        except KeyboardInterrupt:
            self.cancel()
            self.interrupted, status = True, "CANCELED"
        except HeadraceError as error:
            self._error, status = error, "FAILED"
        except Exception as error:
            self._error, status = portable(error), "FAILED"
        if not self._abandoned:
            self._within_the_end(lambda: self._clean_up(status))
        self._end_calls()
        self._runner.detach(self._key)
        self._store.release(self.job_id)
        self._ended, self._status = time.time(), status
        self._savepoints.close(status)
        saved = status == "SAVEPOINT_DONE" or self._abandoned
        report = self._report(status)
        return Result(self.job_id, status, self.progress(), self._tables, self._error, saved, report)

    def _prepare(self) -> None:
        """Describe everything, then let the save modes act, but only before the very first row."""
        if not self._restore:
            self._patiently(lambda: self._store.delete(self.job_id))
        lane = self.lanes(1)[0]
        self._tables = self.call("describe")
        self._known_tables.add(lane.name)
        fresh = not self._patiently(self._is_known)
        if not fresh:
            self._check_pipelines()
        if fresh and self._restore:
            self.log("warning", f"job {self.job_id} has no saved state: it starts from the beginning")
        if fresh and self._save_modes:
            targets = self._first_of_each_sink()
            if targets:
                self.call("check_save_modes", targets, deadline=None)
            for step, tables in targets.items():
                self.call("save_modes", step, tables, deadline=None)
        self._remove_left()

    def _remove_left(self) -> None:
        """Remove what other jobs have left behind where this one stages, as far as they are known to be over."""
        steps = {s.plugin.place: s for p in self.plan.pipelines for s in p.all_sinks() if s.sink.does("left")}
        for step in steps.values():
            try:
                for machine in self._machines_of(step):
                    claims = [Claim.read(name) for name in self.call("left", step.id, machine=machine)]
                    gone = [claim.name for claim in claims if claim is not None and self._known_jobs.is_over(claim)]
                    if gone:
                        self.call("remove_left", step.id, gone, machine=machine)
            except HeadraceError as error:
                if isinstance(error, JobCanceled):
                    raise
                self.log("warning", f"{step.name}: what ended jobs have staged was not cleaned up: {error}")

    def _is_known(self) -> bool:
        """Whether the job has begun before: save modes do not act on it again."""
        return any(self._store.epoch(self.job_id, p.id) for p in self.plan.pipelines) or bool(
            self._store.numbers(self.job_id)
        )

    def _check_pipelines(self) -> None:
        """Raises CheckpointError when a pipeline with rows left was taken out of the job file since it was saved."""
        for number in itertools.count(len(self.plan.pipelines) + 1):
            if not self._patiently(partial(self._store.epoch, self.job_id, number)):
                return
            saved = self._patiently(partial(self._store.latest, self.job_id, number))
            if saved is not None and not saved.is_whole:
                raise CheckpointError(
                    f"the saved state of job {self.job_id} does not fit the job file: {saved.steps[0]} of pipeline "
                    f"{number} was not read to its end, and the job has {number - 1} pipelines. Restore with the job "
                    "file that it was saved with, or start under a new job id"
                )

    def _patiently(self, do: Callable[[], T]) -> T:
        """Do it again while the place of checkpoints cannot be used."""
        began = time.monotonic()
        while True:
            try:
                return do()
            except StoreUnavailable as error:
                if time.monotonic() - began >= self._settings.patience:
                    raise
                self.log("warning", f"{error}; it is tried again")
                if self._canceled.wait(1.0):
                    raise JobCanceled(f"job {self.job_id} was canceled") from None

    def _first_of_each_sink(self) -> dict[int, list[TableSchema]]:
        """For each sink of the job file with save modes one of its steps, and the tables that reach any of its copies,
        each once."""
        found: dict[str, tuple[int, dict[str, TableSchema]]] = {}
        for pipeline in self.plan.pipelines:
            for step in pipeline.all_sinks():
                if not step.sink.does("check_save_modes", "save_mode"):
                    continue
                _, tables = found.setdefault(step.plugin.place, (step.id, {}))
                tables.update({t.path: t for t in self._tables[step.id] if t.path not in tables})
        return {step: list(tables.values()) for step, tables in found.values()}

    def _run_pipelines(self) -> str:
        env, settings = self.plan.job.env, self._settings
        mode = str(env.job_mode)
        interval = env.checkpoint_interval
        if interval is None and mode == "STREAMING":
            interval = int(settings.default_interval * 1000)
        checkpoints = CheckpointSettings(
            interval=None if interval is None else interval / 1000,
            timeout=self._checkpoint_timeout(),
            min_pause=max(env.min_pause, 0) / 1000,
            patience=settings.patience,
        )
        pipeline_settings = PipelineSettings(
            checkpoints,
            restarts=env.job_retry_times,
            restart_wait=float(env.job_retry_interval_seconds),
            retain=settings.retain,
            rows_per_second=env.read_limit_rows_per_second,
            bytes_per_second=env.read_limit_bytes_per_second,
            isolate=self._isolates,
            limits=self.plan.job.error_handlers.limits,
            verify=env.verify,
        )
        if env.verify is Verify.TARGET:
            sinks = [step.id for pipeline in self.plan.pipelines for step in pipeline.sinks()]
            pipeline_settings = replace(
                pipeline_settings, unverified={step: self.call("unverified", step) for step in sinks}
            )
        known = self._known_jobs
        context = JobContext(
            self.job_id, self._run_number, name=self._name, mode=mode, store=known.identity, home=known.home
        )
        for pipeline in self.plan.pipelines:
            self._pipelines[pipeline.id] = PipelineRun(
                self,
                self._key,
                pipeline,
                context,
                self._store,
                pipeline_settings,
                self._pipeline_changed,
                self._tables[pipeline.source.id],
            )
        if self._canceled.is_set():
            raise JobCanceled(f"job {self.job_id} was canceled")
        self._savepoints.join({number: run.inbox for number, run in self._pipelines.items()})
        threads = [
            threading.Thread(target=self._run_pipeline, args=(number,), name=f"pipeline-{self._key}-{number}")
            for number in list(self._pipelines)[1:]
        ]
        for thread in threads:
            thread.start()
        try:
            self._run_pipeline(next(iter(self._pipelines)))
        except KeyboardInterrupt:
            self.cancel()
            raise
        finally:
            for thread in threads:
                thread.join()
        return self._outcome()

    def _run_pipeline(self, number: int) -> None:
        try:
            self._ends[number] = self._pipelines[number].run()
        except HeadraceError as error:
            self._pipeline_failed(number, error)
        except Exception as error:  # a mistake of the engine must end the job, not hang it
            self._pipeline_failed(number, portable(error))
        self._savepoints.ended(number)

    def _pipeline_failed(self, number: int, error: HeadraceError) -> None:
        self._ends[number] = error
        if not isinstance(error, JobCanceled) and not self._isolates:
            if len(self._ends) < len(self._pipelines):
                self._set_status("FAILING")
            for run in self._pipelines.values():
                run.inbox.put(Cancel())

    def _outcome(self) -> str:
        errors = [end for end in self._ends.values() if isinstance(end, HeadraceError)]
        causes = [e for e in errors if not isinstance(e, JobCanceled)]
        failed = self._failed_tables()
        if causes and not (self._canceled.is_set() and all(isinstance(e, StuckTask) for e in causes)):
            raise TablesFailed(failed) if failed and len(causes) < len(self._ends) else causes[0]
        if causes:
            self._error = causes[0]
        if errors:
            return "CANCELED"
        if CheckpointKind.SAVEPOINT in self._ends.values():
            self._error = TablesFailed(failed) if failed else None
            return "SAVEPOINT_DONE"
        if failed:
            raise TablesFailed(failed)
        return "FINISHED"

    def _prove(self, status: str) -> None:
        report = self._report(status)
        if status in ("FINISHED", "SAVEPOINT_DONE") and report is not None and not report.balanced:
            raise Undelivered(f"delivered but unproven: {'; '.join(report.problems)}")

    def _report(self, status: str) -> DeliveryReport | None:
        if not self._pipelines:
            return None
        found = [delivery for run in self._pipelines.values() for delivery in run.account.deliveries(self._tables)]
        verify = self.plan.job.env.verify
        run, started = self._run_number, self._started
        warnings = [w for p in self._pipelines.values() for w in p.warnings(whole=status == "FINISHED")]
        made = DeliveryReport(self.job_id, run, self._name, status, verify, started, self._ended, tuple(found))
        return replace(made, warnings=tuple(warnings))

    def _failed_tables(self) -> dict[str, HeadraceError]:
        """Table → why, where the others of the job go on without it: alone, or with its whole pipeline."""
        if not self._isolates:
            return {}
        found = {table: error for run in self._pipelines.values() for table, error in run.failed.items()}
        for pipeline in self.plan.pipelines:
            end = self._ends.get(pipeline.id)
            if isinstance(end, HeadraceError) and not isinstance(end, JobCanceled):
                found.update(dict.fromkeys(self.tables_of(pipeline.source.id), end))
        return found

    @property
    def _isolates(self) -> bool:
        return self.plan.job.env.failure_policy is FailurePolicy.CONTINUE_OTHER_TABLES

    def forget(self) -> None:
        """Delete the saved state that nobody needs any more. Called when the end of the job was recorded durably.

        Not before: a job that is found without an end is gone on with, and without its state it would move all rows
        again (guarantee 7).
        """
        kept = self._saved and self.plan.job.env.retain_after_cancel
        if not self._abandoned and (self._status == "FINISHED" or (self._status == "CANCELED" and not kept)):
            self._within_the_end(lambda: self._store.delete(self.job_id) if self._is_ours() else None)

    def _within_the_end(self, do: Callable[[], None]) -> None:
        """An end does not wait long for a place of checkpoints that is away; what stays is found by the next start."""

        def work() -> None:
            try:
                do()
            except HeadraceError as error:
                self.log("warning", f"not everything of job {self.job_id} was cleaned up: {error}")

        thread = threading.Thread(target=work, name=f"clean-up-{self._key}", daemon=True)
        thread.start()
        thread.join(CANCELED_SECONDS if self._canceled.is_set() else CLEAN_UP_SECONDS)

    def _clean_up(self, status: str) -> None:
        """Nothing is left in the targets of a job that will not be restored."""
        if not self._is_ours():
            return
        self._saved = any(number > 0 for _, number in self._store.numbers(self.job_id))
        if status == "CANCELED" and self._saved and self.plan.job.env.retain_after_cancel:
            return
        if status in ("FINISHED", "CANCELED") or (status == "FAILED" and not self._saved):
            for pipeline in self.plan.pipelines:
                run = self._pipelines.get(pipeline.id)
                if run is not None:
                    for step in run.sinks():
                        if step.sink.does("end"):
                            self.call_sink("end_sink", step, run.context, deadline=10.0)

    def _is_ours(self) -> bool:
        """Whether nobody has taken the job over: then what is stored and staged is his (guarantee 9)."""
        claimed = [(number, run.context.epoch) for number, run in self._pipelines.items() if run.claimed]
        return all(self._store.epoch(self.job_id, number) == epoch for number, epoch in claimed)

    # ------------------------------------------------------------------------------------------- asked from outside

    def cancel(self) -> None:
        """Stop the job; `run` returns within 5 s, whatever a plugin does."""
        self._canceled.set()
        self._set_status("CANCELING")
        for run in list(self._pipelines.values()):
            run.inbox.put(Cancel())
        for name, future, _ in list(self._calls.values()):
            if name not in FINAL_CALLS:
                _settle(future, JobCanceled(f"job {self.job_id} was canceled"))
        patience = threading.Timer(CANCELED_SECONDS, self._end_calls)
        patience.daemon = True
        patience.start()

    def abandon(self) -> None:
        """Stop as if this process had died: saved state and what it names stay for whoever takes the job over."""
        self._abandoned = True
        self.cancel()

    def savepoint(self) -> "Future[str]":
        """Take a savepoint and stop. The future gives "" when that was done, else why not; the job then still runs.

        A job that has not begun to run within the timeout of a checkpoint is not waited for any longer.
        """
        answer = self._savepoints.ask()
        self._watch_savepoint(answer)
        return answer

    def _watch_savepoint(self, answer: "Future[str]") -> None:
        timeout = self._checkpoint_timeout()

        def look() -> None:
            late = self._savepoints.waits_for()
            if answer.done() or late is None:
                return
            starting = [number for number in late if not self._pipelines[number].running]
            if starting or not self._pipelines:
                who = f"pipeline {', '.join(map(str, starting))}" if starting else "the job"
                self._savepoints.give_up(
                    f"{who} did not begin to run within {timeout:g} s: its source is asked for its data, or its target "
                    "is prepared; ask again when it runs"
                )
            else:
                self._watch_savepoint(answer)

        watch = threading.Timer(timeout, look)
        watch.daemon = True
        watch.start()

    def _checkpoint_timeout(self) -> float:
        own = self.plan.job.env.checkpoint_timeout
        return self._settings.checkpoint_timeout if own is None else own / 1000

    def savepoint_taken(self, pipeline: int, problem: str) -> None:
        """A pipeline answered; called by PipelineRun."""
        self._savepoints.answered(pipeline, problem)

    def progress(self) -> Progress:
        """How far the job is, at this moment or at its end."""
        flows: dict[Flow, Counts] = {}
        done = total = batches = 0
        busy: dict[int, float] = {}
        for_source = for_sink = 0.0
        unread: int | None = None
        runs = list(self._pipelines.values())
        final = self._status == "FINISHED"
        for run in runs:
            flows.update(run.account.counts(final))
            sizes, totals = run.size(), run.account.totals()
            if (more := run.account.unread()) is not None:
                unread = more + (unread or 0)
            done, total = done + sizes[0], total + sizes[1]
            batches += totals.batches
            busy.update(totals.busy)
            for_source, for_sink = for_source + totals.for_source, for_sink + totals.for_sink
        return Progress(
            self.job_id,
            self._status,
            flows,
            self._started,
            self._ended,
            done,
            total,
            batches,
            busy,
            for_source,
            for_sink,
            sum(run.checkpoints for run in runs),
            sum(run.restarts for run in runs),
            next((run.restored_from for run in runs if run.restored_from is not None), None),
            str(self._error) if self._error else "",
            frozenset(p.source.id for p in self.plan.pipelines),
            {step.id: step.name for p in self.plan.pipelines for step in p.all_steps()},
            self.takes_checkpoints,
            unread,
        )

    @property
    def takes_checkpoints(self) -> bool:
        """Whether the job saves its state on the way."""
        env = self.plan.job.env
        return env.checkpoint_interval is not None or str(env.job_mode) == "STREAMING"

    def histories(self) -> list[History]:
        """What became of the checkpoints of each pipeline."""
        return [run.history for run in list(self._pipelines.values())]

    @property
    def tables(self) -> Mapping[int, list[TableSchema]]:
        """Step id → its tables; empty until everything was described."""
        return self._tables

    # ------------------------------------------------------------------------------------ what pipelines need of a job

    def call(self, name: str, *arguments: Any, deadline: float | None = CALL_SECONDS, machine: str = "") -> Any:
        """See terms.JobOfPipeline.call."""
        if name not in FINAL_CALLS and self._canceled.is_set():
            raise JobCanceled(f"job {self.job_id} was canceled")
        canceled = self._canceled.is_set()
        if canceled:
            deadline = CANCELED_SECONDS
        tries = CALL_TRIES if name in REPEATABLE_CALLS else 1
        while True:
            try:
                return self._call_once(name, arguments, deadline, machine)
            except WorkerLost as lost:
                tries -= lost.guilty or name not in REPEATABLE_CALLS
                if not tries or self._canceled.is_set() is not canceled:  # the cancel has torn it away
                    raise

    def call_sink(self, name: str, step: Step, *arguments: Any, deadline: float | None = CALL_SECONDS) -> None:
        """See terms.JobOfPipeline.call_sink."""
        for machine in self._machines_of(step):
            self.call(name, step.id, *arguments, deadline=deadline, machine=machine)

    def _machines_of(self, step: Step) -> list[str]:
        """Where a sink may have staged something; an empty name where any machine will do."""
        return self._runner.machines() if step.sink.calls_run is CallsRun.WHERE_STAGED else [""]

    def _call_once(self, name: str, arguments: tuple[Any, ...], deadline: float | None, machine: str) -> Any:
        lane = self.lanes(1, machine)[0]
        number, future = next(self._call_ids), Future[Any]()
        self._calls[number] = name, future, lane
        try:
            lane.send(Call(self._key, number, name, arguments))
            return future.result(deadline)
        except FutureTimeoutError:
            if name in FINAL_CALLS:  # it is made again, and must not come from two threads at a time
                self.replace(lane)
            raise Unavailable(f"{name} gave no answer within {deadline:.0f} s") from None
        finally:
            self._calls.pop(number, None)

    def _end_calls(self) -> None:
        """No call outlives the job: one that has no answer yet hangs, and its worker is replaced."""
        for name, future, lane in list(self._calls.values()):
            if not future.done():
                self.replace(lane)
                _settle(future, Unavailable(f"{name} did not end with the job"))

    def tables_of(self, step: int) -> list[str]:
        """See terms.JobOfPipeline.tables_of."""
        return [table.path for table in self._tables.get(step, ())]

    def lanes(self, count: int, machine: str = "") -> list[Lane]:
        """See terms.JobOfPipeline.lanes. machine: see Runner.attach."""
        lanes = self._runner.attach(self._key, self.plan, count, self._take_event, machine)
        for lane in lanes:
            if self._tables and lane.name not in self._known_tables:
                lane.send(SetTables(self._key, self._tables))
                self._known_tables.add(lane.name)
        return lanes

    def replace(self, lane: Lane) -> list[str]:
        """See Runner.replace."""
        return self._runner.replace(self._key, lane)

    def is_spared(self, lane: Lane) -> bool:
        """See terms.JobOfPipeline.is_spared."""
        return lane.name in self._spared

    def check_bad_rows(self) -> None:
        """See terms.JobOfPipeline.check_bad_rows."""
        limits = self.plan.job.error_handlers.limits
        if limits:
            runs = list(self._pipelines.values())
            counts = {key: count for run in runs for key, count in run.account.counts(final=False).items()}
            check_limits(limits, self.plan, counts, [reason for run in runs for reason in run.account.reasons])

    def log(self, level: str, text: str) -> None:
        """See terms.JobOfPipeline.log."""
        self._on_log(level, text)

    def _take_event(self, event: Event) -> None:
        """On a thread of the runner: give the event to whom it concerns."""
        if isinstance(event, FromTask):
            self._pipelines[event.pipeline].inbox.put(event)
        elif isinstance(event, Reply):
            call = self._calls.get(event.id)
            if call is not None:
                _settle(call[1], event.error, event.value)
        elif isinstance(event, Printed):
            if event.level == "print":
                self._on_print(event.text)
            else:
                self._on_log(event.level, event.text)
        elif isinstance(event, WorkerGone):
            self._known_tables.discard(event.lane)
            if not event.guilty:
                self._spared.add(event.lane)
            for run in self._pipelines.values():
                run.inbox.put(event)
            for _, future, _ in list(self._calls.values()):
                _settle(future, WorkerLost(event.reason, event.guilty))

    def _pipeline_changed(self) -> None:
        if self._status in ("SCHEDULED", "RUNNING") and all(
            run.running or number in self._ends for number, run in self._pipelines.items()
        ):
            self._set_status("RUNNING")

    def _set_status(self, status: str) -> None:
        if self._ended is None and self._status not in (status, "CANCELING"):
            self._status = status
            self._on_status(status)


def _settle(future: "Future[Any]", error: HeadraceError | None, value: Any = None) -> None:
    """Give a future its end; the first one counts."""
    with suppress(InvalidStateError):
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)
