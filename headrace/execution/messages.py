"""What a job master and its workers say to each other, all of it. Rows never travel this way.

A worker serves many jobs; `job` in a message is the key a master chose for its job on that worker. Embedded, the
messages are handed over as they are; between processes they go as data that says its version (`execution.wire`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.checkpoint.coordinator import Ack
from headrace.config.env import Verify
from headrace.config.error_handlers import Limit
from headrace.config.job import ResolvedJob
from headrace.connector import JobContext, Position, Split, State
from headrace.errors import HeadraceError, PluginFailed, own_error, told
from headrace.execution.notices import TableNotices
from headrace.execution.progress import Counts, Flow
from headrace.rows import TableSchema

# ------------------------------------------------------------------------------------------------ master to worker


@dataclass(frozen=True)
class LoadJob:
    """Plan this job; the worker keeps the plan until Forget. Its values are final, whatever is set at the worker."""

    job: str
    resolved: ResolvedJob


@dataclass(frozen=True)
class SetTables:
    """What describe found: step id → the tables that reach a sink, or that a source or transform gives."""

    job: str
    tables: Mapping[int, list[TableSchema]]


@dataclass(frozen=True)
class Call:
    """Run one of execution.calls by name with these arguments, on a thread of its own; answered by Reply."""

    job: str
    id: int
    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class TaskSpec:
    """What one task needs to know. states: sink's step id → table → merged state, for the first task only.

    rows_per_second, bytes_per_second: None is unlimited. neighbours: how many tasks of the pipeline its worker gets.
    limits: how many bad rows are too many. failed: tables of the source that the task leaves out; None when the first
    table that fails stops the job, and a task need not know which one it was. machine: where the task runs.
    """

    context: JobContext
    index: int
    states: Mapping[int, Mapping[str, State]] = field(default_factory=dict)
    rows_per_second: int | None = None
    bytes_per_second: int | None = None
    limits: tuple[Limit, ...] = ()
    verify: Verify = Verify.COUNT
    failed: frozenset[str] | None = None
    neighbours: int = 1
    machine: str = ""


@dataclass(frozen=True)
class StartTask:
    """Make the task; it answers Idle when it waits for splits."""

    job: str
    spec: TaskSpec


@dataclass(frozen=True)
class ToTask:
    """Base of messages for one task of one epoch; a task of another epoch never gets them."""

    job: str
    pipeline: int
    epoch: int
    task: int


@dataclass(frozen=True)
class Assign(ToTask):
    """Read this split after this position. An unbounded one is read beside those the task already has."""

    split: Split
    position: Position | None
    bounded: bool


@dataclass(frozen=True)
class Barrier(ToTask):
    """Answer for everything handed to the sinks so far; with `pause` then wait for Continue or StopTask.

    committed: the last checkpoint whose commits are done.
    """

    checkpoint_id: int
    pause: bool
    committed: int = 0


@dataclass(frozen=True)
class Continue(ToTask):
    """Go on after a barrier with `pause`."""

    checkpoint_id: int


@dataclass(frozen=True)
class StopTask(ToTask):
    """End now: close the readers, drop what is not prepared. Answered by TaskEnded."""


@dataclass(frozen=True)
class Forget:
    """The job is over for this worker."""

    job: str


# ------------------------------------------------------------------------------------------------ worker to master


@dataclass(frozen=True)
class Reply:
    """The result of a Call, or its error. call: its name."""

    job: str
    id: int
    call: str
    value: Any = None
    error: HeadraceError | None = None


@dataclass(frozen=True)
class FromTask:
    """Base of messages from one task of one epoch."""

    job: str
    pipeline: int
    epoch: int
    task: int


@dataclass(frozen=True)
class Idle(FromTask):
    """The task has nothing to read. finished: the split it has just read to its end, None at the start."""

    finished: str | None


@dataclass(frozen=True)
class Acked(FromTask):
    """The answer to a Barrier."""

    checkpoint_id: int
    ack: Ack


@dataclass(frozen=True)
class TaskFailed(FromTask):
    """The task ended by an error; it has closed its readers and writers. step: the step that failed, 0 unknown.

    tables: of the source, those whose rows it failed at, as far as that is known.
    """

    error: HeadraceError
    step: int = 0
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskEnded(FromTask):
    """The task ended because it was told to."""


@dataclass(frozen=True)
class TaskReport(FromTask):
    """How far a task is, sent about twice a second and before it ends; totals since its start.

    reasons: why its first bad rows were set aside. notices: what its source told, by table. shares: how much of the
    splits that it reads is through, see Read. unread: what it knows of its splits and has not read, see TaskContext.
    """

    counts: Mapping[Flow, Counts]
    batches: int
    busy: Mapping[int, float]
    waiting_for_source: float
    waiting_for_sink: float
    reasons: tuple[str, ...] = ()
    notices: Mapping[str, TableNotices] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    unread: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Printed:
    """Lines for people: from the Console sink, or a plugin's log."""

    job: str
    text: str
    level: str = "print"


@dataclass(frozen=True)
class Heartbeat:
    """A worker process lives; sent each second. It concerns no job."""

    job: str = ""


@dataclass(frozen=True)
class WorkerGone:
    """A worker's socket closed, or it stopped answering. Made by the runner. lane: the worker's name.

    guilty: whether this job is taken to be the cause; another one's fault costs it no retry.
    """

    job: str
    lane: str
    reason: str
    guilty: bool = True


Command = LoadJob | SetTables | Call | StartTask | Assign | Barrier | Continue | StopTask | Forget
Event = Reply | Idle | Acked | TaskFailed | TaskEnded | TaskReport | Printed | Heartbeat | WorkerGone


def portable(error: BaseException, plugin: str = "") -> HeadraceError:
    """The error itself when it is ours, or the most like it of ours; for any other PluginFailed with its text."""
    if isinstance(error, HeadraceError):
        return own_error(error)
    return PluginFailed(told(error), plugin)
