"""One connection to MySQL or MariaDB, by PyMySQL."""

import contextlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.connector import JobContext, Position, Problem, Read, TaskContext, needs
from headrace.connectors._jdbc.dialect import Database, Entry, Name, Part, Refused, Right, Splitting, Uses
from headrace.connectors._jdbc.dialects.mysql import looking, reading, splitting
from headrace.connectors._jdbc.dialects.mysql.catalog import TRANSACTIONAL, Catalog
from headrace.connectors._jdbc.dialects.mysql.connection import MysqlSettings
from headrace.connectors._jdbc.dialects.mysql.failures import code_of, meaning
from headrace.connectors._jdbc.dialects.mysql.fields import type_of
from headrace.connectors._jdbc.dialects.mysql.text import filled
from headrace.connectors._jdbc.dialects.mysql.text import statements as statements_of
from headrace.connectors._jdbc.dialects.mysql.types import wire
from headrace.connectors._jdbc.dialects.mysql.writing import Writing
from headrace.connectors._jdbc.positions import EPOCHS, POSITIONS
from headrace.connectors._jdbc.statements import Action, Statements
from headrace.errors import Rejected
from headrace.rows import Batch, Column, TableSchema

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.mysql import MysqlDialect

QUERY, PREPARE, CLOSE, OPTION = 0x03, 0x16, 0x19, 0x1B
"""Commands of the protocol."""

_SESSION = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', sql_notes = 1, max_error_count = 1000, "
    "wait_timeout = 604800, net_write_timeout = 86400, net_read_timeout = 86400 "
    "/*M!100101 , max_statement_time = 0 */ /*M!100300 , idle_transaction_timeout = 0, "
    "idle_readonly_transaction_timeout = 0, idle_write_transaction_timeout = 0 */ /*!50708 , max_execution_time = 0 */"
)
"""Nothing is changed silently; a reader that is waited for is not ended. The comments are for who understands them."""

OLDER_STARTS = 128
"""Tasks of older starts whose connections are looked for."""


class Mysql(Database):
    """One connection. label: with the job, pipeline, epoch and task in it, so that a later start can find it."""

    def __init__(
        self,
        dialect: "MysqlDialect",
        settings: MysqlSettings,
        *,
        read_only: bool,
        label: str = "",
        database: str | None = None,
    ) -> None:
        self.dialect, self._own, self.settings, self.shown = dialect, dialect, settings, settings.shown
        self.driver, self._read_only, self._label = needs("pymysql", "mysql", "Jdbc"), read_only, label
        self._database = settings.database if database is None else database
        self.catalog = Catalog(self)
        self._writing = Writing(self)
        self._rights: looking.Rights | None = None
        self.connection: Any = None
        self._connect()

    def _connect(self) -> None:
        """To the first host that answers."""
        with self.translated():
            for number, server in enumerate(self.settings.servers, 1):
                try:
                    self.connection = self._to(self.settings.arguments(server, self._database or None))
                    break
                except self.driver.err.OperationalError as error:
                    if code_of(error) not in (2003, 2005, 2013, 1040, 1053) or number == len(self.settings.servers):
                        raise
            self.execute(_SESSION)
            if self._read_only:
                self.execute("SET SESSION TRANSACTION READ ONLY")
            elif self._label:
                self.execute("SELECT GET_LOCK(?, 0)", (self._lock_of(self._label),))

    def _to(self, arguments: Mapping[str, Any]) -> Any:
        """LOCAL INFILE is spoken, for our own rows only: PyMySQL refuses when the server asks for a file."""
        flags = 0 if self._read_only else self.driver.constants.CLIENT.LOCAL_FILES
        return self.driver.connect(**arguments, client_flag=flags)

    @staticmethod
    def _lock_of(label: str) -> str:
        """The name of a lock that only tells which connection serves a task: `headrace JOB/PIPELINE TASK`."""
        _, place, _, task = label.split(" ")
        return f"headrace {place.rpartition('/')[0]} {task}"

    def close(self) -> None:
        """Roll back what is not committed."""
        if self.connection is not None and self.connection.open:
            with contextlib.suppress(self.driver.Error, OSError):
                self.connection.close()

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of the driver as ours."""
        try:
            yield
        except self.driver.Error as error:
            raise meaning(error, self.settings, read_only=self._read_only) from error
        except RuntimeError as error:
            if "LOAD_LOCAL" not in str(error):
                raise
            self.connection._force_close()
            raise Rejected(f"{self.shown} asked for a file of this machine, which is refused") from error
        except OSError as error:
            raise meaning(error, self.settings, read_only=self._read_only) from error

    # ------------------------------------------------------------------------------------------- transactions

    def begin(self) -> None:
        """See Database.begin."""
        self._reconnect_if_dead()
        self.execute("START TRANSACTION")
        self._writing.forget()

    def _reconnect_if_dead(self) -> None:
        """A connection that was ended while it idled costs nothing, as no transaction is open."""
        try:
            self.connection.ping(reconnect=False)
        except (self.driver.Error, OSError):
            self.close()
            self._connect()

    def commit(self) -> None:
        """See Database.commit."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """See Database.rollback."""
        with contextlib.suppress(self.driver.Error, OSError):
            if self.connection.open:
                self.connection.query("ROLLBACK")

    def evict(self, job: JobContext) -> None:
        """End the connections of older starts: a task that was replaced but lives may hold rows locked."""
        names = [f"headrace {job.job_id}/{job.pipeline} {task}" for task in range(OLDER_STARTS)]
        [row] = self.execute(f"SELECT {', '.join(['IS_USED_LOCK(?)'] * len(names))}, CONNECTION_ID()", names)
        *found, own = row
        for number in {int(n) for n in found if n is not None and n != own}:
            with contextlib.suppress(self.driver.Error):  # it may have gone
                self.connection.query(f"KILL {number}")

    def end_statement(self) -> None:
        """End what the server is doing for this connection, and not its transaction."""
        other = Mysql(self._own, self.settings, read_only=True)
        try:
            other.execute(f"KILL QUERY {self.connection.thread_id()}")
        finally:
            other.close()

    # --------------------------------------------------------------------------------------------- statements

    def execute(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See Database.execute."""
        with self.translated(), self.connection.cursor() as cursor:
            cursor.execute(filled(sql, values))
            return list(cursor.fetchall()) if cursor.description is not None else []

    def execute_all(self, sql: str) -> None:
        """See Database.execute_all."""
        for statement in statements_of(sql):
            self.execute(statement)

    def explain(self, sql: str, count: int) -> None:
        """See Database.explain."""
        if self._read_only:  # else the server does not even look at a statement that writes
            self.execute("SET SESSION TRANSACTION READ WRITE")
        try:
            found, _ = self.describe(sql)
        finally:
            if self._read_only:
                self.execute("SET SESSION TRANSACTION READ ONLY")
        if found != count:
            raise Rejected(f"{self.shown}: the query has {found} `?`, and a row has {count} columns")

    def describe(self, sql: str) -> tuple[int, list[Any]]:
        """How many `?` one statement has, and the fields of its rows, without running it; more than one is refused."""
        from pymysql.protocol import FieldDescriptorPacket

        with self.translated():
            self.connection._execute_command(PREPARE, sql)
            answer = self.connection._read_packet().get_all_data()
            number, columns, marks = struct.unpack_from("<IHH", answer, 1)
            for count in (marks, columns):
                fields = [self.connection._read_packet(FieldDescriptorPacket) for _ in range(count)]
                if count:
                    self.connection._read_packet()  # the end of the list
            self.connection._execute_command(CLOSE, struct.pack("<I", number))
            return marks, fields

    def write(self, action: Action, statements: Statements, rows: pa.RecordBatch) -> Refused:
        """See Database.write."""
        return self._writing.write(action, statements, rows)

    def add(self, statements: Statements, batch: Batch) -> bool:
        """See Database.add: rows are loaded."""
        return self._writing.add(statements, batch.rows)

    # ------------------------------------------------------------------------------------------------- tables

    def names(self) -> list[Name]:
        """See Database.names."""
        return [name for name in self.catalog.names() if name[-1] not in (POSITIONS, EPOCHS)]

    def table(self, name: Name) -> TableSchema | None:
        """See Database.table."""
        return self.catalog.table(name)

    def query_columns(self, query: str) -> tuple[Column, ...]:
        """See Database.query_columns."""
        _, fields = self.describe(query)
        if not fields:
            raise Rejected(f"{self.shown}: the query gives no rows; write a SELECT")
        types = [type_of(field) for field in fields]
        narrow = self.settings.narrow
        return tuple(
            Column(field.name, wire(kind, narrow=narrow).type, source_type=kind)
            for field, kind in zip(fields, types, strict=True)
        )

    def make_room(self, name: Name) -> None:
        """Make the database."""
        if len(name) > 1:
            there = "SELECT 1 FROM information_schema.schemata WHERE schema_name = ?"
            if not self.execute(there, (name[0],)):
                self.execute(f"CREATE DATABASE IF NOT EXISTS {self.dialect.quote(name[0])}")

    def not_atomic(self, name: Name) -> str:
        """See Database.not_atomic."""
        relation = self.catalog.relation(name)
        if relation is None or not relation.engine or relation.engine.lower() in TRANSACTIONAL:
            return ""
        return f"its engine {relation.engine} has no transactions"

    # ------------------------------------------------------------------------------------------------ reading

    def number(self, name: Name, table: TableSchema) -> Any:
        """The columns of a key; None for views and tables without one."""
        return self.catalog.reading_key(name) or None

    def parts(self, entry: Entry, wanted: Splitting) -> Iterator[Part]:
        """See Database.parts."""
        return splitting.split(self, entry, wanted)

    def read(
        self, entry: Entry, data: Mapping[str, Any], position: Position | None, task: TaskContext, fetch: int
    ) -> Iterator[Read]:
        """See Database.read."""
        return reading.read(self, entry, data, position, task)

    def lacks(self, name: Name, rights: Sequence[Right]) -> Iterable[Right]:
        """See Database.lacks."""
        self._rights = self._rights or looking.Rights(self)
        return self._rights.lacking(name, rights)

    def look(self) -> Iterable[Problem]:
        """See Database.look."""
        return looking.look(self)

    def advise(self, uses: Uses) -> Iterable[Problem]:
        """See Database.advise."""
        return looking.advise(self, uses)

    def does_not_load(self) -> tuple[str, str] | None:
        """Why rows are inserted where they could be loaded, and the cure; None where the server takes loads."""
        return self._writing.loading.forbidden()
