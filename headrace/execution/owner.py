"""The lock a process holds on a job while it runs it, and what a home knows of the jobs that staged something."""

import errno
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.checkpoint.store import CheckpointStore
from headrace.connector import NO_STORE, Claim
from headrace.errors import HomeUnusable, JobExists
from headrace.storage.local import FileLock, write_new

_CURES = {
    errno.EACCES: "check its owner and mode",
    errno.EROFS: "make its file system writable",
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there",
}


@contextmanager
def beginning_in(home: Path) -> Iterator[None]:
    """What is written when a command begins. Raises HomeUnusable where the system says that it cannot be."""
    try:
        yield
    except OSError as error:
        cure = _CURES.get(error.errno or 0, "mend it")
        raise HomeUnusable(
            f"cannot use the home {home}: {error.strerror or error}{f': {error.filename}' if error.filename else ''}; "
            f"{cure}, or name another one with --home"
        ) from error


class JobLock:
    """Held from its making to `close`, or to the end of this process, however it ends.

    owner: which of those that had the job one after the other; a lock of its own is only for one that was taken over
    from a process that hangs. Raises JobExists when a living process holds the job.
    """

    def __init__(self, home: Path, job_id: int, owner: int = 1) -> None:
        self._folder = self._place(home)
        self._file = self._folder / (f"{job_id}.lock" if owner == 1 else f"{job_id}.{owner}.lock")
        try:
            self._lock = FileLock(self._file)
        except BlockingIOError:
            raise JobExists(
                f"job {job_id} is already running in another process; stop it first, or choose another id"
            ) from None

    @classmethod
    def exists(cls, home: Path, job_id: int) -> bool:
        """Whether the job is held, or was when its process was killed."""
        return (cls._place(home) / f"{job_id}.lock").exists()

    @staticmethod
    def _place(home: Path) -> Path:
        return home.resolve() / "owners"

    @classmethod
    def is_held(cls, home: Path, job_id: int) -> bool:
        """Whether a living process holds the job, whichever of its owners."""
        files = [cls._place(home) / f"{job_id}.lock", *cls._place(home).glob(f"{job_id}.*.lock")]
        return any(FileLock.is_held(file) for file in files)

    def close(self) -> None:
        """Give the job free."""
        self._lock.close(remove=True)


class KnownJobs:
    """Whose jobs a process can tell to be over, and what their staged things are called; here, of nobody's."""

    identity: str = NO_STORE
    """Stands in every claim, see Claim.store."""

    home: str = ""
    """See JobContext.home."""

    def is_over(self, claim: Claim) -> bool:
        """Whether nothing that is staged under the claim can ever be asked for again; False where that is not known."""
        return False


class JobsOfHome(KnownJobs):
    """Jobs that run without a server: one is over when no process holds it, and nothing saved names what it staged."""

    def __init__(self, home: Path, checkpoints: CheckpointStore) -> None:
        self._home, self._checkpoints, self.home = home, checkpoints, str(home)
        file = home / "identity"
        if not file.exists():
            write_new(file, uuid.uuid4().hex.encode())
        self.identity = identity_of(file.read_text().strip(), home, checkpoints.place)

    def is_over(self, claim: Claim) -> bool:  # noqa: D102
        mine = claim.store == self.identity and not JobLock.is_held(self._home, claim.job_id)
        return mine and not is_restorable(self._checkpoints, claim.job_id)


def identity_of(store: str, home: Path, place: str) -> str:
    """The identity of a store of jobs together with its place of checkpoints: only both know whether a job is over."""
    if "://" not in place and os.path.realpath(place) == str(home / "checkpoints"):
        place = ""  # a home may be moved
    return hashlib.sha256(f"{store} {place}".encode()).hexdigest()[:20]


def is_restorable(checkpoints: CheckpointStore, job_id: int) -> bool:
    """Whether a checkpoint is left that may name something staged; the one of a job's start names nothing."""
    return any(number > 0 for _, number in checkpoints.numbers(job_id))
