"""The engine by itself: made-up rows into a counting sink, its own cost per batch, and a job of five rows."""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))
from measure import HEADRACE, measure

from headrace.connector import (
    Batch,
    JobContext,
    Options,
    Read,
    Sink,
    SinkWriter,
    Source,
    Split,
    TableSchema,
    TaskContext,
    sinks,
    sources,
)
from headrace.options import read_options
from headrace.program import run
from headrace.rows import Column

COLUMNS = dict(  # noqa: C408  names read better without quotes
    c0="int", c1="bigint", c2="string", c3="string", c4="double", c5="boolean", c6="timestamp", c7="date",
    c8="decimal(10, 2)", c9="smallint",
)  # fmt: skip
COUNTING = """
env {{ job.mode = BATCH }}
source {{ FakeSource {{ row.num = {rows}, schema {{ fields {{ {columns} }} }} }} }}
sink {{ Console {{ log.print.data = false }} }}
"""
TABLE = TableSchema("t", (Column("a", pa.int64()),))
ROWS = pa.RecordBatch.from_pydict({"a": pa.array([1], pa.int64())})


class ManyBatches(Source):
    """Batches of one row that cost nothing to make."""

    class Options(Options):
        """How many."""

        batches: int = 1

    def tables(self) -> list[TableSchema]:
        return [TABLE]

    def splits(self, parallelism: int) -> list[Split]:
        return [Split("all")]

    def read(self, split, position, task):
        for number in range(self.options.batches):
            yield Read(Batch(ROWS, "t"), number)


class Nothing(Sink):
    """Takes rows and forgets them."""

    class Options(Options):
        """None."""

    def writer(self, table, task, state):
        return NothingWriter()


class NothingWriter(SinkWriter):
    def write(self, batch):
        pass

    def prepare_commit(self, checkpoint_id):
        return None


def generated_to_counting(rows: int) -> None:
    """FakeSource with ten columns → Console that prints nothing, and the generation alone beside it."""
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder, "job.conf")
        columns = ", ".join(f'{name} = "{kind}"' for name, kind in COLUMNS.items())
        job.write_text(COUNTING.format(rows=rows, columns=columns))
        usage = measure([*HEADRACE, "run", "-q", "--home", folder, str(job)])
        job.write_text(COUNTING.format(rows=5, columns=columns))
        small = measure([*HEADRACE, "run", "-q", "--home", folder, str(job)])
    cls = sources.find("FakeSource")
    source = cls(read_options(cls.Options, {"row.num": rows, "schema": {"fields": COLUMNS}}).options)
    began = time.process_time()
    for split in source.splits(1):
        for _ in source.read(split, None, TaskContext(JobContext(1))):
            pass
    alone = time.process_time() - began
    net = usage.cpu - small.cpu
    print(f"FakeSource → counting sink, {rows:,} rows x 10 columns")
    print(f"  generation alone             {rows / alone / 1e6:7.1f} M rows/CPU-s  x  1.00")
    rate = f"{rows / net / 1e6:7.1f} M rows/CPU-s  x {alone / net:5.2f}"
    print(f"  headrace run, net of start   {rate}   {usage.peak:.0f} MiB peak")
    print(f"  headrace run, whole process  {rows / usage.cpu / 1e6:7.1f} M rows/CPU-s")
    print(f"headrace run of 5 rows         {small.wall:7.2f} s wall, {small.cpu:.2f} s CPU, {small.peak:.0f} MiB peak")


def cost_per_batch(batches: int) -> None:
    """A source and a sink that do nothing: what is left is the engine."""
    sources.add("ManyBatches", ManyBatches)
    sinks.add("Nothing", Nothing)
    job = {"source": [{"plugin_name": "ManyBatches", "batches": batches}], "sink": [{"plugin_name": "Nothing"}]}
    run({**job, "source": [{"plugin_name": "ManyBatches", "batches": 10}]})
    began = time.process_time()
    result = run(job)
    spent = time.process_time() - began
    assert result.status == "FINISHED", result.error
    print(f"the engine's own cost          {spent / batches * 1e3:7.3f} ms CPU per batch, {batches:,} batches")


def time_to_cancel(runs: int) -> None:
    """From Ctrl-C to the end of the process, while rows are written."""
    job_text = """env {{ read_limit.rows_per_second = 1000 }}
    source {{ FakeSource {{ row.num = 1000000, schema {{ fields {{ id = int }} }} }} }}
    sink {{ LocalFile {{ path = "{0}/out", tmp_path = "{0}/tmp" }} }}"""
    took = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            job = Path(folder, "job.conf")
            job.write_text(job_text.format(folder))
            command = [*HEADRACE, "run", "-q", "--home", folder, str(job)]
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            while not list(Path(folder, "tmp").rglob("*.csv")):
                time.sleep(0.02)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
            took.append(time.monotonic() - began)
    print(f"from Ctrl-C to the exit        {max(took):7.2f} s at most, {runs} runs")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--batches", type=int, default=20_000)
    given = parser.parse_args()
    generated_to_counting(given.rows)
    cost_per_batch(given.batches)
    time_to_cancel(5)


if __name__ == "__main__":
    main()
