"""The coordinator alone: time and answers go in, actions come out."""

import pytest

from headrace.checkpoint.checkpoint import Checkpoint, CheckpointKind
from headrace.checkpoint.coordinator import (
    EXPIRED,
    Ack,
    CheckpointSettings,
    Commit,
    Completed,
    Coordinator,
    Fail,
    NotTaken,
    Resume,
    Save,
    SendBarrier,
)
from headrace.connector import Split

BASE = Checkpoint(7, 1, 1, 1, 0, CheckpointKind.START, splits=(Split("a"), Split("b")))
SETTINGS = CheckpointSettings(interval=10, timeout=5, min_pause=2, patience=60, retry_save=1)


@pytest.fixture
def coordinator():
    return Coordinator(BASE, 2, SETTINGS, now=0)


def ack(position, *committables, **states):
    return Ack({"a": position}, frozenset(), {"Sink[0]": states}, {"Sink[0]": list(committables)}, {"s|t": {"rows": 1}})


def answered(coordinator, now=11.0):
    """A checkpoint that both tasks have answered; the Save action."""
    coordinator.tick(now)
    number = coordinator._pending.id
    coordinator.acked(0, number, ack(1, "x"), now)
    [save] = coordinator.acked(1, number, ack(2, "y"), now)
    return save


def test_sends_barriers_at_the_interval(coordinator):
    assert coordinator.tick(9.9) == []
    assert coordinator.next_wake() == 10
    assert coordinator.tick(10) == [SendBarrier(1, pause=False)]
    assert coordinator.tick(10.1) == []


def test_saves_only_when_all_tasks_have_answered(coordinator):
    save = answered(coordinator)
    assert isinstance(save, Save)
    assert save.checkpoint.positions == {"a": 2}
    assert save.checkpoint.committables == {"Sink[0]": ["x", "y"]}
    assert save.checkpoint.counts == {"s|t": {"rows": 2}}


def test_commits_only_what_is_saved(coordinator):
    save = answered(coordinator)
    assert coordinator.committed(1, 12) == []
    assert coordinator.saved(1, 12) == [Commit(save.checkpoint)]
    assert coordinator.committed(1, 13) == [Completed(save.checkpoint, ends=False)]


def test_waits_min_pause_after_a_slow_checkpoint(coordinator):
    answered(coordinator)
    coordinator.saved(1, 25)
    coordinator.committed(1, 25)
    assert coordinator.tick(26) == []
    assert coordinator.tick(27) == [SendBarrier(2, pause=False)]


def test_a_checkpoint_that_expires_fails_the_pipeline_with_the_words_users_know(coordinator):
    coordinator.tick(10)
    coordinator.acked(0, 1, ack(1), 11)
    assert coordinator.tick(15) == [Fail(EXPIRED)]
    assert coordinator.tick(99) == []


def test_a_savepoint_that_expires_leaves_the_pipeline_running_and_names_the_silent_tasks(coordinator):
    assert coordinator.want_savepoint(1) == [SendBarrier(1, pause=True)]
    coordinator.acked(0, 1, ack(1, "x"), 2)
    not_taken, resume = coordinator.tick(6)
    assert isinstance(not_taken, NotTaken)
    assert "without an answer: 1" in not_taken.reason
    assert resume == Resume(1)


def test_what_an_expired_savepoint_prepared_goes_with_the_next_checkpoint(coordinator):
    coordinator.want_savepoint(1)
    coordinator.acked(0, 1, ack(1, "early"), 2)
    coordinator.tick(6)
    coordinator.acked(1, 1, ack(1, "late"), 7)
    coordinator.tick(11)
    coordinator.acked(0, 2, ack(2, "x"), 12)
    [save] = coordinator.acked(1, 2, ack(3), 12)
    assert sorted(save.checkpoint.committables["Sink[0]"]) == ["early", "late", "x"]


def test_a_failed_save_carries_its_committables_and_the_pipeline_goes_on(coordinator):
    answered(coordinator)
    [not_taken] = coordinator.save_failed(1, "disk full", 12)
    assert not_taken.reason == "disk full"
    coordinator.tick(22)
    coordinator.acked(0, 2, ack(3, "z"), 22)
    [save] = coordinator.acked(1, 2, ack(4), 22)
    assert save.checkpoint.committables == {"Sink[0]": ["x", "y", "z"]}


def test_a_savepoint_that_cannot_be_saved_resumes_the_tasks(coordinator):
    coordinator.want_savepoint(1)
    coordinator.acked(0, 1, ack(1), 2)
    coordinator.acked(1, 1, ack(2), 2)
    assert coordinator.save_failed(1, "full", 3) == [NotTaken(CheckpointKind.SAVEPOINT, 1, "full"), Resume(1)]


def test_the_last_checkpoint_is_saved_again_until_patience_ends(coordinator):
    coordinator.all_read(1)
    coordinator.acked(0, 1, ack(1), 2)
    [save] = coordinator.acked(1, 1, ack(2), 2)
    coordinator.save_failed(1, "away", 3)
    assert coordinator.next_wake() == 4
    assert coordinator.tick(4) == [save]
    [fail] = coordinator.save_failed(1, "away", 63)
    assert fail == Fail("no checkpoint could be saved for 60 s: away")


def test_saving_again_succeeds_after_the_store_was_away(coordinator):
    coordinator.all_read(1)
    coordinator.acked(0, 1, ack(1), 2)
    [save] = coordinator.acked(1, 1, ack(2), 2)
    coordinator.save_failed(1, "away", 3)
    coordinator.tick(4)
    coordinator.saved(1, 5)
    assert coordinator.committed(1, 6) == []
    assert save.checkpoint.kind is CheckpointKind.COMPLETED


def test_a_failed_commit_fails_the_pipeline_so_that_a_restart_finishes_it(coordinator):
    answered(coordinator)
    coordinator.saved(1, 12)
    assert coordinator.commit_failed(1, "no") == [Fail("cannot commit checkpoint 1: no")]


def test_a_savepoint_waits_for_the_checkpoint_under_way(coordinator):
    save = answered(coordinator)
    assert coordinator.want_savepoint(12) == []
    coordinator.saved(1, 12)
    assert coordinator.committed(1, 13) == [Completed(save.checkpoint, ends=False), SendBarrier(2, pause=True)]


def test_the_end_of_the_data_makes_a_wanted_savepoint_needless(coordinator):
    answered(coordinator)
    coordinator.want_savepoint(12)
    coordinator.all_read(12)
    coordinator.saved(1, 12)
    actions = coordinator.committed(1, 13)
    assert actions[1:] == [SendBarrier(2, pause=True)]
    assert coordinator._pending.kind is CheckpointKind.COMPLETED


def test_goes_on_after_a_savepoint_when_another_pipeline_has_none(coordinator):
    coordinator.want_savepoint(1)
    coordinator.acked(0, 1, Ack(), 2)
    coordinator.acked(1, 1, Ack(), 2)
    [completed] = coordinator.saved(1, 2)
    assert completed.ends
    assert coordinator.go_on(3) == [Resume(1)]
    assert coordinator.tick(11) == [SendBarrier(2, pause=False)]


def test_what_was_prepared_but_never_saved_can_be_aborted(coordinator):
    coordinator.tick(10)
    coordinator.acked(0, 1, ack(1, "x"), 11)
    assert coordinator.unsaved() == {"Sink[0]": ["x"]}


def test_positions_of_splits_nobody_read_in_this_epoch_are_kept():
    splits = Split("a"), Split("b"), Split("c")
    base = Checkpoint(7, 1, 1, 1, 4, splits=splits, positions={"b": 9}, finished=frozenset({"c"}))
    coordinator = Coordinator(base, 1, SETTINGS, now=0)
    coordinator.tick(10)
    [save] = coordinator.acked(0, 5, ack(3), 11)
    assert save.checkpoint.positions == {"a": 3, "b": 9}
    assert save.checkpoint.finished == {"c"}


def test_where_a_split_ended_is_told_once():
    base = Checkpoint(7, 1, 1, 1, 4, splits=(Split("a"), Split("b")))
    coordinator, found = Coordinator(base, 1, SETTINGS, now=0), []
    for number, answer in ((5, Ack({"a": 3, "b": 1}, {"a"})), (6, Ack({"b": 2})), (7, Ack())):
        coordinator.tick(10 * number)
        [save] = coordinator.acked(0, number, answer, 10 * number + 1)
        coordinator.saved(number, 10 * number + 2)
        found.append((save.checkpoint.positions, set(save.checkpoint.finished)))
    assert found == [({"a": 3, "b": 1}, {"a"}), ({"b": 2}, {"a"}), ({"b": 2}, {"a"})]


def test_where_a_split_ended_is_told_again_where_the_checkpoint_was_not_saved():
    coordinator = Coordinator(Checkpoint(7, 1, 1, 1, 4, splits=(Split("a"),)), 1, SETTINGS, now=0)
    coordinator.tick(10)
    coordinator.acked(0, 5, Ack({"a": 3}, {"a"}), 11)
    coordinator.save_failed(5, "full", 12)
    coordinator.tick(30)
    [save] = coordinator.acked(0, 6, Ack(), 31)
    assert (save.checkpoint.positions, set(save.checkpoint.finished)) == ({"a": 3}, {"a"})


def test_a_save_without_an_answer_may_have_been_stored_so_nothing_of_it_is_aborted(coordinator):
    """A restart finds it and commits what it names (guarantee 4)."""
    answered(coordinator)
    coordinator.save_failed(1, "no answer", 12)
    assert coordinator.unsaved() == {}
    save = answered(coordinator, 30)
    assert save.checkpoint.committables == {"Sink[0]": ["x", "y", "x", "y"]}
    assert coordinator.unsaved() == {}
