"""What a worker does for a job beside running tasks, from describe to commit: plain functions of a plan."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.config.job import placed
from headrace.connector import Claim, Committable, JobContext, Position, Sink, Source, Split, State, TargetPositions
from headrace.errors import ConfigError, JobCanceled, Problem, Rejected
from headrace.memory import show_size
from headrace.plan.plan import Plan, Step
from headrace.plan.schemas import describe as describe_plan
from headrace.rows import TableSchema

MOST_SPLITS = 1_000_000
"""A source that names more is refused: each is named to a task, and saved."""

SPLIT_BYTES = 500
"""What a split takes in memory beside its texts."""


@dataclass
class LoadedJob:
    """A job as a worker knows it. tables: step id → tables that reach a sink, or that a source or transform gives.

    memory_bytes: what a call may keep; None where nobody counts. ended: set when nobody waits for its calls any more.
    """

    plan: Plan
    tables: Mapping[int, list[TableSchema]] = field(default_factory=dict)
    memory_bytes: int | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def step(self, step_id: int) -> Step:
        """The step with this id."""
        return next(s for p in self.plan.pipelines for s in p.all_steps() if s.id == step_id)

    def source(self, step_id: int) -> Source:
        """The source of this step."""
        instance = self.step(step_id).instance
        assert isinstance(instance, Source)
        return instance

    def sink(self, step_id: int) -> Sink:
        """The sink of this step."""
        instance = self.step(step_id).instance
        assert isinstance(instance, Sink)
        return instance


def describe(job: LoadedJob) -> Mapping[int, list[TableSchema]]:
    """Ask the sources for their tables, run the transforms' schemas and the sinks' checks. Read-only.

    Raises ConfigError with the problems of all plugins.
    """
    problems: list[Problem] = []
    file = job.plan.job.file
    given: dict[int, list[TableSchema]] = {}
    for pipeline in job.plan.pipelines:
        try:
            given[pipeline.source.id] = job.source(pipeline.source.id).tables()
        except ConfigError as error:
            problems += [placed(p, pipeline.source.plugin, file) for p in error.problems]
        except Rejected as error:
            problems.append(placed(Problem("", str(error)), pipeline.source.plugin, file))
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    tables = describe_plan(job.plan, given)
    for pipeline in job.plan.pipelines:
        for step in pipeline.all_sinks():
            sink = job.sink(step.id)
            problems += [placed(p, step.plugin, file) for p in sink.check(tables[step.id])]
            problems += [placed(p, step.plugin, file) for p in _emptied_sources(job, sink, tables[step.id])]
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    job.tables = tables
    return tables


def splits(job: LoadedJob, step: int, parallelism: int) -> list[Split]:
    """The source's splits."""
    return _taken(job, step, job.source(step).splits(parallelism))


def _emptied_sources(job: LoadedJob, sink: Sink, tables: list[TableSchema]) -> Iterator[Problem]:
    """A sink that would delete what the job reads."""
    for emptied, option in sink.emptied(tables).items():
        for pipeline in job.plan.pipelines:
            for read in job.source(pipeline.source.id).places():
                if f"{emptied}/".startswith(f"{read}/") or f"{read}/".startswith(f"{emptied}/"):
                    text = f"{option} would delete what {pipeline.source.plugin.place} reads: {read!r}"
                    where = "" if read == emptied else f", for the sink empties {emptied!r}"
                    cure = "write to another place, or use APPEND_DATA with CREATE_SCHEMA_WHEN_NOT_EXIST"
                    yield Problem(option.partition(" ")[0], text + where, cure)


def new_splits(job: LoadedJob, step: int, known: Collection[str]) -> list[Split]:
    """Splits of an unbounded source that have appeared."""
    return _taken(job, step, job.source(step).new_splits(known))


def _taken(job: LoadedJob, step: int, given: Iterable[Split]) -> list[Split]:
    """The splits that a source names, as long as they are not too many and somebody waits for them."""
    found: list[Split] = []
    size, source = 0, job.step(step)
    for split in given:
        if job.ended.is_set():
            raise JobCanceled("the job has ended")
        if len(found) == MOST_SPLITS:
            raise Rejected(
                f"there are more than {MOST_SPLITS:,} splits; {source.source.too_many_splits}", source.plugin.place
            )
        found.append(split)
        size += _split_bytes(split)
        if job.memory_bytes is not None and size > job.memory_bytes:
            raise Rejected(
                f"the first {len(found):,} splits take {show_size(size)} of memory, and its worker has "
                f"{show_size(job.memory_bytes)} for them; raise --memory, or {source.source.too_many_splits}",
                source.plugin.place,
            )
    return found


def _split_bytes(split: Split) -> int:
    """About what a split takes in memory."""
    values = sum(len(value) if isinstance(value, str) else 32 for value in split.data.values())
    return SPLIT_BYTES + 2 * len(split.id) + values


def checkpointed(job: LoadedJob, step: int, positions: Mapping[str, Position]) -> None:
    """Tell the source which positions are safely saved."""
    job.source(step).checkpointed(positions)


def check_save_modes(job: LoadedJob, tables: Mapping[int, list[TableSchema]]) -> None:
    """Raises ConfigError with all that the save modes of the sinks refuse. tables: by step. Read-only."""
    problems = [
        placed(p, job.step(step).plugin, job.plan.job.file)
        for step, of_sink in tables.items()
        for p in job.sink(step).check_save_modes(of_sink)
    ]
    if problems:
        raise ConfigError(problems)


def save_modes(job: LoadedJob, step: int, tables: list[TableSchema]) -> None:
    """Act by the sink's save modes for these tables."""
    for table in tables:
        try:
            job.sink(step).save_mode(table)
        except Rejected as error:
            place = error.plugin or job.step(step).plugin.place
            raise Rejected(error.message, place, error.table or table.path) from error


def unverified(job: LoadedJob, step: int) -> dict[str, str]:
    """Why tables of a sink cannot be read back; those that can are left out."""
    sink = job.sink(step)
    found = {table.path: sink.unverified(table) for table in job.tables[step]}
    return {path: reason for path, reason in found.items() if reason}


def target_positions(job: LoadedJob, step: int, context: JobContext) -> TargetPositions | None:
    """How far a transactional target has come."""
    return job.sink(step).positions(context)


def start_sink(job: LoadedJob, step: int, context: JobContext) -> None:
    """Begin a new epoch at the sink."""
    job.sink(step).start(context)


def left(job: LoadedJob, step: int) -> list[str]:
    """The claims under which something is staged where a sink stages."""
    return sorted({left.claim.name for left in job.sink(step).left()})


def remove_left(job: LoadedJob, step: int, claims: list[str]) -> None:
    """Remove what is staged under claims of jobs that are over."""
    job.sink(step).remove([claim for name in claims if (claim := Claim.read(name)) is not None])


def merge_states(job: LoadedJob, step: int, states: Mapping[str, list[State]]) -> dict[str, State]:
    """One state for each table of the sink."""
    sink = job.sink(step)
    return {table: sink.merge_states(of) for table, of in states.items() if of}


def finish(job: LoadedJob, step: int, states: Mapping[str, list[State]]) -> None:
    """Let the sink refuse what it was given, before anything becomes visible."""
    job.sink(step).finish(job.tables[step], merge_states(job, step, states))


def commit(job: LoadedJob, step: int, committables: list[Committable], context: JobContext) -> None:
    """Make prepared rows visible."""
    job.sink(step).commit(committables, context)


def abort(job: LoadedJob, step: int, committables: list[Committable], context: JobContext) -> None:
    """Drop prepared rows that no saved checkpoint names."""
    job.sink(step).abort(committables, context)


def end_sink(job: LoadedJob, step: int, context: JobContext) -> None:
    """The job will not be restored from here."""
    job.sink(step).end(context)


CALLS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        describe, splits, new_splits, checkpointed, check_save_modes, save_modes, unverified, target_positions,
        start_sink, left, remove_left, merge_states, finish, commit, abort, end_sink,
    )
}  # fmt: skip
