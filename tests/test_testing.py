"""The suites must notice planted bugs: a reference source, sink and transform, and one-line changes to each."""

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pydantic import Field

from headrace.connector import (
    Batch,
    Claim,
    FailOnReject,
    Left,
    Options,
    Read,
    Sink,
    SinkKind,
    SinkSession,
    SinkWriter,
    Source,
    Split,
    TargetPositions,
    Transform,
    Written,
    staging_name,
)
from headrace.errors import BadRow, Rejected, Undelivered
from headrace.rows import Column, RowKind, TableSchema
from headrace.testing import ROWS, TABLE, SinkContract, SourceContract, TransformContract, batch, make


class PathOptions(Options):
    path: Path = Field(description="Where.")


class LinesSource(Source):
    """One number a line; a split is a file, a position the lines read."""

    Options = PathOptions
    table_schema = TableSchema("numbers", (Column("n", pa.int64()),))

    def tables(self):
        return [self.table_schema]

    def splits(self, parallelism):
        return [Split(f.name, table="numbers") for f in sorted(self.options.path.glob("*.txt"))]

    def read(self, split, position, task):
        at = position or 0
        with self.open(split) as file:
            lines = file.read().splitlines()
            while at < len(lines):
                chunk = lines[at : at + task.batch_rows]
                at += len(chunk)
                good = []
                for line in chunk:
                    if line.isdigit():
                        good.append(int(line))
                    else:
                        self.bad(line, at, task)
                yield Read(Batch(pa.RecordBatch.from_pydict({"n": pa.array(good, pa.int64())}), "numbers"), at)

    def open(self, split):
        return open(self.options.path / split.id)

    def bad(self, line, at, task):
        task.rejects.add_raw("numbers", [line], "not a number", f"row {at}")


class FilesSink(Sink):
    """A file for each checkpoint; staged."""

    Options = PathOptions
    kind = SinkKind.STAGED

    def staging(self, job):
        folder = self.options.path / ".staging" / job.claim.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def writer(self, table, task, state):
        return FilesWriter(self, task, state)

    def left(self):
        for folder in (self.options.path / ".staging").glob("*"):
            if files := list(folder.glob("*")):
                yield Left(Claim.read(folder.name), str(folder), 0.0, 0, len(files))

    def remove(self, claims):
        self.remove_where(lambda claim: claim in claims)

    def remove_where(self, gone):
        for folder in (self.options.path / ".staging").glob("*"):
            if gone(Claim.read(folder.name)):
                for file in folder.glob("*"):
                    file.unlink()

    def open(self, task):
        self.remove_where(lambda claim: claim.is_older_than(task.job.claim))
        return super().open(task)

    def commit(self, committables, job):
        for name in committables:
            shown = self.options.path / os.path.basename(name)
            if os.path.exists(name):
                os.replace(name, shown)
            elif not shown.exists():
                raise Undelivered(f"{name} is lost")

    def abort(self, committables, job):
        for name in committables:
            Path(name).unlink(missing_ok=True)

    def end(self, job):
        for file in self.staging(job).glob("*"):
            file.unlink()

    def merge_states(self, states):
        return sum(states)

    def unverified(self, table):
        return ""


class FilesWriter(SinkWriter):
    def __init__(self, sink, task, state):
        self.sink, self.task, self.rows, self.count = sink, task, [], state or 0
        self.in_files = 0

    all_or_nothing = True

    def write(self, batch):
        if any(i < 0 for i in batch.rows.column("id").to_pylist()):
            raise BadRow("an id below zero", batch.table)
        self.rows += [list(row.values()) for row in batch.rows.to_pylist()]
        if self.task.verifier:
            self.task.verifier.wrote(batch.table, batch.rows)
        self.count += batch.num_rows

    def prepare_commit(self, checkpoint_id):
        if not self.rows:
            return None
        name = self.name(checkpoint_id)
        Path(name).write_text(json.dumps(self.rows))
        self.in_files += len(self.rows)
        self.rows = []
        if self.task.verifier:
            self.read_back(name, self.task.verifier)
        return name

    def read_back(self, name, verifier):
        rows = json.loads(Path(name).read_text())
        columns = [pa.array([row[i] for row in rows], c.type) for i, c in enumerate(TABLE.columns)]
        verifier.found(TABLE.path, pa.RecordBatch.from_arrays(columns, schema=TABLE.arrow))

    def written(self):
        return Written(self.in_files)

    def name(self, checkpoint_id):
        job = self.task.job
        name = staging_name(job, self.task.index, checkpoint_id)
        return str(self.sink.staging(job) / f"{job.store}_{name}")

    def state(self):
        return self.count


class AppendSink(Sink):
    """A line for each row, at the barrier; plain."""

    Options = PathOptions

    def writer(self, table, task, state):
        return AppendWriter(self.options.path / "lines")


class AppendWriter(SinkWriter):
    def __init__(self, file):
        self.file, self.rows = file, []

    def write(self, batch):
        self.rows += [list(row.values()) for row in batch.rows.to_pylist()]

    def prepare_commit(self, checkpoint_id):
        self.flush()

    def flush(self):
        with open(self.file, "a") as out:
            out.writelines(json.dumps(row) + "\n" for row in self.rows)
        self.rows = []


class LedgerSink(Sink):
    """Rows and positions in one SQLite file; transactional."""

    Options = PathOptions
    kind = SinkKind.TRANSACTIONAL

    def ledger(self):
        ledger = sqlite3.connect(self.options.path / "ledger.db", isolation_level=None)
        ledger.execute("CREATE TABLE IF NOT EXISTS rows (row TEXT)")
        ledger.execute("CREATE TABLE IF NOT EXISTS epochs (job, pipeline, epoch, PRIMARY KEY (job, pipeline))")
        ledger.execute(
            "CREATE TABLE IF NOT EXISTS positions (job, pipeline, split, position, finished, "
            "PRIMARY KEY (job, pipeline, split))"
        )
        return closing(ledger)

    def key(self, job):
        return job.job_id, job.pipeline

    def start(self, job):
        with self.ledger() as ledger:
            self.refuse_older(
                job, ledger.execute("SELECT epoch FROM epochs WHERE (job, pipeline) = (?, ?)", self.key(job))
            )
            ledger.execute("INSERT OR REPLACE INTO epochs VALUES (?, ?, ?)", (*self.key(job), job.epoch))

    def refuse_older(self, job, found):
        if any(epoch > job.epoch for (epoch,) in found):
            raise Rejected("a newer start owns this pipeline")

    def positions(self, job):
        with self.ledger() as ledger:
            found = ledger.execute(
                "SELECT split, position, finished FROM positions WHERE (job, pipeline) = (?, ?)", self.key(job)
            ).fetchall()
        positions = {split: json.loads(position) for split, position, _ in found}
        return TargetPositions(positions, frozenset(s for s, _, ended in found if ended)) if found else None

    def open(self, task):
        return LedgerSession(self, task)

    def writer(self, table, task, state):
        raise NotImplementedError

    def end(self, job):
        with self.ledger() as ledger:
            ledger.execute("DELETE FROM positions WHERE (job, pipeline) = (?, ?)", self.key(job))
            ledger.execute("DELETE FROM epochs WHERE (job, pipeline) = (?, ?)", self.key(job))


class LedgerSession(SinkSession):
    def __init__(self, sink, task):
        super().__init__(sink, task)
        self.rows = []

    def writer(self, table, state=None):
        return LedgerWriter(self)

    def commit_positions(self, checkpoint_id, positions, finished):
        job = self.task.job
        with self.sink.ledger() as ledger:
            ledger.execute("BEGIN IMMEDIATE")
            self.check_epoch(ledger, job)
            ledger.executemany("INSERT INTO rows VALUES (?)", [(json.dumps(row),) for row in self.rows])
            for split in {*positions, *finished}:
                values = (*self.sink.key(job), split, json.dumps(positions.get(split)), split in finished)
                self.save_position(ledger, values)
            ledger.execute("COMMIT")
        self.rows = []

    def check_epoch(self, ledger, job):
        found = ledger.execute("SELECT epoch FROM epochs WHERE (job, pipeline) = (?, ?)", self.sink.key(job)).fetchall()
        if found != [(job.epoch,)]:
            raise Rejected("another start owns this pipeline")

    def save_position(self, ledger, values):
        ledger.execute("INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?)", values)


class LedgerWriter(SinkWriter):
    def __init__(self, session):
        self.session = session

    def write(self, batch):
        self.session.rows += [list(row.values()) for row in batch.rows.to_pylist()]

    def prepare_commit(self, checkpoint_id):
        return None


class FlipIds(Transform):
    """Flips all bits of the column id."""

    Options = Options

    def schema(self, table):
        return table

    def apply(self, batch, task):
        if 1_000_000 in batch.rows.column("id").to_pylist():
            self.refuse(batch, task)
        return batch.with_rows(batch.rows.set_column(0, "id", pc.bit_wise_not(batch.rows.column("id"))))

    def refuse(self, batch, task):
        raise BadRow("a million is too many", batch.table)


class LinesContract(SourceContract):
    cls = LinesSource

    @pytest.fixture
    def source(self, tmp_path):
        for name, count in (("a", 7), ("b", 2)):
            (tmp_path / f"{name}.txt").write_text("".join(f"{i}\n" for i in range(count)))
        return make(self.cls, path=tmp_path)

    @pytest.fixture
    def bad_source(self, tmp_path):
        (tmp_path / "bad").mkdir()
        lines = [str(i) for i in range(65_536)]
        lines[9] = "bad"
        (tmp_path / "bad" / "a.txt").write_text("\n".join(lines))
        return make(self.cls, path=tmp_path / "bad")


class FilesContract(SinkContract):
    cls = FilesSink

    @pytest.fixture
    def sink(self, tmp_path):
        (tmp_path / "out").mkdir()
        return make(self.cls, path=tmp_path / "out")

    @pytest.fixture
    def bad_rows(self):
        return with_bad_id(-1)

    def visible(self, sink):
        files = [f for f in sink.options.path.glob("*") if f.is_file()]
        return [tuple(row) for f in files for row in json.loads(f.read_text())]


class AppendContract(SinkContract):
    cls = AppendSink

    @pytest.fixture
    def sink(self, tmp_path):
        return make(self.cls, path=tmp_path)

    def visible(self, sink):
        file = sink.options.path / "lines"
        return [tuple(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


class LedgerContract(SinkContract):
    cls = LedgerSink

    @pytest.fixture
    def sink(self, tmp_path):
        return make(self.cls, path=tmp_path)

    def visible(self, sink):
        with sink.ledger() as ledger:
            return [tuple(json.loads(row)) for (row,) in ledger.execute("SELECT row FROM rows")]


class FlipContract(TransformContract):
    cls = FlipIds

    @pytest.fixture
    def transform(self):
        return make(self.cls)

    @pytest.fixture
    def bad_rows(self):
        return with_bad_id(1_000_000)


def with_bad_id(bad):
    """65,536 rows, one of them with this id."""
    return batch(*((bad if i == 40_000 else i, None) for i in range(65_536)))


class TestLinesSource(LinesContract):
    """The reference passes."""


class TestFilesSink(FilesContract):
    """The reference passes."""


class TestAppendSink(AppendContract):
    """The reference passes."""


class TestLedgerSink(LedgerContract):
    """The reference passes."""


class TestFlipIds(FlipContract):
    """The reference passes."""


# ----------------------------------------------------------------------------------------------------- planted bugs


def changed_read(change):
    """LinesSource with something wrong in what `read` yields."""

    def read(self, split, position, task):
        yield from change(self, split, position, task, LinesSource.read)

    return read


def one_short(self, split, position, task, read):
    for item in read(self, split, position, task):
        yield Read(item.batch, item.position - 1)


def one_too_far(self, split, position, task, read):
    for item in read(self, split, position, task):
        yield Read(item.batch, item.position + 1)


def ignored(self, split, position, task, read):
    yield from read(self, split, None, task)


def empty_batches(self, split, position, task, read):
    for item in read(self, split, position, task):
        yield item
        yield Read(item.batch.slice(0, 0), item.position)


def too_many_rows(self, split, position, task, read):
    from dataclasses import replace

    yield from read(self, split, position, replace(task, batch_rows=1000))


def wrong_column(self, split, position, task, read):
    for item in read(self, split, position, task):
        yield Read(Batch(item.batch.rows.rename_columns(["m"]), "numbers"), item.position)


def left_thread(self, split, position, task, read):
    import threading

    threading.Thread(target=threading.Event().wait, args=(3,), name=f"left {id(position)}", daemon=True).start()
    yield from read(self, split, position, task)


def random_names(self, parallelism):
    return [Split(f"{s.id}?{os.urandom(2).hex()}", table="numbers") for s in LinesSource.splits(self, parallelism)]


def takes_batch_with_it(self, line, at, task):
    raise Rejected("no number")


def loses_bad_rows(self, line, at, task):
    pass


def tells_again(self, split, position, task):
    if position and split.id == "a.txt":
        with self.open(split) as file:
            lines = file.read().splitlines()
        for line in lines[:position]:
            if not line.isdigit():
                self.bad(line, 0, task)
    yield from LinesSource.read(self, split, position, task)


def tells_late(self, split, position, task):
    told = []
    late = replace(task, rejects=type("Late", (FailOnReject,), {"add_raw": lambda self, *given: told.append(given)})())
    for item in LinesSource.read(self, split, position, late):
        yield item
        while told:
            task.rejects.add_raw(*told.pop())


def undeclared_changes(self, split, position, task, read):
    for item in read(self, split, position, task):
        kinds = pa.array([int(RowKind.DELETE)] * item.batch.num_rows, pa.uint8())
        yield Read(replace(item.batch, kinds=kinds), item.position)


SOURCE_BUGS = {
    "changes that it does not declare": {"read": changed_read(undeclared_changes)},
    "position one short": {"read": changed_read(one_short)},
    "position one too far": {"read": changed_read(one_too_far)},
    "position ignored on restart": {"read": changed_read(ignored)},
    "empty batches": {"read": changed_read(empty_batches)},
    "more rows than asked for": {"read": changed_read(too_many_rows)},
    "a column's name is wrong": {"read": changed_read(wrong_column)},
    "a thread is left running": {"read": changed_read(left_thread)},
    "splits have other names after a restart": {"splits": random_names},
    "a bad row takes its batch with it": {"bad": takes_batch_with_it},
    "a bad row is lost without a word": {"bad": loses_bad_rows},
    "a bad row is told of again after a restart": {"read": tells_again},
    "a bad row is told of after its position": {"read": tells_late},
    "no word of what it does": {"__doc__": ""},
}


def visible_at_once(self, checkpoint_id):
    name = FilesWriter.prepare_commit(self, checkpoint_id)
    if name:
        (self.sink.options.path / "early").write_text(Path(name).read_text())
    return name


def commit_appends(self, committables, job):
    for number, name in enumerate(committables):
        if os.path.exists(name):
            unique = f"{os.urandom(4).hex()}{number}"
            (self.options.path / unique).write_text(Path(name).read_text())


def commit_fails_twice(self, committables, job):
    for name in committables:
        os.replace(name, self.options.path / os.path.basename(name))


def twice(self, batch):
    FilesWriter.write(self, batch)
    FilesWriter.write(self, batch)


def keeps_rows(self, checkpoint_id):
    rows = list(self.rows)
    name = FilesWriter.prepare_commit(self, checkpoint_id)
    self.rows = rows
    return name


def unfenced(self, checkpoint_id):
    return str(self.sink.staging(self.task.job) / f"{self.task.index}-{checkpoint_id}")


def same_for_all_tasks(self, checkpoint_id):
    return str(self.sink.staging(self.task.job) / staging_name(self.task.job, 0, checkpoint_id))


def writes_on_close(self):
    if self.rows:
        (self.sink.options.path / "rest").write_text(json.dumps(self.rows))


def abort_everything(self, committables, job):
    for file in self.options.path.glob("*"):
        if file.is_file():
            file.unlink()
    FilesSink.abort(self, committables, job)


def abort_nothing(self, committables, job):
    pass


def cleans_the_living(self, claims):
    self.remove_where(lambda claim: True)


def cleans_the_job(self, claims):
    self.remove_where(lambda claim: any(claim.is_of_job(other) for other in claims) or claim.store == "b2")


def cleans_all_that_is_older(self, task):
    self.remove_where(lambda claim: claim.epoch < task.job.epoch)
    return Sink.open(self, task)


def passes_over_what_is_lost(self, committables, job):
    for name in committables:
        if os.path.exists(name):
            os.replace(name, self.options.path / os.path.basename(name))


def tells_of_its_store_alone(self):
    return (left for left in FilesSink.left(self) if left.claim.store == "a1")


def state_forgotten(self):
    return 0


def not_json(self, checkpoint_id):
    name = FilesWriter.prepare_commit(self, checkpoint_id)
    return None if name is None else Path(name)


def counts_what_it_was_given(self):
    return Written(self.in_files - 1)


def changes_a_row(self, checkpoint_id):
    if self.task.verifier and self.rows:
        self.rows[0][1] = "changed"
    return FilesWriter.prepare_commit(self, checkpoint_id)


def loses_a_row(self, checkpoint_id):
    if self.task.verifier:
        self.rows = self.rows[1:]
        self.in_files += 1
    return FilesWriter.prepare_commit(self, checkpoint_id)


def shows_what_it_was_given(self, batch):
    FilesWriter.write(self, batch)
    if self.task.verifier:
        self.task.verifier.found(batch.table, batch.rows)


def reads_nothing(self, name, verifier):
    pass


def writing(**changes):
    """A FilesSink whose writer has other methods."""
    writer = type("Bad", (FilesWriter,), changes)

    def make_writer(self, table, task, state):
        return writer(self, task, state)

    return {"writer": make_writer}


def takes_some(self, batch):
    self.rows += [list(row.values()) for row in batch.rows.slice(0, 1).to_pylist() if row["id"] >= 0]
    FilesWriter.write(self, batch)


def drops_bad_rows(self, batch):
    FilesWriter.write(self, batch.filter(pc.greater_equal(batch.rows.column("id"), 0)))


def drops_deleted_rows(self, batch):
    FilesWriter.write(self, batch.filter(pc.not_equal(batch.kind_array(), int(RowKind.DELETE))))


def writes_before_the_end(self, tables, states):
    (self.options.path / "early").write_text(json.dumps([[1, "ann"]]))


def refuses_at_the_end(self, tables, states):
    raise Rejected("not these rows")


def asks_for_nothing(self, table):
    return ""


SINK_BUGS = {
    "deleted rows are dropped without a word": writing(write=drops_deleted_rows),
    "says that it acts on changes": {"cure_for_changes": asks_for_nothing},
    "rows are visible when it is asked whether it refuses them": {"finish": writes_before_the_end},
    "refuses all rows at the end": {"finish": refuses_at_the_end},
    "visible before the commit": writing(prepare_commit=visible_at_once),
    "a second commit shows rows twice": {"commit": commit_appends},
    "a second commit fails": {"commit": commit_fails_twice},
    "rows written twice": writing(write=twice),
    "rows kept after the barrier": writing(prepare_commit=keeps_rows),
    "names without epoch": writing(name=unfenced),
    "names without task": writing(name=same_for_all_tasks),
    "rows written on close": writing(close=writes_on_close),
    "abort removes committed rows": {"abort": abort_everything},
    "abort leaves prepared rows": {"abort": abort_nothing},
    "leftovers of the living removed": {"remove": cleans_the_living},
    "leftovers of another store removed": {"remove": cleans_the_job},
    "leftovers of other pipelines removed": {"open": cleans_all_that_is_older},
    "what is lost is passed over": {"commit": passes_over_what_is_lost},
    "claims not told": {"left": tells_of_its_store_alone},
    "writer state lost": writing(state=state_forgotten),
    "committable is not JSON": writing(prepare_commit=not_json),
    "a row too few counted": writing(written=counts_what_it_was_given),
    "a changed row is read back": writing(prepare_commit=changes_a_row),
    "a row lost before it is read back": writing(prepare_commit=loses_a_row),
    "nothing is read back": writing(read_back=reads_nothing),
    "the batch given passes for what was read back": writing(write=shows_what_it_was_given, read_back=reads_nothing),
    "rows taken before a bad one": writing(write=takes_some),
    "one bad row refuses all": writing(all_or_nothing=False),
    "a bad row is dropped without a word": writing(write=drops_bad_rows),
}


def nothing(self, *_):
    pass


def says_repeatable(self):
    return True


def appending(**changes):
    """An AppendSink whose writer has other methods."""
    writer = type("Bad", (AppendWriter,), changes)
    return {"writer": lambda self, table, task, state: writer(self.options.path / "lines")}


PLAIN_BUGS = {
    "flushed only when closed": appending(prepare_commit=nothing, close=AppendWriter.flush),
    "says that rows may come again": {"is_repeatable": says_repeatable},
}


def session(**changes):
    """A LedgerSink whose session has other methods."""
    cls = type("Bad", (LedgerSession,), changes)
    return {"open": lambda self, task: cls(self, task)}


def first_position_stays(self, ledger, values):
    ledger.execute("INSERT OR IGNORE INTO positions VALUES (?, ?, ?, ?, ?)", values)


def never_finished(self, ledger, values):
    LedgerSession.save_position(self, ledger, (*values[:4], False))


def commits_first(self, ledger, job):
    ledger.executemany("INSERT INTO rows VALUES (?)", [(json.dumps(row),) for row in self.rows])
    ledger.execute("COMMIT")
    self.rows = []
    ledger.execute("BEGIN IMMEDIATE")
    LedgerSession.check_epoch(self, ledger, job)


def commits_rows_on_close(self):
    with self.sink.ledger() as ledger:
        ledger.executemany("INSERT INTO rows VALUES (?)", [(json.dumps(row),) for row in self.rows])


def one_pipeline(self, job):
    return job.job_id, 1


TRANSACTIONAL_BUGS = {
    "the epoch is not checked at the commit": session(check_epoch=nothing),
    "rows are committed before the epoch is checked": session(check_epoch=commits_first),
    "positions are not saved": session(save_position=nothing),
    "positions stay at the first commit": session(save_position=first_position_stays),
    "finished splits are forgotten": session(save_position=never_finished),
    "rows without a commit are kept": session(close=commits_rows_on_close),
    "an older start fences the newer one": {"refuse_older": nothing},
    "pipelines share positions": {"key": one_pipeline},
    "positions stay after the end": {"end": nothing},
}


def other_type(self, batch, task):
    return batch.with_rows(batch.rows.set_column(0, "id", batch.rows.column("id").cast(pa.string())))


def renames_table(self, batch, task):
    return Batch(batch.rows, "other")


def drops_kinds_only(self, batch, task):
    return Batch(batch.rows.slice(1), batch.table, batch.kinds)


def remembers(self, batch, task):
    self.seen = getattr(self, "seen", 0) + 1
    return batch.slice(0, max(batch.num_rows - self.seen, 0))


def first_of_batch(self, batch, task):
    return batch.slice(0, 1)


def fails_without_rows(self, batch, task):
    batch.rows.to_pylist()[0]
    return batch


def loses_nulls(self, batch, task):
    return batch.filter(pc.is_valid(batch.rows.column("name")))


def refuses_for_good(self, batch, task):
    raise Rejected("a million is too many")


def refuses_all(self, batch, task):
    task.rejects.add(batch, pa.array([True] * batch.num_rows), "a million is too many")


def leaves_none(self, table):
    return False


TRANSFORM_BUGS = {
    "changes that it says it does not leave": {"leaves_changes": leaves_none},
    "another type than promised": {"apply": other_type},
    "another table than promised": {"apply": renames_table},
    "kinds that do not fit their rows": {"apply": drops_kinds_only},
    "state kept between batches": {"apply": remembers},
    "depends on where batches are cut": {"apply": first_of_batch},
    "fails without rows": {"apply": fails_without_rows},
    "loses a row and does not say so": {"apply": loses_nulls},
    "a bad row is not a bad row to the engine": {"refuse": refuses_for_good},
    "a bad row passes unchanged": {"refuse": lambda self, batch, task: None},
    "the rows of a bad one's batch are set aside": {"refuse": refuses_all},
}

PLANTED = [
    *((LinesContract, LinesSource, name, change) for name, change in SOURCE_BUGS.items()),
    *((FilesContract, FilesSink, name, change) for name, change in SINK_BUGS.items()),
    *((AppendContract, AppendSink, name, change) for name, change in PLAIN_BUGS.items()),
    *((LedgerContract, LedgerSink, name, change) for name, change in TRANSACTIONAL_BUGS.items()),
    *((FlipContract, FlipIds, name, change) for name, change in TRANSFORM_BUGS.items()),
]


@pytest.mark.parametrize(("contract", "cls", "name", "change"), PLANTED, ids=[p[2] for p in PLANTED])
def test_the_suite_notices(contract, cls, name, change, tmp_path):
    assert failures(contract, type(f"Broken{cls.__name__}", (cls,), dict(change)), tmp_path), f"nothing noticed: {name}"


@pytest.mark.parametrize(
    ("contract", "cls"),
    [
        (LinesContract, LinesSource),
        (FilesContract, FilesSink),
        (AppendContract, AppendSink),
        (LedgerContract, LedgerSink),
        (FlipContract, FlipIds),
    ],
)
def test_run_by_hand_the_suite_accepts_the_reference(contract, cls, tmp_path):
    assert failures(contract, cls, tmp_path) == []


def failures(contract, cls, tmp_path):
    """Runs a suite by hand; the names of its tests that fail."""
    suite = type("Suite", (contract,), {"cls": cls})()
    failed = []
    for number, method in enumerate(sorted(m for m in dir(suite) if m.startswith("test_"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            _call(suite, getattr(suite, method), folder)
        except pytest.skip.Exception:
            continue
        except (Exception, pytest.fail.Exception):  # a failed assertion, or what the bug itself raises
            failed.append(method)
    return failed


def _call(suite, test, folder):
    """One test of a suite, with the suite's own fixtures."""
    import contextlib
    import inspect

    with contextlib.ExitStack() as stack:

        def value(name):
            if name == "tmp_path":
                return folder
            if name == "batch_rows":
                return 3
            fixture = getattr(type(suite), name)
            function = getattr(fixture, "_fixture_function", None) or fixture.__wrapped__
            arguments = [value(p) for p in list(inspect.signature(function).parameters)[1:]]
            if inspect.isgeneratorfunction(function):
                return stack.enter_context(contextlib.contextmanager(function)(suite, *arguments))
            return function(suite, *arguments)

        test(*(value(name) for name in inspect.signature(test).parameters))


def test_batches_made_for_tests_fit_their_table():
    assert batch(*ROWS).rows.schema == TABLE.arrow
