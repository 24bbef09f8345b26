"""Rows that wait for the commit: in memory, and in a file without a name when there are many."""

import contextlib
import tempfile
from collections.abc import Iterator
from typing import IO

import pyarrow as pa

from headrace.connector import Batch
from headrace.errors import Unavailable

MEMORY_BYTES = 16 * 1024 * 1024
"""What stays in memory, at most."""


class Spool:
    """Batches of all tables of a task, in the order they came. Nothing of it outlives the process.

    memory: bytes that may stay in memory.
    """

    def __init__(self, memory: int = MEMORY_BYTES) -> None:
        self._memory = min(memory, MEMORY_BYTES)
        self._entries: list[Batch | tuple[str, int, int, bool]] = []
        self._bytes, self._written = 0, 0
        self._file: IO[bytes] | None = None

    def __bool__(self) -> bool:
        return bool(self._entries)

    def add(self, batch: Batch) -> None:
        """Raises Unavailable when the disk is full."""
        self._entries.append(batch)
        self._bytes += batch.nbytes
        if self._bytes > self._memory:
            self._spill()

    def _spill(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="headrace-")
            for number in range(self._written, len(self._entries)):
                batch = self._entries[number]
                assert isinstance(batch, Batch)
                rows = batch.rows if batch.kinds is None else batch.rows.append_column("", batch.kinds)
                place, data = self._file.tell(), _as_bytes(rows)
                self._file.write(data)
                self._entries[number] = (batch.table, place, data.size, batch.kinds is not None)
        except OSError as error:
            text = f"cannot keep rows until their commit in {tempfile.gettempdir()}: {error.strerror or error}"
            raise Unavailable(f"{text}; make room there, set TMPDIR, or set a shorter checkpoint.interval") from error
        self._written, self._bytes = len(self._entries), 0

    def __iter__(self) -> Iterator[Batch]:
        """All batches once; more can be added afterwards."""
        end = self._file.tell() if self._file else 0
        try:
            for entry in self._entries:
                yield entry if isinstance(entry, Batch) else self._load(*entry)
        finally:
            if self._file:
                self._file.seek(end)

    def _load(self, table: str, place: int, size: int, has_kinds: bool) -> Batch:
        assert self._file is not None
        self._file.seek(place)
        with pa.ipc.open_stream(pa.py_buffer(self._file.read(size))) as stream:
            rows = stream.read_next_batch()
        if not has_kinds:
            return Batch(rows, table)
        last = rows.num_columns - 1
        return Batch(rows.remove_column(last), table, rows.column(last))

    def clear(self) -> None:
        """Forget the rows; the file goes."""
        self._entries, self._bytes, self._written = [], 0, 0
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


def _as_bytes(rows: pa.RecordBatch) -> pa.Buffer:
    """With its schema and the dictionaries of its columns, so that it can be read by itself."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_batch(rows)
    return sink.getvalue()
