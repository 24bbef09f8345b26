"""What became of the checkpoints of a pipeline: those under way, taken, given up, and how often it was restored."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from headrace.checkpoint.checkpoint import Checkpoint, CheckpointKind

REMEMBERED = 100
"""Entries that are kept; the counts go on."""

IN_PROGRESS, COMPLETED, FAILED = "IN_PROGRESS", "COMPLETED", "FAILED"
"""SeaTunnel's names (CheckpointStatus.java)."""


@dataclass(frozen=True)
class Entry:
    """One checkpoint. triggered, completed: seconds since 1970. size: bytes as stored. reason: why it was given up."""

    id: int
    kind: CheckpointKind
    status: str
    triggered: float
    completed: float | None = None
    size: int = 0
    reason: str = ""


@dataclass
class History:
    """Written by the pipeline's thread, read by any. `entries`: by id, oldest first."""

    pipeline: int
    entries: dict[int, Entry] = field(default_factory=dict)
    triggered: int = 0
    completed: int = 0
    failed: int = 0
    restored: int = 0

    @classmethod
    def of_stored(cls, pipeline: int, stored: Iterable[tuple[Checkpoint, int]]) -> "History":
        """What is known of a pipeline that no process here runs: its stored checkpoints, with their sizes."""
        history = cls(pipeline)
        for checkpoint, size in stored:
            if checkpoint.id > 0:
                history.entries[checkpoint.id] = taken(checkpoint, size)
        history.triggered = history.completed = len(history.entries)
        return history

    def is_broken(self, checkpoint_id: int, problem: str) -> None:
        """It is stored, and cannot be read; when it was taken is not known."""
        self.triggered += 1
        self.failed += 1
        self._put(Entry(checkpoint_id, CheckpointKind.CHECKPOINT, FAILED, 0.0, reason=problem))

    def began(self, checkpoint_id: int, kind: CheckpointKind, now: float) -> None:
        """Its barrier was sent."""
        self.triggered += 1
        self._put(Entry(checkpoint_id, kind, IN_PROGRESS, now))

    def done(self, checkpoint: Checkpoint, size: int) -> None:
        """It is saved and committed."""
        self.completed += 1
        self._put(taken(checkpoint, size))

    def gave_up(self, checkpoint_id: int, reason: str, now: float) -> None:
        """It was not taken."""
        entry = self.entries.get(checkpoint_id)
        if entry is not None and entry.status == IN_PROGRESS:
            self.failed += 1
            self._put(replace(entry, status=FAILED, completed=now, reason=reason))

    def stopped(self, reason: str, now: float) -> None:
        """The start of the pipeline is over, and with it what was under way."""
        for entry in self.of_status(IN_PROGRESS):
            self.gave_up(entry.id, reason, now)

    def restored_from(self, checkpoint: Checkpoint) -> None:
        """A start went on from this one."""
        self.restored += 1
        self.entries.setdefault(checkpoint.id, taken(checkpoint, 0))

    def of_status(self, status: str | None = None) -> list[Entry]:
        """The entries of one status, or all, newest first."""
        found = [entry for entry in list(self.entries.values()) if status in (None, entry.status)]
        return sorted(found, key=lambda entry: -entry.id)

    def _put(self, entry: Entry) -> None:
        entries = {**self.entries, entry.id: entry}
        while len(entries) > REMEMBERED:
            del entries[next(iter(entries))]
        self.entries = entries


def taken(checkpoint: Checkpoint, size: int) -> Entry:
    """The entry of a checkpoint that is stored."""
    return Entry(checkpoint.id, checkpoint.kind, COMPLETED, checkpoint.triggered, checkpoint.completed, size)
