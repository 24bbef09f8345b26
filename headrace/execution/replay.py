"""Bad rows sent in again: through the job as it is now, from the plugin that refused them."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import Any

import pyarrow as pa

from headrace.config.env import JobMode
from headrace.config.job import Plugin
from headrace.connector import JobContext, Options, Position, Read, Sink, Source, Split, TaskContext, Transform
from headrace.execution import calls
from headrace.execution.bad_rows import BadRecord, batch_of, raw_of
from headrace.execution.ledger import Row
from headrace.execution.set_aside import Collected
from headrace.plan.plan import BadRowTarget, Pipeline, Plan, Step
from headrace.plan.schemas import describe
from headrace.rows import Batch, TableSchema


@dataclass
class Selection:
    """What of the bad rows can be sent in. plan: of the replay. sent: these rows; left: the others, and why."""

    plan: Plan
    sent: list[Row] = field(default_factory=list)
    left: list[tuple[Row, str]] = field(default_factory=list)

    @property
    def kept(self) -> Counter[str]:
        """Reason → how many rows cannot be sent in."""
        return Counter(reason for _, reason in self.left)


def select(plan: Plan, rows: Sequence[Row]) -> Selection:
    """The rows that can be sent in, as a plan that sends them. Asks the sources for their tables."""
    given = {pipeline.source.id: pipeline.source.source.tables() for pipeline in plan.pipelines}
    entries = _Entries(plan, describe(plan, given))
    selection = Selection(plan)
    for row in rows:
        try:
            entries.add(row)
            selection.sent.append(row)
        except (ValueError, KeyError, TypeError) as error:
            odd = f"its original_data is not what was set aside: {error!r}"
            selection.left.append((row, str(error) if isinstance(error, ValueError) else odd))
    selection.plan = entries.plan()
    return selection


@dataclass
class Rehearsal:
    """What a replay would do. written: (sink, table) → the rows. rejected: what transforms would reject again."""

    written: dict[tuple[str, str], list[pa.RecordBatch]] = field(default_factory=dict)
    rejected: list[BadRecord] = field(default_factory=list)


def rehearse(plan: Plan) -> Rehearsal:
    """Bring the rows of a replay's plan as far as the sinks, which write nothing.

    Raises ConfigError where a sink refuses the tables, and what transforms raise whose bad rows fail the job.
    """
    found = Rehearsal()
    calls.describe(calls.LoadedJob(plan))
    for pipeline in plan.pipelines:
        passing = _Passing(pipeline, found)
        try:
            for read in pipeline.source.source.read(Split("replay"), None, passing.task):
                if read is not None:
                    passing.on(pipeline.source, read.batch)
        finally:
            passing.close()
    return found


class _Passing:
    """Rows on their way through the transforms of one pipeline."""

    def __init__(self, pipeline: Pipeline, found: Rehearsal) -> None:
        self._pipeline, self._found, self._step = pipeline, found, pipeline.source
        self._rejects = Collected(pipeline, lambda: self._step)
        self.task = TaskContext(JobContext(0, pipeline=pipeline.id), rejects=self._rejects)

    def on(self, step: Step, batch: Batch) -> None:
        """Send a batch from a step to those behind it."""
        for output in step.outputs:
            if isinstance(output.instance, Sink):
                self._found.written.setdefault((output.name, batch.table), []).append(batch.rows)
                continue
            self._step = output
            results = self._rejects.by_parts(output, batch, partial(output.transform.apply, task=self.task))
            self._found.rejected += self._rejects.take()
            for result in results:
                for out in [result] if isinstance(result, Batch) else result:
                    if out.num_rows:
                        self.on(output, out)

    def close(self) -> None:
        """Free what the transforms hold."""
        for step in self._pipeline.steps():
            if isinstance(step.instance, Transform):
                step.instance.close(self.task)


class ReplayOptions(Options):
    """The source of a replay has no options."""


class ReplaySource(Source):
    """The rows of a replay. Bounded; one split; the position is the number of batches."""

    Options = ReplayOptions

    def __init__(self, tables: list[TableSchema], batches: list[Batch]) -> None:
        super().__init__(ReplayOptions())
        self._tables, self._batches = tables, batches

    def tables(self) -> list[TableSchema]:
        """See Source.tables."""
        return self._tables

    def splits(self, parallelism: int) -> list[Split]:
        """See Source.splits."""
        return [Split("replay")]

    def read(self, split: Split, position: Position | None, task: TaskContext) -> Iterator[Read | None]:
        """See Source.read."""
        for number, batch in enumerate(self._batches[position or 0 :], (position or 0) + 1):
            yield Read(batch, number)


class _Entries:
    """Where rows enter a job again, each at the step that refused it; those of a source behind it."""

    def __init__(self, plan: Plan, tables: Mapping[int, list[TableSchema]]) -> None:
        self._plan, self._tables = plan, tables
        self._found: dict[tuple[int, str], list[Batch]] = {}
        self._steps = {(p.id, step.name): (p, step) for p in plan.pipelines for step in p.steps()}

    def add(self, row: Row) -> None:
        """Raises ValueError with the reason why a row cannot be sent in."""
        original = _original(row)
        key = (original["pipeline"], original["step"])
        if key not in self._steps:
            raise ValueError(f"the job has no {original['step']} in pipeline {original['pipeline']} any more")
        pipeline, step = self._steps[key]
        if "row" not in original:
            batch = step.source.parse_again(original["table"], raw_of(original), original["place"])
        else:
            tables = {table.path: table for table in self._arriving(pipeline, step)}
            if original["table"] not in tables:
                raise ValueError(f"no table {original['table']} reaches {step.name} any more")
            batch = batch_of([original], tables[original["table"]])
        self._found.setdefault(key, []).append(batch)

    def _arriving(self, pipeline: Pipeline, step: Step) -> list[TableSchema]:
        if step is pipeline.source:
            return self._tables[step.id]
        before = [s for s in pipeline.steps() if step in s.outputs]
        return [table for s in before for table in self._tables[s.id]]

    def plan(self) -> Plan:
        """One pipeline for each entry, with steps of its own."""
        job = self._plan.job
        env = job.env.model_copy(update={"job_mode": JobMode.BATCH, "checkpoint_interval": None})
        handlers = replace(job.error_handlers, limits=())  # a row that is bad again goes aside again, however many
        copies = _Copies()
        made = []
        for number, (key, batches) in enumerate(sorted(self._found.items()), 1):
            pipeline, step = self._steps[key]
            tables = {t.path: t for t in self._arriving(pipeline, step)}
            source = ReplaySource([tables[path] for path in dict.fromkeys(b.table for b in batches)], _joined(batches))
            outputs = step.outputs if step is pipeline.source else (step,)
            plugin = Plugin("source", number - 1, f"Replay-{step.name}", {}, lines=job.lines)
            entry = Step(copies.number(), plugin, source, tuple(copies.of(output, number) for output in outputs))
            targets = {
                stage: BadRowTarget(a.options, copies.of(a.step, number) if a.step is not None else None, a.table)
                for stage, a in pipeline.bad_rows.items()
            }
            made.append(Pipeline(number, entry, 1, targets))
        return Plan(replace(job, env=env, error_handlers=handlers, file=""), tuple(made))


class _Copies:
    """Steps with new ids, one copy for each pipeline of the replay."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], Step] = {}
        self._last = 0

    def number(self) -> int:
        self._last += 1
        return self._last

    def of(self, step: Step, pipeline: int) -> Step:
        key = (step.id, pipeline)
        if key not in self._made:
            outputs = tuple(self.of(output, pipeline) for output in step.outputs)
            self._made[key] = Step(self.number(), step.plugin, step.instance, outputs)
        return self._made[key]


def _original(row: Row) -> Mapping[str, Any]:
    text = row.get("original_data")
    if not text:
        raise ValueError("the row itself was not kept: set include_original_data = true")
    if text.endswith("…"):
        raise ValueError("the row was cut short: set original_data_max_length = 0")
    try:
        found: Mapping[str, Any] = json.loads(text)
    except ValueError:
        raise ValueError(f"its original_data is not the JSON that was set aside: {text[:80]!r}") from None
    return found


CHUNK = 4096
"""Rows of a replayed batch."""


def _joined(batches: Sequence[Batch]) -> list[Batch]:
    """Neighbours of one table as one batch."""
    found = []
    for _, group in groupby(batches, key=lambda b: (b.table, b.kinds is None, b.metadata is None)):
        parts = list(group)
        found += [_concat(parts[i : i + CHUNK]) for i in range(0, len(parts), CHUNK)]
    return found


def _concat(parts: Sequence[Batch]) -> Batch:
    first = parts[0]
    kinds = None if first.kinds is None else pa.concat_arrays([p.kinds for p in parts if p.kinds is not None])
    metadata = None
    if first.metadata is not None:
        metadata = pa.concat_batches([p.metadata for p in parts if p.metadata is not None])
    return Batch(pa.concat_batches([p.rows for p in parts]), first.table, kinds, metadata)
