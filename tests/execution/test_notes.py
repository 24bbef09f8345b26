"""What a transactional target keeps beside the positions, when it is ahead of the newest checkpoint."""

from headrace.checkpoint.checkpoint import Checkpoint, CheckpointKind
from headrace.execution.notes import FoundNotes, Notes

BASE = Checkpoint(7, 1, 1, 1, 2, CheckpointKind.CHECKPOINT, counts={"a|t": {"rows": 5}}, states={"s": {"t": [5]}})


def kept(*tasks):
    """What the target has of tasks that each left their notes once."""
    return FoundNotes.split_off({"split": 3} | {key: note for notes in tasks for key, note in notes.items()})


def test_positions_of_splits_are_told_from_notes():
    positions, notes = kept(Notes(0, 1).take(3, 2, {"s": ["file"]}, {"a|t": {"rows": 1}}, {"s": {"t": 6}}))
    assert (positions, notes.owed) == ({"split": 3}, ({"s": ["file"]},))


def test_what_is_committed_is_no_longer_owed_nor_counted():
    notes = Notes(0, 1)
    notes.take(3, 2, {"s": ["a"]}, {"a|t": {"rows": 1}}, {})
    _, found = kept(notes.take(4, 3, {"s": ["b"]}, {}, {}))
    assert (found.owed, found.ahead_of(BASE)) == (({"s": ["b"]},), None)


def test_a_target_that_is_not_ahead_leaves_the_checkpoint_as_it_is():
    _, found = kept(Notes(0, 1).take(2, 1, {}, {"a|t": {"rows": 5}}, {"s": {"t": 9}}))
    assert found.ahead_of(BASE) is None


def test_a_target_that_is_ahead_has_counts_and_states_of_all_tasks():
    tasks = [Notes(i, 1).take(3, 2, {}, {"a|t": {"rows": 1 + i}}, {"s": {"t": 6 + i}}) for i in range(2)]
    _, found = kept(*tasks)
    ahead = found.ahead_of(BASE)
    assert (ahead.id, ahead.counts, ahead.states) == (3, {"a|t": {"rows": 8}}, {"s": {"t": [6, 7]}})


def test_task_0_holds_the_states_of_the_checkpoint_until_it_leaves_its_own():
    _, found = kept(Notes(1, 2).take(3, 2, {}, {"a|t": {"rows": 1}}, {"s": {"t": 1}}))
    assert found.ahead_of(BASE).states == {"s": {"t": [5, 1]}}


def test_states_of_an_older_epoch_are_those_of_tasks_that_are_no_more():
    older = Notes(2, 1).take(2, 1, {}, {}, {"s": {"t": 4}})
    _, found = kept(older, Notes(0, 2).take(3, 2, {}, {"a|t": {"rows": 1}}, {"s": {"t": 6}}))
    assert found.ahead_of(BASE).states == {"s": {"t": [6]}}
