"""What keeps a service and its jobs alive while the places around it are slow, or have no room."""

import contextlib
import sqlite3
import time
from dataclasses import replace

import pytest

from headrace.errors import HeadraceError
from headrace.jobs.record import JobText
from headrace.jobs.rounds import Rounds
from headrace.jobs.status import JobStatus
from tests.service.conftest import endless, submit, wait_for, wait_until

SLOW_SECONDS = 4.0


def test_a_slow_place_of_checkpoints_costs_a_healthy_service_no_job(begin):
    """It is asked where jobs of dead services are to go on; meanwhile the sign of life must go on."""
    service = begin(lease=1.0)
    submit(service, endless(), job_id=1)
    mine = wait_for(service, 1, "RUNNING")
    asked = []

    def slowly(job_id):
        asked.append(job_id)
        time.sleep(SLOW_SECONDS)
        return {}

    service.last_checkpoints = slowly
    orphan = replace(mine, job_id=2, owner="dead", status=JobStatus.RUNNING)
    assert service.store.add(orphan, JobText(endless(), "json")).result()
    wait_until(lambda: asked)
    other = begin(lease=1.0)
    other.last_checkpoints = slowly
    time.sleep(SLOW_SECONDS / 2)
    assert service.store.owner(1) == (1, service.id, 1)
    assert [node.id for node in other.nodes()] == [service.id, other.id]


def test_a_round_that_hangs_holds_up_no_other():
    rounds, done, hanging = Rounds(print), [], []

    def hang():
        hanging.append(1)
        time.sleep(SLOW_SECONDS)

    rounds.every("hangs", 0.01, hang)
    wait_until(lambda: hanging)
    rounds.every("goes on", 0.01, lambda: done.append(1))
    wait_until(lambda: len(done) > 5)
    assert hanging == [1]
    rounds.close()


def test_a_round_that_fails_is_told_once_until_it_succeeds():
    told, fails, count = [], [True], []

    def work():
        count.append(1)
        if fails[0]:
            raise HeadraceError("no room")

    rounds = Rounds(told.append)
    rounds.every("a", 0.01, work)
    rounds.every("b", 0.01, work)
    wait_until(lambda: len(count) > 10)
    assert told == ["no room"]
    fails[0] = False
    seen = len(count)
    wait_until(lambda: len(count) > seen + 10)
    fails[0] = True
    wait_until(lambda: len(told) == 2)
    rounds.close()


@contextlib.contextmanager
def full(home):
    """Nothing can be written into the store, as on a disk that is full."""
    tables = "jobs", "nodes"
    with contextlib.closing(sqlite3.connect(home / "jobs.db", isolation_level=None)) as database:
        for name in tables:
            raises = "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
            database.execute(f"CREATE TRIGGER full_{name} BEFORE UPDATE ON {name} {raises}")
        yield
        for name in tables:
            database.execute(f"DROP TRIGGER full_{name}")


@pytest.mark.usefixtures("short_waits")
def test_a_job_can_be_stopped_while_the_store_has_no_room(service, home):
    submit(service, endless(), job_id=1)
    wait_for(service, 1, "RUNNING")
    with full(home):
        assert service.stop(1)
        assert service.job(1).status == "CANCELING"
        wait_until(lambda: "the job's end is not stored yet" in (home / "logs" / "job-1.log").read_text())
    assert service.wait(1, 60).status == "CANCELED"


@pytest.fixture
def short_waits(monkeypatch):
    monkeypatch.setattr("headrace.jobs.running.STORE_SECONDS", 0.05)


def test_a_job_of_another_service_cannot_be_stopped_while_the_store_has_no_room(begin, home):
    first, second = begin(lease=30.0), begin(lease=30.0)
    submit(first, endless(), job_id=1)
    wait_for(first, 1, "RUNNING")
    with full(home), pytest.raises(HeadraceError, match="database or disk is full"):
        second.stop(1)


def test_a_service_is_unready_while_its_store_has_no_room(service, home):
    assert service.unready() == ""
    with full(home):
        wait_until(lambda: service.unready())
        assert service.unready() == "cannot write to the store of jobs: database or disk is full"
    wait_until(lambda: not service.unready())


def test_a_service_is_unready_while_the_disk_of_its_home_is_full(service, monkeypatch):
    monkeypatch.setattr("headrace.jobs.service.LEAST_FREE_BYTES", 2**60)
    assert service.unready().startswith(f"the disk of the home {service.home} is full: ")
