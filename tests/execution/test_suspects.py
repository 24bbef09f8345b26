import time

from headrace.execution.processes import ProcessesRunner
from headrace.execution.suspects import HEALTHY_SECONDS, Suspects


def test_the_only_job_at_work_in_a_worker_pays_for_its_end():
    assert Suspects(2).died(["a"]) == {"a"}


def test_nobody_pays_for_a_worker_that_ended_without_work():
    assert Suspects(2).died([]) == set()


def test_of_several_nobody_pays_and_at_the_second_death_they_run_alone():
    suspects = Suspects(2)
    assert suspects.died(["a", "b"]) == set()
    assert not suspects.is_alone("a")
    assert suspects.died(["a", "b"]) == set()
    assert suspects.is_alone("a")
    assert suspects.is_alone("b")
    assert suspects.died(["b"]) == {"b"}


def test_the_newest_suspects_run_alone_first():
    suspects = Suspects(1)
    for _ in range(2):
        suspects.died(["a", "b", "c"])
    assert [job for job in "abc" if suspects.is_alone(job)] == ["c"]


def test_who_was_alone_while_the_others_lost_a_worker_is_acquitted_and_the_next_is_tried():
    suspects = Suspects(1)
    for _ in range(2):
        suspects.died(["a", "b", "c"])
    assert suspects.died(["a", "b"]) == set()
    assert [job for job in "abc" if suspects.is_alone(job)] == ["b"]


def test_a_job_that_was_healthy_for_long_is_no_suspect():
    suspects = Suspects(2)
    suspects.died(["a", "b"], 0.0)
    suspects.died(["a", "b"], HEALTHY_SECONDS)
    assert suspects.alone == 0
    suspects.died(["a", "b"], HEALTHY_SECONDS + 1)
    assert suspects.alone == 2


def test_where_none_can_run_alone_all_pay_from_the_third_death_on():
    suspects = Suspects(0)
    assert [bool(suspects.died(["a", "b"])) for _ in range(3)] == [False, False, True]
    assert suspects.alone == 0


def test_a_job_that_has_ended_leaves_its_place_to_the_next():
    suspects = Suspects(1)
    for _ in range(2):
        suspects.died(["a", "b"])
    suspects.forget("b")
    for _ in range(2):
        suspects.died(["a", "c"])
    assert suspects.alone == 1


def test_a_worker_that_is_still_starting_is_no_frozen_one(monkeypatch):
    """On a busy machine its imports take longer than one that is frozen may be silent."""
    monkeypatch.setattr("headrace.execution.lanes.HEARTBEAT_SECONDS", 0.001)
    runner = ProcessesRunner(1, silent_beats=30)
    try:
        monkeypatch.setattr("headrace.execution.lanes.STARTING", 1_000_000)
        runner.warm_up()
        (started,) = runner.pids()
        deadline = time.monotonic() + 60
        while not runner._lanes[0].heard:
            assert time.monotonic() < deadline
            assert runner.pids() == [started]
            time.sleep(0.01)
    finally:
        runner.close()
