import itertools

import pytest

from headrace.jobs.status import ALLOWED, JobStatus
from headrace.jobs.store import store_in
from tests.service.test_store import record


@pytest.mark.parametrize("status", JobStatus)
def test_an_end_is_never_left(status):
    assert status.is_end == (not ALLOWED[status])
    assert status.is_end == (status in ("FINISHED", "FAILED", "CANCELED", "SAVEPOINT_DONE"))


def test_every_job_can_be_canceled_and_can_fail():
    for status in JobStatus:
        if not status.is_end and status is not JobStatus.FAILING:
            assert JobStatus.CANCELED in ALLOWED[status] or JobStatus.CANCELING in ALLOWED[status]
            assert JobStatus.FAILED in ALLOWED[status]


def test_the_store_makes_the_allowed_changes_and_refuses_the_others(tmp_path):
    store = store_in(tmp_path)
    for number, (before, after) in enumerate(itertools.product(JobStatus, JobStatus), 1):
        one = record(job_id=number, status=before)
        store.add(one, record.text).result()
        if after is before or after in ALLOWED[before]:
            assert store.change(one, status=after).result().status is after
        else:
            with pytest.raises(ValueError, match=f"cannot go from {before} to {after}"):
                store.change(one, status=after)
    store.close()
