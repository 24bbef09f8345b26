"""Jobs that share worker processes: what one of them does to its worker costs the others nothing."""

import json
import os
import signal

import pytest

from headrace.execution.processes import ProcessesRunner
from headrace.jobs.permissions import Permissions
from tests.service.conftest import endless, job, submit, wait_for, wait_for_rows, wait_until

OFTEN = {"checkpoint.interval": 200, "job.retry.interval.seconds": 0}
CODE = Permissions(plugins=("*", "Python"))


def stream(**env):
    return endless(**{"job.mode": "STREAMING", **OFTEN, **env})


def running(code):
    """A job whose transform runs this for each row."""
    text = job(1_000_000, env={"read_limit.rows_per_second": 400, **OFTEN, "job.retry.times": 1})
    source = f"import os, time\ndef process(row, context):\n  {code}\n  return {{'x': 1}}\n"
    transform = {"plugin_name": "Python", "source_code": source, "columns": [{"dest_field": "x", "dest_type": "int"}]}
    return text.replace('"sink":', f'"transform": [{json.dumps(transform)}], "sink":')


def log(home, job_id):
    return (home / "logs" / f"job-{job_id}.log").read_text()


@pytest.fixture
def shared(begin):
    """A service whose jobs all run in one worker process, until one needs its own."""
    runner = ProcessesRunner(1)
    return begin(runner, permissions=CODE)


def kill_workers(service):
    for pid in service.runner.pids():
        os.kill(pid, signal.SIGKILL)


def test_jobs_that_share_a_worker_that_ends_lose_no_retry(shared, home):
    for number in (1, 2):
        submit(shared, stream(**{"job.retry.times": 0}), job_id=number)
        wait_for_rows(shared, number, 1)
    kill_workers(shared)
    for number in (1, 2):
        wait_until(lambda number=number: "restarts (not counted: another job may be the cause)" in log(home, number))
        wait_for(shared, number, "RUNNING")
    assert "it is not known by which of the jobs 1, 2" in log(home, 1)


def test_a_job_that_ends_its_worker_is_found_and_fails_alone(shared, home):
    submit(shared, stream(**{"job.retry.times": 0}), job_id=1)
    wait_for_rows(shared, 1, 1)
    submit(shared, running("os._exit(3)"), job_id=2)
    failed = shared.wait(2, 60)
    assert failed.status == "FAILED"
    assert "ended with exit code 3" in failed.error
    assert log(home, 2).count("restarts (not counted") == 2
    assert log(home, 2).count("restarts (1 of 1)") == 1
    assert log(home, 1).count("restarts (not counted") == 2
    wait_for(shared, 1, "RUNNING")
    wait_until(lambda: len(shared.runner.pids()) == 1)


def test_a_job_that_does_not_stop_pays_alone_for_its_worker(shared, home, tmp_path):
    submit(shared, stream(**{"job.retry.times": 0}), job_id=1)
    wait_for_rows(shared, 1, 1)
    asleep = tmp_path / "asleep"
    submit(shared, running(f"open({str(asleep)!r}, 'w').close(); time.sleep(600)"), job_id=2)
    wait_until(asleep.exists)
    shared.stop(2)
    assert shared.wait(2, 60).status == "CANCELED"
    wait_until(lambda: "was ended because job 2 did not stop in it" in log(home, 1))
    assert "restarts (not counted" in log(home, 1)
    wait_for(shared, 1, "RUNNING")


def test_retries_are_counted_since_the_last_checkpoint(shared, home):
    submit(shared, stream(**{"job.retry.times": 1}), job_id=1)
    for death in range(1, 4):
        rows = sum(counts.rows for counts in shared.job(1).metrics.counts.values())
        saved = shared.job(1).metrics.checkpoints
        wait_for_rows(shared, 1, rows + 1)
        wait_until(lambda saved=saved: shared.job(1).metrics.checkpoints > saved + 2)
        kill_workers(shared)
        wait_until(lambda death=death: log(home, 1).count("restarts (1 of 1)") == death)
    wait_for(shared, 1, "RUNNING")


def test_a_stream_without_rows_that_was_healthy_has_all_its_retries_again(shared, home, monkeypatch):
    monkeypatch.setattr("headrace.execution.restarts.STEADY_SECONDS", 0.5)
    submit(shared, job(0, env={"job.mode": "STREAMING", **OFTEN, "job.retry.times": 1}), job_id=1)
    for death in range(1, 4):
        saved = shared.job(1).metrics.checkpoints if death > 1 else 0
        wait_until(lambda saved=saved: shared.job(1).metrics.checkpoints > saved + 6)
        kill_workers(shared)
        wait_until(lambda death=death: log(home, 1).count("restarts (1 of 1)") == death)
    wait_for(shared, 1, "RUNNING")
