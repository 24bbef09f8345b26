"""One state of the database for all tasks of a process: connections whose transactions begin under one lock.

MySQL cannot hand a state on to another connection. So all that are needed are opened at once, while a global read lock
keeps others from committing for a moment. Without the right to that lock, only a single reader sees one state.
"""

import contextlib
import hashlib
import weakref
from itertools import count
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from headrace.connectors._jdbc.dialects.mysql.connection import MysqlSettings
from headrace.connectors._jdbc.dialects.mysql.database import Mysql
from headrace.errors import HeadraceError, Unavailable

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.mysql import MysqlDialect

BEGIN = "START TRANSACTION WITH CONSISTENT SNAPSHOT"

LOCK_SECONDS = 3
"""How long running statements are waited for until nobody commits; others wait meanwhile."""

WAIT_SECONDS = 20.0
"""How long a reader waits for a connection that another one gives back."""


_HELD: "weakref.WeakValueDictionary[str, Snapshot]" = weakref.WeakValueDictionary()
"""The snapshots of this process, by number."""

_NUMBERS = count()


def reader_of(number: str) -> Mysql:
    """A connection of the snapshot of this number."""
    held = _HELD.get(number)
    if held is None:
        raise Unavailable("the state of the database that was read has gone, so the reading begins anew")
    return held.take()


class Reading(Mysql):
    """A connection of a snapshot; goes back to it when it is closed, as long as it can be used."""

    pool: "SimpleQueue[Reading | None] | None" = None

    def close(self) -> None:
        """Give it back, or say that it is lost."""
        if self.pool is None:
            super().close()
        else:
            self.pool.put(self if self.connection.open else None)

    def end(self) -> None:
        """Roll back, and close."""
        self.pool = None
        super().close()


class Snapshot:
    """The connections of one process. number: for Dialect.open. is_shared: whether all tasks see one state."""

    def __init__(self, dialect: "MysqlDialect", settings: MysqlSettings, job: str, readers: int) -> None:
        self.number = f"{job}/{next(_NUMBERS)}"
        self._pool: SimpleQueue[Reading | None] = SimpleQueue()
        self._all = [Reading(dialect, settings, read_only=True) for _ in range(readers)]
        self._closing = weakref.finalize(self, _end, self._all)
        mark = f"headrace source {hashlib.sha256(job.encode()).hexdigest()[:32]}"
        [(is_first,)] = self._all[0].execute("SELECT GET_LOCK(?, 0)", (mark,))
        with contextlib.closing(Mysql(dialect, settings, read_only=False)) as other:
            locked = readers > 1 and _lock(other)
            for database in self._all:
                database.execute(BEGIN)
            if locked:
                other.execute("UNLOCK TABLES")
        self.is_shared = bool(is_first) and (locked or readers == 1)
        for database in self._all:
            database.pool = self._pool
            self._pool.put(database)
        _HELD[self.number] = self

    def take(self) -> Mysql:
        """A connection that nobody reads from. Raises Unavailable when one was lost, as the state is lost with it."""
        try:
            found = self._pool.get(timeout=WAIT_SECONDS)
        except Empty:
            found = None
        if found is None:
            raise Unavailable("a connection that read one state of the database is lost, so the reading begins anew")
        return found

    def close(self) -> None:
        """End the transactions."""
        self._closing()


def _lock(database: Mysql) -> bool:
    """Keep others from committing; False without the right to it, or when a statement runs too long."""
    with contextlib.suppress(HeadraceError):
        database.execute(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
        database.execute("FLUSH TABLES WITH READ LOCK")
        return True
    return False


def _end(connections: list[Reading]) -> None:
    for database in connections:
        database.end()
