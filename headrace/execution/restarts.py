"""Whether a pipeline starts again after an error: tries are counted since the last checkpoint that moved on."""

from typing import Any

from headrace.checkpoint.checkpoint import Checkpoint
from headrace.errors import HeadraceError, WorkerLost

STEADY_SECONDS = 2.0
"""How long tasks must have run after a first checkpoint for the death of their worker to be no fault of their start."""


class Restarts:
    """Of one pipeline. allowed: `job.retry.times`. count: how often it has started again.

    spared: a worker of the last start was ended through no fault of this job.
    """

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self.count = 0
        self.spared = False
        self._tries = 0
        self._tried_from: Checkpoint | None = None
        self._first_completed: float | None = None

    def started_from(self, base: Checkpoint) -> None:
        """A start goes on from this checkpoint."""
        self._tried_from = base

    def completed(self, now: float) -> None:
        """A checkpoint of this start is saved and committed."""
        self._first_completed = self._first_completed or now

    def begin_anew(self) -> None:
        """What failed is left out from now on: all tries are there again."""
        self._tries = 0

    def takes(self, error: HeadraceError, last: Checkpoint | None, now: float) -> str:
        """Which of the restarts that the job has follows an error, in words; empty when none is left.

        A stream may have nothing to move: where its worker ended, it was healthy, too, when it ran on for a while after
        a checkpoint, which may be older than a first row. last: the newest checkpoint that is saved and committed.
        """
        before, self._tried_from = self._tried_from, last
        first, self._first_completed = self._first_completed, None
        steady = first is not None and now - first > STEADY_SECONDS
        spared, self.spared = self.spared, False
        if not error.retryable:
            return ""
        lost = isinstance(error, WorkerLost)
        if spared or (isinstance(error, WorkerLost) and not error.guilty):
            return "not counted: another job may be the cause"
        if (lost and steady) or (last is not before and _reached(last) != _reached(before)):
            self._tries = 0
        if self._tries >= self._allowed:
            return ""
        self._tries += 1
        return f"{self._tries} of {self._allowed}"


def _reached(checkpoint: Checkpoint | None) -> tuple[Any, ...]:
    """What a checkpoint says of how far its pipeline is."""
    if checkpoint is None:
        return ()
    counts = {flow: values for flow, values in checkpoint.counts.items() if any(values.values())}
    return checkpoint.positions, checkpoint.finished, counts
