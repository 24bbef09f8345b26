"""Jobs without end: rows arrive while they are made; limits, checkpoints and stops hold."""

import time

import pytest

from tests.execution.runs import Run

pytestmark = pytest.mark.job

HANG_GUARD = 2.0
"""Seconds; the promise is 0.2, which benchmarks/latency.py measures."""


@pytest.fixture
def start(tmp_path):
    running = []

    def begin(*arguments, env="", source="Paced { seconds = 0.1 }"):
        job = f"""
        env {{ job.mode = STREAMING, checkpoint.interval = 300, {env} }}
        source {{ {source} }}
        sink {{ Arrivals {{ path = "{tmp_path}/arrivals" }} }}"""
        running.append(Run(tmp_path, job, *arguments))
        return running[-1]

    yield begin
    for run in running:
        run.kill()


def arrivals(folder):
    file = folder / "arrivals"
    lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    return [(int(number), float(delay)) for number, delay in lines]


@pytest.mark.parametrize("runner", ["embedded", "processes"])
def test_a_row_that_comes_alone_arrives_at_once(start, tmp_path, runner):
    run = start("--runner", runner)
    run.until(lambda: len(arrivals(tmp_path)) >= 30)
    found = arrivals(tmp_path)
    assert [number for number, _ in found[:30]] == list(range(1, 31))
    assert sorted(delay for _, delay in found)[len(found) // 2] < HANG_GUARD


def test_a_limit_of_rows_lets_them_flow_evenly(start, tmp_path):
    run = start(env="read_limit.rows_per_second = 20", source="Paced { seconds = 0 }")
    run.until(lambda: len(arrivals(tmp_path)) >= 20)
    began, before = time.monotonic(), len(arrivals(tmp_path))
    time.sleep(2)
    rate = (len(arrivals(tmp_path)) - before) / (time.monotonic() - began)
    assert 5 < rate < 40


def test_a_limit_of_bytes_lets_rows_flow_evenly(start, tmp_path):
    """A batch is never so big that the limit makes it wait for minutes."""
    fake = "FakeSource { row.num = 100000, schema { fields { id = bigint, sent = double } } }"
    run = start(env="read_limit.bytes_per_second = 1600", source=fake)
    run.until(lambda: len(arrivals(tmp_path)) >= 50)
    began, before = time.monotonic(), len(arrivals(tmp_path))
    time.sleep(2)
    rate = (len(arrivals(tmp_path)) - before) / (time.monotonic() - began)
    assert 10 < rate < 400


def test_the_splits_of_a_task_share_its_limit(start, tmp_path):
    fake = "FakeSource { row.num = 6000, split.num = 60, schema { fields { id = bigint, sent = double } } }"
    run = start(env="read_limit.rows_per_second = 50", source=fake)
    run.until(lambda: len(arrivals(tmp_path)) >= 5)
    time.sleep(3)
    assert len(arrivals(tmp_path)) < 1000, "sixty splits have the limit of one"


def test_a_stopped_job_without_end_goes_on_after_its_last_row(start, tmp_path):
    run = start("--job-id", "5")
    run.until(lambda: len(arrivals(tmp_path)) >= 10)
    run.process.terminate()
    assert run.end()["status"] == "SAVEPOINT_DONE", run.said
    held = len(arrivals(tmp_path))
    again = start("--job-id", "5", "--restore")
    again.until(lambda: len(arrivals(tmp_path)) >= held + 10)
    numbers = [number for number, _ in arrivals(tmp_path)]
    assert numbers == list(range(1, len(numbers) + 1))
