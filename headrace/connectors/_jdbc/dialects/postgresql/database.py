"""One connection to PostgreSQL, by psycopg."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.connector import JobContext, Position, Problem, Read, TaskContext, needs
from headrace.connectors._jdbc.dialect import Database, Entry, Name, Part, Refused, Right, Splitting, Uses
from headrace.connectors._jdbc.dialects.postgresql import looking, reading
from headrace.connectors._jdbc.dialects.postgresql.catalog import Catalog
from headrace.connectors._jdbc.dialects.postgresql.connection import PostgresqlSettings
from headrace.connectors._jdbc.dialects.postgresql.failures import meaning
from headrace.connectors._jdbc.dialects.postgresql.text import statements as statements_of
from headrace.connectors._jdbc.dialects.postgresql.text import with_numbers, with_places
from headrace.connectors._jdbc.dialects.postgresql.types import wire
from headrace.connectors._jdbc.dialects.postgresql.writing import Writing
from headrace.connectors._jdbc.positions import EPOCHS, POSITIONS
from headrace.connectors._jdbc.statements import Action, Statements
from headrace.errors import Rejected
from headrace.rows import Batch, Column, TableSchema

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.postgresql import PostgresqlDialect


class Postgresql(Database):
    """One connection. snapshot: of `hold_snapshot`, for what is read in one transaction; empty for none."""

    def __init__(
        self,
        dialect: "PostgresqlDialect",
        settings: PostgresqlSettings,
        *,
        read_only: bool,
        label: str = "",
        snapshot: str = "",
        database: str | None = None,
    ) -> None:
        self.dialect, self.settings, self.shown = dialect, settings, settings.shown
        self.driver, self._read_only = needs("psycopg", "postgresql", "Jdbc"), read_only
        self.catalog = Catalog(self)
        self._writing = Writing(self)
        with self.translated():
            arguments = settings.arguments(label[:63], database)
            self.connection = self.driver.connect(**arguments, autocommit=True)
        try:
            if read_only:
                self.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
            if settings.schema:
                self.execute("SELECT set_config('search_path', ?, false)", (settings.schema,))
            if snapshot:
                self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                self.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Roll back what is not committed."""
        self.connection.close()

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of the driver as ours."""
        try:
            yield
        except self.driver.Error as error:
            raise meaning(error, self.settings, read_only=self._read_only) from error

    # ------------------------------------------------------------------------------------------- transactions

    def begin(self) -> None:
        """See Database.begin."""
        self._reconnect_if_dead()
        self.execute("BEGIN")
        self._writing.forget()

    def _reconnect_if_dead(self) -> None:
        """A connection that was ended while it idled costs nothing, as no transaction is open."""
        if not self.connection.closed:
            with contextlib.suppress(self.driver.Error):
                self.connection.execute("SELECT 1")
        if self.connection.closed:
            with self.translated():
                label = self.connection.info.parameter_status("application_name") or ""
                self.connection = self.driver.connect(**self.settings.arguments(label), autocommit=True)

    def commit(self) -> None:
        """See Database.commit."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """See Database.rollback."""
        with contextlib.suppress(self.driver.Error):
            if not self.connection.closed and self.connection.info.transaction_status.name != "IDLE":
                self.connection.execute("ROLLBACK")

    def release(self, savepoint: str) -> None:
        """Forget a savepoint; nothing where the transaction is lost."""
        if self.connection.info.transaction_status.name == "INTRANS":
            self.execute(f"RELEASE SAVEPOINT {savepoint}")

    def evict(self, job: JobContext) -> None:
        """End the connections of older starts: a task that was replaced but lives may hold rows locked."""
        begin = f"headrace {job.job_id}/{job.pipeline}/"
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND usename = current_user AND pid <> pg_backend_pid() AND application_name LIKE ? "
            "AND split_part(split_part(application_name, '/', 3), ' ', 1) <> ?",
            (begin + "%", str(job.epoch)),
        )

    # --------------------------------------------------------------------------------------------- statements

    def execute(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See Database.execute."""
        with self.translated():
            cursor = self.connection.execute(with_places(sql)[0], values) if values else self.connection.execute(sql)
            return cursor.fetchall() if cursor.description is not None else []

    def execute_all(self, sql: str) -> None:
        """See Database.execute_all."""
        for statement in statements_of(sql):
            self.execute(statement)

    def explain(self, sql: str, count: int) -> None:
        """See Database.explain."""
        found = self.describe(sql)
        if found.nparams != count:
            raise Rejected(f"{self.shown}: the query has {found.nparams} `?`, and a row has {count} columns")

    def describe(self, sql: str) -> Any:
        """What the server says of one statement without running it; more than one is refused."""
        pg = self.connection.pgconn
        with self.translated():
            for result in (pg.prepare(b"", with_numbers(sql).encode()), pg.describe_prepared(b"")):
                if result.status not in (self.driver.pq.ExecStatus.COMMAND_OK,):
                    raise self.driver.errors.error_from_result(result)
        return result

    def write(self, action: Action, statements: Statements, rows: pa.RecordBatch) -> Refused:
        """See Database.write."""
        return self._writing.write(action, statements, rows)

    def add(self, statements: Statements, batch: Batch) -> bool:
        """See Database.add: rows are copied straight into the table."""
        return self._writing.add(statements, batch)

    # ------------------------------------------------------------------------------------------------- tables

    def names(self) -> list[Name]:
        """See Database.names."""
        return [name for name in self.catalog.names() if name[-1] not in (POSITIONS, EPOCHS)]

    def paths(self, name: Name) -> Iterable[str]:
        """A table alone, with its schema, and with the database."""
        return (name[-1], ".".join(name), ".".join((self.settings.database, *name)))

    def table(self, name: Name) -> TableSchema | None:
        """See Database.table."""
        return self.catalog.table(name)

    def query_columns(self, query: str) -> tuple[Column, ...]:
        """See Database.query_columns."""
        found = self.describe(query)
        if not found.nfields:
            raise Rejected(f"{self.shown}: the query gives no rows; write a SELECT")
        names = [found.fname(i).decode() for i in range(found.nfields)]
        types = self.catalog.query_types([(found.ftype(i), found.fmod(i)) for i in range(found.nfields)])
        return tuple(
            Column(name, wire(base, modifier).type, source_type=declared)
            for name, (base, modifier, declared) in zip(names, types, strict=True)
        )

    def make_room(self, name: Name) -> None:
        """Make the schema."""
        if len(name) > 1 and not self.execute("SELECT 1 FROM pg_namespace WHERE nspname = ?", (name[0],)):
            self.execute(f"CREATE SCHEMA IF NOT EXISTS {self.dialect.quote(name[0])}")

    # ------------------------------------------------------------------------------------------------ reading

    def number(self, name: Name, table: TableSchema) -> Any:
        """The columns of a key; `ctid` for a table without one; None for views and the like."""
        relation = self.catalog.relation(name)
        if relation is None:
            return None
        key = self.catalog.reading_key(relation.oid) if relation.kind in "rpm" else []
        return key or ("ctid" if relation.kind in "rm" else None)

    def parts(self, entry: Entry, wanted: Splitting) -> Iterator[Part]:
        """See Database.parts."""
        return reading.parts(self, entry, wanted)

    def read(
        self, entry: Entry, data: Mapping[str, Any], position: Position | None, task: TaskContext, fetch: int
    ) -> Iterator[Read]:
        """See Database.read."""
        return reading.read(self, entry, data, position, task)

    def lacks(self, name: Name, rights: Sequence[Right]) -> Iterable[Right]:
        """See Database.lacks."""
        return looking.lacks(self, name, rights)

    def look(self) -> Iterable[Problem]:
        """See Database.look."""
        return looking.look(self)

    def advise(self, uses: Uses) -> Iterable[Problem]:
        """See Database.advise."""
        return looking.advise(self, uses)
