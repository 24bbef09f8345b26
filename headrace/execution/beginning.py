"""Where a start of a pipeline goes on: by its saved state, by what its target tells, or from the beginning."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol, TypeVar

from headrace.checkpoint.checkpoint import Checkpoint, CheckpointKind
from headrace.checkpoint.fit import changed_wiring, check_fit
from headrace.checkpoint.splits import reading_order
from headrace.checkpoint.store import CheckpointStore, replaced
from headrace.connector import JobContext, SinkKind, Split, TargetPositions
from headrace.errors import CheckpointError
from headrace.execution.notes import FoundNotes
from headrace.execution.saving import Saving
from headrace.execution.terms import JobOfPipeline, PipelineSettings
from headrace.plan.plan import Pipeline

T = TypeVar("T")


class Patiently(Protocol):
    """Does what needs the place of checkpoints, again and again while that is away."""

    def __call__(self, do: Callable[[], T]) -> T:
        """Raises what it raises, StoreUnavailable when patience ends."""


class Beginning:
    """Of one pipeline. columns: table → column → type, as its source gives them now.

    on_restored: called with the checkpoint that a start goes on from.
    """

    def __init__(
        self,
        job: JobOfPipeline,
        pipeline: Pipeline,
        store: CheckpointStore,
        settings: PipelineSettings,
        saving: Saving,
        patiently: Patiently,
        columns: Mapping[str, Mapping[str, str]],
        on_restored: Callable[[Checkpoint], None],
    ) -> None:
        self._job, self._pipeline, self._store, self._settings = job, pipeline, store, settings
        self._saving, self._patiently, self._columns, self._on_restored = saving, patiently, columns, on_restored
        self._sinks = {step.name: step for step in pipeline.all_sinks()}

    def find(self, context: JobContext) -> tuple[Checkpoint, JobContext]:
        """Finish what a former start owes (guarantee 4), fence it off (guarantee 9), and find where to go on.

        Gives back the context with the parallelism before. Raises HeadraceError.
        """
        base = self._patiently(lambda: self._latest(context))
        context = replace(context, parallelism_before=base.parallelism if base is not None else 0)
        self._fence(context, fresh=base is None)
        # After the fence: until then an older task may still move them. Those of a whole one may be cleaned up already.
        target = None if base is not None and base.is_whole else self._target_positions(base, context)
        base = self._first(context) if base is None else self._restored(base, context)
        if target is None:
            return self._rewired(base), context
        positions, notes = FoundNotes.split_off(target.positions)
        self._commit_owed(notes, context)
        found = base.with_target_positions(positions, target.finished)
        ahead = notes.ahead_of(found)
        if ahead is not None:  # saved, it is counted once
            self._patiently(lambda: self._saving.save(ahead))
        return self._rewired(ahead or found), context

    def _latest(self, context: JobContext) -> Checkpoint | None:
        """The newest saved state. A broken one is passed over only where no row of it can be visible for good."""
        staged = any(step.sink.kind is SinkKind.STAGED for step in self._sinks.values())

        def skip(problem: str) -> None:
            self._job.log("warning", f"{problem}. This pipeline has no staged sink, so the one before it is used")

        return self._store.latest(context.job_id, self._pipeline.id, None if staged else skip)

    def _fence(self, context: JobContext, *, fresh: bool) -> None:
        """From here on no older start can commit. fresh: there is no saved state."""
        for step in self._sinks.values():
            if fresh and step.sink.kind is SinkKind.TRANSACTIONAL:
                self._job.call_sink("end_sink", step, context)  # the positions of a run whose state is forgotten
            if step.sink.does("start"):
                self._job.call_sink("start_sink", step, context)
        # The target of a job that has ended elsewhere meanwhile has forgotten it, and takes every start for the first.
        newest = self._patiently(lambda: self._store.epoch(context.job_id, self._pipeline.id))
        if newest != context.epoch:
            raise replaced(context.job_id, self._pipeline.id, context.epoch, newest)

    def _first(self, context: JobContext) -> Checkpoint:
        """The source's splits, saved: they are never asked for again."""
        splits: list[Split] = self._job.call("splits", self._pipeline.source.id, self._pipeline.parallelism)
        first = Checkpoint(
            context.job_id,
            context.run,
            self._pipeline.id,
            context.epoch,
            0,
            CheckpointKind.START,
            splits=tuple(sorted(splits, key=reading_order)),
            steps=self._step_names(),
            wiring=self._wiring(),
            columns=self._columns,
            parallelism=self._pipeline.parallelism,
        )
        self._patiently(lambda: self._saving.save(first))
        return first

    def _restored(self, base: Checkpoint, context: JobContext) -> Checkpoint:
        """A saved state as this start's, and visible."""
        check_fit(base, self._step_names(), self._columns)
        base = replace(base, epoch=context.epoch, run=context.run, columns=self._columns or base.columns)
        if base.id:
            self._on_restored(base)
        self._saving.commit(base, context)
        return base

    def _rewired(self, base: Checkpoint) -> Checkpoint:
        """The state in the job file as it is now: rows that went other ways do not balance with those to come."""
        if told := changed_wiring(base, self._wiring()):
            self._job.log("warning", told)
        return base.rewired(self._step_names(), self._wiring())

    def _commit_owed(self, notes: FoundNotes, context: JobContext) -> None:
        """Commit what other sinks prepared for positions that a transactional target has.

        Doing it again changes nothing (guarantee 3).
        """
        for committables in notes.owed:
            for name, items in committables.items():
                if name in self._sinks:
                    self._saving.where_staged("commit", name, items, context, None)

    def _step_names(self) -> tuple[str, ...]:
        return tuple(step.name for step in self._pipeline.all_steps())

    def _wiring(self) -> tuple[str, ...]:
        ways = [f"{s.name} → {', '.join(out.name for out in s.outputs)}" for s in self._pipeline.steps() if s.outputs]
        return (*ways, f"env.verify = {self._settings.verify.value}")

    def _target_positions(self, base: Checkpoint | None, context: JobContext) -> TargetPositions | None:
        """How far a transactional target has come. Raises CheckpointError where it no longer knows what is saved."""
        for step in self._sinks.values():
            if step.sink.kind is SinkKind.TRANSACTIONAL:
                if base is not None and base.id and step.name not in base.steps:
                    raise CheckpointError(
                        f"{step.name} is new in job {base.job_id}, and its target would lack the rows that were moved "
                        "before; leave it out to go on, or start under a new job id"
                    )
                found: TargetPositions | None = self._job.call("target_positions", step.id, context)
                known = found.positions.keys() | found.finished if found else set()
                lost = sorted((base.positions.keys() | base.finished) - known) if base is not None else []
                # Every checkpoint is preceded by a commit there, even one that was saved before the first row.
                if base is not None and (lost or (found is None and base.id)):
                    missing = f"{len(lost)} splits are missing, such as {lost[0]}" if lost else "nothing of it is there"
                    raise CheckpointError(
                        f"{step.name}: the target no longer holds the positions of job {base.job_id}; {missing}; "
                        "restore the table of positions, or start under a new job id"
                    )
                return found
        return None
