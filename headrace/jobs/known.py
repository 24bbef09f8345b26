"""What a store of jobs knows of the jobs that staged something."""

from pathlib import Path

from headrace.checkpoint.store import CheckpointStore
from headrace.connector import Claim
from headrace.execution.owner import KnownJobs, identity_of, is_restorable
from headrace.jobs.remote_store import AnyStore


class JobsOfStore(KnownJobs):
    """Jobs of services: one is over when the store says that it has ended, and nothing saved names what it staged."""

    def __init__(self, store: AnyStore, home: Path, checkpoints: CheckpointStore, *, cluster: bool = False) -> None:
        """cluster: whether all services are proved to use this place of checkpoints, which each may name otherwise."""
        self._store, self._checkpoints, self.home = store, checkpoints, str(home)
        place = "" if cluster else checkpoints.place
        self.identity = identity_of(store.identity(), home, place)

    def is_over(self, claim: Claim) -> bool:  # noqa: D102
        if claim.store != self.identity:
            return False
        record = self._store.get(claim.job_id)
        ended = record is None or record.status.is_end
        return ended and not is_restorable(self._checkpoints, claim.job_id)
