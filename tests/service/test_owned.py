import time

import pytest

from headrace.errors import Replaced
from headrace.jobs.owned import OwnedStore
from headrace.jobs.status import JobStatus
from tests.service.conftest import endless


def test_a_service_that_lost_a_job_can_neither_claim_an_epoch_nor_delete_its_state(begin):
    service = begin()
    job_id = service.submit(service.prepare(endless())).job_id
    deadline = time.monotonic() + 60
    while service.job(job_id).status is not JobStatus.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running = service._running[job_id, 1]
    store = OwnedStore(service.checkpoints, running._is_owner)
    claimed = store.claim_epoch(job_id, 9)
    service.store.change(service.store.get(job_id), owner="another service", epoch=2).result()
    service._beaten = 0.0  # as after a freeze: before its lease is over, nobody takes a job
    with pytest.raises(Replaced, match="was taken over by another service"):
        store.claim_epoch(job_id, 9)
    with pytest.raises(Replaced, match="was taken over by another service"):
        store.delete(job_id)
    assert service.checkpoints.epoch(job_id, 9) == claimed
