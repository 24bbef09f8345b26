"""When to take a checkpoint, who has answered, when it is complete, when it is given up. No clock, threads or sockets:
time and answers come in, actions go out, so that a simulation can play every history."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

from headrace.checkpoint.checkpoint import Checkpoint, CheckpointKind, add_counts
from headrace.checkpoint.finished import FinishedMarks
from headrace.connector import Committable, Position, Split, State

EXPIRED = (
    "Checkpoint expired before completing. Please increase checkpoint timeout in the seatunnel.yaml or jobConfig env."
)
"""SeaTunnel's sentence; its users search for it."""


@dataclass(frozen=True)
class CheckpointSettings:
    """interval: None takes none but those asked for. patience: how long saving may keep failing before the job fails.
    All in seconds."""

    interval: float | None = None
    timeout: float = 60.0
    min_pause: float = 0.0
    patience: float = 300.0
    retry_save: float = 1.0


@dataclass(frozen=True)
class Ack:
    """A task's answer to a barrier: exactly what it handed to the sinks before it (guarantee 1).

    positions, finished: of the splits it read in this epoch, those that moved since its last answer. states,
    committables: by sink name. counts: since the start of the task.
    """

    positions: Mapping[str, Position] = field(default_factory=dict)
    finished: Set[str] = frozenset()
    states: Mapping[str, Mapping[str, State]] = field(default_factory=dict)
    committables: Mapping[str, list[Committable]] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


# ---------------------------------------------------------------------------------------------------------- actions


@dataclass(frozen=True)
class SendBarrier:
    """Tell every task to answer for `checkpoint_id`; with `pause` it then waits for Resume or the end."""

    checkpoint_id: int
    pause: bool


@dataclass(frozen=True)
class Resume:
    """Tell every task that paused at `checkpoint_id` to go on."""

    checkpoint_id: int


@dataclass(frozen=True)
class Save:
    """Store the checkpoint durably, then call `saved` or `save_failed`. Before a COMPLETED one the sinks may refuse."""

    checkpoint: Checkpoint


@dataclass(frozen=True)
class Commit:
    """Make what the saved checkpoint names visible, then call `committed` or `commit_failed`."""

    checkpoint: Checkpoint


@dataclass(frozen=True)
class Completed:
    """The checkpoint is saved and committed. `ends`: the pipeline is over (COMPLETED or SAVEPOINT)."""

    checkpoint: Checkpoint
    ends: bool


@dataclass(frozen=True)
class NotTaken:
    """A checkpoint or savepoint was given up; the pipeline goes on."""

    kind: CheckpointKind
    checkpoint_id: int
    reason: str


@dataclass(frozen=True)
class Fail:
    """The pipeline cannot go on from here; it is restarted from the last saved checkpoint, or fails."""

    reason: str


Action = SendBarrier | Resume | Save | Commit | Completed | NotTaken | Fail


@dataclass
class _Pending:
    id: int
    kind: CheckpointKind
    triggered: float
    acks: dict[int, Ack] = field(default_factory=dict)


class Coordinator:
    """The checkpoints of one start of one pipeline. One is under way at a time, as in SeaTunnel.

    base: the saved state this start began from. tasks: 0 … tasks-1, all of which answer every barrier.
    Every method returns the actions to take, in order; the caller reports their results. Calls of an older epoch never
    reach it: the caller makes one coordinator for each epoch and drops what is not of it (guarantee 9).
    date: seconds since 1970 at `now`, for the times in checkpoints; `now` itself when left out. tells_ends: whether the
    first checkpoint after the end of a split holds where it ended, for a source that is told; later ones never do.
    """

    def __init__(
        self,
        base: Checkpoint,
        tasks: int,
        settings: CheckpointSettings,
        now: float,
        date: float | None = None,
        *,
        tells_ends: bool = True,
    ) -> None:
        self._tells_ends = tells_ends
        self._to_date = 0.0 if date is None else date - now
        self.base, self.tasks, self.settings = base, tasks, settings
        self.last = base
        self._next_id = base.id + 1
        self._pending: _Pending | None = None
        self._saving: Checkpoint | None = None
        self._committing: Checkpoint | None = None
        self._carried: dict[str, list[Committable]] = {}
        self._doubtful: dict[str, list[Committable]] = {}
        self._finished = FinishedMarks(base.splits, base.finished)
        self._positions = {split: at for split, at in base.positions.items() if split not in base.finished}
        self._read_out: set[str] = set()
        self._savepoint_wanted = False
        self._all_read = False
        self._ended = False
        self._last_success = now
        self._failing_since: float | None = None
        self._last_trigger = now
        self._retry_save_at: float | None = None

    # ------------------------------------------------------------------------------------------------- questions

    @property
    def idle(self) -> bool:
        """Whether no checkpoint is under way."""
        return self._pending is None and self._saving is None and self._committing is None

    @property
    def pending_kind(self) -> CheckpointKind:
        """Why the checkpoint whose answers are awaited is taken."""
        return self._pending.kind if self._pending is not None else CheckpointKind.CHECKPOINT

    def next_wake(self) -> float | None:
        """When `tick` should be called at the latest; None when only an answer can change anything."""
        if self._ended:
            return None
        if self._retry_save_at is not None:
            return self._retry_save_at
        if self._pending is not None:
            return self._pending.triggered + self.settings.timeout
        if not self.idle:
            return None
        return self._due()

    def _due(self) -> float | None:
        if self.settings.interval is None:
            return None
        return max(self._last_trigger + self.settings.interval, self._last_success + self.settings.min_pause)

    def unsaved(self) -> dict[str, list[Committable]]:
        """What was prepared but is in no saved checkpoint, nor in one that may have been saved; to be aborted.

        A save that has no answer yet, or failed, may have reached the store all the same: a restart then commits it.
        """
        found = {sink: list(items) for sink, items in self._carried.items()}
        for ack in self._pending.acks.values() if self._pending else ():
            for sink, items in ack.committables.items():
                found.setdefault(sink, []).extend(items)
        return found

    # ---------------------------------------------------------------------------------------------------- inputs

    def tick(self, now: float) -> list[Action]:
        """Time has passed."""
        if self._ended:
            return []
        if self._retry_save_at is not None and now >= self._retry_save_at and self._saving is not None:
            self._retry_save_at = None
            return [Save(self._saving)]
        if self._pending is not None and now >= self._pending.triggered + self.settings.timeout:
            return self._expire(now)
        due = self._due()
        if self.idle and due is not None and now >= due and not self._all_read:
            return self._trigger(CheckpointKind.CHECKPOINT, now)
        return []

    def want_savepoint(self, now: float) -> list[Action]:
        """Somebody asked for a savepoint; it is taken as soon as no other checkpoint is under way."""
        self._savepoint_wanted = True
        return self._start_wanted(now)

    def go_on(self, now: float) -> list[Action]:
        """The savepoint of this pipeline was taken, but the job goes on, because another pipeline's was not."""
        self._ended = False
        return [Resume(self.last.id), *self._start_wanted(now)]

    def all_read(self, now: float) -> list[Action]:
        """Every split was read to its end and no task has rows left: the last checkpoint can be taken."""
        self._all_read = True
        return self._start_wanted(now)

    def add_splits(self, splits: Iterable[Split]) -> None:
        """Splits of an unbounded source that have appeared; the next checkpoint holds them."""
        self._finished.extend(splits)

    def acked(self, task: int, checkpoint_id: int, ack: Ack, now: float) -> list[Action]:
        """A task answered. An answer that comes after its checkpoint was given up still prepared rows: they are carried
        into the next one, so nothing is lost."""
        pending = self._pending
        self._move(ack)
        if pending is None or pending.id != checkpoint_id:
            self._carry(ack.committables)
            return []
        pending.acks[task] = ack
        if len(pending.acks) < self.tasks:
            return []
        self._pending = None
        self._saving = self._merge(pending, now)
        self._carried, self._doubtful = {}, {}
        return [Save(self._saving)]

    def saved(self, checkpoint_id: int, now: float) -> list[Action]:
        """The checkpoint is durable: only now may a commit be asked for (guarantee 2)."""
        checkpoint = self._saving
        if checkpoint is None or checkpoint.id != checkpoint_id:
            return []
        self._saving, self.last, self._last_success, self._failing_since = None, checkpoint, now, None
        for split in [split for split in self._read_out if split in checkpoint.finished]:
            self._read_out.remove(split)  # where it ended was told once
            self._positions.pop(split, None)
        if any(checkpoint.committables.values()):
            self._committing = checkpoint
            return [Commit(checkpoint)]
        return self._complete(checkpoint, now)

    def save_failed(self, checkpoint_id: int, reason: str, now: float) -> list[Action]:
        """The store is full or away. The pipeline goes on; the last checkpoint of a bounded one is tried again."""
        checkpoint = self._saving
        if checkpoint is None or checkpoint.id != checkpoint_id:
            return []
        if self._failing_since is None:
            self._failing_since = now
        if now - self._failing_since >= self.settings.patience:
            self._ended = True
            return [Fail(f"no checkpoint could be saved for {now - self._failing_since:.0f} s: {reason}")]
        if checkpoint.kind is CheckpointKind.COMPLETED:
            self._retry_save_at = now + self.settings.retry_save
            return [NotTaken(checkpoint.kind, checkpoint_id, f"{reason}; it is tried again")]
        self._saving, self._doubtful = None, {name: list(items) for name, items in checkpoint.committables.items()}
        actions: list[Action] = [NotTaken(checkpoint.kind, checkpoint_id, reason)]
        if checkpoint.kind is CheckpointKind.SAVEPOINT:
            actions.append(Resume(checkpoint_id))
        return actions + self._start_wanted(now)

    def committed(self, checkpoint_id: int, now: float) -> list[Action]:
        """What the checkpoint named is visible."""
        checkpoint = self._committing
        if checkpoint is None or checkpoint.id != checkpoint_id:
            return []
        self._committing = None
        return self._complete(checkpoint, now)

    def commit_failed(self, checkpoint_id: int, reason: str) -> list[Action]:
        """The commit stays owed: a restart finishes it first (guarantee 4)."""
        if self._committing is None or self._committing.id != checkpoint_id:
            return []
        self._ended = True
        return [Fail(f"cannot commit checkpoint {checkpoint_id}: {reason}")]

    # -------------------------------------------------------------------------------------------------- the rules

    def _start_wanted(self, now: float) -> list[Action]:
        if self._ended or not self.idle:
            return []
        if self._all_read:
            self._savepoint_wanted = False
            return self._trigger(CheckpointKind.COMPLETED, now)
        if self._savepoint_wanted:
            self._savepoint_wanted = False
            return self._trigger(CheckpointKind.SAVEPOINT, now)
        return []

    def _trigger(self, kind: CheckpointKind, now: float) -> list[Action]:
        self._pending = _Pending(self._next_id, kind, now)
        self._next_id += 1
        self._last_trigger = now
        return [SendBarrier(self._pending.id, pause=kind is not CheckpointKind.CHECKPOINT)]

    def _expire(self, now: float) -> list[Action]:
        pending, self._pending = self._pending, None
        assert pending is not None
        for ack in pending.acks.values():
            self._carry(ack.committables)
        if pending.kind is CheckpointKind.SAVEPOINT:
            missing = sorted(set(range(self.tasks)) - pending.acks.keys())
            reason = f"{EXPIRED} Tasks without an answer: {', '.join(map(str, missing))}"
            return [NotTaken(pending.kind, pending.id, reason), Resume(pending.id), *self._start_wanted(now)]
        self._ended = True
        return [Fail(EXPIRED)]

    def _move(self, ack: Ack) -> None:
        """What a task says moved since its last answer: no two of them are under way to the same checkpoint."""
        self._positions.update(ack.positions)
        for split in ack.finished:
            self._finished.add(split)
        if self._tells_ends:
            self._read_out.update(ack.finished)
        else:
            for split in ack.finished:
                self._positions.pop(split, None)

    def _carry(self, committables: Mapping[str, list[Committable]]) -> None:
        for sink, items in committables.items():
            self._carried.setdefault(sink, []).extend(items)

    def _merge(self, pending: _Pending, now: float) -> Checkpoint:
        """The answers of all tasks as one checkpoint; splits nobody read in this epoch stay where the base has them."""
        states: dict[str, dict[str, list[State]]] = {}
        committables = {sink: list(items) for sink, items in self._doubtful.items()}
        for sink, items in self._carried.items():
            committables.setdefault(sink, []).extend(items)
        counts = {key: dict(values) for key, values in self.base.counts.items()}
        for _, ack in sorted(pending.acks.items()):
            for sink, items in ack.committables.items():
                committables.setdefault(sink, []).extend(items)
            for sink, tables in ack.states.items():
                for table, state in tables.items():
                    states.setdefault(sink, {}).setdefault(table, []).append(state)
            for key, values in ack.counts.items():
                counts[key] = add_counts(counts.get(key, {}), values)
        return replace(
            self.base,
            id=pending.id,
            kind=pending.kind,
            splits=self._finished.splits,
            positions=dict(self._positions),
            finished=self._finished.now(),
            states=states,
            committables=committables,
            counts=counts,
            parallelism=self.tasks,
            triggered=pending.triggered + self._to_date,
            completed=now + self._to_date,
        )

    def _complete(self, checkpoint: Checkpoint, now: float) -> list[Action]:
        ends = checkpoint.kind in (CheckpointKind.COMPLETED, CheckpointKind.SAVEPOINT)
        self._ended = ends
        return [Completed(checkpoint, ends), *self._start_wanted(now)]
