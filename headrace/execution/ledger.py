"""Which bad rows were replayed already, and which replay is under way: so that no row is replayed twice."""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from headrace.errors import HeadraceError
from headrace.execution.owner import beginning_in
from headrace.storage.local import FileLock

Row = Mapping[str, Any]


class Replayed:
    """Which bad rows of a home were replayed. A row is known by all it holds; of equal rows as many count as were."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        with self._database:
            self._database.execute("CREATE TABLE IF NOT EXISTS replayed (digest BLOB PRIMARY KEY, times INTEGER)")

    @classmethod
    def of(cls, home: Path) -> "Replayed":
        """What was replayed so far; a replay may be under way."""
        file = home.resolve() / "replays" / "ledger.db"
        return cls(sqlite3.connect(file if file.exists() else ":memory:"))

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def fresh(self, place: str, rows: Sequence[Row]) -> list[Row]:
        """Those of the rows of an error sink that were not replayed. place: which sink."""
        seen: Counter[bytes] = Counter()
        found = []
        for row in rows:
            digest = _digest(place, row)
            seen[digest] += 1
            if seen[digest] > self._times(digest):
                found.append(row)
        return found

    def _times(self, digest: bytes) -> int:
        found = self._database.execute("SELECT times FROM replayed WHERE digest = ?", (digest,)).fetchone()
        return found[0] if found else 0


class Ledger(Replayed):
    """Held by one replay at a time, from its making to `close`.

    Raises HeadraceError when another replay holds the ledger of this home.
    """

    def __init__(self, home: Path) -> None:
        folder = home.resolve() / "replays"
        with beginning_in(home):
            try:
                self._lock = FileLock(folder / "lock")
            except BlockingIOError:
                raise HeadraceError(f"another replay is under way in the home {home}; wait for its end") from None
        super().__init__(sqlite3.connect(folder / "ledger.db"))
        with self._database:
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS pending (job TEXT, job_id INTEGER, number INTEGER, digest BLOB, row TEXT)"
            )

    def close(self) -> None:
        """Let others replay."""
        super().close()
        self._lock.close()

    def begin(self, job: str, job_id: int, chosen: Sequence[tuple[str, Row]]) -> None:
        """Note which rows, each with its place, the replay `job_id` of the job file `job` sends in."""
        values = (
            (job, job_id, number, _digest(place, row), json.dumps(dict(row)))
            for number, (place, row) in enumerate(chosen)
        )
        with self._database:
            self._database.executemany("INSERT INTO pending VALUES (?, ?, ?, ?, ?)", values)

    def pending(self, job: str) -> tuple[int, list[Row]] | None:
        """The replay of the job file that did not come to its end: its job id and its rows."""
        with closing(self._database.cursor()) as cursor:
            sql = "SELECT job_id, row FROM pending WHERE job = ? ORDER BY number"
            found = cursor.execute(sql, (job,)).fetchall()
        return (found[0][0], [json.loads(row) for _, row in found]) if found else None

    def done(self, job_id: int) -> None:
        """All rows of the replay are delivered, or were rejected again."""
        with self._database:
            self._database.execute(
                "INSERT INTO replayed SELECT digest, count(*) FROM pending WHERE job_id = ? GROUP BY digest "
                "ON CONFLICT (digest) DO UPDATE SET times = times + excluded.times",
                (job_id,),
            )
            self._database.execute("DELETE FROM pending WHERE job_id = ?", (job_id,))

    def forget(self, job_id: int) -> None:
        """The replay delivered nothing: its rows are as they were before."""
        with self._database:
            self._database.execute("DELETE FROM pending WHERE job_id = ?", (job_id,))


def _digest(place: str, row: Row) -> bytes:
    text = json.dumps([place, sorted(row.items())], default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
