"""The one loop: rows are read, pass the transforms and are written; between two batches a barrier is answered.

One task runs one copy of a pipeline. Each of its splits is read on a thread of its own, ahead of the task's thread by
a small bounded buffer, so that waiting for the source and waiting for the sink overlap.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from headrace.checkpoint.coordinator import Ack
from headrace.checkpoint.shares import source_split
from headrace.config.env import Verify
from headrace.config.error_handlers import Stage
from headrace.connector import (
    Committable,
    FailOnReject,
    Position,
    Read,
    Sink,
    SinkKind,
    SinkSession,
    SinkWriter,
    Source,
    Split,
    State,
    TaskContext,
    Transform,
)
from headrace.errors import BadRow, HeadraceError, TooManyBadRows
from headrace.execution.bad_rows import BadRecord
from headrace.execution.blame import Blame
from headrace.execution.budget import MemoryShare
from headrace.execution.buffer import Buffer
from headrace.execution.limits import too_many
from headrace.execution.messages import (
    Acked,
    Assign,
    Barrier,
    Continue,
    Event,
    Idle,
    Printed,
    StopTask,
    TaskEnded,
    TaskFailed,
    TaskReport,
    TaskSpec,
    portable,
)
from headrace.execution.notes import Notes
from headrace.execution.notices import Noticed, TableNotices
from headrace.execution.pace import PacedContext, Paces
from headrace.execution.reached import Reached
from headrace.execution.set_aside import BadRowSinks, Collected
from headrace.execution.staged_at import with_machine
from headrace.execution.tally import Tally
from headrace.plan.plan import Pipeline, Step
from headrace.rows import TARGET_ROWS, Batch, TableSchema

REPORT_SECONDS = 0.5
EAGER_TABLES = 16
"""A sink with at most this many tables gets its writers before the first row, so that a table without rows is seen."""

LIMITED_ROW_BYTES = 100
"""What a row is taken for where only bytes are limited; bigger ones wait longer, and come out right on average."""

MAX_WRITERS = 64
"""Writers a task keeps open; the one that was idle longest is prepared and closed to make room."""


class _Stopped(Exception):
    """The task was told to end."""


@dataclass(frozen=True)
class _SplitEnd:
    split: str
    error: Exception | None = None
    rejected: tuple[BadRecord, ...] = ()
    noticed: Mapping[str, TableNotices] = field(default_factory=dict)


class Task:
    """One task of one epoch. `run` is its thread; `put` is called by others."""

    def __init__(
        self,
        job: str,
        pipeline: Pipeline,
        spec: TaskSpec,
        tables: Mapping[int, list[TableSchema]],
        send: Callable[[Event], None],
        share: MemoryShare,
    ) -> None:
        self._address = (job, pipeline.id, spec.context.epoch, spec.index)
        self._pipeline, self._spec, self._send = pipeline, spec, send
        self._tables = {step: {t.path: t for t in found} for step, found in tables.items()}
        self._blame = None if spec.failed is None else Blame(self._tables.get(pipeline.source.id, ()))
        self._splits: dict[str, Split] = {}
        self._buffer, self._batch_bytes = Buffer(share), share.batch_bytes
        self._stop = threading.Event()
        self._limit = _Limiter(spec.rows_per_second, spec.bytes_per_second, self._stop)
        self._source: Source = pipeline.source.instance  # type: ignore[assignment]
        self._context = TaskContext(
            spec.context,
            spec.index,
            batch_rows=_batch_rows(spec.rows_per_second, spec.bytes_per_second),
            batch_bytes=self._batch_bytes,
            memory_bytes=share.bytes,
            held_bytes=share.held_bytes(sum(min(len(tables.get(s.id, ())), MAX_WRITERS) for s in pipeline.sinks())),
            print=lambda text: send(Printed(job, text)),
            log=logging.getLogger("headrace.plugin"),
            accepts=_accepted(pipeline, spec.verify),
        )
        self._rejects: Collected | None = None
        if pipeline.bad_rows:
            self._rejects = Collected(pipeline, lambda: self._steps[self._step])
            self._context = replace(self._context, rejects=self._rejects)
        self._bad_rows = BadRowSinks(pipeline, self._context, lambda level, text: send(Printed(job, text, level)))
        self._notes = Notes(spec.index, spec.context.epoch)
        self.readers: list[threading.Thread] = []
        self._transactional = any(step.sink.kind is SinkKind.TRANSACTIONAL for step in pipeline.sinks())
        self._reached = Reached()
        transforms = [step.instance for step in pipeline.steps() if isinstance(step.instance, Transform)]
        self._paces = Paces(max((transform.rows_at_once() for transform in transforms), default=1))
        self._rereads = self._source.rereads_alike(spec.context.mode)
        self._postponed: list[Barrier] = []
        self._sessions: dict[int, SinkSession] = {}
        self._writers: dict[tuple[int, str], SinkWriter] = {}
        self._like_inserts: dict[tuple[int, str], bool] = {}
        sinks = {step.id for step in pipeline.sinks()}
        self._states = {(s, table): v for s, of in spec.states.items() if s in sinks for table, v in of.items()}
        self._early: dict[str, list[Committable]] = {}
        self._tally = Tally(pipeline, spec.verify)
        self._noticed = Noticed()
        self._shares: dict[str, float] = {}
        self._unread: dict[str, int] = {}
        self._busy: dict[int, float] = {}
        self._batches = 0
        self._evictions = 0
        self._reported = time.monotonic()
        self._step = 0
        self._steps = {step.id: step for step in pipeline.steps()}

    # --------------------------------------------------------------------------------------------- from outside

    def put(self, message: Assign | Barrier | Continue | StopTask) -> None:
        """Give the task a message; it takes it before the next batch."""
        if isinstance(message, StopTask):
            self._stop.set()
        self._buffer.put_control(message)

    def run(self) -> None:
        """Work until told to stop, or until something fails; either way everything is closed and the master is told."""
        ending: TaskEnded | TaskFailed
        try:
            self._open()
            self._send(Idle(*self._address, None))
            while True:
                self._take(self._buffer.get(REPORT_SECONDS))
                self._report_now_and_then()
        except _Stopped:
            ending = TaskEnded(*self._address)
        except Exception as error:  # whatever a plugin raises ends this task only
            blamed = self._blame.of(error, self._step) if self._blame else ()
            ending = TaskFailed(*self._address, portable(error, self._plugin_name()), self._step, blamed)
        problem = self._close()
        if problem is not None and isinstance(ending, TaskEnded) and not self._stop.is_set():
            ending = TaskFailed(*self._address, portable(problem, self._plugin_name()), self._step)
        self._report()
        self._send(ending)

    # ------------------------------------------------------------------------------------------------- the loop

    def _take(self, item: Any) -> None:
        if isinstance(item, tuple):
            self._handle(*item)
        elif isinstance(item, _SplitEnd):
            self._set_aside(self._mine(item.split, item.rejected))
            self._notice(item.split, item.noticed)
            if item.error is not None:
                self._step = self._pipeline.source.id
                if self._blame and (split := self._splits.get(item.split)):
                    self._blame.handling = split.table
                raise item.error
            self._reached.end(item.split)
            self._splits.pop(item.split, None)
            self._shares.pop(item.split, None)
            self._unread.pop(item.split, None)
            self._send(Idle(*self._address, item.split))
        elif isinstance(item, Assign):
            self._start_reader(item)
        elif isinstance(item, Barrier):
            self._answer(item)
        elif isinstance(item, StopTask):
            raise _Stopped

    def _handle(
        self,
        split: str,
        read: Read,
        rejected: tuple[BadRecord, ...] = (),
        noticed: Mapping[str, TableNotices] | None = None,
    ) -> None:
        """Bring one batch to all sinks, then remember the position after it.

        What its source set aside belongs to that position, and comes with it: in the middle of the batch a barrier's
        answer holds the position before it.
        """
        batch, share = read.batch, self._splits[split].share
        through = self._reached.through(split, batch)
        if through < batch.num_rows and (share is None or share.takes(batch.table)):
            self._hand_on(split, batch, through)
            self._batches += 1
        if rejected:
            self._set_aside(self._mine(split, rejected))
        if noticed:
            self._notice(split, noticed)
        self._reached.done(split, read.position)
        if read.share:
            self._shares[split] = read.share
        while self._postponed:
            self._take(self._postponed.pop(0))

    def _hand_on(self, split: str, batch: Batch, through: int) -> None:
        """Bring what is left of a batch to all sinks in slices; between two of them a barrier or a stop is heard."""
        pace, most = self._paces.of(batch.table), _fitting_rows(batch, self._batch_bytes)
        while True:
            left = batch.num_rows - through
            rows = _even(left, min(pace.rows, most))
            part = batch if rows == batch.num_rows else batch.slice(through, rows)
            with self._handling(batch.table), pace.measured(rows):
                self._tally.read(self._pipeline.source, part)
                self._pass_on(self._pipeline.source, part)
            through += rows
            if rows == left:
                return
            self._reached.part(split, batch, through)
            self._between_slices()

    def _between_slices(self) -> None:
        """Where the rows of a batch may not come again as they were, a barrier waits for the end of the batch."""
        while (item := self._buffer.next_control()) is not None:
            if isinstance(item, Barrier) and not self._rereads:
                self._postponed.append(item)
            else:
                self._take(item)
        self._report_now_and_then()

    @contextmanager
    def _handling(self, table: str) -> Iterator[None]:
        """An error meanwhile concerns this table of the source."""
        if self._blame:
            self._blame.handling = table
        yield
        if self._blame:
            self._blame.handling = ""

    def _pass_on(self, step: Step, batch: Batch) -> None:
        for output in step.outputs:
            if isinstance(output.instance, Sink):
                self._write(output, batch)
            else:
                self._transform(output, batch)

    def _transform(self, step: Step, batch: Batch) -> None:
        self._step = step.id
        transform: Transform = step.instance  # type: ignore[assignment]
        began = time.perf_counter()
        if self._rejects is None:
            results = _batches(transform.apply(batch, self._context))
        else:
            results = self._apply_by_parts(self._rejects, step, transform, batch)
        self._spent(step.id, began)
        self._settle()
        self._tally.transformed(step, batch, results)
        self._buffer.add_taken(sum(out.nbytes for out in results if out is not batch))
        for out in results:
            if out.num_rows:
                for part in _parts(out, self._batch_bytes):
                    self._pass_on(step, part)

    def _apply_by_parts(self, rejects: Collected, step: Step, transform: Transform, batch: Batch) -> list[Batch]:
        parts = rejects.by_parts(step, batch, lambda part: _batches(transform.apply(part, self._context)))
        return [out for part in parts for out in part]

    def _write(self, step: Step, batch: Batch) -> None:
        self._step = step.id
        if self._blame:
            self._blame.writes(step.id, batch.table)
        began = time.perf_counter()
        writer = self._writer(step, batch)
        if self._rejects is None:
            writer.write(batch)
        else:
            self._write_by_parts(self._rejects, step, writer, batch)
        self._spent(step.id, began)
        self._settle()
        self._tally.handed(step, batch)
        if batch.kinds is not None and self._takes_all_for_inserts(step, batch):
            self._tally.like_inserts(step, batch)

    def _write_by_parts(self, rejects: Collected, step: Step, writer: SinkWriter, batch: Batch) -> None:
        if writer.all_or_nothing:
            rejects.by_parts(step, batch, writer.write)
            return
        try:
            writer.write(batch)
        except BadRow as error:
            if not rejects.takes(step):
                raise
            msg = f"{step.plugin.name} cannot set one row of a batch aside: {error.message}"
            raise BadRow(msg, error.table, error.row, error.column, error.value) from error

    def _mine(self, split: str, records: tuple[BadRecord, ...]) -> tuple[BadRecord, ...]:
        """Those of the tables that this reading of the split is for."""
        share = self._splits[split].share
        return records if share is None else tuple(r for r in records if share.takes(r.table))

    def _notice(self, split: str, noticed: Mapping[str, TableNotices]) -> None:
        """Count and keep what the source told with a batch."""
        share = self._splits[split].share
        mine = {table: told for table, told in noticed.items() if share is None or share.takes(table)}
        for table, told in mine.items():
            self._tally.mended(self._pipeline.source, table, told.mended)
        self._noticed.add(mine)

    def _settle(self) -> int:
        """Count, log and write what the plugin called last has set aside; gives back how many rows that were."""
        if self._rejects is None or not self._rejects.found:
            return 0
        return self._set_aside(tuple(self._rejects.take()))

    def _set_aside(self, records: tuple[BadRecord, ...]) -> int:
        """A row that a source set aside was read and rejected; elsewhere it was counted when it arrived."""
        for record in records:
            self._tally.rejected(record.step, record.table)
        self._bad_rows.take(records)
        self._check_limits()
        return len(records)

    def _check_limits(self) -> None:
        """What this task knows by itself; the job's master checks the sum of all tasks."""
        for limit in self._spec.limits:
            rejected = self._tally.rejected_in(limit.stages)
            if limit.records and rejected > limit.records:
                raise TooManyBadRows(too_many(limit, rejected, None, self._bad_rows.reasons))

    def _answer(self, barrier: Barrier) -> None:
        """Prepare everything written so far and say how far it reaches (guarantee 1)."""
        self._tally.check()
        committables, self._early = self._early, {}
        states: dict[str, dict[str, State]] = {}
        for (step, table), state in self._states.items():
            states.setdefault(self._steps[step].name, {})[table] = state
        for (step_id, table), writer in self._writers.items():
            self._step, name = step_id, self._steps[step_id].name
            if self._blame:
                self._blame.prepares(step_id, table)
            began = time.perf_counter()
            committable = writer.prepare_commit(barrier.checkpoint_id)
            self._spent(step_id, began)
            if committable is not None:
                committables.setdefault(name, []).append(committable)
            if (state := writer.state()) is not None:
                states.setdefault(name, {})[table] = state
            self._settle()
            self._tally.told(step_id, table, writer.written())
        if self._blame:
            self._blame.answered()
        for step_id, session in self._sessions.items():
            self._step = step_id
            session.flush()
            self._settle()
            for table, written in session.written().items():
                self._tally.told(step_id, table, written)
        self._tally.settle()
        self._bad_rows.prepare(barrier.checkpoint_id, committables, states)
        committables = with_machine(committables, self._pipeline.all_sinks(), self._spec.machine)
        notes = self._noted(barrier, committables, states)
        reached, finished = self._reached.take()
        for step_id, session in self._sessions.items():
            self._step = step_id
            positions = reached
            if self._steps[step_id].sink.kind is SinkKind.TRANSACTIONAL:
                positions = {**positions, **notes}
            session.commit_positions(barrier.checkpoint_id, dict(positions), finished)
        ack = Ack(reached, frozenset(finished), states, committables, self._tally.by_name())
        self._report()
        self._send(Acked(*self._address, barrier.checkpoint_id, ack))
        if barrier.pause:
            self._wait_for(Continue, barrier.checkpoint_id)

    def _noted(
        self,
        barrier: Barrier,
        committables: Mapping[str, list[Committable]],
        states: Mapping[str, Mapping[str, State]],
    ) -> Mapping[str, Position]:
        """What a transactional target keeps beside the positions."""
        if not self._transactional:
            return {}
        return self._notes.take(barrier.checkpoint_id, barrier.committed, committables, self._tally.fresh(), states)

    def _wait_for(self, kind: type[Continue], checkpoint_id: int) -> None:
        while True:
            item = self._buffer.get_control()
            if isinstance(item, StopTask):
                raise _Stopped
            if isinstance(item, kind) and item.checkpoint_id >= checkpoint_id:
                return
            if isinstance(item, Assign):  # it crossed the barrier; its rows wait
                self._start_reader(item)

    # -------------------------------------------------------------------------------------------------- readers

    def _start_reader(self, assign: Assign) -> None:
        name = f"read-{self._pipeline.id}-{self._spec.index}-{assign.split.id}"
        self._splits[assign.split.id] = assign.split
        start = self._reached.begin(assign.split.id, assign.position)
        work = copy_context()  # it works for the same job
        reader = threading.Thread(target=work.run, args=(self._read, assign.split, start), name=name, daemon=True)
        self.readers = [r for r in self.readers if r.is_alive()] + [reader]
        reader.start()

    def _read(self, split: Split, position: Position | None) -> None:
        step = self._pipeline.source.id
        noticed = Noticed()
        unread = partial(self._unread.__setitem__, split.id)
        context, rejects = replace(self._context, rejects=FailOnReject(), notices=noticed, unread=unread), None
        if Stage.SOURCE in self._pipeline.bad_rows:
            rejects = Collected(self._pipeline, lambda: self._pipeline.source)
            context = replace(context, rejects=rejects)
        if not self._rereads:
            context = PacedContext.of(context, self._paces, split.table)
        expected = 0
        try:
            with closing(self._source.read(source_split(split), position, context)) as reading:  # type: ignore[type-var]
                while not self._stop.is_set() and self._buffer.reserve(expected):
                    began = time.perf_counter()
                    try:
                        read = next(reading)
                    except StopIteration:
                        break
                    if read is None:
                        self._buffer.give_back(expected)
                        expected = 0
                        continue
                    self._spent(step, began)
                    item = (split.id, read, tuple(rejects.take()) if rejects else (), noticed.take())
                    size = read.batch.nbytes
                    self._limit.take(read.batch)
                    if not self._buffer.put(item, size, expected):
                        return
                    expected = size
                    del read, item  # the next batch is made while this one is under way, not both and one kept here
            if not self._stop.is_set():
                rejected = tuple(rejects.take()) if rejects else ()
                self._buffer.put(_SplitEnd(split.id, None, rejected, noticed.take()), 0, expected)
        except Exception as error:  # the task's thread raises it, after the rows that came before
            self._buffer.put(_SplitEnd(split.id, error), 0, expected)

    # -------------------------------------------------------------------------------------------------- writers

    def _open(self) -> None:
        self._bad_rows.open(self._spec.states)
        for step in self._pipeline.sinks():
            self._step = step.id
            sink: Sink = step.instance  # type: ignore[assignment]
            self._sessions[step.id] = sink.open(replace(self._context, verifier=self._tally.verifier(step.id)))
            tables = self._tables.get(step.id, {})
            if len(tables) <= EAGER_TABLES:
                for table in tables.values():
                    self._open_eagerly(step, table)

    def _open_eagerly(self, step: Step, table: TableSchema) -> None:
        if self._blame is None:
            self._open_writer(step, table)
        elif table.path not in (self._spec.failed or ()):
            self._blame.prepares(step.id, table.path)
            self._open_writer(step, table)
            self._blame.answered()

    def _writer(self, step: Step, batch: Batch) -> SinkWriter:
        key = (step.id, batch.table)
        writer = self._writers.get(key)
        if writer is None:
            if len(self._writers) >= MAX_WRITERS:
                self._close_idlest()
            writer = self._open_writer(step, self._table(step, batch))
        elif len(self._writers) > EAGER_TABLES:
            self._writers[key] = self._writers.pop(key)  # the order of the dict is the order of use
        return writer

    def _takes_all_for_inserts(self, step: Step, batch: Batch) -> bool:
        """Asked of the sink once a table: the answer goes through its options."""
        key = (step.id, batch.table)
        if key not in self._like_inserts:
            self._like_inserts[key] = bool(step.sink.cure_for_changes(self._table(step, batch)))
        return self._like_inserts[key]

    def _table(self, step: Step, batch: Batch) -> TableSchema:
        known = self._tables.get(step.id, {}).get(batch.table)
        return known or TableSchema.from_arrow(batch.rows.schema, batch.table)

    def _open_writer(self, step: Step, table: TableSchema) -> SinkWriter:
        key = (step.id, table.path)
        writer = self._sessions[step.id].writer(table, self._states.pop(key, None))
        self._writers[key] = writer
        return writer

    def _close_idlest(self) -> None:
        """Prepare and close the writer that was idle longest; what it prepared goes with the next barrier."""
        key = next(iter(self._writers))
        writer = self._writers.pop(key)
        if self._blame:
            self._blame.prepares(*key)
        try:
            self._evictions += 1  # below zero: never the number of a checkpoint, and never twice in a task
            committable = writer.prepare_commit(-self._evictions)
            if committable is not None:
                self._early.setdefault(self._steps[key[0]].name, []).append(committable)
            if (state := writer.state()) is not None:
                self._states[key] = state
            self._tally.told(*key, writer.written(), last=True)
            if self._blame:
                self._blame.answered()
        finally:
            writer.close()

    def _close(self) -> Exception | None:
        """Close everything, whatever fails meanwhile; the first failure is returned."""
        self._stop.set()
        self._buffer.close()
        problem: Exception | None = None
        transforms = [step.transform for step in self._steps.values() if isinstance(step.instance, Transform)]
        calls: list[Callable[[], None]] = [
            *(w.close for w in self._writers.values()),
            *(s.close for s in self._sessions.values()),
            *self._bad_rows.closing(),
            *(partial(t.close, self._context) for t in transforms),
        ]
        for close in calls:
            try:
                close()
            except Exception as error:  # the others must be closed all the same
                problem = problem or error
        for reader in self.readers:  # a reader that is stuck in its source holds the task back, so that it is noticed
            reader.join()
        return problem

    # ------------------------------------------------------------------------------------------------- counting

    def _spent(self, step: int, began: float) -> None:
        self._busy[step] = self._busy.get(step, 0.0) + time.perf_counter() - began

    def _plugin_name(self) -> str:
        step = self._steps.get(self._step)
        return step.plugin.place if step else ""

    def _report_now_and_then(self) -> None:
        if time.monotonic() - self._reported >= REPORT_SECONDS:
            self._report()

    def _report(self) -> None:
        self._reported = time.monotonic()
        counts = self._tally.counts()
        with suppress(HeadraceError):
            self._send(
                TaskReport(
                    *self._address,
                    counts,
                    self._batches,
                    dict(self._busy),
                    self._buffer.writer_waited,
                    self._buffer.reader_waited,
                    tuple(self._bad_rows.reasons),
                    dict(self._noticed.tables),
                    dict(self._shares),
                    dict(self._unread),
                )
            )


def _accepted(pipeline: Pipeline, verify: Verify) -> frozenset[str]:
    """The encodings that all sinks pass on as they come: nothing between them and the source looks at the rows."""
    if verify is not Verify.COUNT or any(isinstance(step.instance, Transform) for step in pipeline.steps()):
        return frozenset()
    accepted = [step.sink.accepts for step in pipeline.sinks()]
    return frozenset.intersection(*accepted) if accepted else frozenset()


def _batches(result: Batch | list[Batch]) -> list[Batch]:
    return [result] if isinstance(result, Batch) else result


def _parts(batch: Batch, most: int) -> Iterator[Batch]:
    """A batch that is far bigger than batches should be, in parts that share its memory; others as they are."""
    rows = _fitting_rows(batch, most)
    if rows >= batch.num_rows:
        yield batch
        return
    yield from (batch.slice(start, rows) for start in range(0, batch.num_rows, rows))


def _fitting_rows(batch: Batch, most: int) -> int:
    """How many rows of a batch make one of `most` bytes; all of them unless it is far bigger."""
    size = batch.nbytes
    return batch.num_rows if size <= 2 * most else max(batch.num_rows * most // size, 1)


def _even(rows: int, most: int) -> int:
    """The first part of so many rows in as few parts of about the same size as `most` allows."""
    return -(-rows // -(-rows // most))


def _batch_rows(rows_per_second: int | None, bytes_per_second: int | None) -> int:
    """Small batches under a rate limit, about a tenth of a second's, so that rows flow evenly."""
    limit = TARGET_ROWS if rows_per_second is None else rows_per_second // 10
    by_size = TARGET_ROWS if bytes_per_second is None else bytes_per_second // (10 * LIMITED_ROW_BYTES)
    return max(1, min(TARGET_ROWS, limit, by_size))


class _Limiter:
    """Holds the readers of a task back to `rows_per_second` and `bytes_per_second`, which all of them share."""

    def __init__(self, rows: int | None, size: int | None, stop: threading.Event) -> None:
        self._rows, self._bytes, self._stop = rows, size, stop
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def take(self, batch: Batch) -> None:
        """Wait until the batch may go on; what it takes the next one waits for, whichever reader has it."""
        seconds = 0.0
        if self._rows:
            seconds = batch.num_rows / self._rows
        if self._bytes:
            seconds = max(seconds, batch.estimated_bytes / self._bytes)
        if seconds:
            with self._lock:
                now = time.monotonic()
                begin = max(self._free_at, now)
                self._free_at = begin + seconds
            self._stop.wait(begin - now)
