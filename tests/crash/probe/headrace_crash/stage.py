"""What a test and the processes of its job tell each other, and the rows and checkpoints that lead to a point."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

from headrace.checkpoint.checkpoint import CheckpointKind
from headrace.checkpoint.coordinator import SendBarrier

from .points import PIPELINE, POINTS, TASK, Phase, Point
from .wraps import replaced

BATCH_ROWS = 10

QUIET_AFTER = 2
"""Before a last checkpoint or a savepoint so many are taken, and then none: what follows has rows for certain."""

BEFORE_A_SAVEPOINT = 6
"""Batches that the split of each task gives before a savepoint; it has more."""

KINDS = {
    Phase.CHECKPOINT: CheckpointKind.CHECKPOINT,
    Phase.LAST: CheckpointKind.COMPLETED,
    Phase.SAVEPOINT: CheckpointKind.SAVEPOINT,
}


class Stage:
    """The files by which a test and the processes of its job tell each other where they are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.armed, self.reached, self.quiet = folder / "armed", folder / "reached", folder / "quiet"
        self._handled, self._ticks = folder / "handled", folder / "ticks"

    def wanted(self) -> tuple[Point, Phase]:
        name, phase = (self._folder / "wanted").read_text().split()
        return next(point for point in POINTS if point.name == name), Phase(phase)

    def stop(self) -> None:
        """Freeze, to be killed here; once for all processes. What another thread does meanwhile is over, too."""
        if not self.armed.exists():
            return
        mine = self._folder / f"{os.getpid()}.{threading.get_ident()}"
        mine.write_text(str(os.getpid()))
        try:
            os.link(mine, self.reached)
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGSTOP)
        while True:  # the signal may reach other threads first
            time.sleep(1)

    def tick(self) -> None:
        """A checkpoint is completed."""
        _append(self._ticks)

    def handle(self) -> None:
        """A batch has reached the sinks."""
        _append(self._handled)

    @property
    def handled(self) -> int:
        return _size(self._handled)

    def allows(self, batches: int, phase: Phase) -> bool:
        """Whether a split that gave so many batches may give one more: one for each checkpoint, until it is quiet."""
        if self.reached.exists():
            return True
        if self.quiet.exists():
            return phase is not Phase.SAVEPOINT or batches < BEFORE_A_SAVEPOINT
        return batches <= _size(self._ticks)

    def has_rows(self, splits: int, checkpoint_id: int) -> bool:
        """Whether the checkpoint has new rows of so many splits, which are all that are read: one for each task."""
        return self.reached.exists() or self.handled >= splits * checkpoint_id


def _append(file: Path) -> None:
    with open(file, "ab") as out:
        out.write(b".")


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _pace(stage: Stage, phase: Phase) -> None:
    def make(inner):
        def wrapped(self, split, position, task):
            given = 0
            for read in inner(self, split, position, replace(task, batch_rows=BATCH_ROWS)):
                while read is not None and not stage.allows(given, phase):
                    time.sleep(0.005)
                    yield None
                given += read is not None
                yield read

        return wrapped

    replaced("headrace.connectors.fake_source:FakeSource.read", make)


def _direct(stage: Stage, phase: Phase) -> None:
    """Let the wanted checkpoint come when there are rows for it, and arm the point when its barrier is sent."""

    def arming(inner):
        def wrapped(self, action, coordinator):
            if (
                isinstance(action, SendBarrier)
                and coordinator.pending_kind == KINDS[phase]
                and action.checkpoint_id > 1
            ):
                stage.armed.touch()
            return inner(self, action, coordinator)

        return wrapped

    def ticking(inner):
        def wrapped(self, action):
            stage.tick()
            if phase is not Phase.CHECKPOINT and action.checkpoint.id >= QUIET_AFTER:
                stage.quiet.touch()
            return inner(self, action)

        return wrapped

    def quieting(inner):
        def wrapped(self):
            if phase is not Phase.CHECKPOINT and self.last.id >= QUIET_AFTER:
                return None
            due = inner(self)
            return due if stage.has_rows(self.tasks, self._next_id) else max(due, time.monotonic() + 0.02)

        return wrapped

    def noticing(inner):
        def wrapped(self, *arguments):
            inner(self, *arguments)
            stage.handle()

        return wrapped

    replaced(f"{PIPELINE}._act", arming)
    replaced(f"{PIPELINE}._completed", ticking)
    replaced("headrace.checkpoint.coordinator:Coordinator._due", quieting)
    replaced(f"{TASK}._handle", noticing)


def install(stage: Stage) -> None:
    """Wrap what the wanted point needs, in this process."""
    point, phase = stage.wanted()
    if phase in KINDS:
        _pace(stage, phase)
        _direct(stage, phase)
    point.wrap(stage.stop)
