"""The course of a checkpoint that all tasks have answered: proved, saved, committed. Waits for outside systems."""

from collections import deque
from dataclasses import dataclass, replace

from headrace.checkpoint.checkpoint import Checkpoint, CheckpointKind
from headrace.checkpoint.coordinator import Commit, Save
from headrace.checkpoint.store import CheckpointStore
from headrace.connector import Committable, JobContext, SinkKind
from headrace.errors import HeadraceError, Replaced, Undelivered
from headrace.execution.account import Account
from headrace.execution.messages import portable
from headrace.execution.staged_at import by_machine
from headrace.execution.terms import JobOfPipeline, PipelineSettings
from headrace.plan.plan import Step

COMMIT_TIMEOUTS = 10
"""A commit may take so many times what the tasks may take for a checkpoint; one that takes longer hangs."""


@dataclass(frozen=True)
class Stored:
    """What became of Save or Commit. refused: no other try can help, the rows must not become visible."""

    epoch: int
    checkpoint: Checkpoint
    what: type[Save] | type[Commit]
    error: HeadraceError | None = None
    refused: bool = False


class Saving:
    """Of one pipeline; on one thread at a time. sinks: by their names.

    delivered: all rows of the pipeline are saved. size: bytes of the checkpoint that was saved last.
    """

    def __init__(
        self,
        job: JobOfPipeline,
        sinks: dict[str, Step],
        store: CheckpointStore,
        settings: PipelineSettings,
        account: Account,
    ) -> None:
        self._job, self._sinks, self._store, self._settings, self._account = job, sinks, store, settings, account
        self._restorable = deque[tuple[int, int]](maxlen=max(settings.retain, 1))
        self.delivered = False
        self.size = 0

    def act(self, action: Save | Commit, context: JobContext) -> Stored:
        """Save or commit. Raises nothing: the coordinator decides what a failure means."""
        checkpoint, error, refused = action.checkpoint, None, False
        try:
            if isinstance(action, Save):
                refused = True
                self._prove(checkpoint)
                if checkpoint.kind is CheckpointKind.COMPLETED:
                    self._finish(checkpoint)
                refused = False
                self.save(checkpoint)
                self.delivered = checkpoint.kind is CheckpointKind.COMPLETED
            else:
                self.commit(checkpoint, context)
        except Exception as problem:
            error = portable(problem)
            refused = refused or isinstance(error, Replaced)
        return Stored(checkpoint.epoch, checkpoint, type(action), error, refused and error is not None)

    def _prove(self, checkpoint: Checkpoint) -> None:
        """Raises Undelivered when not every row that was read is accounted for."""
        problems = self._account.unbalanced(checkpoint)
        if problems:
            self._account.refused = checkpoint
            early = [name for name, step in self._sinks.items() if step.sink.kind is not SinkKind.STAGED]
            if early:
                raise Undelivered(
                    f"delivered but unproven: {'; '.join(problems)}; {', '.join(early)} holds the rows already"
                )
            raise Undelivered(f"not delivered: {'; '.join(problems)}; no row since the last checkpoint is committed")

    def _finish(self, checkpoint: Checkpoint) -> None:
        for name, step in self._sinks.items():
            if step.sink.does("finish"):
                self._job.call("finish", step.id, checkpoint.states.get(name, {}))

    def save(self, checkpoint: Checkpoint) -> None:
        """Guarantee 2: durable before any commit."""
        self.size = self._store.save(checkpoint, self._settings.retain)
        self._restorable.append((checkpoint.epoch, checkpoint.id))

    def commit(self, checkpoint: Checkpoint, context: JobContext) -> None:
        """Make visible what a saved checkpoint names."""
        known = len(self._restorable) == self._restorable.maxlen
        context = replace(context, restorable=self._restorable[0] if known else None)
        deadline = COMMIT_TIMEOUTS * self._settings.checkpoints.timeout
        for name, committables in checkpoint.committables.items():
            self.where_staged("commit", name, committables, context, deadline)

    def where_staged(
        self, call: str, sink: str, committables: list[Committable], context: JobContext, deadline: float | None
    ) -> None:
        """Commit or abort what was prepared, each part where its sink can reach it."""
        for machine, items in by_machine(committables).items():
            self._job.call(call, self._sinks[sink].id, items, context, deadline=deadline, machine=machine)
