"""The commit sequence: every point at which a process may die, in order, and how it is found in the code."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from headrace.execution.messages import Acked

from .wraps import Wrap, after, before, replaced, seen, within


class Phase(StrEnum):
    """When in a job's life a point is passed. The barrier is the one that begins the checkpoint."""

    START = "start"
    """From the first start of the job to its first checkpoint."""
    CHECKPOINT = "checkpoint"
    """A checkpoint in the middle; others were taken before it."""
    LAST = "last"
    """The checkpoint that follows the last row, and the end of the job."""
    SAVEPOINT = "savepoint"
    """A savepoint of a streaming job, and its stop."""
    RESTART = "restart"
    """The restart after another kill, which has left commits to finish or a target that is ahead."""


BEGUN = (Phase.CHECKPOINT, Phase.LAST, Phase.SAVEPOINT)
SAVED = (Phase.START, *BEGUN, Phase.RESTART)


@dataclass(frozen=True)
class Point:
    """does: what has just happened, what is next. sinks: where the point exists. in_worker: who passes it."""

    name: str
    does: str
    phases: tuple[Phase, ...]
    wrap: Wrap
    in_worker: bool = False
    sinks: tuple[str, ...] = ("LocalFile", "Jdbc")


# ---------------------------------------------------------------------------------------------------- where they are

PIPELINE = "headrace.execution.pipeline:PipelineRun"
SAVING = "headrace.execution.saving:Saving"
MASTER = "headrace.execution.master:JobMaster"
LOCAL = "headrace.execution.local:LocalJob"
TASK = "headrace.execution.task:Task"
LOCAL_FILES = "headrace.storage.local"
STORE = "headrace.checkpoint.store:BlobStore"
FILES = "headrace.connectors._files.sink"
STORAGE = f"{LOCAL_FILES}:LocalStorage"
CLAIM = "headrace.storage.claims:Claim"
JDBC = "headrace.connectors._jdbc.session:JdbcSession"
SINK_CLASSES = (f"{FILES}:FileSink", "headrace.connectors._jdbc.sink:JdbcSink")
COMMIT = "headrace.connectors._jdbc.dialects.sqlite.database:Sqlite.commit"
UNLINK = "pathlib:Path.unlink"


def in_the_middle_of_a_write(stop):
    """Half of a batch is written to the file, or kept for the transaction."""

    def make(inner):
        def wrapped(self, rows):
            half = rows.num_rows // 2
            if not half:
                return inner(self, rows)
            inner(self, rows.slice(0, half))
            stop()
            return inner(self, rows.slice(half))

        return wrapped

    replaced(f"{FILES}:_OpenFile.write", make)
    replaced("headrace.connectors._jdbc.session:JdbcSession.take", make)


def _ends(self, status):
    return status != "RUNNING"


def _of_sinks(method: str) -> tuple[str, ...]:
    return tuple(f"{cls}.{method}" for cls in SINK_CLASSES)


def _is_checkpoint(temporary, file):
    return "checkpoints" in Path(file).parts and str(file).endswith(".json")


def _is_stored(file, **named):
    return file.suffix in (".json", ".epoch")


def _sends_answer(wrap_as: Callable[..., Wrap]) -> Wrap:
    """A task's way to send is given to it, so it is wrapped in each task."""

    def wrap(stop):
        def make(inner):
            def wrapped(self, *arguments, **named):
                inner(self, *arguments, **named)
                send = self._send

                def sending(event):
                    is_answer = isinstance(event, Acked)
                    if is_answer and wrap_as is before:
                        stop()
                    send(event)
                    if is_answer and wrap_as is after:
                        stop()

                self._send = sending

            return wrapped

        replaced(f"{TASK}.__init__", make)

    return wrap


AFTER_THE_END = ("end-recorded", "delete", "half-deleted", "deleted", "unlock", "unlocked")
"""Points of a last checkpoint from which nothing is left to restore."""

POINTS = (
    Point(
        "save-modes",
        "the sink is about to prepare its target",
        (Phase.START,),
        before(*_of_sinks("save_mode")),
        in_worker=True,
    ),
    Point(
        "target-prepared",
        "the target is prepared, no epoch is claimed",
        (Phase.START,),
        after(*_of_sinks("save_mode")),
        in_worker=True,
    ),
    Point("claim", "an epoch is about to be claimed", (Phase.START, Phase.RESTART), before(f"{STORE}.claim_epoch")),
    Point("claimed", "the epoch is claimed", (Phase.START, Phase.RESTART), after(f"{STORE}.claim_epoch")),
    Point(
        "fence",
        "the sink is about to learn the epoch",
        (Phase.START, Phase.RESTART),
        before(*_of_sinks("start")),
        in_worker=True,
    ),
    Point(
        "fenced", "the sink knows the epoch", (Phase.START, Phase.RESTART), after(*_of_sinks("start")), in_worker=True
    ),
    Point(
        "start-tasks",
        "the splits are saved, no task runs",
        (Phase.START, Phase.RESTART),
        before(f"{PIPELINE}._start_tasks"),
    ),
    Point("tasks-started", "the tasks are started", (Phase.START, Phase.RESTART), after(f"{PIPELINE}._start_tasks")),
    Point(
        "write",
        "half of a batch is written",
        (Phase.START, Phase.CHECKPOINT, Phase.RESTART),
        in_the_middle_of_a_write,
        in_worker=True,
    ),
    Point("barrier", "a task has a barrier before it", BEGUN, before(f"{TASK}._answer"), in_worker=True),
    Point(
        "prepared",
        "a task's files are whole and durable, and invisible",
        BEGUN,
        after(f"{FILES}:_FileWriter.prepare_commit"),
        in_worker=True,
        sinks=("LocalFile",),
    ),
    Point(
        "in-transaction",
        "a task's rows are in its transaction, the positions are not",
        BEGUN,
        after(f"{JDBC}.flush", where=lambda session: session._begun),
        in_worker=True,
        sinks=("Jdbc",),
    ),
    Point(
        "positions",
        "rows and positions are in the transaction, which is about to be committed",
        BEGUN,
        within(f"{JDBC}.commit_positions", before(COMMIT)),
        in_worker=True,
        sinks=("Jdbc",),
    ),
    Point(
        "positions-committed",
        "the transaction is committed",
        BEGUN,
        within(f"{JDBC}.commit_positions", after(COMMIT)),
        in_worker=True,
        sinks=("Jdbc",),
    ),
    Point("answer", "a task is about to answer the barrier", BEGUN, _sends_answer(before), in_worker=True),
    Point("answered", "a task has answered the barrier", BEGUN, _sends_answer(after), in_worker=True),
    Point("save", "all tasks have answered, nothing is saved", SAVED, before(f"{SAVING}.save")),
    Point(
        "half-saved",
        "the checkpoint is written under its temporary name",
        SAVED,
        seen(f"{LOCAL_FILES}:os.replace", before, _is_checkpoint),
    ),
    Point(
        "renamed",
        "the checkpoint has its name, which may not be durable yet",
        SAVED,
        seen(f"{LOCAL_FILES}:os.replace", after, _is_checkpoint),
    ),
    Point(
        "retention",
        "the checkpoint is saved, an older one is about to be removed",
        (Phase.CHECKPOINT, Phase.SAVEPOINT),
        within(f"{STORE}.save", before(UNLINK, where=_is_stored)),
    ),
    Point("saved", "the checkpoint is saved", SAVED, after(f"{SAVING}.save")),
    Point(
        "commit",
        "the commit is about to be asked for",
        (*BEGUN, Phase.RESTART),
        before(f"{SAVING}.commit"),
        sinks=("LocalFile",),
    ),
    Point(
        "half-committed",
        "the first of the checkpoint's files is visible, the others are not",
        (*BEGUN, Phase.RESTART),
        after(f"{STORAGE}._show"),
        in_worker=True,
        sinks=("LocalFile",),
    ),
    Point(
        "all-visible",
        "all files are visible, no mark says so yet",
        (*BEGUN, Phase.RESTART),
        before(f"{STORAGE}._mark"),
        in_worker=True,
        sinks=("LocalFile",),
    ),
    Point(
        "committed",
        "the commit is done",
        (*BEGUN, Phase.RESTART),
        after(f"{SAVING}.commit"),
        sinks=("LocalFile",),
    ),
    Point("completed", "the checkpoint is about to be known as completed", BEGUN, before(f"{PIPELINE}._completed")),
    Point(
        "stop-tasks",
        "the tasks are about to be stopped",
        (Phase.LAST, Phase.SAVEPOINT),
        before(f"{PIPELINE}._stop_tasks"),
    ),
    Point("clean-up", "the job has ended, nothing is cleaned up", (Phase.LAST,), before(f"{MASTER}._clean_up")),
    Point("sink-end", "the sink is about to forget the job", (Phase.LAST,), before(*_of_sinks("end")), in_worker=True),
    Point(
        "sink-ended",
        "the sink has forgotten the job, the checkpoints are still there",
        (Phase.LAST,),
        after(*_of_sinks("end")),
        in_worker=True,
    ),
    Point(
        "record-end",
        "the end of the job is about to be recorded",
        (Phase.LAST, Phase.SAVEPOINT),
        before(f"{LOCAL}._remember", where=_ends),
    ),
    Point(
        "end-recorded",
        "the end of the job is recorded",
        (Phase.LAST, Phase.SAVEPOINT),
        after(f"{LOCAL}._remember", where=_ends),
    ),
    Point("delete", "the checkpoints are about to be removed", (Phase.LAST,), before(f"{STORE}.delete")),
    Point(
        "half-deleted",
        "the first of the checkpoints' files is removed",
        (Phase.LAST,),
        within(f"{STORE}.delete", after(UNLINK, where=_is_stored)),
    ),
    Point("deleted", "the checkpoints are removed", (Phase.LAST,), after(f"{STORE}.delete")),
    Point(
        "unlock",
        "the job's lock is about to be given back",
        (Phase.LAST, Phase.SAVEPOINT),
        before("headrace.execution.owner:JobLock.close"),
    ),
    Point(
        "unlocked",
        "the lock is given back, the command has not said how the job ended",
        (Phase.LAST, Phase.SAVEPOINT),
        after("headrace.execution.owner:JobLock.close"),
    ),
)
