"""DuckDB: files, by its own library, read and written as Arrow."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar
from urllib.parse import unquote

from headrace.connectors._jdbc.dialect import Dialect, Login, Name, Sql
from headrace.connectors._jdbc.dialects.duckdb.connection import DuckdbSettings, FileSnapshot, settings_of
from headrace.connectors._jdbc.dialects.duckdb.database import Duckdb
from headrace.connectors._jdbc.dialects.duckdb.types import TABLE, declare
from headrace.connectors._jdbc.dialects.duckdb.writing import literal
from headrace.errors import ConfigError, Rejected
from headrace.places import Address
from headrace.rows import Column, TableSchema

_NO_LOGIN = "DuckDB has no logins"


class DuckdbDialect(Dialect):
    """Tables are read in ranges of their row numbers, queries in one part. A file may be read by any number of
    processes or written by one: while a job reads, nobody can write there, so that all its tasks see one state.

    Rows wait in the task and are written in bulk in one short transaction, for which alone the file is open: another
    program may use it between two checkpoints. While another process holds the file, Headrace waits as long as
    `connection_check_timeout_sec` says, and then names the process. A job may read and write the same file where its
    tasks run in one process, as those of `headrace run` do.

    DuckDB undoes a whole transaction for one refused row. From the first refused row on, the rows of a task are
    therefore written with all constraints of the table asked beforehand, the refused ones set aside, the others
    written. A value that a column would round or cut is refused, too. A statement of your own (`query`) cannot be asked
    beforehand, so there the first refused row fails the job.

    A restart goes on after the last row. DuckDB numbers rows anew when some were deleted, so the row at a saved
    position is compared with what it was: a job whose rows have moved is stopped, not continued with others.

    A query may use no other file: reading, attaching and loading extensions are switched off.

    Needs `pip install 'headrace[duckdb]'`.
    """

    name, title, kinds = "duckdb", "DuckDB", ("duckdb",)
    url_form = "jdbc:duckdb:FILE"
    drivers = ("duckdb",)
    is_of_one_machine = True
    streams = False
    bulk = True
    usual_schema = "main"
    sqlglot = "duckdb"
    types = TABLE
    idle: ClassVar[Mapping[str, str]] = {
        "user": _NO_LOGIN,
        "password": _NO_LOGIN,
        "connect_timeout_ms": "a file is opened at once",
        "socket_timeout_ms": "a file has no socket",
        "table_options": "tables of DuckDB have none",
    }
    words: ClassVar[Mapping[Sql, str]] = {
        Sql.LOCK_ROW: "",
        Sql.BIG_INTEGER: "BIGINT",
        Sql.TEXT: "VARCHAR",
        Sql.KEY_TEXT: "VARCHAR",
        Sql.BOOLEAN: "BOOLEAN",
        Sql.TABLE_SUFFIX: "",
    }

    @property
    def address_form(self) -> str:
        """A file has no tables in its name."""
        return "duckdb:///FILE --table TABLE"

    def place_of(self, address: Address) -> tuple[str, str]:
        """`duckdb:///shop.db` lies in the directory where one is, `duckdb:////data/shop.db` below the root."""
        if address.hosts or not address.path.removeprefix("/"):
            raise ConfigError([f"{address.text} names no file; write duckdb:///shop.db, or duckdb:////data/shop.db"])
        return unquote(address.path.removeprefix("/")), ""

    def settings(self, login: Login) -> DuckdbSettings:
        """See Dialect.settings."""
        return settings_of(login)

    def touches(self, settings: DuckdbSettings) -> Iterable[tuple[str, str]]:
        """The file."""
        return [("path", settings.path)]

    def is_there(self, settings: DuckdbSettings) -> bool:
        """Whether the file is."""
        return settings.exists()

    def open(
        self,
        settings: DuckdbSettings,
        *,
        read_only: bool,
        memory: int | None = None,
        label: str = "",
        snapshot: str = "",
    ) -> Duckdb:
        """A missing file is created where it is to be written."""
        return Duckdb(self, settings, read_only=read_only, memory=memory)

    def hold_snapshot(self, settings: DuckdbSettings, job: str, readers: int) -> FileSnapshot | None:
        """See Dialect.hold_snapshot: who holds the file for reading keeps all others from writing."""
        return FileSnapshot.of(settings)

    def target(self, settings: DuckdbSettings, table: str, database: str | None) -> Name:
        """`schema.table`, or a table of `main`; a database before them must be that of the file."""
        *outer, name = table.split(".", 2)
        if len(outer) == 2:
            database, *outer = outer
        if database and database.lower() != settings.database.lower():
            raise ValueError(
                f"table {table} is to lie in the database {database}, and the url leads to the file of "
                f"{settings.database}; a connection has one database"
            )
        return (outer[0] if outer and outer[0] else self.usual_schema, name)

    def own_table(self, settings: DuckdbSettings, schema: str | None, table: str) -> Name:
        """See Dialect.own_table."""
        return (schema or self.usual_schema, table)

    def find(self, path: str, names: Sequence[Name]) -> Name | None:
        """A table alone is looked for in `main` first."""
        return super().find(path, sorted(names, key=lambda name: name[0] != self.usual_schema))

    def shown_name(self, name: Name) -> str:
        """Without the usual schema."""
        return super().shown_name(name[1:] if name[0] == self.usual_schema else name)

    def declare(self, column: Column, *, in_key: bool = False) -> str:
        """See Dialect.declare."""
        return declare(column)

    def comments(self, name: Name, table: TableSchema, columns: Mapping[str, str]) -> Iterable[str]:
        """See Dialect.comments."""
        target = self.quoted(name)
        if table.comment:
            yield f"COMMENT ON TABLE {target} IS {literal(table.comment)}"
        for column in table.columns:
            if column.comment:
                yield f"COMMENT ON COLUMN {target}.{self.quote(columns[column.name])} IS {literal(column.comment)}"

    def table_suffix(self, table_options: Mapping[str, str]) -> str:
        """See Dialect.table_suffix."""
        if table_options:
            raise Rejected(f"table_options: tables of DuckDB have none, such as {', '.join(table_options)}")
        return ""


DIALECT = DuckdbDialect()
