"""DuckDB: its transactions, what tables a file holds, and what its errors mean.

A connection that reads is open as long as the object; one that writes only for a transaction, or for one statement.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.connector import Position, Read, TaskContext, needs
from headrace.connectors._jdbc.dialect import Database, Dialect, Entry, Name, Part, Refused, Splitting
from headrace.connectors._jdbc.dialects.duckdb import reading
from headrace.connectors._jdbc.dialects.duckdb.connection import DuckdbSettings, connect, turn_to_write
from headrace.connectors._jdbc.dialects.duckdb.types import Wire, wire
from headrace.connectors._jdbc.dialects.duckdb.writing import Writing
from headrace.connectors._jdbc.positions import EPOCHS, POSITIONS
from headrace.connectors._jdbc.statements import Action, Statements
from headrace.errors import Rejected, Unavailable
from headrace.rows import Column, ConstraintKey, PrimaryKey, TableSchema

_OF_ROWS = ("ConstraintException", "ConversionException", "OutOfRangeException", "InvalidInputException")
"""Errors that the values of a row cause."""


class Duckdb(Database):
    """One user of a file, of one thread. memory: bytes that DuckDB may take."""

    def __init__(self, dialect: Dialect, settings: DuckdbSettings, *, read_only: bool, memory: int | None) -> None:
        self.driver = needs("duckdb", "duckdb", "Jdbc")
        self.dialect, self.shown = dialect, settings.shown
        self._settings, self._read_only, self._memory = settings, read_only, memory
        self._connection: Any = None
        self._turn = contextlib.ExitStack()
        self._writing = Writing(self)
        if read_only:
            if not settings.exists():
                raise Rejected(f"cannot open {settings.shown}: there is no such file; check the name")
            self._connection = connect(settings, write=False, memory=memory)
            self._connection.execute("BEGIN TRANSACTION READ ONLY")

    @property
    def connection(self) -> Any:
        """The library's connection; there is one while a transaction is open, and always where one reads."""
        return self._connection

    def close(self) -> None:
        """Roll back what is not committed."""
        self.rollback()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # ------------------------------------------------------------------------------------------- transactions

    def begin(self) -> None:
        """See Database.begin."""
        with contextlib.ExitStack() as turn:
            turn.enter_context(turn_to_write(self._settings))
            self._connection = connect(self._settings, write=True, memory=self._memory)
            turn.callback(self._let_go)
            with self.translated():
                self._connection.execute("BEGIN TRANSACTION")
            self._turn = turn.pop_all()

    def _let_go(self) -> None:
        """The last connection that closes moves what was committed from the log into the file."""
        self._connection.close()
        self._connection = None

    def commit(self) -> None:
        """Make the transaction durable, and let others use the file."""
        with self.translated():
            self._connection.execute("COMMIT")
        self._turn.close()

    def rollback(self) -> None:
        """Undo the transaction, if there is one."""
        if self._connection is not None and not self._read_only:
            with contextlib.suppress(self.driver.Error):
                self._connection.execute("ROLLBACK")
            self._turn.close()

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        """The connection that is open, or one for the moment."""
        if self._connection is not None:
            yield self._connection
            return
        connection = connect(self._settings, write=True, memory=self._memory)
        try:
            yield connection
        finally:
            connection.close()

    # --------------------------------------------------------------------------------------------- statements

    def execute(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement."""
        with self._open() as connection, self.translated():
            return list(connection.execute(sql, list(values)).fetchall())

    def execute_all(self, sql: str) -> None:
        """See Database.execute_all."""
        with self._open() as connection, self.translated():
            connection.execute(sql)

    def explain(self, sql: str, count: int) -> None:
        """See Database.explain: a prepared statement does not run."""
        with self._open() as connection, self.translated():
            [statement, *more] = connection.extract_statements(sql)
            if more:
                raise Rejected(f"one statement is run for each row, and these are {1 + len(more)}")
            wanted = len(statement.named_parameters)
            if wanted != count:
                raise Rejected(f"the statement has {wanted} `?`")
            connection.execute(f"PREPARE headrace AS {statement.query}")
            connection.execute("DEALLOCATE headrace")

    def write(self, action: Action, statements: Statements, rows: pa.RecordBatch) -> Refused:
        """See Database.write."""
        return self._writing.write(action, statements, rows)

    # ------------------------------------------------------------------------------------------------- tables

    def names(self) -> list[Name]:
        """See Database.names."""
        here = "database_name = current_database() AND NOT internal"
        found = self.execute(
            f"SELECT schema_name, table_name FROM duckdb_tables() WHERE {here} UNION ALL "
            f"SELECT schema_name, view_name FROM duckdb_views() WHERE {here} ORDER BY ALL"
        )
        return [(schema, name) for schema, name in found if name not in (POSITIONS, EPOCHS)]

    def table(self, name: Name) -> TableSchema | None:
        """See Database.table."""
        schema, table = name
        where = "WHERE database_name = current_database() AND lower(schema_name) = lower($1) AND lower("
        with self._open() as connection, self.translated():

            def ask(sql: str) -> list[tuple[Any, ...]]:
                return list(connection.execute(sql, [schema, table]).fetchall())

            known = ask(
                f"SELECT schema_name, table_name, comment FROM duckdb_tables() {where}table_name) = lower($2) "
                f"UNION ALL SELECT schema_name, view_name, comment FROM duckdb_views() {where}view_name) = lower($2)"
            )
            if not known:
                return None
            schema, table, comment = known[0]
            described = ask(
                f"SELECT column_name, is_nullable, comment FROM duckdb_columns() {where}table_name) = lower($2)"
            )
            told = {column: {"nullable": nullable, "comment": text} for column, nullable, text in described}
            columns = tuple(
                replace(column, **told.get(column.name, {}))
                for column in self._columns(connection, self.dialect.quoted((schema, table)))
            )
            keys = ask(
                "SELECT constraint_type, constraint_column_names, constraint_name FROM duckdb_constraints() "
                f"{where}table_name) = lower($2) AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')"
            )
            indexes = ask(
                "SELECT index_name, sql FROM duckdb_indexes() "
                f"{where}table_name) = lower($2) AND is_unique AND NOT is_primary"
            )
        primary = next((PrimaryKey("PRIMARY", tuple(names)) for kind, names, _ in keys if kind != "UNIQUE"), None)
        unique = [(key, tuple(names)) for kind, names, key in keys if kind == "UNIQUE"]
        unique += [(index, names) for index, sql in indexes if (names := _indexed(sql, columns))]
        return TableSchema(
            self.dialect.shown_name((schema, table)),
            columns,
            primary,
            tuple(ConstraintKey(key, "UNIQUE_KEY", tuple((name, None) for name in names)) for key, names in unique),
            comment=comment,
        )

    def query_columns(self, query: str) -> tuple[Column, ...]:
        """A query's columns. Raises Rejected for more than one SELECT: it is read as one, in parentheses."""
        with self._open() as connection, self.translated():
            found = connection.extract_statements(query)
            if len(found) != 1 or found[0].type != self.driver.StatementType.SELECT:
                raise Rejected(f"cannot read {self.shown}: query must be one SELECT")
            return self._columns(connection, f"({query}\n)")

    def _columns(self, connection: Any, place: str) -> tuple[Column, ...]:
        found = connection.sql(f"SELECT * FROM {place}")
        types = zip(found.columns, found.types, strict=True)
        return tuple(Column(name, self.wire(dtype).type, source_type=str(dtype)) for name, dtype in types)

    def wire(self, dtype: Any) -> Wire:
        """How a column of the library's type is read."""
        return wire(dtype, self.dialect.quote)

    def make_room(self, name: Name) -> None:
        """See Database.make_room."""
        self.execute(f"CREATE SCHEMA IF NOT EXISTS {self.dialect.quote(name[0])}")

    # ------------------------------------------------------------------------------------------------ reading

    def number(self, name: Name, table: TableSchema) -> str | None:
        """Rows of tables are numbered, unless a column hides the number."""
        if "rowid" in (column.lower() for column in table.names):
            return None
        found = self.execute(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = ? "
            "AND table_name = ?",
            name,
        )
        return "rowid" if found else None

    def parts(self, entry: Entry, wanted: Splitting) -> Iterator[Part]:
        """Ranges of row numbers, or of a column."""
        return reading.parts(self, entry, wanted)

    def read(
        self, entry: Entry, data: Mapping[str, Any], position: Position | None, task: TaskContext, fetch: int
    ) -> Iterator[Read]:
        """By row number where rows have one, else by how many were read."""
        return reading.read(self, entry, data, position, task, fetch)

    # ------------------------------------------------------------------------------------------------- errors

    def is_of_row(self, error: Exception) -> bool:
        """Whether a row's values are the cause."""
        return type(error) in [getattr(self.driver, name) for name in _OF_ROWS]

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Raises Rejected and Unavailable instead of the library's errors."""
        try:
            yield
        except self.driver.Error as error:
            if self._read_only and self._connection is not None:  # the error has ended the transaction
                with contextlib.suppress(self.driver.Error):
                    self._connection.execute("ROLLBACK")
                    self._connection.execute("BEGIN TRANSACTION READ ONLY")
            raise self._meaning(error) from error

    def _meaning(self, error: Exception) -> Rejected | Unavailable:
        text = str(error).partition("\n")[0]
        if isinstance(error, self.driver.OutOfMemoryException):
            return Unavailable(f"{self.shown}: {text}; raise --memory, or memory_limit in the url")
        if isinstance(error, self.driver.IOException | self.driver.InternalException | self.driver.FatalException):
            free = ""
            with contextlib.suppress(OSError):
                disk = os.statvfs(Path(self.shown).absolute().parent)
                free = f"; {disk.f_bavail * disk.f_frsize >> 20} MiB are free there"
            return Unavailable(f"cannot use {self.shown}: {text}{free}")
        if isinstance(error, self.driver.TransactionException) and "onflict" in text:
            return Unavailable(f"{self.shown}: {text}")
        if isinstance(error, self.driver.PermissionException):
            return Rejected(f"cannot use other files than {self.shown}: {text}")
        return Rejected(f"{self.shown}: {text}")


def _indexed(sql: str | None, columns: Sequence[Column]) -> tuple[str, ...]:
    """The columns of a unique index; none where it is one of expressions."""
    known = {column.name.lower(): column.name for column in columns}
    listed = (sql or "").rpartition("(")[2].rpartition(")")[0].split(",")
    names = [known.get(text.strip().strip('"').lower()) for text in listed]
    return tuple(name for name in names if name) if all(names) else ()
