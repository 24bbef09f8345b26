"""Tables in memory that a job fills: what `headrace.run` gives back of the Arrow sink."""

import threading
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from headrace.errors import Undelivered


class Tables(Mapping[str, pa.Table]):
    """Table path → pyarrow.Table of the rows that were committed, which pandas, polars and DuckDB take as they are.

    Rows of parallel tasks come in the order in which the tasks ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._batches: dict[str, list[pa.RecordBatch]] = {}
        self._schemas: dict[str, pa.Schema] = {}
        self._prepared: dict[str, tuple[str, Sequence[pa.RecordBatch]]] = {}
        self._committed: set[str] = set()

    def declare(self, table: str, schema: pa.Schema) -> None:
        """A table that may stay without rows."""
        with self._lock:
            self._schemas.setdefault(table, schema)

    def prepare(self, name: str, table: str, batches: Sequence[pa.RecordBatch]) -> None:
        """Hold rows under a name until they are committed or dropped."""
        with self._lock:
            self._prepared[name] = table, batches

    def commit(self, name: str) -> None:
        """Make prepared rows visible, once. Raises Undelivered when they are neither held nor visible."""
        with self._lock:
            if name in self._committed:
                return
            if name not in self._prepared:
                raise Undelivered(
                    f"the rows that a checkpoint holds as {name} are lost: they were in the memory of a process that "
                    "has ended; start the job anew under a new job id"
                )
            table, batches = self._prepared.pop(name)
            self._batches.setdefault(table, []).extend(batches)
            self._committed.add(name)

    def drop(self, name: str) -> None:
        """Forget prepared rows."""
        with self._lock:
            self._prepared.pop(name, None)

    def __getitem__(self, table: str) -> pa.Table:
        with self._lock:
            batches = self._batches.get(table, [])
            if not batches and table not in self._schemas:
                raise KeyError(table)
            return pa.Table.from_batches(batches, None if batches else self._schemas[table])

    def __iter__(self) -> Iterator[str]:
        return iter(list(dict.fromkeys([*self._schemas, *self._batches])))

    def __len__(self) -> int:
        return len(list(iter(self)))
