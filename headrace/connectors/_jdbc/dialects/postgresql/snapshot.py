"""One exported snapshot for all tasks of a start of a pipeline, in whichever processes they run.

The first task to get an advisory lock exports it, and shows its number in the name of its connection, which the others
look up: so nothing is written, and a standby will do.
"""

import hashlib
import time
import weakref
from typing import TYPE_CHECKING

from headrace.connectors._jdbc.dialects.postgresql.connection import PostgresqlSettings
from headrace.connectors._jdbc.dialects.postgresql.database import Postgresql

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.postgresql import PostgresqlDialect

WAIT_SECONDS = 5.0
"""How long a task waits for another process to export the snapshot that it has begun."""


class Snapshot:
    """A connection that keeps the snapshot alive for this process. job: names the start of the pipeline.

    number: for SET TRANSACTION SNAPSHOT. is_shared: False where another process has one of its own.
    """

    def __init__(self, dialect: "PostgresqlDialect", settings: PostgresqlSettings, job: str) -> None:
        self._mark = hashlib.sha256(job.encode()).hexdigest()[:16]
        self._database = Postgresql(dialect, settings, read_only=True, label="headrace source")
        self._closing = weakref.finalize(self, self._database.close)
        self.is_shared = True
        if self._is_first():
            self._begin()
        else:
            self.is_shared = self._join()
        [(self.number,)] = self._database.execute("SELECT pg_export_snapshot()")
        self._database.connection.execute(f"SET application_name = 'headrace source {self._mark} {self.number}'")

    def _begin(self) -> None:
        self._database.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    def _is_first(self) -> bool:
        """Whether this process takes the snapshot. The lock is the session's, so it lasts as long as the process."""
        lock = int(self._mark[:15], 16)
        [(is_first,)] = self._database.execute("SELECT pg_try_advisory_lock(?)", (lock,))
        return bool(is_first)

    def _join(self) -> bool:
        """Take the snapshot of another process; False where it has gone, or is not told in time."""
        deadline = time.monotonic() + WAIT_SECONDS
        begin = f"headrace source {self._mark} "
        while time.monotonic() < deadline:
            found = self._database.execute(
                "SELECT substr(application_name, ?) FROM pg_stat_activity WHERE application_name LIKE ? "
                "AND datname = current_database() AND usename = current_user AND pid <> pg_backend_pid() LIMIT 1",
                (len(begin) + 1, begin + "%"),
            )
            if found and self._imported(found[0][0]):
                return True
            time.sleep(0.05)
        self._begin()
        return False

    def _imported(self, number: str) -> bool:
        if not number.replace("-", "").isalnum():
            return False
        self._begin()
        try:
            self._database.connection.execute(f"SET TRANSACTION SNAPSHOT '{number}'")
        except self._database.driver.Error:  # its transaction has just ended
            self._database.rollback()
            return False
        return True

    def close(self) -> None:
        """Readers that have begun keep what they see."""
        self._closing()
