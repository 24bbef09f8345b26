"""Jdbc's sink: what it promises to the engine before and after the rows; `session` writes them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from headrace.connector import (
    CallsRun,
    JobContext,
    Problem,
    Sink,
    SinkKind,
    SinkWriter,
    State,
    TableSchema,
    TargetPositions,
    TaskContext,
)
from headrace.connectors._jdbc import addresses
from headrace.connectors._jdbc.dialect import Database, Uses
from headrace.connectors._jdbc.options import DataSaveMode, JdbcSinkOptions, SchemaSaveMode, place_of
from headrace.connectors._jdbc.pages import notes
from headrace.connectors._jdbc.positions import PositionsTables, TargetRecord
from headrace.connectors._jdbc.save_modes import apply_data_mode, apply_schema_mode, has_rows
from headrace.connectors._jdbc.session import JdbcSession
from headrace.connectors._jdbc.statements import Mode
from headrace.connectors._jdbc.targets import check_positions, check_table, key_of, mode_of, statements_of, target_table
from headrace.errors import Rejected
from headrace.places import Address, WriteWish
from headrace.storage.contract import Stat


class JdbcSink(Sink):
    """Writes rows into tables of a database: inserts, or upserts and deletes by key.

    Rows and the positions they reach are committed in one transaction of the target: exactly once, without XA. The
    positions are in its tables `headrace_positions` and `headrace_epochs`.
    """

    Options = JdbcSinkOptions
    options: JdbcSinkOptions
    example = """
sink {
  Jdbc {
    url = "jdbc:postgresql://db.example.com:5432/shop"
    user = "ann"
    password = ${SHOP_PASSWORD}
    database = "shop"
    table = "public.${table_name}"
    primary_keys = [id]
    generate_sink_sql = true
  }
}
"""
    kind = SinkKind.TRANSACTIONAL
    notes = staticmethod(notes)
    """What the docs say beside the options."""

    @classmethod
    def schemes(cls) -> Mapping[str, str]:
        """See Sink.schemes: those of all databases."""
        return addresses.schemes()

    @classmethod
    def options_at(cls, address: Address, wish: WriteWish) -> dict[str, Any]:
        """See Sink.options_at."""
        return addresses.write_options(address, wish)

    @classmethod
    def for_bad_rows(cls, options: Mapping[str, Any], table: str) -> Mapping[str, Any]:
        """Only where the database is must be said; rows are added, never upserted."""
        return {"table": table, "generate_sink_sql": True, "primary_keys": [], **options}

    def source_of_bad_rows(self, table: TableSchema) -> Mapping[str, Any] | None:
        """A query of the table."""
        options: JdbcSinkOptions = self.options_for(table)
        connection, name = options.connection(), target_table(options)
        if not connection.is_there:
            return {}
        with self.database() as database:
            if database.table(name) is None:
                return {}
        found: dict[str, Any] = {"url": options.url, "properties": options.properties}
        if options.user is not None:
            found["user"] = options.user
        if options.password is not None:
            found["password"] = options.password.get_secret_value()
        return {**found, "query": f"SELECT * FROM {connection.dialect.quoted(name)}"}

    def discard_bad_rows(self, table: TableSchema, rows: int, files: Sequence[Stat]) -> None:
        """See Sink.discard_bad_rows: the table is emptied if it still has as many rows, up to the newest of them."""
        options: JdbcSinkOptions = self.options_for(table)
        with self.database() as database, database.transaction():
            name = database.dialect.quoted(target_table(options))
            when = database.dialect.quote("occur_time")
            [(found, newest)] = database.execute(f"SELECT count(*), max({when}) FROM {name}")
            if found != rows:
                raise Rejected(
                    f"{database.shown} has {found:,} bad rows by now instead of {rows:,}; look at them again"
                )
            database.execute(f"DELETE FROM {name} WHERE {when} <= ?", [newest])

    @property
    def calls_run(self) -> CallsRun:
        """Where the database is: a file of one machine keeps the positions of the tasks that ran there."""
        is_here = self.options.connection().dialect.is_of_one_machine
        return CallsRun.WHERE_STAGED if is_here else CallsRun.ANYWHERE

    def lacks(self, parallelism: int) -> Iterable[str]:
        """What the database says."""
        return self.options.connection().dialect.lacks(parallelism, writes=True)

    @property
    def accepts(self) -> frozenset[str]:  # type: ignore[override]
        """What the database takes, unless each row goes through a statement of the user's own."""
        return frozenset() if self.options.query else self.options.connection().dialect.accepts

    def advice(self) -> Iterable[Problem]:
        """What the database says of its settings."""
        if self.options.connection().is_there:
            with self.database() as database:
                yield from database.advise(Uses(inserts=True, sql=self.options.query or ""))

    def check(self, tables: Sequence[TableSchema]) -> Iterator[Problem]:
        """Keys and columns that the options or the target name must be there."""
        database = self.database(read_only=True) if self.options.connection().is_there else None
        try:
            if database is not None:
                yield from database.look()
                yield from check_positions(database, self.positions_tables())
            for table in tables:
                yield from check_table(self.options_for(table), table, database)
        finally:
            if database is not None:
                database.close()

    def cure_for_changes(self, table: TableSchema) -> str:
        """Rows are found by their key; without one, and with a query of its own, each is inserted."""
        options: JdbcSinkOptions = self.options_for(table)
        mode = mode_of(options, key_of(options, table))
        if mode is Mode.APPEND:
            return "name primary_keys, so that rows are updated and deleted by them, or put FilterRowKind before it"
        return super().cure_for_changes(table) if mode is Mode.QUERY else ""

    def unverified(self, table: TableSchema) -> str:
        """Rows are read again within the transaction that writes them, by their key or as the last that came."""
        statements = statements_of(self.options_for(table), table)
        with self.database() as database:
            return database.unverified(statements.table, statements)

    def check_save_modes(self, tables: Sequence[TableSchema]) -> Iterator[Problem]:
        """A table that must have no rows; one that must be there is looked for on every start."""
        if self.options.query or not self.options.connection().is_there:
            return
        with self.database() as database:
            for table in tables:
                options: JdbcSinkOptions = self.options_for(table)
                recreate = options.schema_save_mode is SchemaSaveMode.RECREATE_SCHEMA
                if not recreate and (problem := has_rows(database, options)) is not None:
                    yield problem

    def emptied(self, tables: Sequence[TableSchema]) -> Mapping[str, str]:
        """Tables that are dropped or emptied first."""
        found = {}
        for table in tables:
            options: JdbcSinkOptions = self.options_for(table)
            place = "" if options.query else place_of(options.connection(), target_table(options))
            if place and options.schema_save_mode is SchemaSaveMode.RECREATE_SCHEMA:
                found[place] = "schema_save_mode = RECREATE_SCHEMA"
            elif place and options.data_save_mode is DataSaveMode.DROP_DATA:
                found[place] = "data_save_mode = DROP_DATA"
        return found

    def save_mode(self, table: TableSchema) -> None:
        """Act on the target table in one transaction. Not with a query, as in SeaTunnel."""
        options: JdbcSinkOptions = self.options_for(table)
        if options.query:
            return
        if options.schema_save_mode in (
            SchemaSaveMode.CREATE_SCHEMA_WHEN_NOT_EXIST,
            SchemaSaveMode.RECREATE_SCHEMA,
        ):
            connection = options.connection()
            connection.dialect.make_database(connection.settings)
        with self.database() as database, database.transaction():
            apply_schema_mode(database, options, table)
            apply_data_mode(database, options)

    def start(self, job: JobContext) -> None:
        """From now on only this epoch can commit."""
        with self.database() as database:
            self._record(database).fence(job)

    def positions(self, job: JobContext) -> TargetPositions | None:
        """What the target itself says."""
        if not self.options.connection().is_there:
            return None
        with self.database() as database:
            return self._record(database).load(job)

    def open(self, task: TaskContext) -> JdbcSession:
        """See Sink.open."""
        if task.index == 0:
            for name, reason in self.options.idle():
                task.log.warning("Jdbc sink: %s does nothing: %s", name, reason)
        return JdbcSession(self, task, self.positions_tables())

    def writer(self, table: TableSchema, task: TaskContext, state: State | None) -> SinkWriter:
        """Only sessions make writers: they share a transaction."""
        raise NotImplementedError("writers of the Jdbc sink come from its sessions")

    def end(self, job: JobContext) -> None:
        """Remove the job's positions."""
        if self.options.connection().is_there:
            with self.database() as database:
                self._record(database).forget(job)

    def database(self, *, read_only: bool = False) -> Database:
        """A new connection; a missing file is created."""
        return self.options.connection().open(read_only=read_only)

    def positions_tables(self) -> PositionsTables:
        """The tables in the target that say how far it has come."""
        options, connection = self.options, self.options.connection()
        own, settings = connection.dialect.own_table, connection.settings
        return PositionsTables(
            own(settings, options.positions_schema, options.positions_table),
            own(settings, options.positions_schema, options.epochs_table),
        )

    def _record(self, database: Database) -> TargetRecord:
        return TargetRecord(database, self.positions_tables())
