"""Services with homes of their own write into one directory, and clean up what is theirs alone."""

import pytest

from headrace.connector import Claim
from headrace.errors import StoreUnavailable
from headrace.execution.embedded import EmbeddedRunner
from headrace.execution.owner import JobLock, JobsOfHome, is_restorable
from headrace.jobs.known import JobsOfStore
from headrace.jobs.service import JobService, ServiceSettings
from headrace.jobs.status import JobStatus
from headrace.jobs.store import store_in
from headrace.storage.local import STAGING, LocalStorage
from tests.execution.runs import ids
from tests.service.conftest import job
from tests.service.test_takeover import until


@pytest.fixture
def services(tmp_path):
    made = []
    for name in ("first", "second"):
        home = tmp_path / name
        settings = ServiceSettings(address=name, lease=5.0, poll=0.05)
        made.append(JobService(home, store_in(home), EmbeddedRunner(), settings))
    yield made
    for service in made:
        service.close()
        service.store.close()


def into(folder, rows, **env):
    sink = {"plugin_name": "LocalFile", "path": f"{folder}/out", "tmp_path": f"{folder}/tmp", "file_format_type": "csv"}
    fields = {"id": "bigint"}
    source = {"auto.increment.enabled": True, "schema": {"fields": fields}}
    return job(rows, sink=sink, source=source, env=env)


def submit(service, text):
    return service.submit(service.prepare(text)).job_id


def status(service, job_id):
    return service.store.get(job_id).status


def staged(folder):
    return {left.claim for left in LocalStorage().left([f"{folder}/tmp/{STAGING}", f"{folder}/out/{STAGING}"])}


def test_what_one_service_stages_stays_while_jobs_of_the_other_begin_and_end(services, tmp_path):
    first, second = services
    long = submit(first, into(tmp_path, 300, **{"read_limit.rows_per_second": 60, "checkpoint.interval": 300}))
    until(lambda: staged(tmp_path))
    for _ in range(4):
        short = submit(second, into(tmp_path, 5))
        until(lambda short=short: status(second, short).is_end)
        assert status(second, short) is JobStatus.FINISHED
    until(lambda: status(first, long).is_end)
    assert status(first, long) is JobStatus.FINISHED
    assert ids(tmp_path / "out") == sorted([*range(1, 301), *(4 * list(range(1, 6)))])
    assert staged(tmp_path) == set()


# ---------------------------------------------------------------------------------------------- who knows what is over


class Saved:
    """Checkpoints of which only the numbers are known."""

    place = "s3://bucket/checkpoints"

    def __init__(self, *numbers, away=False):
        self._numbers, self.away = numbers, away

    def numbers(self, job_id):
        if self.away:
            raise StoreUnavailable("away")
        return [(1, number) for number in self._numbers]


def test_a_job_of_a_home_is_over_when_nobody_holds_it_and_nothing_saved_names_what_it_staged(tmp_path):
    known = JobsOfHome(tmp_path, Saved(0))
    claim = Claim(known.identity, 7, 1, 1, 1)
    assert known.is_over(claim)
    assert not known.is_over(Claim("b2", 7, 1, 1, 1))
    assert not JobsOfHome(tmp_path, Saved(0, 1)).is_over(claim)
    lock = JobLock(tmp_path, 7)
    assert not known.is_over(claim)
    lock.close()
    late = JobLock(tmp_path, 7, owner=3)
    assert not known.is_over(claim)
    late.close()
    assert known.is_over(claim)


def test_a_home_that_saves_elsewhere_does_not_know_what_is_saved_here(tmp_path):
    here, there = Saved(), Saved()
    there.place = "s3://other/checkpoints"
    known, other = JobsOfHome(tmp_path, here), JobsOfHome(tmp_path, there)
    assert known.identity == JobsOfHome(tmp_path, Saved()).identity != other.identity
    assert not other.is_over(Claim(known.identity, 7, 1, 1, 1))


def test_an_end_is_not_told_while_the_place_of_checkpoints_is_away(tmp_path):
    known = JobsOfHome(tmp_path, Saved(away=True))
    with pytest.raises(StoreUnavailable):
        known.is_over(Claim(known.identity, 7, 1, 1, 1))
    assert not is_restorable(Saved(0), 7)


def test_a_job_of_a_store_is_over_when_the_store_says_so(services, tmp_path):
    service, other = services
    known = JobsOfStore(service.store, service.home, service.checkpoints)
    job_id = submit(service, job(1_000, env={"read_limit.rows_per_second": 100}))
    claim = Claim(known.identity, job_id, 1, 1, 1)
    assert known.identity == service.known_jobs.identity != other.known_jobs.identity
    assert not known.is_over(claim)
    service.store.request(job_id, "cancel").result()
    until(lambda: status(service, job_id).is_end)
    until(lambda: known.is_over(claim))
    assert not other.known_jobs.is_over(claim)
