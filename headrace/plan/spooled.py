"""A transactional sink as the place for bad rows: what a checkpoint has saved is written, once, by its commit.

Positions and bad rows of a pipeline cannot be in the transactions of two targets at once. So the bad rows lie in a file
until their checkpoint is saved; the commit writes them in a transaction that also notes which checkpoint they are of.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.connector import (
    Batch,
    CallsRun,
    Committable,
    JobContext,
    Problem,
    Sink,
    SinkKind,
    SinkSession,
    SinkWriter,
    State,
    TableSchema,
    TaskContext,
    is_left_behind,
    staging_name,
)
from headrace.errors import Rejected, Unavailable
from headrace.storage.contract import Stat


class SpooledSink(Sink):
    """A transactional sink whose rows are written by the commit of the checkpoint that holds them. Exactly once.

    label: tells it from other such sinks of the pipeline that have the same target.
    """

    kind = SinkKind.STAGED
    calls_run = CallsRun.WHERE_STAGED

    def __init__(self, inner: Sink, label: str) -> None:
        super().__init__(inner.options)
        self.inner, self._label = inner, label

    def options_for(self, table: TableSchema) -> Any:
        """See Sink.options_for."""
        return self.inner.options_for(table)

    def source_of_bad_rows(self, table: TableSchema) -> Mapping[str, Any] | None:
        """See Sink.source_of_bad_rows."""
        return self.inner.source_of_bad_rows(table)

    def files_of_bad_rows(self, table: TableSchema) -> Sequence[Stat]:
        """See Sink.files_of_bad_rows."""
        return self.inner.files_of_bad_rows(table)

    def discard_bad_rows(self, table: TableSchema, rows: int, files: Sequence[Stat]) -> None:
        """See Sink.discard_bad_rows."""
        self.inner.discard_bad_rows(table, rows, files)

    def check(self, tables: Sequence[TableSchema]) -> Iterable[Problem]:
        """See Sink.check."""
        return self.inner.check(tables)

    def lacks(self, parallelism: int) -> Iterable[str]:
        """See Sink.lacks."""
        return self.inner.lacks(parallelism)

    def advice(self) -> Iterable[Problem]:
        """See Sink.advice."""
        return self.inner.advice()

    def save_mode(self, table: TableSchema) -> None:
        """See Sink.save_mode."""
        self.inner.save_mode(table)

    def start(self, job: JobContext) -> None:
        """Fence the target against the commits of older epochs."""
        self.inner.start(self._own(job))

    def open(self, task: TaskContext) -> SinkSession:
        """See Sink.open. What killed starts of the pipeline have kept goes: each task looks on its machine."""
        for file in self._folder(task.job).glob("*.arrow"):
            if is_left_behind(file.name, task.job):
                file.unlink(missing_ok=True)
        return super().open(task)

    def writer(self, table: TableSchema, task: TaskContext, state: State | None) -> SinkWriter:
        """See Sink.writer."""
        return _SpoolWriter(table, task, self._folder(task.job))

    def commit(self, committables: Sequence[Committable], job: JobContext) -> None:
        """Write what the target does not have yet: each task's rows in the order of its checkpoints."""
        own = self._own(job)
        known = self.inner.positions(own)
        for item in sorted(committables, key=lambda c: c["order"]):
            split = f"{self._label} {item['task']}"
            position = known.positions.get(split) if known else None
            if position is None or position < item["order"]:
                self._write(item, split, own)
                known = self.inner.positions(own)
            Path(item["file"]).unlink(missing_ok=True)

    def _write(self, item: Committable, split: str, own: JobContext) -> None:
        task = TaskContext(own, item["task"])
        try:
            stream = pa.OSFile(item["file"], "rb")
        except OSError as error:
            raise Rejected(f"the bad rows of checkpoint {item['order'][1]} are gone: {error}") from error
        with stream, pa.ipc.open_stream(stream) as reader, closing(self.inner.open(task)) as session:
            table = TableSchema.from_arrow(reader.schema, item["table"])
            with closing(session.writer(table)) as writer:
                for rows in reader:
                    writer.write(Batch(rows, item["table"]))
                writer.prepare_commit(item["order"][1])
                session.flush()
                session.commit_positions(item["order"][1], {split: item["order"]}, [])

    def abort(self, committables: Sequence[Committable], job: JobContext) -> None:
        """Remove the files."""
        for item in committables:
            Path(item["file"]).unlink(missing_ok=True)

    def end(self, job: JobContext) -> None:
        """Forget the job in the target, and remove its files."""
        self.inner.end(self._own(job))
        shutil.rmtree(self._folder(job), ignore_errors=True)

    def _own(self, job: JobContext) -> JobContext:
        """The pipeline as the target knows this sink of it: never the pipeline whose rows it may hold as well."""
        return replace(job, pipeline=-job.pipeline)

    def _folder(self, job: JobContext) -> Path:
        home = Path(job.home) if job.home else Path(tempfile.gettempdir()) / "headrace"
        return home / "aside" / str(job.job_id)


class _SpoolWriter(SinkWriter):
    """One file for each checkpoint."""

    def __init__(self, table: TableSchema, task: TaskContext, folder: Path) -> None:
        self._table, self._task, self._folder = table, task, folder
        self._file: Any = None
        self._stream: Any = None
        self._path = Path()
        self._files = 0

    def write(self, batch: Batch) -> None:
        try:
            if self._stream is None:
                self._open()
            self._stream.write_batch(batch.rows)
        except OSError as error:
            raise Unavailable(f"cannot keep bad rows in {self._folder}: {error.strerror or error}") from error

    def _open(self) -> None:
        self._files += 1
        self._folder.mkdir(parents=True, exist_ok=True)
        name = staging_name(self._task.job, self._task.index, f"{os.getpid()}_{id(self)}_{self._files}")
        self._path = self._folder / f"{name}.arrow"
        self._file = open(self._path, "xb")
        self._stream = pa.ipc.new_stream(self._file, self._table.arrow)

    def prepare_commit(self, checkpoint_id: int) -> Committable | None:
        if self._stream is None:
            return None
        self._stream.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._stream = self._file = None
        order = [self._task.job.epoch, checkpoint_id]
        return {"file": str(self._path), "table": self._table.path, "task": self._task.index, "order": order}

    def close(self) -> None:
        if self._file is not None:
            with suppress(Exception):
                self._stream.close()
            self._file.close()
            self._path.unlink(missing_ok=True)
