import threading

import pytest

from headrace.jobs.slots import Slots
from tests.service.conftest import endless, job, submit, wait_for, wait_until

NEVER = threading.Event()


class Waiting:
    """A job that waits for slots on a thread of its own."""

    def __init__(self, slots, name, count):
        self.canceled, self.result = threading.Event(), []
        self.thread = threading.Thread(
            target=lambda: self.result.append(slots.take(name, count, self.canceled, wait=True)), daemon=True
        )
        self.thread.start()
        wait_until(lambda: self.result or f"{name} waits for {count}" in slots.state())

    def end(self):
        self.canceled.set()
        self.thread.join(30)


def test_what_fits_runs_before_what_does_not_fit():
    slots = Slots(4)
    assert slots.take("stream", 2, NEVER, wait=False)
    big = Waiting(slots, "big", 4)
    assert slots.take("small", 2, NEVER, wait=False)
    assert slots.state() == "0 of 4 slots are free; stream has 2, small has 2; big waits for 4"
    slots.give_back("small")
    slots.give_back("stream")
    big.thread.join(30)
    assert big.result == [True]


def test_who_came_first_goes_first_where_both_fit():
    slots = Slots(4)
    assert slots.take("a", 3, NEVER, wait=False)
    first, second = Waiting(slots, "first", 2), Waiting(slots, "second", 4)
    slots.give_back("a")
    first.thread.join(30)
    assert (first.result, second.result) == ([True], [])
    second.end()


def test_who_waited_long_is_overtaken_by_one_at_a_time(monkeypatch):
    """Or small jobs that keep coming would take each slot before all that the big one needs are free."""
    monkeypatch.setattr("headrace.jobs.slots.PATIENCE_SECONDS", 0.0)
    slots = Slots(4)
    assert slots.take("stream", 1, NEVER, wait=False)
    big = Waiting(slots, "big", 4)
    assert slots.take("one", 1, NEVER, wait=False)
    assert not slots.take("two", 1, NEVER, wait=False)
    slots.give_back("one")
    assert slots.take("two", 1, NEVER, wait=False)
    big.end()


@pytest.fixture
def four(begin):
    return begin(slots=4, wait=True)


def test_small_jobs_that_fit_run_while_a_bigger_one_waits_and_says_what_for(four, home):
    submit(four, endless(), job_id=1)
    wait_for(four, 1, "RUNNING")
    submit(four, job(env={"parallelism": 3}), job_id=2)
    waiting = wait_for(four, 2, "PENDING")
    assert submit(four, job(), job_id=3)
    assert four.wait(3, 60).status == "FINISHED"
    reason = "it waits for 4 slots: 2 of 4 slots are free; 1 has 2 (by job id)"
    assert waiting.error == reason
    assert waiting.started is None
    assert reason in (home / "logs" / "job-2.log").read_text()
    four.stop(1)
    ended = four.wait(2, 60)
    assert (ended.status, ended.error) == ("FINISHED", "")
