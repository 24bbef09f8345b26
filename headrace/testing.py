"""The contract suites that every plugin must pass, for pytest, and twins to test with. For other people's plugins, too.

Inherit a suite and give it data:

    class TestMySource(SourceContract):
        @pytest.fixture
        def source(self, tmp_path):
            ...write some rows...
            return make(MySource, path=str(tmp_path))
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pytest

from headrace.checkpoint.store import FileStore
from headrace.checksums import checksum
from headrace.config.error_handlers import ErrorHandlerOptions, ErrorMode, Stage
from headrace.config.job import Plugin, parse_job
from headrace.connector import (
    BadRow,
    Batch,
    Committable,
    JobContext,
    Options,
    Position,
    Read,
    Rejects,
    Sink,
    SinkKind,
    Source,
    Split,
    State,
    TableSchema,
    TargetPositions,
    TaskContext,
    Transform,
    Verifier,
    sinks,
)
from headrace.errors import HeadraceError, Undelivered
from headrace.execution.embedded import EmbeddedRunner
from headrace.execution.master import JobMaster, JobSettings, Result
from headrace.execution.pace import PacedContext, Paces
from headrace.options import option_names, read_options
from headrace.plan.plan import BadRowTarget, Pipeline, Plan, Step
from headrace.rows import RowKind
from headrace.storage.claims import Claim
from headrace.storage.contract import Staged, Storage
from headrace.tables import Tables

CONTRACT_VERSION = 5
"""Raised when a suite asks for more than it did."""

THREAD_SECONDS = 10
"""A thread that still runs this long after its source was closed does not end."""

P = TypeVar("P", Source, Transform, Sink)


def make(cls: type[P], **options: Any) -> P:
    """A plugin from a job file's values; `__` in a key stands for a dot. Raises AssertionError with all problems."""
    read = read_options(cls.Options, {key.replace("__", "."): value for key, value in options.items()})
    assert read.options is not None, [str(problem) for problem in read.problems]
    return cls(read.options)


@dataclass
class ListRejects(Rejects):
    """Collects rejected rows: (table, row or raw text, reason)."""

    found: list[tuple[str, Any, str]] = field(default_factory=list)

    def add(self, batch: Batch, mask: pa.BooleanArray, reason: str | pa.StringArray) -> None:
        """See Rejects.add."""
        for row, bad in enumerate(mask.to_pylist()):
            if bad:
                text = reason if isinstance(reason, str) else reason[row].as_py()
                self.found.append((batch.table, batch.rows.slice(row, 1).to_pylist()[0], text))

    def add_raw(self, table: str, raw: Sequence[bytes | str], reason: str, place: str = "") -> None:
        """See Rejects.add_raw."""
        self.found += [(table, item, f"{place}: {reason}") for item in raw]


class ListVerifier(Verifier):
    """Remembers what a sink wrote and found: batches in the order they came."""

    def __init__(self) -> None:
        self.written: list[pa.RecordBatch] = []
        self.read: list[pa.RecordBatch] = []

    def wrote(self, table: str, rows: pa.RecordBatch) -> None:
        """See Verifier.wrote."""
        self.written.append(rows)

    def found(self, table: str, rows: pa.RecordBatch) -> None:
        """See Verifier.found."""
        self.read.append(rows)


def task(job: JobContext | None = None, index: int = 0, **changes: Any) -> TaskContext:
    """A task's context with fitting defaults."""
    return TaskContext(job or JobContext(1), index, print=lambda text: None, **changes)


def through_json(value: Any) -> Any:
    """What a checkpoint makes of a position, committable or state."""
    return json.loads(json.dumps(value))


def assert_described(cls: type[Source] | type[Transform] | type[Sink]) -> None:
    """Every option has a description, and the class says what it does."""
    assert (cls.__doc__ or "").strip(), f"{cls.__name__} has no docstring"
    missing = [option_names(n, f)[0] for n, f in cls.Options.model_fields.items() if not f.description]
    assert not missing, f"options without description: {missing}"


def _live_on(before: set[threading.Thread]) -> set[threading.Thread]:
    """The threads that were not there before and do not end by themselves: a server that stands in this process, too,
    has threads, which end some time after their answer."""
    deadline = time.monotonic() + THREAD_SECONDS
    while (more := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    return more


class BatchesSource(Source):
    """A twin: gives these batches; a position is how many were read."""

    Options = Options

    def __init__(self, table: TableSchema, batches: Sequence[Batch]) -> None:
        super().__init__(Options())
        self._table, self._batches = table, batches

    def tables(self) -> list[TableSchema]:
        """See Source.tables."""
        return [self._table]

    def splits(self, parallelism: int) -> list[Split]:
        """See Source.splits."""
        return [Split("batches")]

    def read(self, split: Split, position: Position | None, task: TaskContext) -> Iterator[Read | None]:
        """See Source.read."""
        for number in range(position or 0, len(self._batches)):
            yield Read(self._batches[number], number + 1)


@dataclass(frozen=True)
class JobRun:
    """How a whole job ended. rows: what a sink that collects got; aside: the bad rows it was asked to route."""

    result: Result
    rows: int
    aside: list[dict[str, Any]]

    @property
    def rejected(self) -> int:
        """Bad rows, as they are counted."""
        return self.result.progress.rows_rejected


def run_job(folder: Path, source: Source, *others: Transform | Sink, mode: str = "DISABLE") -> JobRun:
    """Run a job of these plugins, one after the other, through the engine; without a sink into one that collects.

    mode: what becomes of bad rows, as in `env.error_handler`. folder: an empty one, for what the engine saves.
    """
    rows, aside = Tables(), Tables()
    collecting = sinks.find("Arrow")
    assert collecting is not None
    plugins: list[Any] = [source, *others]
    if not isinstance(plugins[-1], Sink):
        plugins.append(make(collecting, into=rows))
    step: Step | None = None
    for number, plugin in reversed(list(enumerate(plugins, 1))):
        kind = "source" if isinstance(plugin, Source) else "sink" if isinstance(plugin, Sink) else "transform"
        step = Step(number, Plugin(kind, 0, type(plugin).__name__, {}), plugin, () if step is None else (step,))
    assert step is not None
    error_plugin = Plugin("sink", 0, "Arrow", {}, error_block="error_handler")
    errors = Step(len(plugins) + 1, error_plugin, make(collecting, into=aside))
    handling = BadRowTarget(ErrorHandlerOptions(mode=ErrorMode(mode), include_original_data=True), None, "bad")
    if mode == "ROUTE":
        handling = replace(handling, step=errors)
    targets = {} if mode == "DISABLE" else dict.fromkeys(Stage, handling)
    job = parse_job("env { job.retry.times = 0 }\nsource { FakeSource {} }\nsink { Console {} }")
    result = JobMaster(
        Plan(job, (Pipeline(1, step, 1, targets),)),
        EmbeddedRunner(),
        FileStore(folder / "checkpoints"),
        job_id=1,
        settings=JobSettings(patience=0.0),
        on_log=lambda level, text: None,
        on_print=lambda text: None,
    ).run()
    found = aside["bad"].to_pylist() if mode == "ROUTE" and "bad" in aside else []
    return JobRun(result, sum(rows[name].num_rows for name in rows), found)


def assert_one_goes_aside(folder: Path, count: Callable[[JobRun], int], *plugins: Any) -> None:
    """Of 65,536 rows one is bad: with ROUTE and LOG the others are delivered, with DISABLE the job fails.

    count: how many rows a run has delivered. plugins: as for `run_job`.
    """
    for mode in ("ROUTE", "LOG"):
        run = run_job(folder / mode, *plugins, mode=mode)
        assert run.result.status == "FINISHED", run.result.error
        assert (count(run), run.rejected) == (65_535, 1), mode
        assert [bool(row["error_message"] and row["original_data"]) for row in run.aside] == [True] * (mode == "ROUTE")
    failed = run_job(folder / "DISABLE", *plugins)
    assert failed.result.status == "FAILED"
    assert isinstance(failed.result.error, BadRow), failed.result.error


class SourceContract:
    """What every source must do. Give a `source` fixture: a bounded source of at least two rows.

    Override `bad_source` with a source of 65,536 rows one of which is bad, where rows can be bad.
    """

    def read(
        self, source: Source, positions: Mapping[str, Position] | None = None, **context: Any
    ) -> list[tuple[Split, Read]]:
        """Everything after the positions, split by split; positions pass through JSON as in a checkpoint."""
        return [
            (split, read)
            for split in source.splits(2)
            for read in self.read_split(source, split, (positions or {}).get(split.id), **context)
        ]

    def read_split(self, source: Source, split: Split, position: Position | None, **context: Any) -> list[Read]:
        """Everything of a split after a position, which passes through JSON."""
        return list(self.given(source.read(split, through_json(position), task(**context))))

    def given(self, reading: Iterator[Read | None]) -> Iterator[Read]:
        """What a reader gives until its end; then it is closed."""
        with closing(reading):  # type: ignore[type-var]
            yield from (read for read in reading if read is not None)

    def rows(self, reads: Sequence[tuple[Split, Read]]) -> list[tuple[str, dict[str, Any]]]:
        """(table, row) of all reads."""
        return [(read.batch.table, row) for _, read in reads for row in read.batch.rows.to_pylist()]

    marks_ends = False
    """Whether an empty batch says that a part of the data was read to its end."""

    @pytest.fixture
    def bad_source(self) -> Source | None:
        """A source with one bad row in 65,536; None where no row can be bad."""
        return None

    def test_options_and_class_are_described(self, source: Source) -> None:
        """Docs, forms and `headrace connectors` are made from them."""
        assert_described(type(source))

    def test_reads_the_same_rows_twice(self, source: Source) -> None:
        """A restart without a checkpoint loses and doubles nothing."""
        first = self.rows(self.read(source))
        assert len(first) >= 2, "the suite needs two rows at least"
        assert self.rows(self.read(source)) == first

    def test_splits_have_the_same_names_after_a_restart(self, source: Source) -> None:
        """Saved positions are kept by these names."""
        names = [split.id for split in source.splits(2)]
        assert len(set(names)) == len(names)
        again = type(source)(source.options)
        again.__dict__.update({k: v for k, v in source.__dict__.items() if k == "output"})
        assert [split.id for split in again.splits(2)] == names

    def test_splits_survive_a_checkpoint(self, source: Source) -> None:
        """What a split carries is JSON."""
        for split in source.splits(2):
            assert through_json(dict(split.data)) == dict(split.data)

    def test_batches_have_the_columns_of_their_table(self, source: Source) -> None:
        """Names, types and order; never empty, never more rows than asked for."""
        tables = {table.path: table for table in source.tables()}
        for _, read in self.read(source, batch_rows=3):
            rows = read.batch.rows
            assert read.batch.table in tables
            expected = tables[read.batch.table]
            assert (rows.schema.names, rows.schema.types) == (expected.names, [c.type for c in expected.columns])
            assert rows.num_rows <= 3
            assert rows.num_rows or self.marks_ends, "an empty batch"
            rows.validate(full=True)
            kinds = read.batch.kinds
            assert kinds is None or len(kinds) == rows.num_rows
            assert kinds is None or source.gives_changes(expected) or set(kinds.to_pylist()) <= {RowKind.INSERT}

    @pytest.mark.parametrize("batch_rows", [1, 3, 65_536])
    def test_goes_on_after_every_position(self, source: Source, batch_rows: int) -> None:
        """A position means: start after these rows."""
        for split in source.splits(2):
            reads = self.read_split(source, split, None, batch_rows=batch_rows)
            every = [row for read in reads for row in read.batch.rows.to_pylist()]
            done = 0
            for read in reads[: 20 if batch_rows == 1 else None]:
                done += read.batch.num_rows
                after = self.read_split(source, split, read.position, batch_rows=batch_rows)
                assert [row for r in after for row in r.batch.rows.to_pylist()] == every[done:]

    def test_each_batch_is_as_big_as_is_asked_for_then(self, source: Source) -> None:
        """The first ones hold a row, until it is known what rows cost; the others must not."""
        if source.rereads_alike("BATCH"):
            pytest.skip("its batches are of one size")
        for split in source.splits(2):
            paces = Paces()
            pace = paces.of(split.table)
            sizes = []
            for read in self.given(source.read(split, None, PacedContext.of(task(), paces, split.table))):
                sizes.append(read.batch.num_rows)
                pace.rows = 1000
            assert max(sizes[:1], default=1) <= 1
            assert sum(sizes[1:]) <= 1 or max(sizes[1:]) > 1, sizes

    def test_can_be_stopped_in_the_middle(self, source: Source) -> None:
        """The engine closes the generator; nothing stays open, no thread lives on."""
        before = set(threading.enumerate())
        for split in source.splits(2):
            reading = source.read(split, None, task(batch_rows=1))
            list(islice(reading, 1))
            reading.close()  # type: ignore[attr-defined]
        assert not _live_on(before)

    def test_one_bad_row_does_not_take_the_others_with_it(self, bad_source: Source | None) -> None:
        """65,535 rows are delivered, one is set aside with its reason."""
        if bad_source is None:
            pytest.skip("no row of this source can be bad")
        rejects = ListRejects()
        good = sum(read.batch.num_rows for _, read in self.read(bad_source, rejects=rejects))
        assert (good, len(rejects.found)) == (65_535, 1)

    def test_a_bad_row_belongs_to_one_position(self, bad_source: Source | None) -> None:
        """Whoever goes on after a position is told of the bad rows behind it, and of no other."""
        if bad_source is None:
            pytest.skip("no row of this source can be bad")
        total = 0
        for split in bad_source.splits(1):
            whole = ListRejects()
            reading = bad_source.read(split, None, task(batch_rows=20_000, rejects=whole))
            positions = [(len(whole.found), read.position) for read in self.given(reading)]
            for told, position in positions:
                after = ListRejects()
                self.read_split(bad_source, split, position, rejects=after)
                assert told + len(after.found) == len(whole.found)
            total += len(whole.found)
        assert total == 1

    def test_whole_jobs_set_a_bad_row_aside(self, bad_source: Source | None, tmp_path: Path) -> None:
        """Routed, logged, or the end of the job."""
        if bad_source is None:
            pytest.skip("no row of this source can be bad")
        assert_one_goes_aside(tmp_path / "job", lambda run: run.rows, bad_source)

    def test_a_bad_row_is_named_when_none_is_set_aside(self, bad_source: Source | None) -> None:
        """By default it is an error of ours that says where it is."""
        if bad_source is None:
            pytest.skip("no row of this source can be bad")
        with pytest.raises(HeadraceError) as error:
            self.read(bad_source)
        assert any(char.isdigit() for char in str(error.value)), "the error does not say which row"


class UnboundedSourceContract(SourceContract):
    """What a source without an end must do beside. Give a `source` fixture, which has two rows at least, and `more`.

    A split that says so often in a row that there is nothing yet has given all there is: set `patience` to fit.
    """

    patience = 5

    def more(self, number: int) -> None:
        """Make one more row appear; number: how often that was asked for."""
        raise NotImplementedError

    def take(self, reading: Iterator[Read | None]) -> Iterator[Read]:
        """What a reader gives until there is nothing yet. Raises AssertionError when it ends."""
        nothing = 0
        while nothing < self.patience:
            read = next(reading, self)
            assert read is not self, "a source without an end has ended"
            nothing = nothing + 1 if read is None else 0
            if read is not None:
                yield read  # type: ignore[misc]  # the default was looked for

    def given(self, reading: Iterator[Read | None]) -> Iterator[Read]:
        """See SourceContract.given; it ends when there is nothing yet."""
        with closing(reading):  # type: ignore[type-var]
            yield from self.take(reading)

    def test_whole_jobs_set_a_bad_row_aside(self, bad_source: Source | None, tmp_path: Path) -> None:
        """Routed, logged, or the end of the job."""
        pytest.skip("a job without an end does not tell how it ended")

    def test_says_that_it_has_no_end(self, source: Source) -> None:
        """The engine then asks for new splits, and waits for no end."""
        assert not source.is_bounded("STREAMING")

    def test_rows_that_appear_are_read_once(self, source: Source) -> None:
        """By the readers that wait for them."""
        with ExitStack() as stack:
            readings = [source.read(split, None, task()) for split in source.splits(2)]
            for reading in readings:
                stack.callback(reading.close)  # type: ignore[attr-defined]
                list(self.take(reading))
            for number in range(3):
                self.more(number)
                rows = sum(read.batch.num_rows for reading in readings for read in self.take(reading))
                assert rows == 1

    def test_rows_that_appear_while_nobody_reads_are_read_once(self, source: Source) -> None:
        """A restart goes on after the positions, with the splits as they were saved."""
        splits = [replace(split, data=through_json(dict(split.data))) for split in source.splits(2)]
        positions: dict[str, Position] = {}
        for number in range(4):
            again = type(source)(source.options)
            again.output = source.output
            rows = 0
            for split in splits:
                reads = self.read_split(again, split, positions.get(split.id))
                rows += sum(read.batch.num_rows for read in reads)
                positions |= {split.id: reads[-1].position} if reads else {}
            assert rows == 1 if number else rows >= 2
            self.more(number)


TABLE = TableSchema.from_arrow(pa.schema({"id": pa.int64(), "name": pa.string()}), "db.people")


def batch(*rows: tuple[int, str | None], table: TableSchema = TABLE) -> Batch:
    """Rows of TABLE."""
    columns = [pa.array([row[i] for row in rows], column.type) for i, column in enumerate(table.columns)]
    return Batch(pa.RecordBatch.from_arrays(columns, schema=table.arrow), table.path)


ROWS = ((1, "ann"), (2, None), (3, "Łódź 東京 🚰"), (9_223_372_036_854_775_807, ""))


CHANGES = (
    (RowKind.INSERT, (1, "ann")),
    (RowKind.INSERT, (2, "bob")),
    (RowKind.INSERT, (3, "cid")),
    (RowKind.UPDATE_BEFORE, (1, "ann")),
    (RowKind.UPDATE_AFTER, (1, "eve")),
    (RowKind.DELETE, (2, "bob")),
)
CHANGED = ((1, "eve"), (3, "cid"))
"""What they leave, by the key `id`."""


def changes_batch() -> Batch:
    """Rows of all kinds."""
    kinds = pa.array([int(kind) for kind, _ in CHANGES], pa.uint8())
    return replace(batch(*(row for _, row in CHANGES)), kinds=kinds)


class SinkContract:
    """What every sink must do. Give a `sink` fixture and `visible`, the rows that a reader of the target sees.

    Where empty texts or nulls cannot come back as they were, override `expected`. Where the target refuses rows,
    override `bad_rows`. A sink that shows its rows by its task's context alone overrides `task`.
    """

    def visible(self, sink: Sink) -> list[tuple[Any, ...]]:
        """All rows in the target, in any order."""
        raise NotImplementedError

    def expected(self, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """What these rows look like when they are read back."""
        return list(rows)

    def task(self, job: JobContext, index: int = 0, **changes: Any) -> TaskContext:
        """The context of one task."""
        return task(job, index, **changes)

    def changed(self, sink: Sink) -> list[tuple[Any, ...]]:
        """What the target shows after CHANGES: the rows as they are then, or all of them where kinds are not acted on.

        Override it where the target keeps the changes themselves, as `visible` shows them.
        """
        return list(CHANGED) if not sink.cure_for_changes(TABLE) else [row for _, row in CHANGES]

    @pytest.fixture
    def job(self) -> JobContext:
        """A job that a store knows."""
        return JobContext(1, store="a1")

    @pytest.fixture
    def bad_rows(self) -> Batch | None:
        """65,536 rows of TABLE one of which the sink refuses; None where it refuses none."""
        return None

    def test_whole_jobs_set_a_bad_row_aside(self, sink: Sink, bad_rows: Batch | None, tmp_path: Path) -> None:
        """A target that refuses one row of a batch gets the others."""
        if bad_rows is None:
            pytest.skip("the target refuses no row")
        run = run_job(tmp_path / "job", BatchesSource(TABLE, [bad_rows]), sink, mode="ROUTE")
        assert run.result.status == "FINISHED", run.result.error
        assert (len(self.visible(sink)), run.rejected, len(run.aside)) == (65_535, 1, 1)
        assert run.aside[0]["error_message"]
        assert run.result.progress.counts[2, TABLE.path].committed == 65_535

    def test_a_bad_row_fails_the_job_by_default(self, sink: Sink, bad_rows: Batch | None, tmp_path: Path) -> None:
        """And nothing of it is visible, unless the sink is plain."""
        if bad_rows is None:
            pytest.skip("the target refuses no row")
        run = run_job(tmp_path / "job", BatchesSource(TABLE, [bad_rows]), sink)
        assert run.result.status == "FAILED"
        assert isinstance(run.result.error, BadRow), run.result.error
        assert sink.kind is SinkKind.PLAIN or self.visible(sink) == []

    def same(self, sink: Sink, rows: Sequence[tuple[Any, ...]]) -> bool:
        """Whether the target shows exactly these rows."""
        return sorted(map(repr, self.visible(sink))) == sorted(map(repr, self.expected(rows)))

    def prepare(
        self,
        sink: Sink,
        job: JobContext,
        *batches: Batch,
        checkpoint: int = 1,
        index: int = 0,
        verifier: Verifier | None = None,
    ) -> list[Committable]:
        """What one task does up to a barrier, then it ends; committables pass through JSON as in a checkpoint."""
        context = self.task(job, index, verifier=verifier)
        session = sink.open(context)
        writer = session.writer(TABLE)
        try:
            for item in batches:
                writer.write(item)
            committable = writer.prepare_commit(checkpoint)
            self.__dict__.setdefault("_states", []).append(through_json(writer.state()))
            session.commit_positions(checkpoint, {"split": checkpoint}, [])
            told = session.written().get(TABLE.path) or writer.written()
            given = sum(item.num_rows for item in batches)
            assert told is None or sum(told) == given, f"{given} rows were given, the sink counts {told}"
        finally:
            writer.close()
            session.close()
        return [] if committable is None else [through_json(committable)]

    def finish(self, sink: Sink) -> None:
        """The last moment to refuse what was prepared, as the engine calls it before the last commit of a job."""
        states = [state for state in self.__dict__.get("_states", ()) if state is not None]
        type(sink)(sink.options).finish([TABLE], {TABLE.path: sink.merge_states(states)} if states else {})

    def test_options_and_class_are_described(self, sink: Sink) -> None:
        """Docs, forms and `headrace connectors` are made from them."""
        assert_described(type(sink))

    def test_accepts_its_own_table(self, sink: Sink) -> None:
        """The checks find nothing wrong."""
        assert list(sink.check([TABLE])) == []

    def test_shows_every_row_once(self, sink: Sink, job: JobContext) -> None:
        """Nulls, unicode, big numbers; nothing visible before a staged sink's commit."""
        sink.save_mode(TABLE)
        sink.start(job)
        prepared = self.prepare(sink, job, batch(*ROWS[:2]), batch(*ROWS[2:]))
        if sink.kind is SinkKind.STAGED:
            assert self.visible(sink) == [], "rows are visible before the commit"
        self.finish(sink)
        if sink.kind is SinkKind.STAGED:
            assert self.visible(sink) == [], "rows are visible before the commit"
        sink.commit(prepared, job)
        assert self.same(sink, ROWS)

    def test_takes_rows_of_all_kinds(self, sink: Sink, job: JobContext) -> None:
        """INSERT, UPDATE_BEFORE, UPDATE_AFTER and DELETE, in one batch and in several: by key, as a log, or as rows."""
        sink.save_mode(TABLE)
        sink.start(job)
        changes = changes_batch()
        prepared = self.prepare(sink, job, changes.slice(0, 2), changes.slice(2))
        self.finish(sink)
        sink.commit(prepared, job)
        assert self.same(sink, self.changed(sink))

    def test_commit_twice_is_commit_once(self, sink: Sink, job: JobContext) -> None:
        """Guarantee 3."""
        sink.save_mode(TABLE)
        sink.start(job)
        prepared = self.prepare(sink, job, batch(*ROWS))
        sink.commit(prepared, job)
        type(sink)(sink.options).commit(prepared, job)
        assert self.same(sink, ROWS)

    def test_shows_every_row_once_over_two_checkpoints(self, sink: Sink, job: JobContext) -> None:
        """One writer, two barriers, rows after each."""
        sink.save_mode(TABLE)
        sink.start(job)
        session = sink.open(self.task(job))
        writer = session.writer(TABLE)
        for checkpoint in (1, 2):
            writer.write(batch((checkpoint, "x")))
            committable = writer.prepare_commit(checkpoint)
            session.commit_positions(checkpoint, {"split": checkpoint}, [])
            if committable is not None:
                sink.commit([through_json(committable)], job)
        writer.close()
        session.close()
        assert self.same(sink, [(1, "x"), (2, "x")])

    def test_tasks_side_by_side_do_not_touch_one_another(self, sink: Sink, job: JobContext) -> None:
        """Two tasks prepare, both are committed at once."""
        sink.save_mode(TABLE)
        sink.start(job)
        both = self.prepare(sink, job, batch((1, "a"))) + self.prepare(sink, job, batch((2, "b")), index=1)
        sink.commit(both, job)
        assert self.same(sink, [(1, "a"), (2, "b")])

    def test_no_rows_are_no_trouble(self, sink: Sink, job: JobContext) -> None:
        """A task without rows prepares and commits nothing that anybody sees."""
        sink.save_mode(TABLE)
        sink.start(job)
        prepared = self.prepare(sink, job)
        self.finish(sink)
        sink.commit(prepared, job)
        assert self.same(sink, [])

    def test_what_was_not_prepared_is_dropped(self, sink: Sink, job: JobContext) -> None:
        """A writer that is closed without a barrier leaves nothing, unless the sink is plain."""
        if sink.kind is SinkKind.PLAIN:
            pytest.skip("a plain sink may show rows at once")
        sink.save_mode(TABLE)
        sink.start(job)
        session = sink.open(self.task(job))
        writer = session.writer(TABLE)
        writer.write(batch(*ROWS))
        writer.close()
        session.close()
        assert self.visible(sink) == []

    def test_abort_drops_what_was_prepared(self, sink: Sink, job: JobContext) -> None:
        """A commit that comes all the same is refused: its rows are lost; committed rows stay."""
        if sink.kind is not SinkKind.STAGED:
            pytest.skip("for staged sinks")
        sink.save_mode(TABLE)
        sink.start(job)
        first = self.prepare(sink, job, batch((1, "kept")))
        sink.commit(first, job)
        second = self.prepare(sink, job, batch((2, "dropped")), checkpoint=2)
        sink.abort(second, job)
        sink.abort(first, job)
        with pytest.raises(Undelivered):
            sink.commit(second, job)
        assert self.same(sink, [(1, "kept")])

    def test_epochs_never_meet(self, sink: Sink, job: JobContext) -> None:
        """Two starts that prepare the same checkpoint number do not share a name (guarantee 9)."""
        if sink.kind is not SinkKind.STAGED:
            pytest.skip("for staged sinks")
        sink.save_mode(TABLE)
        older = self.prepare(sink, job, batch((1, "old")))
        newer_job = replace(job, epoch=2)
        sink.start(newer_job)
        newer = self.prepare(sink, newer_job, batch((2, "new")))
        sink.abort(older, job)
        sink.commit(newer, newer_job)
        assert self.same(sink, [(2, "new")])

    def test_only_what_is_told_to_be_over_is_removed(self, sink: Sink, job: JobContext) -> None:
        """Whoever staged something is told by its claim; what another store, job or start has staged is not touched."""
        if sink.kind is not SinkKind.STAGED:
            pytest.skip("for staged sinks")
        sink.save_mode(TABLE)
        others = [replace(job, store="b2"), replace(job, job_id=3), replace(job, pipeline=2), JobContext(1)]
        kept = [self.prepare(sink, other, batch((i, "kept"))) for i, other in enumerate(others)]
        over = replace(job, job_id=4)
        lost = self.prepare(sink, over, batch((9, "over")))
        if not sink.does("left"):
            pytest.skip("what it stages ends with its process")
        claims = {left.claim for left in sink.left()}
        assert claims == {over.claim, *(other.claim for other in others)}
        newer = replace(job, job_id=5)
        sink.start(newer)
        self.prepare(sink, newer, batch((8, "not committed")))
        type(sink)(sink.options).remove([over.claim])
        for committables, other in zip(kept, others, strict=True):
            sink.commit(committables, other)
        assert self.same(sink, [(i, "kept") for i in range(len(others))])
        with pytest.raises(Undelivered):
            sink.commit(lost, over)

    def test_what_killed_starts_have_staged_goes_with_the_next(self, sink: Sink, job: JobContext) -> None:
        """Of the same pipeline alone; what they published before is known all the same (guarantees 3 and 9)."""
        if sink.kind is not SinkKind.STAGED or not sink.does("left"):
            pytest.skip("it leaves nothing staged behind")
        sink.save_mode(TABLE)
        shown = self.prepare(sink, job, batch((1, "shown")))
        sink.commit(shown, job)
        lost = self.prepare(sink, job, batch((2, "not saved")), checkpoint=2)
        other = replace(job, pipeline=2)
        kept = self.prepare(sink, other, batch((3, "other pipeline")))
        newer = replace(job, epoch=2)
        sink.open(task(newer)).close()
        sink.commit(shown, newer)
        sink.commit(kept, other)
        assert self.same(sink, [(1, "shown"), (3, "other pipeline")])
        with pytest.raises(Undelivered):
            sink.commit(lost, newer)

    def test_the_end_leaves_nothing_but_the_rows(self, sink: Sink, job: JobContext) -> None:
        """After `end` nothing is staged any more, and committed rows are still there."""
        if sink.kind is not SinkKind.STAGED:
            pytest.skip("for staged sinks")
        sink.save_mode(TABLE)
        sink.start(job)
        sink.commit(self.prepare(sink, job, batch((1, "a"))), job)
        self.prepare(sink, job, batch((2, "staged")), checkpoint=2)
        sink.end(job)
        assert self.same(sink, [(1, "a")])

    def test_a_plain_sink_shows_its_rows_at_the_barrier(self, sink: Sink, job: JobContext) -> None:
        """At least once: what a saved position covers must be in the target before the position is saved."""
        if sink.kind is not SinkKind.PLAIN:
            pytest.skip("for plain sinks")
        sink.save_mode(TABLE)
        sink.start(job)
        session = sink.open(self.task(job))
        writer = session.writer(TABLE)
        writer.write(batch(*ROWS))
        writer.prepare_commit(1)
        shown = self.same(sink, ROWS)
        writer.close()
        session.close()
        assert shown, "rows are not in the target when their position is saved"

    def test_a_repeatable_sink_shows_rows_once_that_come_again(self, sink: Sink, job: JobContext) -> None:
        """A plain one that says so may be started again from the beginning."""
        if sink.kind is not SinkKind.PLAIN or not sink.is_repeatable():
            pytest.skip("for plain sinks that may be started again from the beginning")
        sink.save_mode(TABLE)
        for epoch in (1, 2):
            again = replace(job, epoch=epoch)
            sink.start(again)
            self.prepare(sink, again, batch(*ROWS))
        assert self.same(sink, ROWS)

    def test_positions_are_committed_with_their_rows(self, sink: Sink, job: JobContext) -> None:
        """Guarantee 4: the target itself tells how far it has come, also to a new instance."""
        if sink.kind is not SinkKind.TRANSACTIONAL:
            pytest.skip("for transactional sinks")
        sink.save_mode(TABLE)
        sink.start(job)
        assert sink.positions(job) is None, "nothing was committed yet"
        session = sink.open(self.task(job))
        writer = session.writer(TABLE)
        for number, finished in ((1, []), (2, ["a"])):
            writer.write(batch((number, "x")))
            writer.prepare_commit(number)
            session.commit_positions(number, {"a": [number, "ü"], "b": number}, finished)
        writer.write(batch((3, "lost")))
        writer.close()
        session.close()
        found = type(sink)(sink.options).positions(job)
        assert found == TargetPositions({"a": [2, "ü"], "b": 2}, frozenset({"a"}))
        assert self.same(sink, [(1, "x"), (2, "x")])

    def test_positions_of_pipelines_and_jobs_are_kept_apart(self, sink: Sink, job: JobContext) -> None:
        """Splits of two pipelines may have the same names."""
        if sink.kind is not SinkKind.TRANSACTIONAL:
            pytest.skip("for transactional sinks")
        sink.save_mode(TABLE)
        for other in (job, replace(job, pipeline=2), replace(job, job_id=2)):
            sink.start(other)
        self.prepare(sink, job, batch((1, "x")), checkpoint=7)
        assert sink.positions(job) == TargetPositions({"split": 7}, frozenset())
        assert sink.positions(replace(job, pipeline=2)) is None
        assert sink.positions(replace(job, job_id=2)) is None
        sink.end(replace(job, job_id=2))
        assert sink.positions(job) is not None

    def test_an_older_epoch_commits_nothing(self, sink: Sink, job: JobContext) -> None:
        """Guarantee 9: a task that was replaced but lives is refused, with its rows and its positions."""
        if sink.kind is not SinkKind.TRANSACTIONAL:
            pytest.skip("for transactional sinks")
        sink.save_mode(TABLE)
        sink.start(job)
        self.prepare(sink, job, batch((1, "kept")))
        session = sink.open(self.task(job))
        writer = session.writer(TABLE)
        writer.write(batch((2, "late")))
        sink.start(replace(job, epoch=job.epoch + 1))
        writer.prepare_commit(2)
        with pytest.raises(HeadraceError):
            session.commit_positions(2, {"split": 2}, [])
        writer.close()
        session.close()
        assert sink.positions(job) == TargetPositions({"split": 1}, frozenset())
        assert self.same(sink, [(1, "kept")])

    def test_a_thawed_start_cannot_take_the_target_back(self, sink: Sink, job: JobContext) -> None:
        """Guarantee 9: `start` of an older epoch is refused."""
        if sink.kind is not SinkKind.TRANSACTIONAL:
            pytest.skip("for transactional sinks")
        sink.save_mode(TABLE)
        sink.start(replace(job, epoch=5))
        with pytest.raises(HeadraceError):
            sink.start(replace(job, epoch=4))

    def test_the_end_forgets_the_positions(self, sink: Sink, job: JobContext) -> None:
        """And keeps the rows; who commits after it is refused."""
        if sink.kind is not SinkKind.TRANSACTIONAL:
            pytest.skip("for transactional sinks")
        sink.save_mode(TABLE)
        sink.start(job)
        self.prepare(sink, job, batch((1, "x")))
        sink.end(job)
        assert sink.positions(job) is None
        assert self.same(sink, [(1, "x")])
        with pytest.raises(HeadraceError):
            self.prepare(sink, job, batch((2, "late")), checkpoint=2)
        assert self.same(sink, [(1, "x")])

    def test_what_is_read_back_is_what_was_written(self, sink: Sink, job: JobContext) -> None:
        """With `env.verify: target`: every row is compared, and it comes from the target, not from the batch given."""
        if reason := sink.unverified(TABLE):
            pytest.skip(reason)
        sink.save_mode(TABLE)
        sink.start(job)
        verifier, given = ListVerifier(), batch(*ROWS)
        sink.commit(self.prepare(sink, job, given, verifier=verifier), job)
        assert sum(rows.num_rows for rows in verifier.written) == len(ROWS)
        assert sum(rows.num_rows for rows in verifier.read) == len(ROWS)
        assert sum(map(checksum, verifier.read)) % 2**64 == sum(map(checksum, verifier.written)) % 2**64
        handed = {buffer.address for column in given.rows.columns for buffer in column.buffers() if buffer}
        found = (b for rows in verifier.read for column in rows.columns for b in column.buffers() if b and b.size)
        assert not handed & {buffer.address for buffer in found}, "what it was given is not read back"

    def test_writer_states_survive_a_checkpoint(self, sink: Sink, job: JobContext) -> None:
        """A state is JSON, merges with those of other tasks, and can be given back."""
        sink.save_mode(TABLE)
        sink.start(job)
        states: list[State] = []
        for index in (0, 1):
            session = sink.open(self.task(job, index))
            writer = session.writer(TABLE)
            writer.write(batch((index, "x")))
            writer.prepare_commit(1)
            states.append(through_json(writer.state()))
            writer.close()
            session.close()
        if states == [None, None]:
            pytest.skip("its writers have no state")
        merged = through_json(sink.merge_states(states))
        writer = sink.open(self.task(job)).writer(TABLE, merged)
        writer.prepare_commit(2)
        assert through_json(writer.state()) == merged
        writer.close()


class StorageContract:
    """What every storage must do. Give a `storage` fixture, and `root`, an empty folder of it, both new for each test.

    elsewhere: the same storage as another machine has it.
    """

    def elsewhere(self, storage: Storage) -> Storage:
        """A second one for the same place."""
        return type(storage)()

    @pytest.fixture
    def temporary(self, tmp_path: Path) -> str:
        """The option tmp_path; where things are staged, if the storage cares for it."""
        return str(tmp_path / "temporary")

    @pytest.fixture
    def claim(self) -> Claim:
        """The start of a pipeline that stages something."""
        return Claim("a1", 7, 1, 3, 1)

    def staged(
        self, storage: Storage, root: str, temporary: str, claim: Claim, content: bytes = b"rows", name: str = "d/f"
    ) -> Staged:
        """A finished staged file that passed through a checkpoint."""
        file = storage.stage(f"{root}/{name}", root, temporary, claim)
        for place in range(0, len(content), 1 << 20):
            file.stream.write(content[place : place + (1 << 20)])
        return through_json(file.finish())

    def seen(self, storage: Storage, root: str) -> dict[str, bytes]:
        """What readers find below the root: path below it → content; hidden folders are not for them."""
        found = storage.files(root, lambda name: not name.startswith(".")) if storage.stat(root) else ()
        return {one.path.removeprefix(f"{root}/"): storage.open(one.path).content() for one in found}

    def left(self, storage: Storage, root: str, temporary: str) -> set[Claim]:
        """Whose staged things and marks are there."""
        return {left.claim for left in storage.left(storage.areas(root, temporary))}

    # reading and writing

    def test_nothing_there_is_no_file(self, storage: Storage, root: str) -> None:
        """`stat` says so; `delete` takes it as done."""
        assert storage.stat(f"{root}/a") is None
        storage.delete(f"{root}/a")

    def test_a_file_is_written_whole_over_another(self, storage: Storage, root: str) -> None:
        """And told of by size and content; nothing else lies beside it."""
        storage.write(f"{root}/d/a", b"first, and longer")
        storage.write(f"{root}/d/a", b"second")
        told = storage.stat(f"{root}/d/a")
        assert told is not None
        assert (told.size, told.is_folder, storage.open(told.path).content()) == (6, False, b"second")
        assert self.seen(storage, root) == {"d/a": b"second"}

    def test_any_range_is_read(self, storage: Storage, root: str) -> None:
        """From many streams at once."""
        storage.write(f"{root}/a", bytes(range(256)) * 1000)
        opened = storage.open(f"{root}/a")
        with opened.stream() as one, opened.stream() as other:
            one.seek(1000)
            other.seek(-3, 2)
            assert (opened.size, one.read(2), other.read()) == (256_000, bytes([232, 233]), bytes([253, 254, 255]))

    def test_a_changed_file_has_another_version(self, storage: Storage, root: str) -> None:
        """Also where its size is the same; an unchanged one keeps its own."""
        storage.write(f"{root}/a", b"1")
        first, again = storage.stat(f"{root}/a"), storage.stat(f"{root}/a")
        storage.write(f"{root}/a", b"2")
        other = storage.stat(f"{root}/a")
        assert first is not None
        assert again is not None
        assert other is not None
        assert first.version == again.version != other.version

    def test_folders_are_listed_with_what_is_below_them(self, storage: Storage, root: str) -> None:
        """But those that are not entered; names may hold what people write."""
        names = ["a", "b/c", "b/d/e", "x=1/ü 東京 %41#?.csv", ".hidden/f"]
        for name in names:
            storage.write(f"{root}/{name}", name.encode())
        assert self.seen(storage, root) == {name: name.encode() for name in names[:4]}
        folder = storage.stat(f"{root}/b")
        assert folder is not None
        assert folder.is_folder

    def test_the_entries_of_a_folder_are_told_apart(self, storage: Storage, root: str) -> None:
        """Files and folders, by name; a folder that is not there has none."""
        for name in ("b", "a/c", "a/d/e", ".h/f"):
            storage.write(f"{root}/{name}", b"")
        found = [(one.path.removeprefix(f"{root}/").rstrip("/"), one.is_folder) for one in storage.entries(root)]
        assert found == [(".h", True), ("a", True), ("b", False)]
        assert list(storage.entries(f"{root}/none")) == []

    def test_a_folder_goes_with_what_is_in_it(self, storage: Storage, root: str) -> None:
        """And nothing beside it, whose name begins alike."""
        for name in ("b/c", "b/d/e", "b2"):
            storage.write(f"{root}/{name}", b"")
        storage.delete(f"{root}/b")
        assert list(self.seen(storage, root)) == ["b2"]

    # staging

    def test_a_staged_file_is_seen_once_it_is_published(
        self, storage: Storage, root: str, temporary: str, claim: Claim
    ) -> None:
        """Whole; several in one batch, by another machine."""
        one = self.staged(storage, root, temporary, claim, b"one" * 3_000_000, "a")
        two = self.staged(storage, root, temporary, claim, b"", "x=1/b")
        assert self.seen(storage, root) == {}
        self.elsewhere(storage).publish(root, claim, "batch", 1, [one, two])
        assert self.seen(storage, root) == {"a": b"one" * 3_000_000, "x=1/b": b""}

    def test_publishing_twice_is_publishing_once(
        self, storage: Storage, root: str, temporary: str, claim: Claim
    ) -> None:
        """Also when readers have taken the files away meanwhile: the mark tells."""
        staged = self.staged(storage, root, temporary, claim)
        storage.publish(root, claim, "batch", 1, [staged])
        self.elsewhere(storage).publish(root, claim, "batch", 1, [staged])
        assert self.seen(storage, root) == {"d/f": b"rows"}
        storage.delete(f"{root}/d/f")
        storage.publish(root, claim, "batch", 1, [staged])
        assert self.seen(storage, root) == {}

    def test_what_is_neither_staged_nor_published_is_lost(
        self, storage: Storage, root: str, temporary: str, claim: Claim
    ) -> None:
        """Which is an error that names the file, and never nothing; what is not lost is published all the same."""
        kept, lost = (self.staged(storage, root, temporary, claim, name=name) for name in ("kept", "lost"))
        storage.drop([lost])
        with pytest.raises(Undelivered, match="lost"):
            storage.publish(root, claim, "batch", 1, [kept, lost])
        with pytest.raises(Undelivered, match="lost"):
            self.elsewhere(storage).publish(root, claim, "batch", 1, [kept, lost])
        assert "lost" not in self.seen(storage, root)

    def test_a_publication_that_was_torn_is_finished(
        self, storage: Storage, root: str, temporary: str, claim: Claim
    ) -> None:
        """One file of a batch is visible, the other is not, and no mark says so."""
        one, two = (self.staged(storage, root, temporary, claim, name=name) for name in ("one", "two"))
        storage.publish(root, claim, "batch", 1, [one])
        storage.forget(storage.areas(root, temporary), claim, (claim.epoch, 2))
        storage.publish(root, claim, "batch", 1, [one, two])
        assert self.seen(storage, root) == {"one": b"rows", "two": b"rows"}

    def test_a_file_goes_on_where_it_ended(self, storage: Storage, root: str, temporary: str, claim: Claim) -> None:
        """Behind the bytes of the checkpoints before, whatever stands there; again, too."""
        storage.publish(root, claim, "a", 1, [self.staged(storage, root, temporary, claim, b"first")])
        file = storage.stage(f"{root}/d/f", root, temporary, claim, after=5)
        file.stream.write(b" second")
        staged = through_json(file.finish())
        for _ in range(2):
            storage.publish(root, claim, "b", 2, [staged])
            assert self.seen(storage, root) == {"d/f": b"first second"}

    def test_what_is_dropped_is_not_seen_and_leaves_nothing(
        self, storage: Storage, root: str, temporary: str, claim: Claim
    ) -> None:
        """Finished or not; what was published is left alone."""
        shown = self.staged(storage, root, temporary, claim, name="shown")
        storage.publish(root, claim, "batch", 1, [shown])
        open_file = storage.stage(f"{root}/half", root, temporary, claim)
        open_file.stream.write(b"half")
        for _ in range(2):
            open_file.drop()
            storage.drop([shown, self.staged(storage, root, temporary, claim, name="whole")])
        storage.remove(storage.areas(root, temporary), lambda other: other == claim)
        assert self.seen(storage, root) == {"shown": b"rows"}
        assert self.left(storage, root, temporary) == set()

    def test_a_finished_file_is_read_back(self, storage: Storage, root: str, temporary: str, claim: Claim) -> None:
        """Before anybody else sees it."""
        file = storage.stage(f"{root}/f", root, temporary, claim)
        file.stream.write(b"rows")
        file.finish()
        assert file.opened().content() == b"rows"
        assert self.seen(storage, root) == {}

    def test_only_what_is_gone_is_removed(self, storage: Storage, root: str, temporary: str, claim: Claim) -> None:
        """Whose it is stands in its name: another store's, job's, pipeline's, start's stay, and can be published."""
        others = [
            replace(claim, store="b2"),
            replace(claim, job_id=8),
            replace(claim, pipeline=2),
            replace(claim, epoch=4),
        ]
        kept = {other: self.staged(storage, root, temporary, other, name=other.name) for other in others}
        self.staged(storage, root, temporary, claim)
        assert self.left(storage, root, temporary) == {claim, *others}
        self.elsewhere(storage).remove(storage.areas(root, temporary), lambda other: other == claim)
        assert self.left(storage, root, temporary) == set(others)
        for other, staged in kept.items():
            storage.publish(root, other, "batch", 1, [staged])
        assert set(self.seen(storage, root)) == {other.name for other in others}

    def test_marks_stay_until_their_checkpoint_cannot_be_restored(
        self, storage: Storage, root: str, temporary: str, claim: Claim
    ) -> None:
        """Those of older starts, too; removing what a killed start has staged leaves them."""
        newer = replace(claim, epoch=claim.epoch + 1)
        batches = [(claim, 8), (claim, 9), (newer, 1)]
        staged = [self.staged(storage, root, temporary, owner, name=f"{number}") for owner, number in batches]
        for (owner, number), item in zip(batches, staged, strict=True):
            storage.publish(root, owner, "batch", number, [item])
            storage.delete(f"{root}/{number}")
        areas = storage.areas(root, temporary)
        storage.remove(areas, lambda other: other.is_older_than(newer), marks=False)
        storage.forget(areas, newer, (claim.epoch, 9))
        for (owner, number), item in list(zip(batches, staged, strict=True))[1:]:
            storage.publish(root, owner, "batch", number, [item])
        with pytest.raises(Undelivered):
            storage.publish(root, claim, "batch", 8, [staged[0]])

    def test_what_is_left_is_told_with_its_age_and_size(
        self, storage: Storage, root: str, temporary: str, claim: Claim
    ) -> None:
        """So that people can decide."""
        before = time.time() - 60
        self.staged(storage, root, temporary, claim, b"12345")
        (left,) = storage.left(storage.areas(root, temporary))
        assert (left.claim, left.files) == (claim, 1)
        assert left.size >= 5
        assert before < left.modified < time.time() + 60


class TransformContract:
    """What every transform must do. Give a `transform` fixture and the `table` and `rows` it is tried on.

    Override `bad_rows` where it cannot change every row.
    """

    @pytest.fixture
    def bad_rows(self) -> Batch | None:
        """65,536 rows of `table` one of which is bad, all others come out as one row; None where no row can be bad."""
        return None

    def test_whole_jobs_set_a_bad_row_aside(
        self, transform: Transform, table: TableSchema, bad_rows: Batch | None, tmp_path: Path
    ) -> None:
        """Routed, logged, or the end of the job."""
        if bad_rows is None:
            pytest.skip("no row is bad to this transform")
        source = BatchesSource(table, [bad_rows])
        assert_one_goes_aside(tmp_path / "job", lambda run: run.rows, source, transform)

    @pytest.fixture
    def table(self) -> TableSchema:
        """The table that arrives."""
        return TABLE

    @pytest.fixture
    def rows(self, table: TableSchema) -> Batch:
        """Some of its rows."""
        return batch(*ROWS, table=table)

    def applied(self, transform: Transform, rows: Batch) -> list[Batch]:
        """The batches that come out."""
        result = transform.apply(rows, task())
        return [result] if isinstance(result, Batch) else list(result)

    def test_options_and_class_are_described(self, transform: Transform) -> None:
        """Docs, forms and `headrace connectors` are made from them."""
        assert_described(type(transform))

    def test_rows_have_the_columns_that_were_promised(
        self, transform: Transform, table: TableSchema, rows: Batch
    ) -> None:
        """`apply` gives what `tables` said, names, types and order."""
        promised = {t.path: t.arrow for t in transform.tables([table])}
        for out in self.applied(transform, rows):
            out.rows.validate(full=True)
            assert out.table in promised
            expected = promised[out.table]
            assert (out.rows.schema.names, out.rows.schema.types) == (expected.names, expected.types)
            assert out.kinds is None or len(out.kinds) == out.num_rows

    def test_keeps_no_state(self, transform: Transform, rows: Batch) -> None:
        """The same rows in give the same rows out, however often."""
        first = [out.rows.to_pylist() for out in self.applied(transform, rows)]
        assert [out.rows.to_pylist() for out in self.applied(transform, rows)] == first

    def test_rows_alone_and_together_come_out_the_same(self, transform: Transform, rows: Batch) -> None:
        """Where a batch is cut changes nothing."""
        together = [row for out in self.applied(transform, rows) for row in out.rows.to_pylist()]
        parts = [rows.slice(i, 1) for i in range(rows.num_rows)]
        alone = [row for part in parts for out in self.applied(transform, part) for row in out.rows.to_pylist()]
        assert sorted(map(repr, alone)) == sorted(map(repr, together))

    def test_drops_and_adds_rows_only_if_it_says_so(self, transform: Transform, rows: Batch) -> None:
        """See Transform.drops_rows: a job whose transform does otherwise fails."""
        given = sum(out.num_rows for out in self.applied(transform, rows))
        assert transform.drops_rows or given >= rows.num_rows
        assert transform.adds_rows or given <= rows.num_rows

    def test_kinds_follow_their_rows(self, transform: Transform, table: TableSchema, rows: Batch) -> None:
        """A batch with row kinds comes out with kinds that fit, or with none."""
        kinds = pa.array([i % 4 for i in range(rows.num_rows)], pa.uint8())
        for out in self.applied(transform, Batch(rows.rows, rows.table, kinds)):
            assert out.kinds is None or len(out.kinds) == out.num_rows
            others = set() if out.kinds is None else set(out.kinds.to_pylist()) - {RowKind.INSERT}
            assert not others or transform.leaves_changes(table), "it leaves changes and does not say so"

    def test_no_rows_are_no_trouble(self, transform: Transform, rows: Batch) -> None:
        """An empty batch is transformed to empty batches."""
        assert sum(out.num_rows for out in self.applied(transform, rows.slice(0, 0))) == 0
