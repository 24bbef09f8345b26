"""One pipeline from its start to its end: epochs, tasks, splits, checkpoints, restarts (guarantees 1-9).

Runs on one thread. Everything that happens comes through `inbox`; saving and committing, which may wait for an outside
system, run on a second thread and report back the same way. A third one tells the source what was saved, a fourth one
asks it for new splits.
"""

import math
import queue
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from headrace.checkpoint.checkpoint import Checkpoint, CheckpointKind
from headrace.checkpoint.coordinator import (
    Action,
    Commit,
    Completed,
    Coordinator,
    Fail,
    NotTaken,
    Resume,
    Save,
    SendBarrier,
)
from headrace.checkpoint.fit import columns_of
from headrace.checkpoint.history import History
from headrace.checkpoint.shares import divide, held, isolate, source_ids, told_positions
from headrace.checkpoint.splits import SplitAssigner
from headrace.checkpoint.store import CheckpointStore
from headrace.connector import JobContext, SinkKind, Source, Split, State
from headrace.errors import (
    HeadraceError,
    JobCanceled,
    StoreUnavailable,
    StuckTask,
    TooManyBadRows,
    Unavailable,
    Undelivered,
    WorkerLost,
)
from headrace.execution.account import Account
from headrace.execution.beginning import Beginning
from headrace.execution.discovery import Discovery, Found
from headrace.execution.messages import (
    Acked,
    Assign,
    Barrier,
    Command,
    Continue,
    FromTask,
    Idle,
    StartTask,
    StopTask,
    TaskEnded,
    TaskFailed,
    TaskReport,
    TaskSpec,
    WorkerGone,
)
from headrace.execution.restarts import Restarts
from headrace.execution.runner import Lane
from headrace.execution.savepoints import Decision, Savepoint
from headrace.execution.saving import Saving, Stored
from headrace.execution.terms import JobOfPipeline, PipelineSettings
from headrace.plan.plan import Pipeline, Step
from headrace.rows import TableSchema

T = TypeVar("T")

ABORT_SECONDS = 300.0
"""How long it may take to drop what no checkpoint names."""

TELL_SECONDS = 10.0
"""How long the end of a pipeline waits until its source has heard of the last checkpoint."""

STOP_SECONDS = 2.0
"""How long tasks get to end by themselves before their worker is replaced; with that, every stop takes under 5 s."""


FOREVER = 3600.0
"""How long to wait for what comes at some time, in seconds; then it is waited for again."""


class Cancel:
    """Stop the pipeline now."""


class PipelineRun:
    """`run` returns CheckpointKind.COMPLETED or SAVEPOINT, or raises what made the pipeline fail.

    tables: what the source gives now, to be compared with saved state.
    """

    def __init__(
        self,
        job: JobOfPipeline,
        key: str,
        pipeline: Pipeline,
        context: JobContext,
        store: CheckpointStore,
        settings: PipelineSettings,
        on_change: Callable[[], None] = lambda: None,
        tables: Sequence[TableSchema] = (),
    ) -> None:
        self._job, self._key, self._pipeline, self._store, self._settings = job, key, pipeline, store, settings
        self.context = replace(context, pipeline=pipeline.id, parallelism=pipeline.parallelism)
        self._on_change = on_change
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._sinks = {step.name: step for step in pipeline.all_sinks()}
        self._source: Source = pipeline.source.instance  # type: ignore[assignment]
        self._bounded = self._source.is_bounded(context.mode)
        self._tasks: dict[int, Lane] = {}
        self._idle: set[int] = set()
        self._begun: set[int] = set()
        self._transactional = any(step.sink.kind is SinkKind.TRANSACTIONAL for step in pipeline.sinks())
        self.account = Account(pipeline, settings.verify, settings.unverified)
        self._saving = Saving(job, self._sinks, store, settings, self.account)
        columns = columns_of(tables)
        self._beginning = Beginning(
            job, pipeline, store, settings, self._saving, self._patiently, columns, self._go_on_from
        )
        self._restarts = Restarts(settings.restarts)
        self._assigner = SplitAssigner((), {}, ())
        self._side = ThreadPoolExecutor(1, f"checkpoint-{key}-{pipeline.id}")
        self._telling = ThreadPoolExecutor(1, f"tell-source-{key}-{pipeline.id}")
        self._discovery = Discovery(
            f"new-splits-{key}-{pipeline.id}",
            lambda known: job.call("new_splits", pipeline.source.id, known),
            lambda found: self.inbox.put(found),
        )
        self.running = False
        self._cancel_by: float | None = None
        self.claimed = 0
        self._asked = 0
        self._savepoint_owed: Savepoint | None = None
        self._decision_owed = False
        self.history = History(pipeline.id)
        self._blamed: tuple[str, ...] = ()
        self.failed: dict[str, HeadraceError] = {}
        self.checkpoints = 0
        self.restored_from: int | None = None

    # ------------------------------------------------------------------------------------------------ the epochs

    def run(self) -> CheckpointKind:
        """Start, restart after failures, end. Raises HeadraceError."""
        try:
            while True:
                try:
                    return self._epoch()
                except HeadraceError as error:
                    tables, self._blamed = self._blamed, ()
                    if tries := self._restarts.takes(error, self.account.last, time.monotonic()):
                        self._job.log("warning", f"{error}; pipeline {self._pipeline.id} restarts ({tries})")
                        self._wait(self._settings.restart_wait)
                    elif not self._isolate(tables, error):
                        raise
                    self._restarts.count += 1
        finally:
            self.running = False
            self._discovery.end()
            for thread in (self._side, self._telling):
                thread.shutdown(wait=False, cancel_futures=True)

    def _isolate(self, tables: tuple[str, ...], error: HeadraceError) -> bool:
        """Go on without the tables that failed, where the job wants that and others are left."""
        fresh = [table for table in tables if table not in self.failed]
        others = set(self._job.tables_of(self._pipeline.source.id)) - self.failed.keys() - set(fresh)
        of_the_job = isinstance(error, TooManyBadRows | StuckTask | JobCanceled)
        if not self._settings.isolate or not fresh or not others or of_the_job:
            return False
        self.failed |= dict.fromkeys(fresh, error)
        self._restarts.begin_anew()
        names = ", ".join(fresh)
        self._job.log("error", f"{names} failed, the other tables of pipeline {self._pipeline.id} go on: {error}")
        return True

    def _epoch(self) -> CheckpointKind:
        job_id, pipeline = self.context.job_id, self._pipeline.id
        epoch = self._patiently(lambda: self._store.claim_epoch(job_id, pipeline, self.claimed))
        self.claimed = epoch
        self.context = replace(self.context, epoch=epoch)
        base, self.context = self._beginning.find(self.context)
        base = isolate(base, self.failed)
        self.account.started_from(base)
        self._restarts.started_from(base)
        if base.is_whole:
            return base.kind
        if not self._bounded:
            self._discovery.begin(epoch, source_ids(base.splits), time.monotonic())
        coordinator = Coordinator(
            base,
            self._pipeline.parallelism,
            self._settings.checkpoints,
            time.monotonic(),
            time.time(),
            tells_ends=self._source.hears_checkpoints(),
        )
        try:
            self._start_tasks(base)
            self.running = True
            self._on_change()
            end = self._drive(coordinator)
        except BaseException as error:
            self.history.stopped(str(error), time.time())
            self._stop_tasks()
            if self._savepoint_owed:  # the next start takes it: whoever asked for it waits for an answer (guarantee 8)
                self._asked = self._savepoint_owed.number - 1
                self.inbox.put(self._savepoint_owed)
                self._savepoint_owed = None
            with suppress(TimeoutError):  # what is being saved or committed now may end, but is not waited for long
                self._side.submit(int).result(STOP_SECONDS)
            self._abort(coordinator)
            if isinstance(error, HeadraceError) and self._decided_to_stop():
                return CheckpointKind.SAVEPOINT
            raise
        try:
            self._stop_tasks()
        except StuckTask as error:  # all that the end promises is done
            self._job.log("warning", str(error))
        with suppress(TimeoutError):  # the source hears of the last checkpoint, too
            self._telling.submit(int).result(TELL_SECONDS)
        return end

    def _decided_to_stop(self) -> bool:
        """Something failed while the savepoint was stored and visible already: then only the decision is missing."""
        while self._decision_owed:
            item = self._next(FOREVER)
            if isinstance(item, Decision):
                self._decision_owed = False
                return item.stop
        return False

    def _go_on_from(self, checkpoint: Checkpoint) -> None:
        self.restored_from = checkpoint.id
        self.history.restored_from(checkpoint)

    def _patiently(self, do: Callable[[], T]) -> T:
        """Do it again each second while the place of checkpoints cannot be used, as long as a save would be."""
        began = time.monotonic()
        while True:
            try:
                return do()
            except StoreUnavailable as error:
                if time.monotonic() - began >= self._settings.checkpoints.patience:
                    raise
                self._job.log("warning", f"{error}; it is tried again")
                self._wait(self._settings.checkpoints.retry_save)

    # ------------------------------------------------------------------------------------------------- the tasks

    def _start_tasks(self, base: Checkpoint) -> None:
        self.account.tasks_start()
        self._idle, self._begun = set(), set()
        splits = self._readable(base.splits)
        self._assigner = SplitAssigner(splits, base.positions, base.finished, bounded=self._bounded)
        lanes = self._job.lanes(self._pipeline.parallelism)
        states = self._merged_states(base)
        self._tasks = {i: lanes[i % len(lanes)] for i in range(self._pipeline.parallelism)}
        for index, lane in self._tasks.items():
            spec = TaskSpec(
                self.context,
                index,
                states if index == 0 else {},
                self._settings.rows_per_second,
                self._settings.bytes_per_second,
                self._settings.limits,
                self._settings.verify,
                frozenset(self.failed) if self._settings.isolate else None,
                -(-self._pipeline.parallelism // len(lanes)),
                lane.machine,
            )
            lane.send(StartTask(self._key, spec))

    def _merged_states(self, base: Checkpoint) -> dict[int, Mapping[str, State]]:
        steps = [(self._sinks[name], states) for name, states in base.states.items() if states]
        return {step.id: self._job.call("merge_states", step.id, states) for step, states in steps}

    def _drive(self, coordinator: Coordinator) -> CheckpointKind:
        """The loop of one epoch: take what happens, do what the coordinator says."""
        while True:
            wake, now = coordinator.next_wake(), time.monotonic()
            until = min(now + FOREVER, self._discovery.due, math.inf if wake is None else wake)
            item = self._next(max(0.0, until - now))
            actions = self._take(item, coordinator)
            now = time.monotonic()
            actions += coordinator.tick(now)
            self._discovery.tick(now)
            if isinstance(item, Decision):
                self._decision_owed = False
                if item.stop:
                    return CheckpointKind.SAVEPOINT
            for action in actions:
                end = self._act(action, coordinator)
                if end is not None:
                    return end

    def _take(self, item: Any, coordinator: Coordinator) -> list[Action]:
        """Take one event of this epoch; those of others are dropped (guarantee 9)."""
        now = time.monotonic()
        if isinstance(item, FromTask):
            if item.epoch != self.context.epoch:
                return []
            if isinstance(item, Idle):
                return self._take_idle(item, coordinator)
            if isinstance(item, Acked):
                return coordinator.acked(item.task, item.checkpoint_id, item.ack, now)
            if isinstance(item, TaskReport):
                self.account.take(item)
                self._job.check_bad_rows()
            elif isinstance(item, TaskFailed):
                self._tasks.pop(item.task, None)
                self._blamed = item.tables
                raise item.error
        elif isinstance(item, Stored) and item.epoch == self.context.epoch:
            return self._take_stored(item, coordinator)
        elif isinstance(item, Found) and item.epoch == self.context.epoch:
            self._take_found(item, coordinator)
        elif isinstance(item, Savepoint):
            if item.number > self._asked:
                self._asked, self._savepoint_owed = item.number, item
                return coordinator.want_savepoint(now)
        elif isinstance(item, Decision) and not item.stop:
            return coordinator.go_on(now)
        elif isinstance(item, WorkerGone) and any(lane.name == item.lane for lane in self._tasks.values()):
            self._tasks = {i: lane for i, lane in self._tasks.items() if lane.name != item.lane}
            raise WorkerLost(item.reason, item.guilty)
        return []

    def _take_idle(self, item: Idle, coordinator: Coordinator) -> list[Action]:
        if item.finished is None:
            self._begun.add(item.task)
        else:
            self._assigner.finish(item.finished)
        if item.finished is None or self._assigner.ends(item.finished):
            self._idle.add(item.task)
        self._hand_out()
        if not self._bounded:
            return []
        if self._assigner.all_read() and len(self._idle) == self._pipeline.parallelism:
            return coordinator.all_read(time.monotonic())
        return []

    def _take_stored(self, item: Stored, coordinator: Coordinator) -> list[Action]:
        now, checkpoint = time.monotonic(), item.checkpoint
        if item.error is None:
            if item.what is Save:
                return coordinator.saved(checkpoint.id, now)
            return coordinator.committed(checkpoint.id, now)
        if item.refused or isinstance(item.error, Undelivered):
            raise item.error
        if item.what is Save:
            return coordinator.save_failed(checkpoint.id, str(item.error), now)
        return coordinator.commit_failed(checkpoint.id, str(item.error))

    def _hand_out(self) -> None:
        """Splits that end to idle tasks; the others to all tasks, once they have begun."""
        if len(self._begun) == self._pipeline.parallelism:
            for task, splits in self._assigner.deal(self._pipeline.parallelism).items():
                for split in splits:
                    self._assign(task, split)
        for task in sorted(self._idle):
            one = self._assigner.next_split(task)
            if one is None:
                break
            self._idle.discard(task)
            self._assign(task, one)

    def _assign(self, task: int, split: Split) -> None:
        start = split.share.start if split.share else None
        position = self._assigner.positions.get(split.id, start)
        self._send(task, Assign(*self._address(task), split, position, self._bounded))

    def _take_found(self, item: Found, coordinator: Coordinator) -> None:
        if splits := self._discovery.take(item, time.monotonic()):
            parts = [part for split in splits for part in divide(split, self.failed, None)]
            coordinator.add_splits(parts)
            self._assigner.add(self._readable(parts))
            self._hand_out()

    def _readable(self, splits: Iterable[Split]) -> list[Split]:
        splits = list(splits)
        waiting = held(splits, self.failed) if self.failed else frozenset()
        return [split for split in splits if split.id not in waiting]

    # ----------------------------------------------------------------------------------------------- the actions

    def _act(self, action: Action, coordinator: Coordinator) -> CheckpointKind | None:
        if isinstance(action, SendBarrier):
            self.history.began(action.checkpoint_id, coordinator.pending_kind, time.time())
            committed = self.account.last.id if self.account.last is not None else 0
            for task in self._tasks:
                self._send(task, Barrier(*self._address(task), action.checkpoint_id, action.pause, committed))
        elif isinstance(action, Resume):
            for task in self._tasks:
                self._send(task, Continue(*self._address(task), action.checkpoint_id))
        elif isinstance(action, Save | Commit):
            self._side.submit(self._store_and_report, action)
        elif isinstance(action, Completed):
            return self._completed(action)
        elif isinstance(action, NotTaken):
            self._job.log("warning", f"{action.kind} {action.checkpoint_id} was not taken: {action.reason}")
            self.history.gave_up(action.checkpoint_id, action.reason, time.time())
            if action.kind is CheckpointKind.SAVEPOINT:
                self._savepoint_owed = None
                self._job.savepoint_taken(self._pipeline.id, action.reason)
        elif isinstance(action, Fail):
            raise Unavailable(action.reason)
        return None

    def _completed(self, action: Completed) -> CheckpointKind | None:
        checkpoint = self.account.last = action.checkpoint
        self.checkpoints += 1
        self._restarts.completed(time.monotonic())
        self.history.done(checkpoint, self._saving.size)
        self._on_change()
        if checkpoint.positions and self._source.hears_checkpoints():
            self._telling.submit(self._tell_source, checkpoint)
        if checkpoint.kind is CheckpointKind.SAVEPOINT:
            self._savepoint_owed, self._decision_owed = None, True
            self._job.savepoint_taken(self._pipeline.id, "")
            return None
        return checkpoint.kind if action.ends else None

    def _tell_source(self, checkpoint: Checkpoint) -> None:
        try:
            deadline = self._settings.checkpoints.timeout
            self._job.call("checkpointed", self._pipeline.source.id, told_positions(checkpoint), deadline=deadline)
        except HeadraceError as error:  # the positions are safe here; the source only learns it later
            self._job.log("warning", f"{self._pipeline.source.name} was not told of the checkpoint: {error}")

    def _store_and_report(self, action: Save | Commit) -> None:
        """On the second thread: save or commit, and put the answer into the inbox."""
        self.inbox.put(self._saving.act(action, self.context))

    # -------------------------------------------------------------------------------------------------- the end

    def _stop_tasks(self) -> None:
        """End all tasks of this epoch; a worker that does not obey is replaced."""
        self.running = False
        for task in self._tasks:
            self._send(task, StopTask(*self._address(task)))
        deadline = time.monotonic() + STOP_SECONDS
        wishes = []
        while self._tasks and (left := deadline - time.monotonic()) > 0:
            try:
                item = self.inbox.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(item, FromTask) and item.epoch == self.context.epoch:
                if isinstance(item, TaskReport):
                    self.account.take(item)
                elif isinstance(item, TaskEnded | TaskFailed):
                    self._tasks.pop(item.task, None)
            elif isinstance(item, WorkerGone):
                self._tasks = {i: lane for i, lane in self._tasks.items() if lane.name != item.lane}
            elif isinstance(item, Cancel | Savepoint | Decision):
                wishes.append(item)
        for wish in wishes:
            self.inbox.put(wish)
        lanes = set(self._tasks.values())
        stuck = sorted({thread for lane in lanes for thread in self._job.replace(lane)})
        self._restarts.spared = any(self._job.is_spared(lane) for lane in lanes)
        self._tasks = {}
        if stuck:
            plugins = ", ".join(step.plugin.place for step in self._pipeline.steps())
            raise StuckTask(
                f"thread {', '.join(stuck)} does not end: it is stuck in one of {plugins}; nothing it still does will "
                "be committed",
                plugins,
                ", ".join(stuck),
            )

    def _abort(self, coordinator: Coordinator) -> None:
        """Drop what no checkpoint names; beside a transactional sink it belongs to rows that are committed already."""
        call = "commit" if self._transactional else "abort"
        for name, committables in coordinator.unsaved().items():
            try:
                self._saving.where_staged(call, name, committables, self.context, ABORT_SECONDS)
            except HeadraceError as error:  # the next start does it
                self._job.log("warning", f"{name}: cannot {call} prepared rows: {error}")

    def _wait(self, seconds: float) -> None:
        """Wait between two tries; a cancel ends it, a savepoint is taken after the restart."""
        deadline = time.monotonic() + seconds
        wishes = []
        while (left := deadline - time.monotonic()) > 0:
            item = self._next(left)
            if isinstance(item, Savepoint):
                wishes.append(item)
        for wish in wishes:
            self.inbox.put(wish)

    def _next(self, timeout: float) -> Any:
        """The next thing that happened; None when nothing did. Raises JobCanceled.

        A cancel that comes after all rows are saved is too late: the commit gets a moment to end.
        """
        if self._cancel_by is not None:
            timeout = min(timeout, max(0.0, self._cancel_by - time.monotonic()))
        try:
            item = self.inbox.get(timeout=timeout)
        except queue.Empty:
            item = None
        if isinstance(item, Cancel) and self._cancel_by is None:
            self._cancel_by = time.monotonic() + (STOP_SECONDS if self._saving.delivered else 0.0)
        if self._cancel_by is not None and time.monotonic() >= self._cancel_by:
            raise JobCanceled(f"pipeline {self._pipeline.id} was canceled")
        return item

    def _send(self, task: int, command: Command) -> None:
        self._tasks[task].send(command)

    def _address(self, task: int) -> tuple[str, int, int, int]:
        return self._key, self._pipeline.id, self.context.epoch, task

    # -------------------------------------------------------------------------------------------------- outside

    def sinks(self) -> list[Step]:
        """The pipeline's sinks, those for bad rows among them."""
        return self._pipeline.all_sinks()

    @property
    def restarts(self) -> int:
        """How often it has started again."""
        return self._restarts.count

    def size(self) -> tuple[int, int]:
        """See SplitAssigner.size."""
        return self._assigner.size(self.account.shares())

    def warnings(self, *, whole: bool) -> list[str]:
        """See Account.warnings. whole: the pipeline has read all that it had to."""
        return self.account.warnings(whole=whole and self.restored_from is None)
