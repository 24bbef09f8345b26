"""Plugins of another package, found through its entry point: what the engine does when a plugin misbehaves."""

import ctypes
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from headrace.connector import (
    Batch,
    Options,
    Read,
    Sink,
    SinkKind,
    SinkWriter,
    Source,
    Split,
    TableSchema,
    Transform,
    sink,
    source,
    transform,
)
from headrace.connectors.local_file import LocalFileSink
from headrace.rows import Column

TABLE = TableSchema("paced", (Column("id", pa.int64()), Column("sent", pa.float64())))


class PacedOptions(Options):
    seconds: float = Field(default=0.05, description="Between two rows.")
    rows: int | None = Field(default=None, description="How many; without end when left out.")


@source("Paced")
class PacedSource(Source):
    """One row after the other, each with the time it was made."""

    Options = PacedOptions

    def is_bounded(self, mode):
        return self.options.rows is not None

    def tables(self):
        return [TABLE]

    def splits(self, parallelism):
        return [Split("only", table="paced")]

    def read(self, split, position, task):
        at = position or 0
        while self.options.rows is None or at < self.options.rows:
            time.sleep(self.options.seconds)
            at += 1
            columns = {"id": pa.array([at], pa.int64()), "sent": pa.array([time.time()])}
            yield Read(Batch(pa.RecordBatch.from_pydict(columns), "paced"), at)


class HearingOptions(PacedOptions):
    heard: Path = Field(description="A file that gets a line for each checkpoint it is told of.")
    never_returns: bool = Field(default=False, description="Hang when told.")


@source("Hearing")
class HearingSource(PacedSource):
    """Writes down the positions it is told of, after a while."""

    Options = HearingOptions

    def checkpointed(self, positions):
        time.sleep(1000 if self.options.never_returns else 0.3)
        with open(self.options.heard, "a") as file:
            file.write(f"{positions['only']}\n")


@source("Mixed")
class MixedSource(Source):
    """Two tables in one split: even and odd numbers."""

    Options = PacedOptions

    def tables(self):
        return [TableSchema(name, (Column("id", pa.int64()),)) for name in ("even", "odd")]

    def splits(self, parallelism):
        return [Split("mixed")]

    def read(self, split, position, task):
        for at in range(0 if position is None else position + 1, self.options.rows):
            time.sleep(self.options.seconds)
            table = ("even", "odd")[at % 2]
            rows = pa.RecordBatch.from_pydict({"id": pa.array([at], pa.int64())})
            yield Read(Batch(rows, table), at)


class ArrivalsOptions(Options):
    path: Path = Field(description="A file.")


@sink("Arrivals")
class ArrivalsSink(Sink):
    """A line for each row, with the seconds it was under way; at least once."""

    Options = ArrivalsOptions

    def writer(self, table, task, state):
        return ArrivalsWriter(self.options.path)


class ArrivalsWriter(SinkWriter):
    def __init__(self, path):
        self.file = open(path, "a", buffering=1)

    def write(self, batch):
        now = time.time()
        for row in batch.rows.to_pylist():
            self.file.write(f"{row['id']} {now - row['sent']:.6f}\n")

    def prepare_commit(self, checkpoint_id):
        return None

    def close(self):
        self.file.close()


class HangingOptions(LocalFileSink.Options):
    hang_in: str = Field(default="", description="write, prepare_commit or commit: the call that never returns.")
    flag: Path = Field(default=Path("/nowhere"), description="It hangs once for each time this file is there.")


@sink("HangingFile")
class HangingFileSink(LocalFileSink):
    """LocalFile, one call of which never returns."""

    Options = HangingOptions

    def writer(self, table, task, state):
        return HangingWriter(self, super().writer(table, task, state))

    def hang(self, where):
        if self.options.hang_in == where and self.options.flag.exists():
            self.options.flag.unlink()
            time.sleep(3600)

    def commit(self, committables, job):
        self.hang("commit")
        super().commit(committables, job)


class HangingWriter(SinkWriter):
    def __init__(self, sink, inner):
        self.sink, self.inner = sink, inner

    def write(self, batch):
        self.sink.hang("write")
        self.inner.write(batch)

    def prepare_commit(self, checkpoint_id):
        self.sink.hang("prepare_commit")
        return self.inner.prepare_commit(checkpoint_id)

    def close(self):
        self.inner.close()


class SlowOptions(Options):
    seconds: float = Field(default=0.1, description="For each batch.")


@sink("Slow")
class SlowSink(Sink):
    """Takes its time for every batch and forgets it."""

    Options = SlowOptions

    def writer(self, table, task, state):
        return SlowWriter(self.options.seconds)


class SlowWriter(SinkWriter):
    def __init__(self, seconds):
        self.seconds = seconds

    def write(self, batch):
        time.sleep(self.seconds)

    def prepare_commit(self, checkpoint_id):
        return None


class StuckOptions(Options):
    where: str = Field(default="", description="The call that never returns.")
    how: str = Field(default="sleep", description="sleep, loop, in_c (the interpreter free) or holding (it is not).")
    mark: Path = Field(default=Path("/nowhere"), description="This file appears when it has begun.")
    rows: int = Field(default=1_000_000, description="Of the source.")

    def stick(self, where):
        if self.where == where:
            self.mark.touch()
            while True:
                if self.how == "sleep":
                    time.sleep(3600)
                elif self.how == "in_c":
                    ctypes.CDLL(None).sleep(3600)
                elif self.how == "holding":
                    ctypes.PyDLL(None).sleep(3600)


@source("StuckSource")
class StuckSource(PacedSource):
    """A row now and then, until it is stuck."""

    Options = StuckOptions

    def is_bounded(self, mode):
        return True

    def tables(self):
        self.options.stick("tables")
        return [TABLE]

    def splits(self, parallelism):
        self.options.stick("splits")
        return [Split("only", table="paced")]

    def read(self, split, position, task):
        try:
            for at in range(position or 0, self.options.rows):
                time.sleep(0.001)
                if at == 50:
                    self.options.stick("read")
                columns = {"id": pa.array([at], pa.int64()), "sent": pa.array([0.0])}
                yield Read(Batch(pa.RecordBatch.from_pydict(columns), "paced"), at + 1)
        finally:
            self.options.stick("close_read")

    def checkpointed(self, positions):
        self.options.stick("checkpointed")


@transform("StuckTransform")
class StuckTransform(Transform):
    """Changes nothing, until it is stuck."""

    Options = StuckOptions

    def schema(self, table):
        self.options.stick("schema")
        return table

    def apply(self, batch, task):
        self.options.stick("apply")
        return batch

    def close(self, task):
        self.options.stick("close")


@sink("StuckSink")
class StuckSink(Sink):
    """Staged, with nothing to show for it."""

    Options = StuckOptions
    kind = SinkKind.STAGED

    def check(self, tables):
        self.options.stick("check")
        return ()

    def save_mode(self, table):
        self.options.stick("save_mode")

    def start(self, job):
        self.options.stick("start")

    def open(self, task):
        self.options.stick("open")
        return super().open(task)

    def writer(self, table, task, state):
        self.options.stick("writer")
        return StuckWriter(self.options, task.index)

    def finish(self, tables, states):
        self.options.stick("finish")

    def commit(self, committables, job):
        self.options.stick("commit")

    def abort(self, committables, job):
        self.options.stick("abort")

    def end(self, job):
        self.options.stick("end")


class StuckWriter(SinkWriter):
    def __init__(self, options, index):
        self.options, self.index = options, index

    def write(self, batch):
        self.options.stick("write")

    def prepare_commit(self, checkpoint_id):
        self.options.stick("prepare_commit")
        while self.options.where == "abort" and self.index == 1:  # what task 0 has prepared must be aborted
            time.sleep(1)
        return checkpoint_id

    def close(self):
        self.options.stick("close_writer")


class NumbersOptions(Options):
    stop: Path = Field(description="No more rows are made once this file is there.")


@source("Numbers")
class NumbersSource(Source):
    """Without end, as fast as it may: each split counts from 0."""

    Options = NumbersOptions

    def is_bounded(self, mode):
        return False

    def tables(self):
        columns = Column("split", pa.int64()), Column("id", pa.int64()), Column("text", pa.string())
        return [TableSchema("numbers", columns)]

    def splits(self, parallelism):
        return [Split(str(number), table="numbers") for number in range(parallelism)]

    def read(self, split, position, task):
        at = position or 0
        while True:
            if self.options.stop.exists():
                time.sleep(0.2)
                yield None
                continue
            ids = pa.array(range(at, at + task.batch_rows), pa.int64())
            texts = pc.binary_join_element_wise("row", ids.cast(pa.string()), " ")
            splits = pa.array([int(split.id)] * len(ids), pa.int64())
            at += len(ids)
            yield Read(Batch(pa.RecordBatch.from_arrays([splits, ids, texts], ["split", "id", "text"]), "numbers"), at)


class SlowFileOptions(LocalFileSink.Options):
    slow: Path = Field(description="Every batch takes a second more while this file is there.")


@sink("SlowFile")
class SlowFileSink(LocalFileSink):
    """LocalFile, slow for a while."""

    Options = SlowFileOptions

    def writer(self, table, task, state):
        return SlowFileWriter(super().writer(table, task, state), self.options.slow)


class SlowFileWriter(SinkWriter):
    def __init__(self, inner, slow):
        self.inner, self.slow = inner, slow

    def write(self, batch):
        if self.slow.exists():
            time.sleep(1)
        self.inner.write(batch)

    def prepare_commit(self, checkpoint_id):
        return self.inner.prepare_commit(checkpoint_id)

    def written(self):
        return self.inner.written()

    def close(self):
        self.inner.close()
