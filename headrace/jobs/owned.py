"""The store of checkpoints as a job's owner may use it: only while the store of jobs says that it is the owner."""

from collections.abc import Callable

from headrace.checkpoint.checkpoint import Checkpoint
from headrace.checkpoint.store import CheckpointStore
from headrace.errors import Replaced


class OwnedStore(CheckpointStore):
    """Before a start has an epoch nothing else tells it from the start of whoever took the job over (guarantee 9).

    A service that is frozen before its first claim, and thaws when the job has ended elsewhere, would begin it anew.
    """

    def __init__(self, inner: CheckpointStore, is_owner: Callable[[], bool]) -> None:
        self._inner, self._is_owner, self.place = inner, is_owner, inner.place

    def claim_epoch(self, job_id: int, pipeline: int, held: int = 0) -> int:  # noqa: D102
        self._check(job_id)
        return self._inner.claim_epoch(job_id, pipeline, held)

    def delete(self, job_id: int) -> None:  # noqa: D102
        self._check(job_id)
        self._inner.delete(job_id)

    def release(self, job_id: int) -> None:  # noqa: D102
        self._inner.release(job_id)

    def _check(self, job_id: int) -> None:
        if not self._is_owner():
            raise Replaced(f"job {job_id} was taken over by another service")

    def epoch(self, job_id: int, pipeline: int) -> int:  # noqa: D102
        return self._inner.epoch(job_id, pipeline)

    def save(self, checkpoint: Checkpoint, retain: int) -> int:  # noqa: D102
        return self._inner.save(checkpoint, retain)

    def all(  # noqa: D102
        self, job_id: int, pipeline: int | None = None, on_broken: Callable[[int, int, str], None] | None = None
    ) -> list[Checkpoint]:
        return self._inner.all(job_id, pipeline, on_broken)

    def numbers(self, job_id: int) -> list[tuple[int, int]]:  # noqa: D102
        return self._inner.numbers(job_id)

    def latest(  # noqa: D102
        self, job_id: int, pipeline: int, skip_broken: Callable[[str], None] | None = None
    ) -> Checkpoint | None:
        return self._inner.latest(job_id, pipeline, skip_broken)
