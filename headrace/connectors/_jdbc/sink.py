"""Writing tables: rows wait in the task and are committed with the positions they reach, in one short transaction.

SQLite lets one connection write at a time, so a transaction that stayed open from barrier to barrier would keep the
other tasks from ever reaching theirs.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.connector import (
    Batch,
    Committable,
    JobContext,
    Position,
    Problem,
    Sink,
    SinkKind,
    SinkSession,
    SinkWriter,
    State,
    TableSchema,
    TargetPositions,
    TaskContext,
    Written,
)
from headrace.connectors._jdbc import positions as positions_table
from headrace.connectors._jdbc.options import DataSaveMode, JdbcSinkOptions, SchemaSaveMode
from headrace.connectors._jdbc.read_back import ReadBack, unverified
from headrace.connectors._jdbc.spool import Spool
from headrace.connectors._jdbc.sqlite import Sqlite, quoted
from headrace.connectors._jdbc.statements import Mode, Statement, Statements
from headrace.connectors._jdbc.types import declare, storable, unstorable
from headrace.errors import Rejected, Unavailable

CHUNK_ROWS = 4096
"""Rows that become objects at once."""


class JdbcSink(Sink):
    """Writes rows into tables of a database: inserts, or upserts and deletes by key. SQLite: `jdbc:sqlite:FILE`.

    Rows and the positions they reach are committed in one transaction of the target: exactly once, without XA. The
    positions are in its tables `headrace_positions` and `headrace_epochs`, which go when the job has ended.
    """

    Options = JdbcSinkOptions
    options: JdbcSinkOptions
    kind = SinkKind.TRANSACTIONAL

    @classmethod
    def for_bad_rows(cls, options: Mapping[str, Any], table: str) -> Mapping[str, Any]:
        """Only where the database is must be said; rows are added, never upserted."""
        return {"table": table, "generate_sink_sql": True, "primary_keys": [], **options}

    def source_of_bad_rows(self, table: TableSchema) -> Mapping[str, Any] | None:
        """A query of the table."""
        options: JdbcSinkOptions = self.options_for(table)
        name = target_table(options)
        if not os.path.exists(options.settings().path):
            return {}
        with self.database() as database:
            if database.table(name) is None:
                return {}
        found = {"url": options.url, "properties": options.properties}
        return {**found, "query": f"SELECT * FROM {quoted(name)}"}

    def check(self, tables: Sequence[TableSchema]) -> Iterator[Problem]:
        """Keys and columns that the options or the target name must be there."""
        settings = self.options.settings()
        database = Sqlite(settings, read_only=True) if os.path.exists(settings.path) else None
        try:
            for table in tables:
                yield from _check_table(self.options_for(table), table, database)
        finally:
            if database is not None:
                database.close()

    def unverified(self, table: TableSchema) -> str:
        """Rows are read again within the transaction that writes them, by their key or as the last that came."""
        options: JdbcSinkOptions = self.options_for(table)
        key = [options.field_ide.apply(name) for name in key_of(options, table)]
        with self.database() as database:
            return unverified(database, target_table(options), mode_of(options, key), key)

    def check_save_modes(self, tables: Sequence[TableSchema]) -> Iterator[Problem]:
        """A table that must have no rows; one that must be there is looked for on every start."""
        if self.options.query or not os.path.exists(self.options.settings().path):
            return
        with self.database() as database:
            for table in tables:
                options: JdbcSinkOptions = self.options_for(table)
                recreate = options.schema_save_mode is SchemaSaveMode.RECREATE_SCHEMA
                if not recreate and (problem := _has_rows(database, options)) is not None:
                    yield problem

    def save_mode(self, table: TableSchema) -> None:
        """Act on the target table in one transaction. Not with a query, as in SeaTunnel."""
        options: JdbcSinkOptions = self.options_for(table)
        if options.query:
            return
        with self.database() as database, database.transaction():
            _apply_schema_mode(database, options, table)
            _apply_data_mode(database, options)

    def start(self, job: JobContext) -> None:
        """From now on only this epoch can commit."""
        with self.database() as database:
            positions_table.fence(database, job)

    def positions(self, job: JobContext) -> TargetPositions | None:
        """What the target itself says."""
        if not os.path.exists(self.options.settings().path):
            return None
        with self.database() as database:
            return positions_table.load(database, job)

    def open(self, task: TaskContext) -> "JdbcSession":
        """See Sink.open."""
        if task.index == 0:
            for name, reason in self.options.idle():
                task.log.warning("Jdbc sink: %s does nothing: %s", name, reason)
        return JdbcSession(self, task)

    def writer(self, table: TableSchema, task: TaskContext, state: State | None) -> SinkWriter:
        """Only sessions make writers: they share a transaction."""
        raise NotImplementedError("writers of the Jdbc sink come from its sessions")

    def end(self, job: JobContext) -> None:
        """Remove the job's positions."""
        if os.path.exists(self.options.settings().path):
            with self.database() as database:
                positions_table.forget(database, job)

    def database(self) -> Sqlite:
        """A new connection; a missing file is created."""
        return Sqlite(self.options.settings(), read_only=False)


# --------------------------------------------------------------------------------------- what the options come to


def target_table(options: JdbcSinkOptions) -> str:
    """The name of the table in the target."""
    return options.table_prefix + options.table.removeprefix("main.") + options.table_suffix


def key_of(options: JdbcSinkOptions, table: TableSchema) -> list[str]:
    """The columns rows are upserted and deleted by; empty without a key."""
    for pattern, names in options.table_keys.items():
        if re.fullmatch(pattern, table.path):
            return names
    if options.primary_keys is not None:
        return options.primary_keys
    if table.primary_key:
        return list(table.primary_key.columns)
    unique = next((key for key in table.constraint_keys if key.type == "UNIQUE_KEY"), None)
    return [name for name, _ in unique.columns] if unique else []


def mode_of(options: JdbcSinkOptions, key: Sequence[str]) -> Mode:
    """How rows reach the table."""
    if options.query:
        return Mode.QUERY
    if not key:
        return Mode.APPEND
    if options.upsert_by_insert:
        return Mode.INSERT
    if not options.enable_upsert:
        return Mode.BY_KIND
    return Mode.LOOK_UP if options.upsert_by_query else Mode.UPSERT


def _check_table(options: JdbcSinkOptions, table: TableSchema, database: Sqlite | None) -> Iterator[Problem]:
    key = key_of(options, table)
    missing = [name for name in key if name not in table.names]
    if missing:
        text = f"table {table.path} has no column {', '.join(missing)}"
        yield Problem("primary_keys", text, f"its columns are {', '.join(table.names)}")
    if options.query:
        yield from _check_query(options.query, table, database)
        return
    name, mode = target_table(options), mode_of(options, key)
    found = database.table(name) if database is not None else None
    if found is None and options.schema_save_mode in (
        SchemaSaveMode.IGNORE,
        SchemaSaveMode.ERROR_WHEN_SCHEMA_NOT_EXIST,
    ):
        where = options.settings().path
        text = f"there is no table {name} in {where}, and schema_save_mode is {options.schema_save_mode}"
        yield Problem("schema_save_mode", text, "create the table, or use CREATE_SCHEMA_WHEN_NOT_EXIST")
    elif found is not None and options.schema_save_mode is not SchemaSaveMode.RECREATE_SCHEMA:
        yield from _check_target(options, table, found, key, mode)
    elif mode is Mode.UPSERT and not options.create_index and not missing:
        yield Problem("create_index", f"without an index table {name} cannot be upserted", "set enable_upsert = false")


def _check_query(query: str, table: TableSchema, database: Sqlite | None) -> Iterator[Problem]:
    if database is None:
        yield Problem("query", "the file of the url does not exist, so there is no table to write to", "create it")
        return
    try:
        database.execute(f"EXPLAIN {query}", [None] * len(table.columns))
    except Rejected as error:
        names = ", ".join(table.names)
        yield Problem("query", error.message, f"it gets {len(table.columns)} values for its `?`: {names}")


def _check_target(
    options: JdbcSinkOptions, table: TableSchema, found: TableSchema, key: Sequence[str], mode: Mode
) -> Iterator[Problem]:
    """A table that is there already must take the rows."""
    known = {name.lower() for name in found.names}
    lacking = [n for n in (options.field_ide.apply(name) for name in table.names) if n.lower() not in known]
    if lacking:
        text = f"table {found.path} in the target has no column {', '.join(lacking)}"
        yield Problem("table", text, f"its columns are {', '.join(found.names)}")
    wanted = {options.field_ide.apply(name).lower() for name in key}
    indexes = [found.primary_key.columns] if found.primary_key else []
    indexes += [tuple(name for name, _ in index.columns) for index in found.constraint_keys]
    if mode is Mode.UPSERT and not lacking and wanted not in [{n.lower() for n in index} for index in indexes]:
        text = f"table {found.path} has no primary key or unique index on {', '.join(key)}, so rows cannot be upserted"
        cure = "create one, set support_upsert_by_query_primary_key_exist = true, or set enable_upsert = false"
        yield Problem("primary_keys", text, cure)


def _apply_schema_mode(database: Sqlite, options: JdbcSinkOptions, table: TableSchema) -> None:
    name, mode = target_table(options), options.schema_save_mode
    exists = database.table(name) is not None
    if mode is SchemaSaveMode.ERROR_WHEN_SCHEMA_NOT_EXIST and not exists:
        raise Rejected(f"schema_save_mode is ERROR_WHEN_SCHEMA_NOT_EXIST, and {database.path} has no table {name}")
    if mode is SchemaSaveMode.RECREATE_SCHEMA and exists:
        database.execute(f"DROP TABLE {quoted(name)}")
        exists = False
    if not exists and mode is not SchemaSaveMode.IGNORE:
        database.execute(create_table(options, table))


def _apply_data_mode(database: Sqlite, options: JdbcSinkOptions) -> None:
    name, mode = target_table(options), options.data_save_mode
    if mode is DataSaveMode.DROP_DATA:
        database.execute(f"DELETE FROM {quoted(name)}")
    elif (problem := _has_rows(database, options)) is not None:
        raise Rejected(f"{problem.message}; {problem.cure}")
    elif mode is DataSaveMode.CUSTOM_PROCESSING and options.custom_sql:
        database.execute_all(options.custom_sql)


def _has_rows(database: Sqlite, options: JdbcSinkOptions) -> Problem | None:
    """Why ERROR_WHEN_DATA_EXISTS refuses the target."""
    name, mode = target_table(options), options.data_save_mode
    if mode is not DataSaveMode.ERROR_WHEN_DATA_EXISTS or database.table(name) is None:
        return None
    if not database.execute(f"SELECT 1 FROM {quoted(name)} LIMIT 1"):
        return None
    text = f"data_save_mode is {mode}, and table {name} in {database.path} has rows"
    return Problem("data_save_mode", text, "empty it, or use APPEND_DATA or DROP_DATA")


def create_table(options: JdbcSinkOptions, table: TableSchema) -> str:
    """The statement that makes the target table, with its keys."""

    def names(of: Sequence[str]) -> str:
        return ", ".join(quoted(options.field_ide.apply(name)) for name in of)

    parts = [f"{names([c.name])} {declare(c)}{'' if c.nullable else ' NOT NULL'}" for c in table.columns]
    if options.create_index:
        key = key_of(options, table)
        parts += [f"PRIMARY KEY ({names(key)})"] if key else []
        unique = [[name for name, _ in k.columns] for k in table.constraint_keys if k.type == "UNIQUE_KEY"]
        parts += [f"UNIQUE ({names(columns)})" for columns in unique if columns != key]
    return f"CREATE TABLE {quoted(target_table(options))} ({', '.join(parts)})"


# --------------------------------------------------------------------------------------------------------- writing


@dataclass(frozen=True)
class _Target:
    """A table of the target. declared: the types of its columns by the rows' names, where they are known.

    read_back: where what is written is compared; None where the job does not ask, or it cannot be.
    """

    statements: Statements
    declared: Mapping[str, str]
    read_back: ReadBack | None = None


class JdbcSession(SinkSession):
    """One task's rows until their commit, and the transaction they are committed in."""

    def __init__(self, sink: JdbcSink, task: TaskContext) -> None:
        super().__init__(sink, task)
        self._options = sink.options
        self._database: Sqlite | None = None
        self._targets: dict[str, _Target] = {}
        self._spool = Spool(task.held_bytes)
        self._flushed = False
        self._executed: Counter[str] = Counter()
        self._committed: dict[str, tuple[Position | None, bool]] | None = None

    @property
    def database(self) -> Sqlite:
        """The session's connection."""
        if self._database is None:
            self._database = Sqlite(self._options.settings(), read_only=False, memory=self.task.memory_bytes)
        return self._database

    def writer(self, table: TableSchema, state: State | None = None) -> SinkWriter:
        """See SinkSession.writer; a table whose writer was closed to make room is known already."""
        if table.path in self._targets:
            return _JdbcWriter(self)
        options: JdbcSinkOptions = self.sink.options_for(table)
        key = key_of(options, table)
        target = [options.field_ide.apply(name) for name in table.names]
        name = target_table(options)
        mode = mode_of(options, key)
        found = None if mode is Mode.QUERY else self.database.table(name)
        declared = {c.name.lower(): c.source_type or "" for c in found.columns} if found else {}
        statements = Statements(name, table.names, target, key, mode, options.query or "")
        self._targets[table.path] = _Target(
            statements,
            {n: declared[to.lower()] for n, to in zip(table.names, target, strict=True) if to.lower() in declared},
            self._read_back(statements, found, [options.field_ide.apply(column) for column in key]),
        )
        return _JdbcWriter(self)

    def _read_back(self, statements: Statements, found: TableSchema | None, key: Sequence[str]) -> ReadBack | None:
        if self.task.verifier is None or found is None:
            return None
        if unverified(self.database, statements.table, statements.mode, key):
            return None
        return ReadBack(self.database, statements, found, len(self._targets))

    def take(self, batch: Batch) -> None:
        """Keep rows for the commit; those that the target would change are set aside at once."""
        declared = self._targets[batch.table].declared
        for name in batch.rows.schema.names:
            found = unstorable(batch.rows.column(name), declared.get(name, "TEXT"))
            if found is not None and pc.any(found[0]).as_py():
                bad = pc.fill_null(found[0], False)
                self.task.rejects.add(batch, bad, f"column {name}: {found[1]}")
                batch = batch.filter(pc.invert(bad))
        if batch.num_rows:
            self._spool.add(batch)

    def flush(self) -> None:
        """Begin the transaction, check the epoch (guarantee 9), write the rows."""
        if not self._spool:
            return
        self._begin()
        try:
            refused = [found for batch in self._spool for found in self._write_batch(batch)]
            for batch, reason in refused:
                self.task.rejects.add(batch, pa.array([True]), reason)
        except BaseException:
            self.database.rollback()
            raise
        self._flushed = True
        self._spool.clear()

    def commit_positions(
        self, checkpoint_id: int, positions: Mapping[str, Position | None], finished: Sequence[str]
    ) -> None:
        """The positions in the transaction of the rows, which has checked the epoch (guarantees 4 and 9)."""
        self.flush()
        ended = frozenset(finished)
        now = {split: (positions.get(split), split in ended) for split in {*positions, *finished}}
        if not self._flushed:
            if self._committed == now:
                return
            self._begin()
        database = self.database
        try:
            before = self._committed or {}
            changed = {split: state for split, state in now.items() if before.get(split) != state}
            positions_table.save(database, self.task.job, checkpoint_id, changed)
            database.commit()
        finally:
            self._flushed = False
            database.rollback()
        self._committed = now

    def _begin(self) -> None:
        """Begin the transaction of this epoch."""
        self._lock()
        try:
            positions_table.check_epoch(self.database, self.task.job)
        except BaseException:
            self.database.rollback()
            raise

    def _lock(self) -> None:
        for attempt in range(self._options.max_retries + 1):
            try:
                self.database.begin()
                return
            except Unavailable as error:
                if attempt == self._options.max_retries:
                    raise
                self.task.log.warning("%s; waiting once more", error)

    def _write_batch(self, batch: Batch) -> Iterator[tuple[Batch, str]]:
        """Write the rows; gives back those that the target refuses, one by one, with the reason."""
        target, refused = self._targets[batch.table], list[tuple[Batch, str]]()
        if target.read_back is not None:
            target.read_back.begin()
        for statements, rows in target.statements.plan(batch):
            for start in range(0, rows.num_rows, CHUNK_ROWS):
                refused += self._write(statements, rows.slice(start, CHUNK_ROWS), target.read_back)
        yield from refused
        behind = target.statements.behind([rows for rows, _ in refused])
        if target.read_back is not None and self.task.verifier is not None:
            target.read_back.compare(batch.table, target.statements.replaced, self.task.verifier)
        if behind is not None:
            yield from self._write_batch(behind)

    def _write(
        self, statements: Sequence[Statement], batch: Batch, read_back: ReadBack | None
    ) -> Iterator[tuple[Batch, str]]:
        for statement in statements:
            if not batch.num_rows:
                return
            names = statement.columns or batch.rows.schema.names
            columns = [storable(batch.rows.column(name)).to_pylist() for name in names]
            refused = dict(self.database.write(statement.sql, columns))
            yield from ((batch.slice(row, 1), reason) for row, reason in refused.items())
            if refused:
                batch = batch.filter(pa.array([row not in refused for row in range(batch.num_rows)]))
        self._executed[batch.table] += batch.num_rows
        if read_back is not None:
            read_back.wrote(batch.rows, deleted=statements[0].deletes)

    def written(self) -> Mapping[str, Written]:
        """What the statements took; a row whose key came again in its batch counts with that one."""
        found = {}
        for path, target in self._targets.items():
            statements = target.statements
            rows = self._executed[path] + statements.superseded
            if rows or statements.left_out:
                found[path] = Written(rows, statements.left_out)
        return found

    def close(self) -> None:
        """Rows without a commit are dropped."""
        self._spool.clear()
        if self._database is not None:
            self._database.close()


class _JdbcWriter(SinkWriter):
    """Hands rows to the session; the task closes it at any time, the session keeps the rows."""

    def __init__(self, session: JdbcSession) -> None:
        self._session = session

    def write(self, batch: Batch) -> None:
        self._session.take(batch)

    def prepare_commit(self, checkpoint_id: int) -> Committable | None:
        return None
