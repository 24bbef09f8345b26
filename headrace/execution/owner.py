"""The lock a process holds on a job while it runs it, and what staged data says of its owner."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.connector import Owner
from headrace.errors import HomeUnusable, JobExists
from headrace.storage.local import FileLock


@contextmanager
def beginning_in(home: Path) -> Iterator[None]:
    """What is written when a command begins. Raises HomeUnusable where the system says that it cannot be."""
    try:
        yield
    except OSError as error:
        raise HomeUnusable(
            f"cannot use the home {home}: {error.strerror or error}{f': {error.filename}' if error.filename else ''}; "
            "free some space there, or name another one with --home"
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
        self._job_id = job_id

    @classmethod
    def exists(cls, home: Path, job_id: int) -> bool:
        """Whether the job is held, or was when its process was killed."""
        return (cls._place(home) / f"{job_id}.lock").exists()

    @staticmethod
    def _place(home: Path) -> Path:
        return home.resolve() / "owners"

    def owner(self, pipeline: int) -> Owner:
        """Whom the staged data of a pipeline belongs to."""
        return Owner(str(self._file), str(self._folder / f"{self._job_id}-{pipeline}.pending"))

    def close(self) -> None:
        """Give the job free."""
        self._lock.close(remove=True)
