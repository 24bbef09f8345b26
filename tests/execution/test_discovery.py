"""A source without an end is asked for new splits while its job runs: nothing else waits for its answer."""

import threading
import time

import pytest

from headrace.checkpoint.store import FileStore
from headrace.config.job import Plugin, parse_job
from headrace.connector import JobContext, Read, Source, Split, sinks
from headrace.execution import discovery
from headrace.execution.budget import Budget
from headrace.execution.embedded import EmbeddedRunner
from headrace.execution.master import JobMaster
from headrace.execution.messages import Acked, Assign, Barrier, Continue, Idle, StopTask, TaskEnded, TaskSpec
from headrace.execution.task import Task
from headrace.options import Options
from headrace.plan.plan import Pipeline, Plan, Step
from headrace.tables import Tables
from headrace.testing import TABLE, batch, make

JOB = """env { job.mode = STREAMING, checkpoint.interval = 100, job.retry.times = 0 }
source { FakeSource {} }
sink { Console {} }"""
HANG_GUARD = 60


PARTS = [f"part {number}" for number in range(5)]


class Finding(Source):
    """Gives a row each 10 ms, from one split; the other one is found when `released` is set.

    Beside them lie splits that end, of one row each. at_once: how many of them were read at the same time, at most.
    """

    Options = Options

    def __init__(self, options):
        super().__init__(options)
        self.asked, self.released = threading.Event(), threading.Event()
        self.open, self.at_once = 0, 0

    def is_bounded(self, mode):
        return False

    def tables(self):
        return [TABLE]

    def splits(self, parallelism):
        return [Split("old"), *(Split(name, ends=True) for name in PARTS)]

    def new_splits(self, known):
        self.asked.set()
        self.released.wait(HANG_GUARD)
        return [Split("new")]

    def read(self, split, position, task):
        number = position or 0
        if split.ends:
            self.open += 1
            self.at_once = max(self.at_once, self.open)
            time.sleep(0.01)
            yield Read(batch((1, split.id)), 1)
            self.open -= 1
            return
        while True:
            time.sleep(0.01)
            number += 1
            yield Read(batch((number, split.id)), number)


@pytest.fixture
def source():
    made = Finding(Options())
    yield made
    made.released.set()


@pytest.fixture
def rows():
    return Tables()


def pipeline_of(source, rows):
    sink = Step(2, Plugin("sink", 0, "Arrow", {}), make(sinks.find("Arrow"), into=rows))
    return Pipeline(1, Step(1, Plugin("source", 0, "Finding", {}), source, (sink,)), 1)


@pytest.fixture
def job(source, rows, tmp_path, monkeypatch):
    """The job runs, and its source does not answer."""
    monkeypatch.setattr(discovery, "DISCOVERY_SECONDS", 0.05)
    plan = Plan(parse_job(JOB), (pipeline_of(source, rows),))
    master = JobMaster(plan, EmbeddedRunner(), FileStore(tmp_path), job_id=1)
    results = []
    thread = threading.Thread(target=lambda: results.append(master.run()), daemon=True)
    thread.start()
    assert source.asked.wait(HANG_GUARD)

    def end():
        thread.join(HANG_GUARD)
        return results[0].status

    master.end = end
    yield master
    master.cancel()
    thread.join(HANG_GUARD)


def until(holds):
    deadline = time.monotonic() + HANG_GUARD
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_checkpoints_are_taken_while_a_source_looks_for_splits(job):
    before = job.progress().checkpoints
    until(lambda: job.progress().checkpoints >= before + 3)


def test_a_savepoint_is_taken_while_a_source_looks_for_splits(job):
    assert job.savepoint().result(HANG_GUARD / 2) == ""
    assert job.end() == "SAVEPOINT_DONE"


def test_a_cancel_ends_the_job_while_a_source_looks_for_splits(job):
    began = time.monotonic()
    job.cancel()
    assert job.end() == "CANCELED"
    assert time.monotonic() - began < HANG_GUARD / 2


def test_splits_that_are_found_are_read_and_saved(job, source, rows, tmp_path):
    source.released.set()

    def saved():
        found = FileStore(tmp_path).latest(1, 1)
        return set(found.positions) if found else set()

    until(lambda: saved() == {"old", "new"})
    until(lambda: set(rows[TABLE.path]["name"].to_pylist()) == {"old", "new", *PARTS})


def test_splits_that_end_are_read_one_after_the_other_beside_those_that_do_not(job, source, rows, tmp_path):
    def finished():
        found = FileStore(tmp_path).latest(1, 1)
        return set(found.finished) if found else set()

    until(lambda: finished() == {*PARTS})
    assert source.at_once == 1
    until(lambda: rows[TABLE.path]["name"].to_pylist().count("old") > 1)
    names = rows[TABLE.path]["name"].to_pylist()
    assert [names.count(part) for part in PARTS] == [1] * len(PARTS)


def test_a_split_that_is_given_while_the_task_waits_at_a_savepoint_is_read(source, rows):
    events = []
    pipeline = pipeline_of(source, rows)
    share = Budget().join(1)
    task = Task(
        "1.1", pipeline, TaskSpec(JobContext(1, mode="STREAMING"), 0), {1: [TABLE], 2: [TABLE]}, events.append, share
    )
    thread = threading.Thread(target=task.run, daemon=True)
    thread.start()
    address = ("1.1", 1, 1, 0)
    until(lambda: any(isinstance(event, Idle) for event in events))
    task.put(Barrier(*address, 1, True))
    until(lambda: any(isinstance(event, Acked) for event in events))
    task.put(Assign(*address, Split("new"), None, False))
    task.put(Continue(*address, 1))
    until(lambda: task._batches > 3)
    task.put(Barrier(*address, 2, False))
    until(lambda: [event for event in events if isinstance(event, Acked)][-1].checkpoint_id == 2)
    assert [event for event in events if isinstance(event, Acked)][-1].ack.positions["new"] > 3
    task.put(StopTask(*address))
    until(lambda: any(isinstance(event, TaskEnded) for event in events))
