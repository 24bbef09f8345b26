"""How many rows a task hands on at once: as many as take about half a second, measured as it goes.

Between two such slices a task answers barriers and stops, so a slow row never holds a checkpoint up for long, whatever
the source had ready. Rows that cost nothing go on as whole batches.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

from headrace.connector import TaskContext

SLICE_SECONDS = 0.5
"""What a slice may take."""

TOGETHER_SECONDS = 5.0
"""What one may take whose rows a plugin sends to a service together, so that each request is as full as it may be."""

GROWTH = 16
"""A slice is bigger than any before by this factor, at most: nothing is known of what was not tried."""

MEMORY = 0.7
"""What a measurement weighs after the next one, of 1."""

PROBE_EVERY = 16
"""After so many slices in a row that took too long, one of twice the rows shows what a call costs by itself."""


class Pace:
    """The rows of one table. together: how many of them a plugin sends to a service in one request, or at once.

    A call is taken to cost a part of its own and a part for each row. Where its own part is more than a slice may take,
    fewer rows would not make it shorter: then the rows may take as long as it does.
    """

    def __init__(self, together: int = 1) -> None:
        self.rows = 1
        self._together = together
        self._weight = self._sum_rows = self._sum_seconds = self._sum_squares = self._sum_products = 0.0
        self._call_seconds = 0.0
        self._too_long = PROBE_EVERY - 1

    @contextmanager
    def measured(self, rows: int) -> Iterator[None]:
        """The time that so many rows take."""
        began = time.perf_counter()
        yield
        self.took(rows, time.perf_counter() - began)

    def took(self, rows: int, seconds: float) -> None:
        """So many rows took so long: `rows` is how many come next."""
        row_seconds = self._row_seconds(rows, seconds)
        most = max(self.rows, rows * GROWTH)
        if row_seconds * most > 0:
            few = self._room(SLICE_SECONDS) / row_seconds
            many = self._room(TOGETHER_SECONDS) / row_seconds
            most = max(1, int(min(most, max(few, min(many, self._together)))))
        self._too_long = self._too_long + 1 if seconds > SLICE_SECONDS else 0
        if self._too_long >= PROBE_EVERY:
            most, self._too_long = max(most, 2 * rows), 0
        self.rows = most

    def _room(self, seconds: float) -> float:
        """What the rows of a call may take."""
        return max(seconds - self._call_seconds, self._call_seconds)

    def _row_seconds(self, rows: int, seconds: float) -> float:
        """What a row costs by the last measurements: a line through them, the newest weighing most."""
        weight = self._weight = MEMORY * self._weight + 1
        self._sum_rows = MEMORY * self._sum_rows + rows
        self._sum_seconds = MEMORY * self._sum_seconds + seconds
        self._sum_squares = MEMORY * self._sum_squares + rows * rows
        self._sum_products = MEMORY * self._sum_products + rows * seconds
        mean_rows, mean_seconds = self._sum_rows / weight, self._sum_seconds / weight
        spread = self._sum_squares / weight - mean_rows * mean_rows
        if spread > (0.1 * mean_rows) ** 2:  # slices of one size say nothing of what a call costs by itself
            slope = (self._sum_products / weight - mean_rows * mean_seconds) / spread
            self._call_seconds = mean_seconds - max(slope, 0.0) * mean_rows
        self._call_seconds = min(max(self._call_seconds, 0.0), mean_seconds)
        return (mean_seconds - self._call_seconds) / mean_rows


class Paces:
    """The paces of all tables of a task. together: see Pace."""

    def __init__(self, together: int = 1) -> None:
        self._together = together
        self._of: dict[str, Pace] = {}

    def of(self, table: str) -> Pace:
        """The pace of a table's rows; a new table begins with one row."""
        pace = self._of.get(table)
        if pace is None:
            pace = self._of[table] = Pace(self._together)
        return pace

    def slowest(self, table: str = "") -> int:
        """How many rows to put in a batch of the table, or of any table. May be asked by another thread."""
        paces = [self._of.get(table)] if table else list(self._of.values())
        return min((pace.rows for pace in paces if pace is not None), default=1)


class PacedContext(TaskContext):
    """A task's context whose batches are as small as rows are slow; it may tell another number at each look."""

    _paces: Paces
    _table: str
    _most: int

    @classmethod
    def of(cls, context: TaskContext, paces: Paces, table: str) -> "PacedContext":
        """table: whose rows are read; empty for several."""
        made = cls(**{field.name: getattr(context, field.name) for field in fields(context)})
        for name, value in (("_paces", paces), ("_table", table)):
            object.__setattr__(made, name, value)
        return made

    @property
    def batch_rows(self) -> int:
        """See TaskContext."""
        return min(self._most, self._paces.slowest(self._table))

    @batch_rows.setter
    def batch_rows(self, rows: int) -> None:
        object.__setattr__(self, "_most", rows)
