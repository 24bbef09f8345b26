"""The contract between the engine and a plugin: batches come from a source, pass transforms and go to a sink.

The engine owns the loop. A plugin never sees threads, barriers, retries or metrics; it sees one method call at a time,
each on one thread. `headrace.testing` holds the suites that every plugin must pass.
"""

import importlib
import json
import logging
import pkgutil
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher, get_close_matches
from enum import StrEnum
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import pyarrow as pa

from headrace.errors import BadRow, MissingExtra, Problem, Rejected, told
from headrace.memory import show_size
from headrace.options import Choice, Options
from headrace.placeholders import fill_placeholders
from headrace.places import Address, ReadWish, WriteWish
from headrace.rows import TARGET_BYTES, TARGET_ROWS, Batch, TableSchema
from headrace.storage.claims import NO_STORE, Claim
from headrace.storage.contract import Left, Stat

__all__ = [
    "NO_STORE",
    "BadRow",
    "Batch",
    "CallsRun",
    "Choice",
    "Claim",
    "Committable",
    "JobContext",
    "Left",
    "Notices",
    "Options",
    "Position",
    "Problem",
    "Read",
    "Rejects",
    "Share",
    "Sink",
    "SinkKind",
    "SinkSession",
    "SinkWriter",
    "Source",
    "Split",
    "State",
    "TableSchema",
    "TaskContext",
    "Transform",
    "Verifier",
    "Written",
    "needs",
    "sink",
    "sinks",
    "source",
    "sources",
    "transform",
    "transforms",
]  # fmt: skip

Position = Any
"""Where a split's next read starts: *after these rows*. JSON-serialisable; its meaning is the source's own."""

Committable = Any
"""What `Sink.commit` needs to make prepared rows visible. JSON-serialisable."""

State = Any
"""What a sink's writer remembers beyond a checkpoint. JSON-serialisable."""


# --------------------------------------------------------------------------------------------------------- context


@dataclass(frozen=True)
class JobContext:
    """The start of a pipeline that a plugin works for.

    run: counts the starts of the job id by a user. epoch: counts the starts of this pipeline in all runs, for fencing;
    whatever is prepared or committed by an older epoch must be refused. mode: `BATCH` or `STREAMING`.
    parallelism_before: how many tasks the start had whose saved state this one goes on from; 0 at the first.
    store: the identity of the store of jobs that knows the job. home: a directory of this machine for what its owner
    keeps; empty where there is none. restorable: (epoch, checkpoint) of the oldest checkpoint that a restart may go on
    from, where that is known: what was kept for those before it can go.
    """

    job_id: int
    run: int = 1
    pipeline: int = 1
    epoch: int = 1
    name: str = "SeaTunnel_Job"
    mode: str = "BATCH"
    parallelism: int = 1
    parallelism_before: int = 0
    store: str = NO_STORE
    home: str = ""
    restorable: tuple[int, int] | None = None

    @property
    def claim(self) -> Claim:
        """Whose the things are that are staged for it."""
        return Claim(self.store, self.job_id, self.run, self.epoch, self.pipeline)


class Rejects(ABC):
    """Takes rows that cannot be read, changed or written, so that the others of their batch go on."""

    @property
    def sets_aside(self) -> bool:
        """Whether bad rows are set aside; else the first one is an error."""
        return True

    @abstractmethod
    def add(self, batch: Batch, mask: pa.BooleanArray, reason: str | pa.StringArray) -> None:
        """Set the rows of `batch` where `mask` is true aside, with one reason for all or one for each row of the batch.

        Raises BadRow when the job does not set rows aside (the default), or when its limit is reached.
        """

    @abstractmethod
    def add_raw(self, table: str, raw: Sequence[bytes | str], reason: str, place: str = "") -> None:
        """Set aside input that never became rows of `table`: lines or messages as they came.

        place: where it was, such as `file.csv row 17`. Raises as `add`.
        """


class FailOnReject(Rejects):
    """The default: the first bad row is an error that names row, column and value."""

    @property
    def sets_aside(self) -> bool:
        return False

    def add(self, batch: Batch, mask: pa.BooleanArray, reason: str | pa.StringArray) -> None:
        for row, bad in enumerate(mask.to_pylist()):
            if bad:
                text = reason if isinstance(reason, str) else reason[row].as_py()
                raise BadRow(f"{text}: {batch.rows.slice(row, 1).to_pylist()[0]}", batch.table, row + 1)

    def add_raw(self, table: str, raw: Sequence[bytes | str], reason: str, place: str = "") -> None:
        if raw:
            first = raw[0].decode(errors="replace") if isinstance(raw[0], bytes) else raw[0]
            raise BadRow(f"{place}: {reason}: {first[:500]!r}" if place else f"{reason}: {first[:500]!r}", table)


class Notices:
    """What a source tells beside its rows: it ends in the delivery report and in warnings. This one forgets it all."""

    def mended(self, table: str, how: str, example: str) -> None:
        """A row was not as it should be, and is read nevertheless. It belongs to the batch that is yielded next.

        how: `padded`, it had fields too few, null stands for the others; `cut`, it had too many, the last were dropped.
        example: where that was, and what was wrong.
        """

    def names(self, table: str, where: str, found: Collection[str], missing: Mapping[str, str]) -> None:
        """Columns were looked for by name in a part of the input. where: names it.

        missing: those that were not there, with the name there that is most like theirs. One that is found nowhere is
        warned of.
        """


class Verifier(ABC):
    """Takes what a sink reads back from its target, in a job that asks for it (`env.verify: target`).

    Both methods get rows in any order and in batches of any size, with the columns and values as the target keeps
    them; what was written and what was found is compared by number and checksum when a checkpoint is taken.
    """

    @abstractmethod
    def wrote(self, table: str, rows: pa.RecordBatch) -> None:
        """These rows were written; only what the target took, not rows that were set aside or ignored."""

    @abstractmethod
    def found(self, table: str, rows: pa.RecordBatch) -> None:
        """These rows were read back from the target or the finished file: never the batch that was handed over."""


def _unheard(size: int) -> None:
    """Nobody asks for it."""


@dataclass(frozen=True)
class TaskContext:
    """What a plugin may know of the task that calls it. index: counts from 0, below `job.parallelism`."""

    job: JobContext
    index: int = 0
    batch_rows: int = TARGET_ROWS
    """Rows a source should put in a batch, at most; fewer than usual when the job limits its rate.

    For a source that does not read alike again it follows what rows cost, and may be another for each batch.
    """
    batch_bytes: int = TARGET_BYTES
    """Bytes of such a batch, at most, or one row; fewer than usual under a small memory budget."""
    memory_bytes: int = 16 * TARGET_BYTES
    """All that the task may take. What cannot be read or written in parts is refused when it needs more than half."""
    held_bytes: int = 4 * TARGET_BYTES
    """What each writer may hold back, at most; then it writes it out."""
    rejects: Rejects = field(default_factory=FailOnReject)
    notices: Notices = field(default_factory=Notices)
    print: Callable[[str], None] = print
    """Writes one line for people: to the terminal, and to the job's log."""
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("headrace"))
    unread: Callable[[int], None] = _unheard
    """Where a source that cannot tell the size of a split says how much it knows of and has not given, in its unit.

    A directory that is followed, say: bytes of its files. Each call replaces what the one before said of the split.
    """
    verifier: Verifier | None = None
    """Where a sink says what it wrote and what it reads back before the commit; None when the job does not ask."""
    accepts: frozenset[str] = frozenset()
    """Encodings in which a source may hand rows on undecoded, see `Encoded`: the sinks behind it pass them on."""

    def fitting_rows(self, rows: pa.RecordBatch | pa.Table) -> int:
        """How many rows of this width make a batch."""
        return max(1, min(self.batch_rows, rows.num_rows * self.batch_bytes // max(rows.nbytes, 1)))

    def check_size(self, size: int, what: str, cure: str = "") -> None:
        """Refuse what cannot be read or written in parts before it fills the memory. size: bytes it takes there.

        what: names it with its place. cure: what else helps beside more memory. Raises Rejected.
        """
        if size > self.memory_bytes // 2:
            raise Rejected(
                f"{what} takes {show_size(size)} of memory and cannot be handled in parts, and this task has "
                f"{show_size(self.memory_bytes)}; raise --memory by {show_size(2 * size - self.memory_bytes)} for each "
                f"task that runs at once, or lower env.parallelism{f', or {cure}' if cure else ''}"
            )


# ---------------------------------------------------------------------------------------------------------- source


@dataclass(frozen=True)
class Share:
    """Which rows of a split are read, after one of its tables failed and the others went on. Only the engine makes it.

    of: the split's id as the source knows it. only: the one table whose rows are taken; empty for all. without: tables
    whose rows are left out. start: the position to read from where none was saved.
    """

    of: str
    only: str = ""
    without: tuple[str, ...] = ()
    start: Position | None = None

    def takes(self, table: str) -> bool:
        """Whether rows of the table belong to this share."""
        return table == self.only if self.only else table not in self.without


@dataclass(frozen=True)
class Split:
    """An independent part of a source's data, read by one task at a time.

    id: the same after a restart. size: bytes or rows, to give the biggest out first; 0 unknown. table: the path of the
    table all its rows belong to; empty when it carries several. share: for the engine; a source never sees it.
    after: splits that must be finished before this one starts. data: what the source needs to read it; JSON.
    ends: whether it is read to its end by an unbounded source, too: such splits are given to tasks one after the other,
    as those of a bounded source are; the others of an unbounded source are all read at the same time.
    """

    id: str
    size: int = 0
    table: str = ""
    after: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    share: Share | None = None
    ends: bool = False


class Read(NamedTuple):
    """Rows, and the position after the last of them.

    share: how much of the split lies before the position, from 0 to 1; 0 where the source does not know.
    The batch is empty only where the position must move without rows: all up to it were set aside, or a file or the
    like that an unbounded split consists of was read to its end.
    """

    batch: Batch
    position: Position
    share: float = 0.0


class Source(ABC):
    """Where rows come from. Made anew in every process that needs it, from its options; making it opens nothing.

    One instance serves all tasks of a process: `read` runs on several threads at once, each with a split of its own.
    """

    Options: ClassVar[type[Options]]
    memory_bytes: ClassVar[int] = 8 * 1024 * 1024
    """What one task needs, at least, to make batches; a job that has less is refused."""
    runs_code: ClassVar[bool] = False
    """Whether job files give it code to run: a server takes it only where `allowed_plugins` names it."""
    output = "default"
    """The dataset's name in the job file: the path of the table where the options name none. Set by the planner."""
    example: ClassVar[str] = ""
    """A fragment of a job file in HOCON, for the connector's page and `headrace connectors`."""

    @classmethod
    def schemes(cls) -> Mapping[str, str]:
        """Scheme → the form of an address that `headrace copy` takes for this plugin; none for most."""
        return {}

    @classmethod
    def options_at(cls, address: Address, wish: ReadWish) -> dict[str, Any]:
        """The options of a source that reads what is wished at an address with one of its schemes.

        Raises ConfigError.
        """
        raise NotImplementedError

    def __init__(self, options: Any) -> None:
        self.options = options

    def is_bounded(self, mode: str) -> bool:
        """Whether reading ends by itself in a `BATCH` or `STREAMING` job. An unbounded source in BATCH is refused."""
        return mode == "BATCH"

    def rereads_alike(self, mode: str) -> bool:
        """Whether the rows after a position are the same in the same order whenever they are read.

        Then a checkpoint need not wait for the end of a batch whose rows are slow to write: a restart reads it again
        and leaves out those that were through. A table that others change meanwhile, or a directory that fills, is not
        read alike again: its batches are made small where rows are slow.
        """
        return True

    def gives_changes(self, table: TableSchema) -> bool:
        """Whether rows of a table may be of other kinds than INSERT."""
        return False

    def declared_tables(self) -> list[TableSchema] | None:
        """The tables as far as `check` may know them, which opens nothing; None where only the outside tells."""
        return self.tables() if self.describes_offline() else None

    def describes_offline(self) -> bool:
        """Whether `tables` needs nothing but the options; then `headrace check` calls it, too."""
        return False

    def places(self) -> Collection[str]:
        """Where what is read lies, as paths from a root that tells storages apart; a sink must not empty it."""
        return ()

    @abstractmethod
    def tables(self) -> list[TableSchema]:
        """The tables this source gives, with their columns. Read-only. Raises Unavailable, Rejected, ConfigError."""

    too_many_splits: ClassVar[str] = "read it in bigger parts"
    """What to do when `splits` names more than the engine takes, in words that go on after `; `."""

    def lacks(self, parallelism: int) -> Iterable[str]:
        """What what it reads cannot promise to so many tasks, a sentence each, by the options alone; opens nothing."""
        return ()

    def advice(self) -> Iterable[Problem]:
        """What of the outside system's settings could serve the job better, each with its cure. Read-only.

        Asked by `headrace check --connect`, after `tables`, and shown as warnings.
        """
        return ()

    @abstractmethod
    def splits(self, parallelism: int) -> Iterable[Split]:
        """Name the independent parts of the data. Called once at the first start of a job, never on restore.

        They may be made one after the other: of more than 1,000,000, or of more than the memory has room for, no more
        are asked for and the job is refused; nor are they when the job is canceled meanwhile.
        parallelism: how many tasks will read; a hint for how finely to split, not a number to reach.
        """

    def new_splits(self, known: Collection[str]) -> Iterable[Split]:
        """Parts of an unbounded source that have appeared since; asked now and then while the job runs."""
        return []

    @abstractmethod
    def read(self, split: Split, position: Position | None, task: TaskContext) -> Iterator[Read | None]:
        """Yield the rows of `split` after `position`, oldest first; from the start if None.

        Batches target `task.batch_rows` rows or `task.batch_bytes`, are not empty, and have their table's columns.
        What is set aside belongs to the next position that is yielded: it is not read again after that one.
        Yields None (nothing yet) at least once a second while it waits, and what it has after 100 ms of waiting.
        Ends when the split ends. Free resources in a `finally` block: the engine closes the iterator on cancel.
        Raises Unavailable (the engine restarts from the last checkpoint) or Rejected.
        """

    def parse_again(self, table: str, raw: bytes | str, place: str) -> Batch:
        """The row of input that `read` once set aside by `Rejects.add_raw` with these words, read anew for a replay.

        Raises ValueError when it is still bad, or when this source cannot read a row by itself; the text says why.
        """
        raise ValueError("this source cannot read one row again by itself; read its table again")

    def hears_checkpoints(self) -> bool:
        """Whether `checkpointed` does anything; else it is not called."""
        return type(self).checkpointed is not Source.checkpointed

    def checkpointed(self, positions: Mapping[str, Position]) -> None:
        """These positions are safely saved: an outside system may forget what lies before. Called on a new instance."""


# ------------------------------------------------------------------------------------------------------- transform


class Transform(ABC):
    """Changes rows on their way. Stateless: one instance serves all tasks of a process, on their threads."""

    Options: ClassVar[type[Options]]
    runs_code: ClassVar[bool] = False
    """Whether job files give it code to run: a server takes it only where `allowed_plugins` names it."""
    drops_rows: bool = False
    """Whether `apply` may give fewer rows than it took, beside rejected ones; else a missing one fails the job."""
    adds_rows: bool = False
    """Whether `apply` may give more rows than it took; else one too many fails the job."""

    def __init__(self, options: Any) -> None:
        self.options = options

    def option_sets(self) -> Iterable[tuple[str, Any]]:
        """(place, options) of all that it was given: the options, and sets of them for single tables."""
        return [("", self.options)]

    def check(self) -> None:
        """Raises ConfigError for what is wrong with the options whatever the tables are, such as SQL that is none."""

    @abstractmethod
    def schema(self, table: TableSchema) -> TableSchema:
        """The table after the transform, before anything runs. Raises ConfigError naming what the table lacks."""

    def tables(self, tables: list[TableSchema]) -> list[TableSchema]:
        """All tables after the transform. Override it only to drop, merge or add tables."""
        return [self.schema(table) for table in tables]

    def leaves_changes(self, table: TableSchema) -> bool:
        """Whether of rows of all kinds that arrive of a table others than INSERT may come out."""
        return True

    def rows_at_once(self) -> int:
        """How many rows it sends to a service together, where that saves calls. Slow rows come one by one otherwise."""
        return 1

    @abstractmethod
    def apply(self, batch: Batch, task: TaskContext) -> Batch | list[Batch]:
        """Rows in, rows out; the number may differ. A list when rows go to several tables. Raises Rejected, BadRow.

        A BadRow is taken to be about one row: where bad rows are set aside, `apply` is called again with ever smaller
        parts of the batch until that row is alone.
        """

    def close(self, task: TaskContext) -> None:
        """A task has ended: free what `apply` opened for it. Called once for each task, also after an error."""


# ------------------------------------------------------------------------------------------------------------ sink


class SinkKind(StrEnum):
    """What a sink promises."""

    STAGED = "staged"
    """Prepared data is durable but invisible until `commit`: exactly once."""
    TRANSACTIONAL = "transactional"
    """Rows and positions are committed in one transaction of the target: exactly once."""
    PLAIN = "plain"
    """Flushed at the barrier: at least once, or effectively once where it upserts by key."""


class CallsRun(StrEnum):
    """Where a sink can reach what its tasks have staged, to commit, abort, look for or remove it."""

    ANYWHERE = "anywhere"
    """From every machine that runs workers: it lies in a database, or in a storage that all of them share."""
    WHERE_STAGED = "where it was staged"
    """On the machine of the task alone, such as on its disk."""


class Written(NamedTuple):
    """What became of the rows a writer was given since it was opened, counted where they were written.

    rows: in the target, or in it with the commit. ignored: left out because the sink does not write rows of their kind.
    """

    rows: int
    ignored: int = 0


class SinkWriter(ABC):
    """One task's end of a sink, for one table. The columns never change during its life."""

    all_or_nothing: ClassVar[bool] = False
    """Whether a `write` that raises BadRow has taken no row of its batch.

    Then, where bad rows are set aside, the engine calls `write` again with ever smaller parts until they are alone.
    """

    @abstractmethod
    def write(self, batch: Batch) -> None:
        """Take one batch of this writer's table. Raises Unavailable, Rejected, BadRow."""

    @abstractmethod
    def prepare_commit(self, checkpoint_id: int) -> Committable | None:
        """Make all rows taken so far durable. None: nothing to commit. A plain writer flushes here.

        Writing goes on afterwards, for the next checkpoint. checkpoint_id: below zero when a task that has too many
        tables closes this writer between two checkpoints; what it prepared is committed with the next one.
        """

    def state(self) -> State | None:
        """What the writers of a later start must know of this one; asked right after `prepare_commit`."""
        return None

    def written(self) -> Written | None:
        """What became of the rows so far; asked right after `prepare_commit`. None: the sink does not count.

        Rows that were set aside are in neither number. When they and these do not make up what the writer was given,
        the job fails before anything is committed.
        """
        return None

    def close(self) -> None:
        """Free resources and drop what was not prepared. Called once, also after an error."""


class SinkSession:
    """One task's end of a sink, for all tables. A transactional sink has its own; the others need only writers."""

    def __init__(self, sink: "Sink", task: TaskContext) -> None:
        self.sink, self.task = sink, task

    def writer(self, table: TableSchema, state: State | None = None) -> SinkWriter:
        """Make the writer of one table; asked for on the table's first batch, and again after the writer was closed.

        state: the merged states of all former writers of the table; given to the first task only, None to others.
        """
        return self.sink.writer(table, self.task, state)

    def flush(self) -> None:
        """Transactional sinks: write the rows taken since the last commit within the transaction that will commit them.

        Rows that the target refuses are set aside here, at the latest. Called after every writer's `prepare_commit` and
        before `commit_positions`. Raises Rejected when a newer epoch owns the pipeline.
        """

    def commit_positions(
        self, checkpoint_id: int, positions: Mapping[str, Position | None], finished: Sequence[str]
    ) -> None:
        """Transactional sinks: commit the rows written since the last call and the positions they reach, together.

        positions: split → position after its last written row, for those that moved since the last call; a few of the
        engine's own are among them, which the target keeps likewise. finished: splits that have ended since.
        Called right after `flush`. Raises Rejected when a newer epoch owns the pipeline.
        """

    def written(self) -> Mapping[str, Written]:
        """Table → what became of its rows since the session was opened; for sinks whose writers cannot tell.

        Called after `flush`. See SinkWriter.written.
        """
        return {}

    def close(self) -> None:
        """Free resources; roll back what is not committed. Called once, after all writers were closed."""


class TargetPositions(NamedTuple):
    """How far a transactional target has come: positions by split, and the splits that were read to their end."""

    positions: Mapping[str, Position]
    finished: frozenset[str]


class Sink(ABC):
    """Where rows go. Made anew in every process that needs it, from its options; making it opens nothing.

    One instance serves all tasks of a process; what belongs to one task is kept in its session and writers.
    """

    Options: ClassVar[type[Options]]
    runs_code: ClassVar[bool] = False
    """Whether job files give it code to run: a server takes it only where `allowed_plugins` names it."""
    kind: SinkKind = SinkKind.PLAIN
    accepts: frozenset[str] = frozenset()
    """Encodings that its writers pass on as they come, see `Encoded`; by the options alone."""
    memory_bytes: ClassVar[int] = 8 * 1024 * 1024
    """What the writers of one task need, at least, beside the batch they are given; a job that has less is refused."""
    example: ClassVar[str] = ""
    """A fragment of a job file in HOCON, for the connector's page and `headrace connectors`."""

    @classmethod
    def schemes(cls) -> Mapping[str, str]:
        """Scheme → the form of an address that `headrace copy` takes for this plugin; none for most."""
        return {}

    @classmethod
    def options_at(cls, address: Address, wish: WriteWish) -> dict[str, Any]:
        """The options of a sink that writes what is wished at an address with one of its schemes.

        Raises ConfigError.
        """
        raise NotImplementedError

    def __init__(self, options: Any) -> None:
        self.options = options

    @property
    def calls_run(self) -> CallsRun:
        """Where `start`, `commit`, `abort`, `left`, `remove` and `end` are called. The others may be called anywhere.

        Where the machine that staged something has no worker any more, another one is asked: it says what is lost.
        """
        return CallsRun.WHERE_STAGED if self.kind is SinkKind.STAGED else CallsRun.ANYWHERE

    @classmethod
    def does(cls, *methods: str) -> bool:
        """Whether it has one of these methods of its own; those that do nothing are not called in its process."""
        return any(getattr(cls, name) is not getattr(Sink, name) for name in methods)

    @classmethod
    def for_bad_rows(cls, options: Mapping[str, Any], table: str) -> Mapping[str, Any]:
        """The options, as a job file gives them, of a sink that takes a job's bad rows into the table `table`."""
        return options

    def source_of_bad_rows(self, table: TableSchema) -> Mapping[str, Any] | None:
        """Options of the source of the same name that reads back what this sink wrote into `table`.

        Empty when there is nothing yet; None when the sink only writes.
        """
        return None

    def files_of_bad_rows(self, table: TableSchema) -> Sequence[Stat]:
        """The files that `source_of_bad_rows` reads; none where the rows lie in no files."""
        return ()

    def discard_bad_rows(self, table: TableSchema, rows: int, files: Sequence[Stat]) -> None:
        """Remove what `source_of_bad_rows` has read for good: so many rows, from these files where they lie in files.

        Rows that have come since stay. Raises Rejected where they cannot be told from the others.
        """
        raise NotImplementedError

    def lacks(self, parallelism: int) -> Iterable[str]:
        """What the target cannot promise to so many tasks, a sentence each, by the options alone; opens nothing."""
        return ()

    def advice(self) -> Iterable[Problem]:
        """See Source.advice; asked after `check`."""
        return ()

    def is_repeatable(self) -> bool:
        """Whether writing the same rows a second time leaves the same target, as an upsert by key does."""
        return self.kind is not SinkKind.PLAIN

    def cure_for_changes(self, table: TableSchema) -> str:
        """What to do where rows of other kinds than INSERT come, which are written like inserts.

        Empty where they do what they say, or their kind is written, too.
        """
        return "put RowKindExtractor before it, which keeps the kind in a column, or FilterRowKind"

    def unverified(self, table: TableSchema) -> str:
        """Why what is written of a table cannot be read back before the commit; empty when it can.

        Where it can, the writers tell `task.verifier` about every row.
        """
        return "the sink cannot be asked what it holds"

    def options_for(self, table: TableSchema) -> Any:
        """The options with `${table_name}` and its like filled for one table; every use per table goes through it."""
        return fill_placeholders(self.options, table)

    def check(self, tables: Sequence[TableSchema]) -> Iterable[Problem]:
        """What is wrong with these tables for this sink, before any save mode acts. May look at the target."""
        return ()

    def check_save_modes(self, tables: Sequence[TableSchema]) -> Iterable[Problem]:
        """What `save_mode` would refuse of these tables. Asked of all sinks before any acts, never on restore."""
        return ()

    def emptied(self, tables: Sequence[TableSchema]) -> Mapping[str, str]:
        """The places that `save_mode` would empty for these tables, see Source.places, with the option that says so."""
        return {}

    def save_mode(self, table: TableSchema) -> None:
        """Act by the schema and data save modes. Once per table before the first row, never on restore."""

    def start(self, job: JobContext) -> None:
        """A new epoch of a pipeline begins: fence older ones."""

    def left(self) -> Iterable[Left]:
        """What is staged where this sink stages, whoever's it is. The engine asks before the first row."""
        return ()

    def remove(self, claims: Collection[Claim]) -> None:
        """Remove what is staged under these claims: their jobs are over, by the store that knows them."""

    def positions(self, job: JobContext) -> TargetPositions | None:
        """How far the target has come; None when this pipeline has never committed there. Transactional sinks only."""
        return None

    def open(self, task: TaskContext) -> SinkSession:
        """Make the session of one task."""
        return SinkSession(self, task)

    @abstractmethod
    def writer(self, table: TableSchema, task: TaskContext, state: State | None) -> SinkWriter:
        """Make one task's writer of one table; see SinkSession.writer."""

    def merge_states(self, states: Sequence[State]) -> State:
        """One state of several writers of one table."""
        raise NotImplementedError(f"{type(self).__name__} has writer states but no merge_states")

    def finish(self, tables: Sequence[TableSchema], states: Mapping[str, State]) -> None:
        """All rows of a bounded job are prepared, none is committed: the last moment to refuse them.

        tables: all that reached this sink, also those without rows. states: the merged state of each table's writers.
        Raises Rejected; then the job fails and nothing more becomes visible.
        """

    def commit(self, committables: Sequence[Committable], job: JobContext) -> None:
        """Make prepared rows visible. Doing it twice is the same as once. Called by one process at a time."""

    def abort(self, committables: Sequence[Committable], job: JobContext) -> None:
        """Drop prepared rows that no saved checkpoint names; an unknown or committed one is left alone."""

    def end(self, job: JobContext) -> None:
        """The job ended, whatever its state, and will not be restored from here: remove what was staged for it.

        Called again when its worker died meanwhile.
        """


# -------------------------------------------------------------------------------------------------------- registry

P = TypeVar("P", Source, Transform, Sink)


class Registry(Generic[P]):
    """Plugins of one kind by the name that job files use; names are matched without regard to case.

    folder: the package whose modules register the built-in ones, each in a module that is named like it (`LocalFile`
    in `local_file`): a job imports only what it names. Plugins of other packages come through the entry-point group
    `headrace.connectors` or `headrace.transforms`: each entry names a module, importing it registers.
    """

    broken: ClassVar[dict[str, Problem]] = {}
    """Entry points of packages that cannot be imported, of all registries: left out, and named where it helps."""

    def __init__(self, kind: str, folder: str) -> None:
        self.kind, self._folder = kind, folder
        self._classes: dict[str, tuple[str, type[P]]] = {}

    def add(self, name: str, cls: type[P]) -> None:
        """Register `cls`. Raises ValueError when another class has the name."""
        known = self._classes.setdefault(name.lower(), (name, cls))
        if known[1] is not cls:
            raise ValueError(f"two {self.kind}s are named {name!r}: {known[1].__module__} and {cls.__module__}")

    def find(self, name: str) -> type[P] | None:
        """The class registered under `name`, or None."""
        key = name.lower()
        if key not in self._classes and key in self._modules:
            importlib.import_module(self._modules[key])
        entry = self._classes.get(key) or self._loaded.get(key)
        return entry[1] if entry else None

    def near(self, name: str) -> list[str]:
        """Known names that resemble `name`, the nearest first; not those that do so much less than the nearest."""
        close = get_close_matches(name.lower(), self._loaded, 3, 0.6)
        likeness = {one: SequenceMatcher(None, one, name.lower()).ratio() for one in close}
        return [self._loaded[one][0] for one in close if likeness[one] > likeness[close[0]] - 0.1]

    def names(self) -> list[str]:
        """All names in their documented spelling, sorted."""
        return sorted((name for name, _ in self._loaded.values()), key=str.lower)

    @cached_property
    def _modules(self) -> dict[str, str]:
        """The built-in plugins: name in lower case → module."""
        package = importlib.import_module(self._folder)
        names = [module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")]
        return {name.replace("_", ""): f"{self._folder}.{name}" for name in names}

    @cached_property
    def _loaded(self) -> dict[str, tuple[str, type[P]]]:
        for module in self._modules.values():
            importlib.import_module(module)
        for entry in entry_points(group=self._folder):
            if entry.name in self.broken:
                continue
            try:
                entry.load()
            except (Exception, SystemExit) as error:  # whatever it raises, the other plugins work
                name = entry.dist.name if entry.dist is not None else entry.value
                text = f"the plugin package {name!r} is left out: {told(error)}"
                cure = f"mend it, or pip uninstall {name}"
                self.broken[entry.name] = Problem("", text, cure, *where_raised(error, entry.module))
        return self._classes


def where_raised(error: BaseException, module: str = "") -> tuple[str, int]:
    """File and line of the code that raised: the last of the package of `module`, where it is known."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0
    frames = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
    package = module.partition(".")[0]
    own = [place for place in frames if package and f"/{package}" in place[0] and not place[0].startswith("<")]
    return (own or frames or [("", 0)])[-1]


sources: Registry[Source] = Registry("source", "headrace.connectors")
transforms: Registry[Transform] = Registry("transform", "headrace.transforms")
sinks: Registry[Sink] = Registry("sink", "headrace.connectors")

C = TypeVar("C", bound="type[Source] | type[Transform] | type[Sink]")


def source(name: str) -> Callable[[C], C]:
    """Register a source under the name used in job files."""
    return _registering(sources, name)


def transform(name: str) -> Callable[[C], C]:
    """Register a transform under the name used in job files."""
    return _registering(transforms, name)


def sink(name: str) -> Callable[[C], C]:
    """Register a sink under the name used in job files."""
    return _registering(sinks, name)


def _registering(registry: Any, name: str) -> Callable[[C], C]:
    def add(cls: C) -> C:
        registry.add(name, cls)
        return cls

    return add


def needs(module: str, extra: str, plugin: str) -> Any:
    """Import a client library where it is used. Raises MissingExtra with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = f"needs the Python package {module!r}: pip install 'headrace[{extra}]'"
        raise MissingExtra(msg, plugin) from error


def dump_json(value: Any) -> str:
    """A position, committable or state as text: keys sorted, no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def staging_name(job: JobContext, task: int, checkpoint_id: int | str) -> str:
    """The part of a staged thing's name that fences it: job, run, epoch, pipeline, task and checkpoint.

    Jobs of another store may have the same ids: a place that they share needs `JobContext.claim` in the name, too.
    """
    return f"{job.job_id}_{job.run}_{job.epoch}_{job.pipeline}_{task}_{checkpoint_id}"


def is_left_behind(name: str, job: JobContext) -> bool:
    """Whether `staging_name` made this name for an older epoch of the pipeline.

    When a task of an epoch is opened, all that a checkpoint of older ones names is committed: the rest is nobody's.
    """
    parts = name.split("_")[:4]
    if len(parts) < 4 or not all(part.isdecimal() for part in parts):
        return False
    job_id, _, epoch, pipeline = map(int, parts)
    return (job_id, pipeline) == (job.job_id, job.pipeline) and epoch < job.epoch
