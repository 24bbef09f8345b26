import itertools
import json
import time

import pytest

from headrace.execution.embedded import EmbeddedRunner
from headrace.jobs.service import JobService, ServiceSettings
from headrace.jobs.store import store_in


def job(rows=5, *, sink=None, env=None, source=None):
    fields = {"name": "string", "age": "int"}
    return json.dumps(
        {
            "env": {"job.name": "NAME", "job.mode": "BATCH", **(env or {})},
            "source": [{"plugin_name": "FakeSource", "row.num": rows, "schema": {"fields": fields}, **(source or {})}],
            "sink": [sink or {"plugin_name": "Console"}],
        }
    )


def endless(**env):
    """A job that goes on until it is stopped."""
    return job(1_000_000, env={"read_limit.rows_per_second": 400, **env})


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def begin(home):
    """Begin a service over the one store of this test; called again, a second one."""
    services = []
    numbers = itertools.count()

    def make(runner=None, **settings):
        number = next(numbers)
        store = store_in(home)
        log = []
        service = JobService(
            home,
            store,
            runner or EmbeddedRunner(),
            ServiceSettings(**{"address": f"localhost:{number}", "lease": 1.0, "poll": 0.05, **settings}),
            lambda level, text: log.append(text),
        )
        service.logged = log
        services.append(service)
        return service

    yield make
    for service in services:
        if not service._ended.is_set():
            service.close()
        service.store.close()


@pytest.fixture
def service(begin):
    return begin()


def submit(service, text, **given):
    return service.submit(service.prepare(text), **given)


def wait_until(is_so, seconds=60):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_for(service, job_id, *statuses, seconds=30):
    deadline = time.monotonic() + seconds
    while (record := service.job(job_id)).status not in statuses:
        assert time.monotonic() < deadline, record
        time.sleep(0.01)
    return record


def wait_for_rows(service, job_id, rows, seconds=30):
    deadline = time.monotonic() + seconds
    while sum(c.rows for c in service.job(job_id).metrics.counts.values()) < rows:
        assert time.monotonic() < deadline
        time.sleep(0.01)
