"""SQLite: files, by Python's own library."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar
from urllib.parse import unquote

import pyarrow as pa

from headrace.connectors._jdbc.dialect import Dialect, Login, Name, Sql
from headrace.connectors._jdbc.dialects.sqlite.database import Sqlite, SqliteSettings
from headrace.connectors._jdbc.dialects.sqlite.types import declare, unstorable
from headrace.connectors._jdbc.statements import Mode, Statements
from headrace.errors import ConfigError
from headrace.places import Address
from headrace.rows import Column

_NO_LOGIN = "SQLite has no logins"
_ONE_FILE = "a SQLite file is one database"
_NUMBERED = "splits are ranges of row numbers"


class SqliteDialect(Dialect):
    """Tables are read in ranges of their row numbers; a restart goes on after the last row.

    Types are those of SeaTunnel's SQLite dialect: INTEGER is INT (a bigger value is an error that says so; declare the
    column BIGINT, or cast it in a query), DECIMAL is DOUBLE, dates and times are STRING. FLOAT is DOUBLE, as SQLite
    stores it.

    One connection writes at a time, so rows wait in the task and are committed in one short transaction. The tables of
    positions go when the last job has ended.
    """

    name, title, kinds = "sqlite", "SQLite", ("sqlite",)
    url_form = "jdbc:sqlite:FILE"
    drivers = ("sqlite",)
    streams = False
    is_of_one_machine = True
    empty = "DELETE FROM"
    sqlglot = "sqlite"
    idle: ClassVar[Mapping[str, str]] = {
        "user": _NO_LOGIN,
        "password": _NO_LOGIN,
        "database": _ONE_FILE,
        "positions_schema": _ONE_FILE,
        "connect_timeout_ms": "a file is opened at once",
        "socket_timeout_ms": "a file has no socket",
        "table_options": "tables of SQLite have none",
    }
    words: ClassVar[Mapping[Sql, str]] = {
        Sql.LOCK_ROW: "",
        Sql.BIG_INTEGER: "BIGINT",
        Sql.TEXT: "TEXT",
        Sql.KEY_TEXT: "TEXT",
        Sql.BOOLEAN: "BOOLEAN",
        Sql.TABLE_SUFFIX: " WITHOUT ROWID",
    }

    @property
    def address_form(self) -> str:
        """A file has no tables in its name."""
        return "sqlite:///FILE --table TABLE"

    def place_of(self, address: Address) -> tuple[str, str]:
        """`sqlite:///shop.db` lies in the directory where one is, `sqlite:////data/shop.db` below the root."""
        if address.hosts or not address.path.removeprefix("/"):
            raise ConfigError([f"{address.text} names no file; write sqlite:///shop.db, or sqlite:////data/shop.db"])
        return unquote(address.path.removeprefix("/")), ""

    def lacks(self, parallelism: int, *, writes: bool) -> Iterable[str]:
        """See Dialect.lacks: tasks stand in one another's way, or see the file at different moments."""
        if parallelism > 1 and writes:
            yield f"SQLite lets one connection write at a time: {parallelism} tasks wait for one another"
        elif parallelism > 1:
            yield (
                f"SQLite gives {parallelism} tasks no common state of the file: what others write meanwhile may reach "
                "one and not another"
            )

    def settings(self, login: Login) -> SqliteSettings:
        """A file may be written as the URI `file:/a%20b.db`, as its JDBC driver allows."""
        return SqliteSettings.of(_path(login.url.place), login.parameters, login.patience)

    def touches(self, settings: SqliteSettings) -> Iterable[tuple[str, str]]:
        """The file."""
        return [("path", settings.path)]

    def is_there(self, settings: SqliteSettings) -> bool:
        """Whether the file is."""
        return settings.exists()

    def open(
        self,
        settings: SqliteSettings,
        *,
        read_only: bool,
        memory: int | None = None,
        label: str = "",
        snapshot: str = "",
    ) -> Sqlite:
        """A missing file is created where it is to be written."""
        return Sqlite(self, settings, read_only=read_only, memory=memory)

    def target(self, settings: SqliteSettings, table: str, database: str | None) -> Name:
        """`main` before a dot is the file itself."""
        return (table.removeprefix("main."),)

    def own_table(self, settings: SqliteSettings, schema: str | None, table: str) -> Name:
        """A file has no schemas."""
        return (table,)

    def find(self, path: str, names: Sequence[Name]) -> Name | None:
        """All of the path where a table is called so, else its last part; case does not matter."""
        known = {name.lower(): (name,) for (name,) in names}
        return known.get(path.lower()) or known.get(path.rpartition(".")[2].lower())

    def _is_key(self, of: Statements) -> str:
        """Looked up as an index would, null is not a key, and its row is inserted; but it can be deleted."""
        equals = "=" if of.mode is Mode.LOOK_UP else "IS"
        columns = self.columns(of)
        return " AND ".join(f"{columns[name]} {equals} ?" for name in of.key)

    def declare(self, column: Column, *, in_key: bool = False) -> str:
        """SeaTunnel's names, so that reading gives the same types as far as can be."""
        return declare(column)

    def unstorable(self, column: pa.Array, declared: str | None) -> tuple[pa.BooleanArray, str] | None:
        """What a column's affinity would change."""
        return unstorable(column, "TEXT" if declared is None else declared)


def _path(place: str) -> str:
    if not place.startswith("file:"):
        return place
    path = unquote(place.removeprefix("file:"))
    return "/" + path.lstrip("/").removeprefix("localhost/") if path.startswith("//") else path


DIALECT = SqliteDialect()
