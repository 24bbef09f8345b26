"""Samples of jobs that have ended are kept, with a bound on their space."""

from headrace.api import rates
from headrace.api.rates import POINTS, Rates
from headrace.execution.progress import Progress
from headrace.jobs.outline import Outline
from headrace.jobs.record import JobRecord
from headrace.jobs.status import JobStatus


def test_samples_of_old_jobs_make_room_and_those_of_long_ones_are_thinned(tmp_path, monkeypatch):
    monkeypatch.setattr(rates, "KEPT_JOBS", 3)
    running = []
    sampled = Rates(lambda: running, tmp_path, seconds=3600)
    try:
        for number in range(1, 7):
            record = JobRecord(number, 1, "a job", "BATCH", JobStatus.RUNNING, {}, Outline(()), created=1.0)
            running[:] = [(record, Progress(number, "RUNNING"))]
            for _ in range(POINTS + 30):
                sampled.sample()
            assert len(sampled.of(number, 1)) <= POINTS
            running.clear()
            sampled.sample()
        assert len(list(tmp_path.iterdir())) == 3
        assert sampled.of(6, 1)
        assert sampled.of(1, 1) == []
    finally:
        sampled.close()
