"""Jobs that are asked to stop before they run, and what is left of those that failed."""

import json
import sqlite3
import time
from contextlib import closing

import pytest

from headrace.errors import ConfigError
from tests.service.conftest import endless, job, submit, wait_for, wait_until


def test_the_savepoint_of_a_job_that_waits_for_slots_is_refused(begin, home):
    service = begin(slots=2, wait=True)
    submit(service, endless(), job_id=1)
    wait_for(service, 1, "RUNNING")
    submit(service, endless(), job_id=2)
    wait_for(service, 2, "PENDING")
    with pytest.raises(ConfigError, match="job 2 is PENDING, nothing of it can be saved before it runs"):
        service.stop(2, savepoint=True)
    wait_until(lambda: service.job(2).error.startswith("the savepoint is refused: job 2 is PENDING"))
    assert "the savepoint is refused" in (home / "logs" / "job-2.log").read_text()
    service.stop(1)
    wait_for(service, 2, "RUNNING")
    assert service.job(2).error == ""


def test_a_savepoint_that_was_asked_for_before_the_job_began_to_wait_is_refused(begin):
    service = begin(slots=2, wait=True)
    submit(service, endless(), job_id=1)
    wait_for(service, 1, "RUNNING")
    submit(service, endless(), job_id=2)
    wait_for(service, 2, "PENDING")
    assert service.store.request(2, "savepoint").result()  # as it was stored before
    wait_until(lambda: service.job(2).error.startswith("the savepoint is refused: job 2 is PENDING"))
    assert service.store.requests(service.id) == []


def test_the_savepoint_of_a_job_that_is_still_preparing_is_given_up_after_the_checkpoints_timeout(service, tmp_path):
    target = tmp_path / "target.db"
    with closing(sqlite3.connect(target, isolation_level=None)) as database:
        database.execute("CREATE TABLE people (name TEXT, age INTEGER)")
        database.execute("BEGIN EXCLUSIVE")
        sink = {"plugin_name": "Jdbc", "url": f"jdbc:sqlite:{target}", "driver": "x", "table": "people"}
        text = endless(**{"checkpoint.timeout": 500, "checkpoint.interval": 1000})
        text = json.dumps({**json.loads(text), "sink": [{**sink, "generate_sink_sql": True}]})
        submit(service, text, job_id=1)
        wait_for(service, 1, "SCHEDULED", "RUNNING")
        service.stop(1, savepoint=True)
        wait_for(service, 1, "DOING_SAVEPOINT")
        began = time.monotonic()
        wait_until(lambda: "did not begin to run within 0.5 s" in service.job(1).error)
        assert time.monotonic() - began < 10
        database.execute("ROLLBACK")
    service.stop(1)
    service.wait(1, 60)


BAD_SINK = {"plugin_name": "Assert", "rules": {"row_rules": [{"rule_type": "MAX_ROW", "rule_value": 1}]}}


def test_the_start_of_a_failed_job_goes_with_its_record(begin, home):
    service = begin(history=0.5)
    submit(service, job(sink=BAD_SINK, env={"job.retry.times": 0}), job_id=1)
    assert service.wait(1, 60).status == "FAILED"
    place = home / "checkpoints" / "1"
    assert place.exists()
    wait_until(lambda: time.time() > service.store.get(1).ended + 0.5)
    service._forget()
    assert service.store.get(1) is None
    assert not place.exists()


def test_what_a_failed_job_can_be_restored_from_stays(begin, home):
    service = begin(history=0.5)
    submit(service, endless(**{"checkpoint.interval": 100, "job.retry.times": 0}), job_id=1)
    wait_until(lambda: service.job(1).metrics.checkpoints)
    service._running[1, 1]._master._pipelines[1].inbox.put(None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headrace.execution.pipeline.PipelineRun._take", _fail)
        assert service.wait(1, 60).status == "FAILED"
    wait_until(lambda: time.time() > service.store.get(1).ended + 0.5)
    service._forget()
    assert service.last_checkpoints(1)


def _fail(self, item, coordinator):
    raise RuntimeError("broken")


@pytest.mark.parametrize("value", [10**20, -(2**63) - 1, {"deep": [1, 10**30]}])
def test_whole_numbers_of_more_than_64_bits_are_refused_with_their_place(service, value):
    with pytest.raises(ConfigError, match="is not a whole number of 64 bits") as error:
        service.prepare(job(env={"any.key": value}))
    place = "env.any.key.deep[1]" if isinstance(value, dict) else "env.any.key"
    assert [problem.place for problem in error.value.problems] == [place]


def test_a_plugins_parallelism_of_more_than_64_bits_is_refused_with_its_place(service):
    with pytest.raises(ConfigError, match=r"source\[0\].FakeSource.parallelism: 1000"):
        service.prepare(job(source={"parallelism": 10**20}))
