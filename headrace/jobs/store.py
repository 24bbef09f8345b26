"""The store of jobs: the truth about them, shared by all services that use it."""

import itertools
import json
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import lru_cache, partial
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import orjson
from sqlalchemy import (
    Connection,
    Engine,
    bindparam,
    create_engine,
    delete,
    event,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from headrace.errors import ConfigError, HeadraceError, JobStoreUnavailable, Problem
from headrace.jobs.outline import Outline
from headrace.jobs.record import JobRecord, JobText, Metrics, Node
from headrace.jobs.schema import IDENTITY, JOBS, NODES, prepare
from headrace.jobs.seal import Seal
from headrace.jobs.status import ALLOWED, JobStatus
from headrace.texts import storable, storable_values

T = TypeVar("T")

_READ = [column for column in JOBS.columns if column.name != "text"]
_ENDS = [status.value for status in JobStatus if status.is_end]
_LIVE = [status.value for status in JobStatus if not status.is_end]
_OF_JOB = JOBS.c.job_id == bindparam("id")
_NEWEST = JOBS.c.run.desc()
_GET = select(*_READ).where(_OF_JOB).order_by(_NEWEST).limit(1)
_GET_OWNER = select(JOBS.c.run, JOBS.c.owner, JOBS.c.epoch).where(_OF_JOB).order_by(_NEWEST).limit(1)
_ADD = insert(JOBS)
_CHANGE = (
    update(JOBS)
    .where(*(JOBS.c[name] == bindparam(f"old_{name}") for name in ("job_id", "run", "status", "epoch", "owner")))
    .values(version=JOBS.c.version + 1)
)
_PROGRESS = {"status", "started", "outline", "metrics"}
_Write = tuple[Callable[[Connection], Any], "Future[Any]", bool]
"""What to do, who waits for it, and whether it must be durable then."""
READ_AT_ONCE = 100
_SHORT_OUTLINE = 4096
"""Characters of an outline that is kept when it was read; longer ones would take too much memory."""

LONGEST_ERROR = 65_536
"""Characters of an error that are kept with a job; its log has them all."""

_IDS_BEGIN = 1_514_764_800_000  # 2018-01-01, as SeaTunnel's ids
_ID_BITS = 14


class JobStore:
    """All methods may be called from any thread. Writes that come together share one commit.

    url: an SQLAlchemy URL; a new schema is made in an empty database, an older one is brought forward.
    Raises ConfigError when the database cannot be opened, or is of a newer version.
    """

    def __init__(self, url: str, seal: Seal) -> None:
        self._engine, self._write_engine = _engine(url, autocommit=True), _engine(url)
        self._light_engine = _engine(url, durable=False)
        self._seal = seal
        try:
            prepare(self._write_engine)
        except SQLAlchemyError as error:
            where = self._engine.url.render_as_string(hide_password=True)
            text = f"cannot open the store of jobs {where}: {_reason(error)}"
            problem = Problem("database", text, "check the setting database")
            raise ConfigError([problem]) from error
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._ids = itertools.count()
        self._writer = threading.Thread(target=self._write_all, name="store-writer", daemon=True)
        self._writer.start()

    def close(self) -> None:
        """Write what was asked for, then close the database."""
        self._writes.put(None)
        self._writer.join()
        self._engine.dispose()
        self._write_engine.dispose()
        self._light_engine.dispose()

    # -------------------------------------------------------------------------------------------------------- jobs

    def identity(self) -> str:
        """What tells this store from every other one, for good."""
        with self._reading() as connection:
            return str(connection.execute(select(IDENTITY.c.identity)).scalar_one())

    def new_id(self) -> int:
        """An id that no job of this store has; below 2^53 until 2035, so that no client loses digits."""
        while True:
            found = ((int(time.time() * 1000) - _IDS_BEGIN) << _ID_BITS) | (next(self._ids) % (1 << _ID_BITS))
            if self.owner(found) is None:
                return found

    def add(self, record: JobRecord, text: JobText) -> "Future[bool]":
        """Add a record; False when there already is one of this job id and run. Durable when the future is done."""
        return self.add_all([(record, text)])

    def add_all(self, jobs: Sequence[tuple[JobRecord, JobText]]) -> "Future[bool]":
        """Likewise for several records: all of them, or none when there already is one of them."""
        return self.add_rows([row_of_job(record, text, self._seal) for record, text in jobs])

    def add_rows(self, rows: Sequence[Mapping[str, Any]]) -> "Future[bool]":
        """Likewise for what `row_of_job` has made."""

        def work(connection: Connection) -> bool:
            try:
                with connection.begin_nested():
                    connection.execute(_ADD, rows)
            except IntegrityError:
                return False
            return True

        return self._write(work)

    def change(self, record: JobRecord, **values: Any) -> "Future[JobRecord | None]":
        """Compare and set: the record with new values, or None when it is not what is stored any more.

        Compared are status, epoch and owner; a status that may not follow raises ValueError. An end drops the text.
        The version is counted where it is stored; that of the answer is right when `record` was the newest.
        Durable when the future is done, but for what only says how far a job is: a machine that fails loses that.
        """
        changed, row, durable = change_of(record, values)
        return self._write(lambda to: changed if to.execute(_CHANGE, row).rowcount == 1 else None, durable=durable)

    def change_row(self, row: Mapping[str, Any], *, durable: bool) -> "Future[bool]":
        """Likewise for what `change_of` has made; whether it was what is stored."""
        return self._write(lambda to: to.execute(_CHANGE, row).rowcount == 1, durable=durable)

    def request(self, job_id: int, request: str) -> "Future[bool]":
        """Ask the owner of a job's last run for `cancel` or `savepoint`; False when it has ended or never was."""
        latest = select(func.max(JOBS.c.run)).where(JOBS.c.job_id == job_id).scalar_subquery()
        statement = (
            update(JOBS)
            .where(JOBS.c.job_id == job_id, JOBS.c.run == latest, JOBS.c.status.not_in(_ENDS))
            .where(JOBS.c.request != "cancel")
            .values(request=request, version=JOBS.c.version + 1)
        )
        return self._write(lambda connection: connection.execute(statement).rowcount == 1)

    def get(self, job_id: int) -> JobRecord | None:
        """The last run of a job."""
        rows = self._read(_GET, {"id": job_id})
        return rows[0] if rows else None

    def owner(self, job_id: int) -> tuple[int, str, int] | None:
        """(run, owner, epoch) of the last run of a job, without reading the rest of it."""
        with self._reading() as connection:
            row = connection.execute(_GET_OWNER, {"id": job_id}).first()
        return None if row is None else (row[0], row[1], row[2])

    def text(self, record: JobRecord) -> JobText:
        """What a job that has not ended was submitted as. Raises HeadraceError when it cannot be read."""
        return opened_text(record.job_id, self.sealed_text(*record.key), self._seal)

    def sealed_text(self, job_id: int, run: int) -> str:
        """The same as it is stored; empty when the job has ended or never was."""
        where = JOBS.c.job_id == job_id, JOBS.c.run == run
        with self._reading() as connection:
            return connection.execute(select(JOBS.c.text).where(*where)).scalar_one_or_none() or ""

    def unfinished(self, but_of: Collection[str] = ()) -> list[JobRecord]:
        """Jobs that have not ended, oldest first; without those that these services own."""
        where = JOBS.c.status.in_(_LIVE), JOBS.c.owner.not_in([*but_of])
        return self._read(select(*_READ).where(*where).order_by(JOBS.c.created, JOBS.c.job_id))

    def unfinished_keys(self) -> list[tuple[int, int, int]]:
        """(job id, run, version) of the same jobs, without reading them."""
        columns = JOBS.c.job_id, JOBS.c.run, JOBS.c.version
        with self._reading() as connection:
            rows = connection.execute(select(*columns).where(JOBS.c.status.in_(_LIVE)))
            return [(row[0], row[1], row[2]) for row in rows]

    def finished(self, status: str | None = None, since: float = 0.0) -> list[JobRecord]:
        """Runs that ended after `since`, the newest first; only those of one status when it is given."""
        wanted = _ENDS if status is None else [status]
        where = JOBS.c.status.in_(wanted), JOBS.c.status.in_(_ENDS), JOBS.c.ended > since
        return self._read(select(*_READ).where(*where).order_by(JOBS.c.ended.desc(), JOBS.c.job_id.desc()))

    def finished_keys(self, status: str | None = None, since: float = 0.0) -> list[tuple[int, int, int]]:
        """(job id, run, version) of the same runs in the same order, without reading them."""
        wanted = _ENDS if status is None else [status]
        where = JOBS.c.status.in_(wanted), JOBS.c.status.in_(_ENDS), JOBS.c.ended > since
        columns = JOBS.c.job_id, JOBS.c.run, JOBS.c.version
        with self._reading() as connection:
            rows = connection.execute(
                select(*columns).where(*where).order_by(JOBS.c.ended.desc(), JOBS.c.job_id.desc())
            )
            return [(row[0], row[1], row[2]) for row in rows]

    def runs(self, keys: Iterable[tuple[int, int]]) -> Iterator[JobRecord]:
        """The records of these runs, in no order; few of them are in memory at once."""
        wanted = set(keys)
        ids = sorted({job_id for job_id, _ in wanted})
        for start in range(0, len(ids), READ_AT_ONCE):
            found = self._read(select(*_READ).where(JOBS.c.job_id.in_(ids[start : start + READ_AT_ONCE])))
            yield from (record for record in found if record.key in wanted)

    def waiting(self) -> int:
        """How many writes wait for the writer."""
        return self._writes.qsize()

    def counts(self) -> dict[str, int]:
        """Status → how many runs are in it."""
        with self._reading() as connection:
            rows = connection.execute(select(JOBS.c.status, func.count()).group_by(JOBS.c.status))
            return {row[0]: row[1] for row in rows}

    def requests(self, owner: str) -> list[tuple[int, int, str]]:
        """(job id, run, request) of the jobs of an owner that something is asked of."""
        columns = JOBS.c.job_id, JOBS.c.run, JOBS.c.request
        where = JOBS.c.owner == owner, JOBS.c.request > "", JOBS.c.status.in_(_LIVE)
        with self._reading() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(select(*columns).where(*where))]

    def unbegun(self, owner: str) -> list[tuple[int, int]]:
        """(job id, run) of the jobs of an owner that are only created."""
        where = JOBS.c.owner == owner, JOBS.c.status == JobStatus.CREATED.value
        with self._reading() as connection:
            return [(row[0], row[1]) for row in connection.execute(select(JOBS.c.job_id, JOBS.c.run).where(*where))]

    def forget(self, before: float) -> "Future[dict[int, int]]":
        """Remove the runs that ended before; job id → last run of the jobs of which no run is left.

        Services that gave no sign of life since go, too.
        """
        other = JOBS.alias()
        stays = or_(other.c.status.not_in(_ENDS), other.c.ended >= before)
        old = JOBS.c.status.in_(_ENDS), JOBS.c.ended < before
        gone = (
            select(JOBS.c.job_id, func.max(JOBS.c.run))
            .where(*old, ~exists().where(other.c.job_id == JOBS.c.job_id, stays))
            .group_by(JOBS.c.job_id)
        )

        def work(connection: Connection) -> dict[int, int]:
            found = {row[0]: row[1] for row in connection.execute(gone)}
            connection.execute(delete(JOBS).where(*old))
            connection.execute(delete(NODES).where(NODES.c.expires < before))
            return found

        return self._write(work)

    # ------------------------------------------------------------------------------------------------------- nodes

    def beat(self, node: Node) -> "Future[None]":
        """Say that a service lives until `node.expires`. Whether it is drained is said by `drain` alone."""
        values = {**vars(node), "tags": _dump(dict(node.tags)), "role": str(node.role)}
        values.pop("drained")

        def work(connection: Connection) -> None:
            if connection.execute(update(NODES).where(NODES.c.id == node.id).values(values)).rowcount == 0:
                connection.execute(insert(NODES).values(values))

        return self._write(work, durable=False)

    def drain(self, node_id: str, *, drained: bool) -> "Future[bool]":
        """Have a service give its jobs to others and take none, or take jobs again; False when it is not there."""
        statement = update(NODES).where(NODES.c.id == node_id).values(drained=int(drained))
        return self._write(lambda connection: connection.execute(statement).rowcount == 1)

    def leave(self, node_id: str) -> "Future[int]":
        """A service ends."""
        return self._write(lambda connection: connection.execute(delete(NODES).where(NODES.c.id == node_id)).rowcount)

    def nodes(self) -> list[Node]:
        """All services that have not left, also those whose lease is over."""
        with self._reading() as connection:
            rows = connection.execute(select(NODES))
            return [
                Node(**{**row._mapping, "tags": orjson.loads(row.tags), "drained": bool(row.drained)}) for row in rows
            ]

    # ------------------------------------------------------------------------------------------------------ inside

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """Raises JobStoreUnavailable when the store cannot be read now."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise JobStoreUnavailable(f"cannot read the store of jobs: {_reason(error)}") from error

    def _read(self, statement: Any, values: Mapping[str, Any] | None = None) -> list[JobRecord]:
        with self._reading() as connection:
            return [record_of(row._mapping) for row in connection.execute(statement, values or {})]

    def _write(self, work: "Callable[[Connection], T]", *, durable: bool = True) -> "Future[T]":
        future: Future[T] = Future()
        self._writes.put((work, future, durable))
        return future

    def _write_all(self) -> None:
        """The writer: whatever waits is done in one transaction, so that many small writes cost one fsync."""
        open_ = True
        while open_:
            batch = [self._writes.get()]
            while not self._writes.empty() and len(batch) < 256:
                batch.append(self._writes.get())
            open_ = None not in batch
            self._write_batch([item for item in batch if item is not None])

    def _write_batch(self, batch: "list[_Write]") -> None:
        """All of it or nothing; what the database refuses for its content fails alone, without the others."""
        results: list[Any] = []
        engine = self._write_engine if any(durable for _, _, durable in batch) else self._light_engine
        try:
            with engine.begin() as connection:
                results = [work(connection) for work, _, _ in batch]
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, OperationalError | IntegrityError):  # such as a full disk
                for item in batch:
                    self._write_batch([item])
                return
            for _, future, _ in batch:
                future.set_exception(_unwritten(error))
            return
        for (_, future, _), result in zip(batch, results, strict=True):
            future.set_result(result)


def _unwritten(error: Exception) -> HeadraceError:
    """Away or full, as far as that can mend itself; else what the database refuses for its content."""
    text = f"cannot write to the store of jobs: {_reason(error)}"
    return JobStoreUnavailable(text) if isinstance(error, OperationalError) else HeadraceError(text)


def change_of(record: JobRecord, values: Mapping[str, Any]) -> tuple[JobRecord, dict[str, Any], bool]:
    """A change of a record: what it becomes, the values to compare and set, and whether it must be durable at once.

    Raises ValueError for a status that may not follow.
    """
    changed = replace(record, version=record.version + 1, **values)
    if changed.status is not record.status and changed.status not in ALLOWED[record.status]:
        raise ValueError(f"job {record.job_id} cannot go from {record.status} to {changed.status}")
    row = row_of(values)
    if changed.status.is_end:
        row["text"] = ""
    row |= {"old_job_id": record.job_id, "old_run": record.run, "old_status": record.status.value}
    row |= {"old_epoch": record.epoch, "old_owner": record.owner}
    return changed, row, changed.status.is_end or not _PROGRESS.issuperset(values)


def row_of_job(record: JobRecord, text: JobText, seal: Seal) -> dict[str, Any]:
    """A new record with its text, sealed, as it is stored."""
    return {**row_of(vars(record)), "text": seal.close(json.dumps(asdict(text)))}


def opened_text(job_id: int, sealed: str, seal: Seal) -> JobText:
    """What a job was submitted as. Raises HeadraceError when it cannot be read."""
    if not sealed:
        raise HeadraceError(f"the text of job {job_id} is gone: the job has ended")
    return JobText(**json.loads(seal.open(sealed)))


def _reason(error: Exception) -> str:
    """What the database says, without the statement and its values."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0]


def row_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a record as they are stored: texts and numbers."""
    return {name: _COLUMNS[name][0](value) if name in _COLUMNS else value for name, value in values.items()}


def record_of(values: Mapping[Any, Any]) -> JobRecord:
    """The inverse, for all values of one."""
    return JobRecord(
        **{name: _COLUMNS[name][1](value) if name in _COLUMNS else value for name, value in values.items()}
    )


def store_in(home: Path, url: str | None = None, seal: Seal | None = None) -> JobStore:
    """The store of a home: its own SQLite file, or the database that `url` names. seal: left out, the home's own."""
    home.mkdir(parents=True, exist_ok=True)
    return JobStore(url or f"sqlite:///{home / 'jobs.db'}", seal or Seal.of_home(home))


def _engine(url: str, *, autocommit: bool = False, durable: bool = True) -> Engine:
    """autocommit: for single statements, which need no transaction around them. durable: see JobStore.change."""
    engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if autocommit:
        engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _: Any) -> None:
            connection.isolation_level = None  # transactions begin where we say, below
            connection.execute("PRAGMA busy_timeout = 30000")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")

        if not autocommit:

            @event.listens_for(engine, "begin")
            def begin_transaction(connection: Connection) -> None:
                connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _dump(value: Any) -> str:
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # half surrogates, or whole numbers of more than 64 bits
        return json.dumps(storable_values(value), default=str, ensure_ascii=False)


def _load(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def _outline(text: str) -> Outline:
    """A job's outline hardly ever changes, and is read each time that anybody looks at the job."""
    return _known_outline(text) if len(text) <= _SHORT_OUTLINE else Outline.from_json(_load(text))


@lru_cache(maxsize=1024)
def _known_outline(text: str) -> Outline:
    return Outline.from_json(_load(text))


_COLUMNS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "name": (storable, str),
    "error": (partial(storable, most=LONGEST_ERROR), str),
    "status": (attrgetter("value"), JobStatus),
    "env": (_dump, _load),
    "outline": (lambda value: _dump(value.to_json()), lambda text: _outline(text)),
    "metrics": (lambda value: _dump(value.to_json()), lambda text: Metrics.from_json(_load(text))),
    "restore": (int, bool),
    "from_savepoint": (int, bool),
}
"""Column → how its value is stored, and read again; the others are stored as they are."""
