"""Setting bad rows aside: the two kinds of `Rejects` of a task, and what writes what they collect."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TypeVar

import pyarrow as pa

from headrace.config.error_handlers import ErrorMode, Stage
from headrace.connector import (
    BadRow,
    Batch,
    Committable,
    FailOnReject,
    Rejects,
    SinkSession,
    SinkWriter,
    State,
    TaskContext,
)
from headrace.errors import HeadraceError
from headrace.execution.bad_rows import MAX_MESSAGE, BadRecord, as_batch, raw_text, row_texts, shorten
from headrace.plan.error_table import error_table
from headrace.plan.plan import Pipeline, Step

R = TypeVar("R")

SHOWN_REASONS = 5
"""How many reasons of a task are warnings that a terminal shows and a failure names; with ROUTE the others are only in
the error sink, with LOG only in the log."""


class Collected(Rejects):
    """The rejects of one thread. step: who works now. A stage without a handler fails with its first bad row."""

    def __init__(self, pipeline: Pipeline, step: Callable[[], Step]) -> None:
        self._pipeline, self._targets, self._step = pipeline.id, pipeline.bad_rows, step
        self.found: list[BadRecord] = []

    @property
    def sets_aside(self) -> bool:
        """See Rejects.sets_aside."""
        return self.takes(self._step())

    def takes(self, step: Step) -> bool:
        """Whether bad rows of this step are set aside."""
        return Stage(step.plugin.kind.upper()) in self._targets

    def add(self, batch: Batch, mask: pa.BooleanArray, reason: str | pa.StringArray) -> None:
        """See Rejects.add."""
        step = self._step()
        if not self.takes(step):
            FailOnReject().add(batch, mask, reason)
            return
        rows = [row for row, bad in enumerate(mask.to_pylist()) if bad]
        if not rows:
            return
        texts = [reason] * len(rows) if isinstance(reason, str) else [str(reason[row].as_py()) for row in rows]
        options = self._targets[Stage(step.plugin.kind.upper())].options
        originals: Sequence[str | None] = [None] * len(rows)
        if options.keeps_rows:
            bad = batch.take(pa.array(rows, pa.int64()))
            originals = row_texts(self._pipeline, step, bad, options.original_data_max_length)
        self._extend(step, batch.table, texts, originals)

    def add_raw(self, table: str, raw: Sequence[bytes | str], reason: str, place: str = "") -> None:
        """See Rejects.add_raw."""
        step = self._step()
        if not self.takes(step):
            FailOnReject().add_raw(table, raw, reason, place)
            return
        options = self._targets[Stage(step.plugin.kind.upper())].options
        originals: Sequence[str | None] = [None] * len(raw)
        if options.keeps_rows:
            length = options.original_data_max_length
            originals = [shorten(raw_text(self._pipeline, step, table, item, place), length) for item in raw]
        self._extend(step, table, [f"{place}: {reason}" if place else reason] * len(raw), originals)

    def _extend(self, step: Step, table: str, texts: Sequence[str], originals: Sequence[str | None]) -> None:
        options = self._targets[Stage(step.plugin.kind.upper())].options
        stack = "".join(traceback.format_stack(limit=16)[:-3]) if options.include_stacktrace else None
        self.found += [
            BadRecord(step, table, shorten(text, MAX_MESSAGE), stacktrace=stack, original=original)
            for text, original in zip(texts, originals, strict=True)
        ]

    def by_parts(self, step: Step, batch: Batch, call: Callable[[Batch], R]) -> list[R]:
        """What `call` gives for the batch, or for the parts of it that are left when its bad rows are set aside.

        call: changes nothing when it raises BadRow. Raises it where the step's bad rows are not set aside.
        """
        before = len(self.found)
        try:
            return [call(batch)]
        except BadRow as error:
            if not self.takes(step):
                raise
            del self.found[before:]  # it is called again for these rows
            if batch.num_rows <= 1:
                self.add(batch, pa.array([True] * batch.num_rows), _reason(error))
                return []
        half = batch.num_rows // 2
        first = self.by_parts(step, batch.slice(0, half), call)
        return first + self.by_parts(step, batch.slice(half), call)

    def take(self) -> list[BadRecord]:
        """What was collected since the last call."""
        found, self.found = self.found, []
        return found


def _reason(error: BadRow) -> str:
    return f"column {error.column}: {error.message}" if error.column else error.message


class BadRowSinks:
    """Logs the bad rows of one task, or writes them into the error sinks of its pipeline.

    log: (level, text) into the job's log.
    """

    def __init__(self, pipeline: Pipeline, context: TaskContext, log: Callable[[str, str], None]) -> None:
        self._targets = pipeline.bad_rows
        self._steps = pipeline.error_sinks()
        self._context = replace(context, rejects=FailOnReject())
        self._log = log
        self._sessions: dict[int, SinkSession] = {}
        self._writers: dict[tuple[int, str], SinkWriter] = {}
        self.reasons: list[str] = []

    def open(self, states: Mapping[int, Mapping[str, State]]) -> None:
        """Make the writers. states: step id → table → merged state, taken from where a task has them."""
        for step in self._steps:
            self._sessions[step.id] = step.sink.open(self._context)
        for target in self._targets.values():
            if target.step is not None and (target.step.id, target.table) not in self._writers:
                state = states.get(target.step.id, {}).get(target.table)
                session = self._sessions[target.step.id]
                self._writers[target.step.id, target.table] = session.writer(error_table(target.table), state)

    def take(self, records: Sequence[BadRecord]) -> None:
        """Bad rows in the order they were found."""
        for stage, group in groupby(records, key=lambda record: record.stage):
            target, found = self._targets[Stage(stage)], list(group)
            for record in found:
                shown = len(self.reasons) < SHOWN_REASONS
                if shown:
                    self.reasons.append(f"{record.step.plugin.place}, table {record.table}: {record.message}")
                if shown or target.options.mode is ErrorMode.LOG:
                    self._log("warning" if shown else "info", str(record))
            if target.step is not None:
                self._write(target.step, target.table, found)

    def _write(self, step: Step, table: str, records: Sequence[BadRecord]) -> None:
        try:
            self._writers[step.id, table].write(as_batch(records, table))
        except BadRow as error:
            raise HeadraceError(f"{step.plugin.place} cannot take a bad row: {error}") from error

    def prepare(
        self, checkpoint_id: int, committables: dict[str, list[Committable]], states: dict[str, dict[str, State]]
    ) -> None:
        """Make what was taken durable, and add what a checkpoint must know of it to both."""
        names = {step.id: step.name for step in self._steps}
        for (step_id, table), writer in self._writers.items():
            committable = writer.prepare_commit(checkpoint_id)
            if committable is not None:
                committables.setdefault(names[step_id], []).append(committable)
            if (state := writer.state()) is not None:
                states.setdefault(names[step_id], {})[table] = state

    def closing(self) -> list[Callable[[], None]]:
        """What must be called at the end."""
        return [*(w.close for w in self._writers.values()), *(s.close for s in self._sessions.values())]
