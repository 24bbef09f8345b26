"""Plugins of another package, found through its entry point: what the engine does when a plugin misbehaves."""

import time
from pathlib import Path

import pyarrow as pa
from pydantic import Field

from headrace.connector import Batch, Options, Read, Sink, SinkWriter, Source, Split, TableSchema, sink, source
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
