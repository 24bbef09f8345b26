"""What a sink has staged is committed and removed where it lies: on the machine that staged it, or on any."""

import itertools
import threading
import time
from dataclasses import replace

import pyarrow as pa
import pytest

from headrace.checkpoint.store import FileStore
from headrace.config.job import parse_job
from headrace.connector import (
    Batch,
    CallsRun,
    JobContext,
    Options,
    Read,
    Sink,
    SinkKind,
    SinkWriter,
    Source,
    Split,
    TableSchema,
    Written,
    sink,
    source,
)
from headrace.connectors._jdbc.sink import JdbcSink
from headrace.connectors.local_file import LocalFileSink
from headrace.connectors.s3_file import S3FileSink
from headrace.errors import Rejected, Unavailable, Undelivered
from headrace.execution.budget import Budget
from headrace.execution.master import JobMaster
from headrace.execution.messages import Forget
from headrace.execution.runner import Lane, Runner
from headrace.execution.worker import Worker
from headrace.options import read_options
from headrace.plan.plan import make_plan
from headrace.rows import Column
from headrace.testing import task

TABLE = TableSchema("t", (Column("a", pa.int64()),))
ROWS = pa.record_batch({"a": pa.array([1, 2], pa.int64())})


@source("BothAtOnce")
class BothAtOnce(Source):
    """Two splits, each of which is read only while the other one is, so that two tasks have one each."""

    class Options(Options):
        """None."""

    meeting = threading.Barrier(2)

    def tables(self):
        return [TABLE]

    def splits(self, parallelism):
        return [Split("a"), Split("b")]

    def read(self, split, position, task):
        if position is None:
            self.meeting.wait(60)
            yield Read(Batch(ROWS, "t"), 2)


class Disk:
    """What one machine alone reaches."""

    def __init__(self):
        self.staged: set[str] = set()
        self.published: list[str] = []
        self.calls: list[str] = []


class Disks(threading.local):
    """The machine that a worker stands for, as its threads see it."""

    now = ""


HERE = Disks()
DISKS: dict[str, Disk] = {}
NUMBERS = itertools.count(1)


class StagingOptions(Options):
    """failures: how many commits fail before one works. refuses: the machine where nothing can be staged."""

    failures: int = 0
    refuses: str = ""


@sink("StagedHere")
class StagedHere(Sink):
    """Stages on the disk of its machine."""

    Options = StagingOptions
    kind = SinkKind.STAGED

    def __init__(self, options):
        super().__init__(options)
        self.failures = options.failures

    @property
    def disk(self):
        return DISKS[HERE.now]

    def writer(self, table, task, state):
        return Staging(self)

    def commit(self, committables, job):
        self.disk.calls.append("commit")
        if self.failures:
            self.failures -= 1
            raise Unavailable("the target is away")
        for name in committables:
            if name in self.disk.staged:
                self.disk.staged.discard(name)
                self.disk.published.append(name)
            elif name not in self.disk.published:
                raise Undelivered(f"{name} is neither staged nor published on {HERE.now}")

    def abort(self, committables, job):
        self.disk.calls.append("abort")
        self.disk.staged -= set(committables)

    def end(self, job):
        self.disk.calls.append("end")


@sink("StagedAnywhere")
class StagedAnywhere(StagedHere):
    """Stages in a storage that all machines share."""

    calls_run = CallsRun.ANYWHERE

    @property
    def disk(self):
        DISKS[HERE.now].calls.append("asked")
        return DISKS["shared"]


class Staging(SinkWriter):
    """Stages a name for each checkpoint with rows."""

    def __init__(self, sink):
        self.sink, self.rows, self.prepared = sink, 0, 0

    def write(self, batch):
        self.rows += batch.num_rows

    def prepare_commit(self, checkpoint_id):
        if self.rows == self.prepared:
            return None
        if self.sink.options.refuses == HERE.now:
            while not DISKS["north"].staged:
                time.sleep(0.01)
            time.sleep(0.5)  # the other task's answer is on its way
            raise Rejected("the disk is full")
        self.prepared, name = self.rows, f"{HERE.now}-{next(NUMBERS)}"
        self.sink.disk.staged.add(name)
        return name

    def written(self):
        return Written(self.prepared)


class MachineWorker(Worker):
    """A worker whose threads know their machine."""

    def __init__(self, machine, *arguments):
        super().__init__(*arguments)
        self._machine = machine

    def _call(self, call):
        HERE.now = self._machine
        super()._call(call)

    def _run(self, *arguments):
        HERE.now = self._machine
        super()._run(*arguments)


class MachineLane(Lane):
    """The worker of one machine."""

    def __init__(self, machine, worker):
        self.name, self.machine, self.worker = f"worker-{machine}", machine, worker

    def send(self, command):
        self.worker.handle(command)


class TwoMachines(Runner):
    """A worker on each machine, with a plan of its own."""

    def __init__(self, *machines):
        self._machines, self._lanes = machines, {}

    def check(self, plan):
        pass

    def machines(self):
        return list(self._machines)

    def attach(self, job, plan, lanes, on_event, machine=""):
        for name in self._machines:
            if name not in self._lanes:
                worker = MachineWorker(name, on_event, Budget())
                worker.load(job, make_plan(plan.job))
                self._lanes[name] = MachineLane(name, worker)
        found = sorted(self._lanes.values(), key=lambda lane: (lane.machine != machine, lane.machine))
        return found[:lanes]

    def detach(self, job):
        for lane in self._lanes.values():
            lane.send(Forget(job))
        self._lanes = {}

    def replace(self, job, lane):
        return []

    def close(self):
        pass


@pytest.fixture(autouse=True)
def disks():
    DISKS.clear()
    DISKS.update({name: Disk() for name in ("north", "south", "shared")})


def run(folder, sink_text, *machines, env="", restore=False):
    plan = make_plan(
        parse_job(
            f"env {{ parallelism = 2, job.retry.times = 2, job.retry.interval.seconds = 0, {env} }}\n"
            f"source {{ BothAtOnce {{}} }}\nsink {{ {sink_text} }}"
        )
    )
    master = JobMaster(plan, TwoMachines(*machines), FileStore(folder), job_id=7, restore=restore)
    return master.run()


def published(machine):
    return [name.partition("-")[0] for name in DISKS[machine].published]


def test_what_was_staged_on_a_machine_is_committed_there(tmp_path):
    result = run(tmp_path, "StagedHere {}", "north", "south")
    assert (result.status, result.error) == ("FINISHED", None)
    assert (published("north"), published("south")) == (["north"], ["south"])
    assert not DISKS["north"].staged | DISKS["south"].staged
    assert all("end" in DISKS[machine].calls for machine in ("north", "south"))


def test_what_all_machines_reach_is_committed_by_one_of_them(tmp_path):
    result = run(tmp_path, "StagedAnywhere {}", "north", "south")
    assert (result.status, result.error) == ("FINISHED", None)
    assert sorted(published("shared")) == ["north", "south"]
    assert DISKS["shared"].calls == ["commit", "end"]


def test_a_restart_finishes_what_is_owed_where_it_was_staged(tmp_path):
    result = run(tmp_path, "StagedHere { failures = 1 }", "north", "south")
    assert (result.status, result.progress.restarts) == ("FINISHED", 2)
    assert (published("north"), published("south")) == (["north"], ["south"])


def test_what_lies_on_a_machine_that_is_gone_is_lost_and_said_so(tmp_path):
    first = run(tmp_path, "StagedHere { failures = 9 }", "north", "south")
    assert first.status == "FAILED"
    second = run(tmp_path, "StagedHere {}", "north", restore=True)
    assert second.status == "FAILED"
    assert isinstance(second.error, Undelivered)
    assert "south-" in str(second.error)
    assert "is neither staged nor published on north" in str(second.error)


def test_what_no_checkpoint_names_is_removed_where_it_was_staged(tmp_path):
    result = run(tmp_path, "StagedHere { refuses = south }", "north", "south")
    assert (result.status, str(result.error)) == ("FAILED", "the disk is full")
    assert (DISKS["north"].staged, DISKS["north"].calls) == (set(), ["abort", "end"])
    assert "abort" not in DISKS["south"].calls


@pytest.mark.parametrize(
    ("cls", "options", "where"),
    [
        (LocalFileSink, {"path": "/x"}, CallsRun.WHERE_STAGED),
        (
            S3FileSink,
            {"path": "/x", "bucket": "s3a://rows", "fs.s3a.endpoint": "http://h", "access_key": "k", "secret_key": "s"},
            CallsRun.ANYWHERE,
        ),
        (JdbcSink, {"url": "jdbc:sqlite:/x.db", "table": "t", "generate_sink_sql": True}, CallsRun.WHERE_STAGED),
        (JdbcSink, {"url": "jdbc:postgresql://h/x", "table": "t", "generate_sink_sql": True}, CallsRun.ANYWHERE),
    ],
)
def test_sinks_are_called_where_what_they_write_is_reached(cls, options, where):
    made = read_options(cls.Options, options)
    assert not made.problems
    assert cls(made.options).calls_run is where


def test_each_task_clears_what_killed_starts_have_left_on_its_machine(tmp_path):
    """Only where machines do not share the storage: there one task's look would find nothing of the others."""
    options = {"path": str(tmp_path / "out"), "tmp_path": str(tmp_path / "staged"), "file_format_type": "csv"}
    sink = LocalFileSink(read_options(LocalFileSink.Options, options).options)
    job = JobContext(1, store="a1")
    writer = sink.open(task(job, 1)).writer(TABLE)
    writer.write(Batch(ROWS, "t"))
    writer.prepare_commit(1)
    assert [left.claim for left in sink.left()] == [job.claim]
    sink.open(task(replace(job, epoch=2), 1)).close()
    assert list(sink.left()) == []
