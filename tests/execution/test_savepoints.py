"""Savepoints of a job with several pipelines: taken by all or by none."""

import queue

import pytest

from headrace.execution.savepoints import Decision, Savepoint, Savepoints


@pytest.fixture
def told():
    return []


@pytest.fixture
def savepoints(told):
    return Savepoints(lambda: told.append("DOING_SAVEPOINT"), lambda: told.append("RUNNING"))


@pytest.fixture
def inboxes(savepoints):
    made = {1: queue.SimpleQueue(), 2: queue.SimpleQueue()}
    savepoints.join(made)
    return made


def items(inbox):
    found = []
    while not inbox.empty():
        found.append(inbox.get())
    return found


def test_all_pipelines_have_theirs_and_stop(savepoints, inboxes, told):
    answer = savepoints.ask()
    savepoints.answered(1, "")
    assert items(inboxes[1]) == [Savepoint(1)]
    savepoints.answered(2, "")
    assert (items(inboxes[1]), items(inboxes[2])) == ([Decision(True)], [Savepoint(1), Decision(True)])
    assert not answer.done()
    savepoints.close("SAVEPOINT_DONE")
    assert (answer.result(0), told) == ("", ["DOING_SAVEPOINT"])


def test_one_that_cannot_lets_the_others_go_on(savepoints, inboxes, told):
    answer = savepoints.ask()
    savepoints.answered(1, "")
    savepoints.answered(2, "the disk is full")
    assert (items(inboxes[1]), items(inboxes[2])) == ([Savepoint(1), Decision(False)], [Savepoint(1)])
    assert (answer.result(0), told) == ("the disk is full", ["DOING_SAVEPOINT", "RUNNING"])


def test_who_asks_while_one_is_under_way_waits_for_its_answer(savepoints, inboxes):
    assert savepoints.ask() is savepoints.ask()
    assert items(inboxes[1]) == [Savepoint(1)]


def test_after_a_refusal_it_can_be_asked_for_again(savepoints, inboxes):
    first = savepoints.ask()
    for pipeline in inboxes:
        savepoints.answered(pipeline, "no")
    second = savepoints.ask()
    assert (first.result(0), second.done()) == ("no; no", False)
    assert items(inboxes[2]) == [Savepoint(1), Savepoint(2)]


def test_a_pipeline_that_has_ended_is_not_waited_for(savepoints, inboxes):
    savepoints.ended(1)
    savepoints.ask()
    savepoints.answered(2, "")
    assert items(inboxes[2]) == [Savepoint(1), Decision(True)]


def test_what_is_asked_before_there_are_pipelines_reaches_them(savepoints, told):
    savepoints.ask()
    inbox = queue.SimpleQueue()
    savepoints.join({1: inbox})
    assert (items(inbox), told) == ([Savepoint(1)], ["DOING_SAVEPOINT"])


def test_a_job_that_ends_answers_what_was_asked_and_what_will_be(savepoints, inboxes):
    before = savepoints.ask()
    savepoints.close("FAILED")
    assert before.result(0) == "the job ended FAILED before it"
    assert savepoints.ask().result(0) == "the job has ended FAILED"


def test_one_that_is_given_up_is_refused_and_who_takes_it_late_goes_on(savepoints, inboxes, told):
    answer = savepoints.ask()
    savepoints.answered(1, "")
    assert savepoints.waits_for() == [2]
    savepoints.give_up("too late")
    assert (answer.result(0), told) == ("too late", ["DOING_SAVEPOINT", "RUNNING"])
    assert items(inboxes[1]) == [Savepoint(1), Decision(False)]
    assert savepoints.ask().result(0) == "pipeline 2 has not answered the one that was given up before"
    savepoints.answered(2, "")
    assert items(inboxes[2]) == [Savepoint(1), Decision(False)]
    assert savepoints.waits_for() is None
    savepoints.ask()
    assert savepoints.waits_for() == [1, 2]


def test_one_that_is_given_up_before_there_are_pipelines_is_not_taken_later(savepoints, told):
    answer = savepoints.ask()
    assert savepoints.waits_for() == []
    savepoints.give_up("too late")
    inbox = queue.SimpleQueue()
    savepoints.join({1: inbox})
    assert (answer.result(0), items(inbox)) == ("too late", [])
