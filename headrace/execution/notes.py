"""What a task leaves in a transactional target beside the positions of its splits, in the same transaction.

The target may be ahead of the newest checkpoint: rows before its positions are never read again. So what a checkpoint
would have told of these rows must be there too: what other sinks prepared of them, what they counted, and the states.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from headrace.checkpoint.checkpoint import Checkpoint, CheckpointKind, add_counts
from headrace.connector import Committable, Position, State

OWED = "headrace:owed:"
"""Before a task's number: what other sinks have prepared and nobody has committed yet."""

COUNTED = "headrace:counted:"
"""Before a task's number: what it counted for each checkpoint that is not saved yet."""

STATES = "headrace:states:"
"""Before a task's number: its epoch, and the states of its sinks."""

Counted = Mapping[str, Mapping[str, int]]


class Notes:
    """The notes of one task; task: its number."""

    def __init__(self, task: int, epoch: int) -> None:
        self._task, self._epoch = task, epoch
        self._owed: dict[int, Mapping[str, list[Committable]]] = {}
        self._counted: dict[int, Counted] = {}

    def take(
        self,
        checkpoint_id: int,
        committed: int,
        committables: Mapping[str, list[Committable]],
        counted: Counted,
        states: Mapping[str, Mapping[str, State]],
    ) -> dict[str, Position]:
        """The notes for the transaction of a barrier. committed: the newest checkpoint that is saved and committed.

        counted: what was counted since the barrier before.
        """
        self._owed = {number: owed for number, owed in self._owed.items() if number > committed}
        self._counted = {number: counts for number, counts in self._counted.items() if number > committed}
        if committables:
            self._owed[checkpoint_id] = committables
        if counted:
            self._counted[checkpoint_id] = counted
        found: dict[str, Position] = {
            f"{OWED}{self._task}": list(self._owed.values()),
            f"{COUNTED}{self._task}": list(map(list, self._counted.items())),
            f"{STATES}{self._task}": [self._epoch, states] if states else [],
        }
        return {key: note for key, note in found.items() if note}


@dataclass(frozen=True)
class FoundNotes:
    """The notes of all tasks, read from the target. owed: oldest first. states: task → (epoch, its sinks' states)."""

    owed: tuple[Mapping[str, list[Committable]], ...]
    counted: tuple[tuple[int, Counted], ...]
    states: Mapping[int, tuple[int, Mapping[str, Mapping[str, State]]]]

    @classmethod
    def split_off(cls, positions: Mapping[str, Position]) -> "tuple[dict[str, Position], FoundNotes]":
        """The positions of splits, and the notes beside them."""
        of_splits = {s: p for s, p in positions.items() if not s.startswith((OWED, COUNTED, STATES))}
        owed = tuple(items for note in _under(OWED, positions).values() for items in note)
        counted = tuple((number, counts) for note in _under(COUNTED, positions).values() for number, counts in note)
        states = {task: (epoch, of) for task, (epoch, of) in _under(STATES, positions).items()}
        return of_splits, cls(owed, counted, states)

    def ahead_of(self, base: Checkpoint) -> Checkpoint | None:
        """`base` with what was counted since and the states of now, as a checkpoint; None when nothing was counted."""
        fresh = [(number, counts) for number, counts in self.counted if number > base.id]
        if not fresh:
            return None
        counts = dict(base.counts)
        for _, found in fresh:
            counts.update({key: add_counts(counts.get(key, {}), values) for key, values in found.items()})
        last = max(number for number, _ in fresh)
        states = self._states_since(base)
        return replace(base, id=last, kind=CheckpointKind.CHECKPOINT, committables={}, counts=counts, states=states)

    def _states_since(self, base: Checkpoint) -> Mapping[str, Mapping[str, list[State]]]:
        """Of the newest epoch that wrote any. Task 0 got those of the checkpoint: without a note it still has them."""
        newest = max((epoch for epoch, _ in self.states.values()), default=0)
        notes = {task: states for task, (epoch, states) in self.states.items() if epoch == newest}
        found = {sink: {t: list(of) for t, of in tables.items()} for sink, tables in base.states.items()}
        if 0 in notes:
            found = {}
        for states in notes.values():
            for sink, tables in states.items():
                for table, state in tables.items():
                    found.setdefault(sink, {}).setdefault(table, []).append(state)
        return found


def _under(prefix: str, positions: Mapping[str, Position]) -> dict[int, Any]:
    """Task → its note, in the order of tasks."""
    found: Iterable[tuple[str, Any]] = positions.items()
    return dict(sorted((int(key.removeprefix(prefix)), note) for key, note in found if key.startswith(prefix)))
