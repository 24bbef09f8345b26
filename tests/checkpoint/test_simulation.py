"""Thousands of histories of one pipeline, each by its seed; every guarantee is checked in all of them."""

from concurrent.futures import Future
from dataclasses import replace

import pytest

from headrace.checkpoint.coordinator import Commit, Coordinator
from headrace.checkpoint.splits import SplitAssigner
from headrace.connector import SinkKind
from headrace.execution import saving
from headrace.execution.beginning import Beginning
from headrace.execution.notes import FoundNotes
from headrace.execution.pipeline import PipelineRun
from headrace.execution.savepoints import Decision, Savepoints
from headrace.execution.staged_at import by_machine
from tests.checkpoint.simulation import MemoryStore, Shape, Violation, World

SHAPES = [
    Shape(kind, bounded, interval)
    for kind in SinkKind
    for bounded in (True, False)
    for interval in ((None, 5.0) if bounded else (5.0,))
]
QUICK, ALL = 540, 20_000


def play(seed, busy=False):
    """One history; what is raised names the seed and tells what happened."""
    world = World(seed, replace(SHAPES[seed % len(SHAPES)], busy=busy))
    try:
        world.play()
    except Violation as violation:
        story = "\n".join(world.notes)
        raise AssertionError(f"seed {seed}, {world.shape}: {violation}\n{story}") from violation
    return world


def play_many(busy=False):
    for seed in range(3000):
        play(seed, busy)


@pytest.mark.parametrize("first", range(0, QUICK, 90))
def test_all_guarantees_hold_in_every_history(first):
    for seed in range(first, first + 90):
        play(seed)


@pytest.mark.parametrize("first", range(0, QUICK, 90))
def test_all_guarantees_hold_while_savepoints_are_asked_again_and_again(first):
    assert sum(play(seed, busy=True).told for seed in range(first, first + 90)) > 90


@pytest.mark.slow
@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("first", range(QUICK, ALL, 1000))
def test_all_guarantees_hold_in_thousands_of_histories(first, busy):
    for seed in range(first, min(first + 1000, ALL)):
        play(seed, busy)


FOUND = {
    425: "a master that thaws after its savepoint was stored, and the job was ended by another one",
    1129: "a master frozen before its first epoch, while another one ended the job",
    1229: "a master frozen before it forgets old positions of the target, while another one commits there",
    1721: "a master that thaws while the store is away",
    5202: "a savepoint that was stored without an answer, its master killed, an older one thawing",
}
"""Histories in which a guarantee was broken once, by the engine or by what the simulation believed of it."""


@pytest.mark.parametrize("seed", FOUND, ids=lambda seed: f"{seed}-{FOUND[seed]}")
def test_what_was_found_once_is_not_found_again(seed):
    play(seed)


def test_a_seed_always_tells_the_same_story():
    worlds = [World(3, SHAPES[3]), World(3, SHAPES[3])]
    for world in worlds:
        world.play()
    assert worlds[0].notes == worlds[1].notes != []


# ------------------------------------------------------------------------------------------------------ planted bugs


def commits_before_it_saves(monkeypatch):
    real = Coordinator.acked

    def acked(self, *arguments):
        actions = real(self, *arguments)
        return [*(Commit(action.checkpoint) for action in actions), *actions]

    monkeypatch.setattr(Coordinator, "acked", acked)


def does_not_finish_owed_commits(monkeypatch):
    real = Beginning.find

    def find(self, context):
        commit, self._saving.commit = self._saving.commit, lambda checkpoint, context: None
        try:
            return real(self, context)
        finally:
            self._saving.commit = commit

    monkeypatch.setattr(Beginning, "find", find)


def loses_what_is_carried_over(monkeypatch):
    monkeypatch.setattr(Coordinator, "_carry", lambda self, committables: None)


def forgets_positions_of_splits_nobody_read(monkeypatch):
    real = Coordinator.__init__

    def begin(self, *arguments, **more):
        real(self, *arguments, **more)
        self._positions = {}

    monkeypatch.setattr(Coordinator, "__init__", begin)


def forgets_what_moved_before_a_late_answer(monkeypatch):
    real = Coordinator._move

    def move(self, ack):
        if self._pending is not None:
            real(self, ack)

    monkeypatch.setattr(Coordinator, "_move", move)


def reads_finished_splits_again(monkeypatch):
    real = SplitAssigner.__init__

    def init(self, splits, positions, _finished, **kinds):
        real(self, splits, positions, (), **kinds)

    monkeypatch.setattr(SplitAssigner, "__init__", init)


def forgets_savepoints(monkeypatch):
    monkeypatch.setattr(Coordinator, "want_savepoint", lambda self, now: [])


def saves_what_an_older_epoch_has(monkeypatch):
    real = MemoryStore.save

    def save(self, checkpoint, retain):
        key = checkpoint.job_id, checkpoint.pipeline
        newest, self.epochs[key] = self.epochs.get(key), checkpoint.epoch
        size = real(self, checkpoint, retain + 100)
        self.epochs[key] = newest
        return size

    monkeypatch.setattr(MemoryStore, "save", save)


def counts_restarts_twice(monkeypatch):
    real = Coordinator._merge

    def merge(self, pending, now):
        found = real(self, pending, now)
        counts = {
            key: {name: value + (self.base.id > 0) for name, value in of.items()} for key, of in found.counts.items()
        }
        return replace(found, counts=counts)

    monkeypatch.setattr(Coordinator, "_merge", merge)


def forgets_the_decision_when_a_task_fails(monkeypatch):
    monkeypatch.setattr(PipelineRun, "_decided_to_stop", lambda self: False)


def takes_a_savepoint_for_every_request(monkeypatch):
    real = PipelineRun._take

    def take(self, item, coordinator):
        self._asked = 0
        return real(self, item, coordinator)

    def ask(self):
        with self._lock:
            if self._answer.done():
                self._answer = Future()
            self._begin()
            return self._answer

    monkeypatch.setattr(PipelineRun, "_take", take)
    monkeypatch.setattr(Savepoints, "ask", ask)


def stops_although_another_pipeline_cannot(monkeypatch):
    monkeypatch.setattr(Decision, "stop", True, raising=False)
    monkeypatch.setattr(Decision, "__init__", lambda self, stop: None)


def takes_the_last_checkpoint_early(monkeypatch):
    real = PipelineRun._take_idle
    monkeypatch.setattr(
        PipelineRun,
        "_take_idle",
        lambda self, item, coordinator: (
            real(self, item, coordinator) or (coordinator.all_read(coordinator._last_trigger) if item.finished else [])
        ),
    )


def tells_the_source_before_it_saves(monkeypatch):
    real = PipelineRun._store_and_report

    def store(self, action):
        self._tell_source(action.checkpoint)
        real(self, action)

    monkeypatch.setattr(PipelineRun, "_store_and_report", store)


def takes_the_states_of_the_checkpoint_where_the_target_is_ahead(monkeypatch):
    monkeypatch.setattr(FoundNotes, "_states_since", lambda self, base: base.states)


def counts_nothing_where_the_target_is_ahead(monkeypatch):
    monkeypatch.setattr(FoundNotes, "ahead_of", lambda self, base: None)


def commits_where_it_was_not_staged(monkeypatch):
    def on_any(committables):
        return {"": [item for items in by_machine(committables).values() for item in items]}

    monkeypatch.setattr(saving, "by_machine", on_any)


@pytest.mark.parametrize(
    "bug",
    [
        commits_before_it_saves,
        commits_where_it_was_not_staged,
        does_not_finish_owed_commits,
        loses_what_is_carried_over,
        forgets_positions_of_splits_nobody_read,
        forgets_what_moved_before_a_late_answer,
        reads_finished_splits_again,
        forgets_savepoints,
        saves_what_an_older_epoch_has,
        counts_restarts_twice,
        takes_the_last_checkpoint_early,
        takes_the_states_of_the_checkpoint_where_the_target_is_ahead,
        counts_nothing_where_the_target_is_ahead,
    ],
)
def test_planted_bugs_are_noticed(monkeypatch, bug):
    bug(monkeypatch)
    with pytest.raises(AssertionError, match="guarantee"):
        play_many()


@pytest.mark.parametrize(
    "bug",
    [
        forgets_the_decision_when_a_task_fails,
        takes_a_savepoint_for_every_request,
        stops_although_another_pipeline_cannot,
        tells_the_source_before_it_saves,
    ],
)
def test_planted_bugs_of_savepoints_are_noticed(monkeypatch, bug):
    bug(monkeypatch)
    with pytest.raises(AssertionError, match="guarantee [28]"):
        play_many(busy=True)
