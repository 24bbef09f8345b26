"""What a store of jobs knows of the jobs that staged something."""

from pathlib import Path

from headrace.checkpoint.store import CheckpointStore
from headrace.connector import Claim
from headrace.execution.owner import KnownJobs, identity_of, is_restorable
from headrace.jobs.store import JobStore


class JobsOfStore(KnownJobs):
    """Jobs of services: one is over when the store says that it has ended, and nothing saved names what it staged."""

    def __init__(self, store: JobStore, home: Path, checkpoints: CheckpointStore) -> None:
        self._store, self._checkpoints, self.home = store, checkpoints, str(home)
        self.identity = identity_of(store.identity(), home, checkpoints)

    def is_over(self, claim: Claim) -> bool:  # noqa: D102
        if claim.store != self.identity:
            return False
        record = self._store.get(claim.job_id)
        ended = record is None or record.status.is_end
        return ended and not is_restorable(self._checkpoints, claim.job_id)
