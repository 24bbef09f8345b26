"""What a worker does for a job beside its tasks ends with the job, and does not fill the memory."""

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest

from headrace.config.job import parse_job
from headrace.connector import JobContext
from headrace.errors import HeadraceError, JobCanceled, Rejected
from headrace.execution import calls
from headrace.execution.budget import Budget
from headrace.execution.calls import LoadedJob
from headrace.execution.messages import (
    Call,
    Forget,
    LoadJob,
    Reply,
    StartTask,
    TaskFailed,
    TaskSpec,
    WorkerGone,
)
from headrace.execution.processes import ProcessesRunner
from headrace.execution.worker import Worker
from headrace.plan.plan import make_plan
from tests.execution.runs import PROBE

HANG_GUARD = 120

JOB = """env {{ job.mode = BATCH }}
source {{ FakeSource {{ row.num = 5, split.num = {splits}, schema {{ fields {{ id = int }} }} }} }}
sink {{ Console {{}} }}"""


def loaded(splits, **more):
    return LoadedJob(make_plan(parse_job(JOB.format(splits=splits))), **more)


def test_more_splits_than_a_job_may_have_are_refused_with_the_cure(monkeypatch):
    monkeypatch.setattr(calls, "MOST_SPLITS", 1000)
    assert len(calls.splits(loaded(1000), 1, 1)) == 1000
    with pytest.raises(Rejected, match=r"source\[0\].FakeSource: there are more than 1,000 splits; lower split.num"):
        calls.splits(loaded(10**9), 1, 1)


def test_splits_that_the_memory_has_no_room_for_are_refused_with_the_cure():
    with pytest.raises(Rejected, match="1 MiB for them; raise --memory, or lower split.num"):
        calls.splits(loaded(10**9, memory_bytes=1 << 20), 1, 1)


def test_nobody_waits_for_the_splits_of_a_job_that_has_ended():
    job = loaded(10**9)
    threading.Timer(0.2, job.ended.set).start()
    began = time.monotonic()
    with pytest.raises(JobCanceled):
        calls.splits(job, 1, 1)
    assert time.monotonic() - began < 30


def test_a_worker_whose_call_outlives_its_job_is_replaced_at_the_cost_of_nobody_else(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(PROBE))
    stuck = f'StuckSource {{ where = tables, how = loop, mark = "{tmp_path}/mark" }}'
    healthy = JOB.format(splits=1)
    runner, events = ProcessesRunner(1), []
    try:
        [lane] = runner.attach("1.1", text_alone(f"source {{ {stuck} }}\nsink {{ Console {{}} }}"), 1, print)
        [same] = runner.attach("2.1", text_alone(healthy), 1, events.append)
        assert lane is same
        [pid] = runner.pids()
        lane.send(Call("1.1", 1, "describe"))
        until(lambda: (tmp_path / "mark").exists())
        runner.detach("1.1")
        until(lambda: any(isinstance(event, WorkerGone) for event in events))
        [gone] = [event for event in events if isinstance(event, WorkerGone)]
        assert (gone.guilty, "was ended because job 1 did not stop in it" in gone.reason) == (False, True)
        assert not psutil.pid_exists(pid)
        [fresh] = runner.attach("2.1", text_alone(healthy), 1, events.append)
        fresh.send(Call("2.1", 1, "describe"))
        until(lambda: any(isinstance(event, Reply) and event.error is None for event in events))
    finally:
        runner.close()


def text_alone(text):
    """A plan as far as a runner looks at it: its plugins are those of the workers."""
    return SimpleNamespace(job=parse_job(text))


def until(holds):
    deadline = time.monotonic() + HANG_GUARD
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_worker_answers_calls_and_starts_of_jobs_that_it_does_not_know():
    events = []
    worker = Worker(events.append, Budget())
    worker.handle(LoadJob("1.1", replace(parse_job(JOB.format(splits=1)).resolved(), plugins=())))
    worker.handle(StartTask("1.1", TaskSpec(JobContext(1, epoch=5), 0)))
    worker.handle(StartTask("2.1", TaskSpec(JobContext(2), 0)))
    worker.handle(Call("2.1", 9, "describe"))
    worker.handle(Forget("1.1"))
    deadline = time.monotonic() + 30
    while len(events) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    failed = [event for event in events if isinstance(event, TaskFailed)]
    assert [(event.job, event.epoch) for event in failed] == [("1.1", 5), ("2.1", 1)]
    assert all(isinstance(event.error, HeadraceError) for event in failed)
    [reply] = [event for event in events if isinstance(event, Reply)]
    assert isinstance(reply.error, JobCanceled)
