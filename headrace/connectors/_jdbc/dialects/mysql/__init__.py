"""MySQL and MariaDB, by PyMySQL; what differs between the two is told by the server's version."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa

from headrace.connectors._jdbc.dialect import Dialect, Login, Name, Sql
from headrace.connectors._jdbc.dialects.mysql.connection import MysqlSettings, settings_of
from headrace.connectors._jdbc.dialects.mysql.database import Mysql
from headrace.connectors._jdbc.dialects.mysql.text import literal
from headrace.connectors._jdbc.dialects.mysql.types import TABLE, declare
from headrace.connectors._jdbc.dialects.mysql.values import unstorable
from headrace.connectors._jdbc.statements import Statements
from headrace.errors import Rejected
from headrace.rows import Column, TableSchema


class MysqlDialect(Dialect):
    """Also `jdbc:mariadb://`. Tables are read in the order of a key, the primary key or a unique index that holds no
    null, in parts; where they begin, the estimates of the index tell: nothing is read before the first row. Tables
    without a key, views and queries are read in one part, and a restart skips the rows it has read.

    All readers of a process see one state of the database: their transactions begin under a global read lock that is
    held for a moment (it needs the right RELOAD). Without the right, or with tasks in several processes, the log says
    that they see states of different moments; with `parallelism = 1` there is only one.

    New rows are loaded by LOAD DATA LOCAL, out of memory: no file is read, whatever the server asks for. The server
    turns errors of a load into warnings and goes on with other values, so a load counts only where it told of no
    warning and took every row; else it is undone, and rows are inserted, many a statement. So they are where the server
    takes no loads (`local_infile = OFF`), where the table has triggers or columns that must be given and are not, and
    where the text of a value could mean another one (bit, year, numbers for enum). Rows whose key is there already are
    updated.

    Sessions are strict, and warnings count as errors: what the target would change is set aside with its reason, the
    other rows arrive. Rows are committed with their positions, so tables of engines without transactions, such as
    MyISAM, are refused unless `is_exactly_once = false`: then rows may come twice after a crash. DDL is committed by
    itself: tables are made before the first row. Jobs that stop by a deadlock, a lock that is waited for too long or a
    lost connection go on after the last commit, up to `job.retry.times`.

    Several hosts in the url are tried in turn. Sessions are in UTC: a `timestamp` is a point in time. The parameter
    `connectionTimeZone` says in which zone timestamps without one are meant that go into such a column.

    Needs `pip install 'headrace[mysql]'`.
    """

    name, title, kinds = "mysql", "MySQL", ("mysql", "mariadb")
    url_form = "jdbc:mysql://HOST:3306/DATABASE"
    drivers = ("mysql", "mariadb")
    sqlglot = "mysql"
    types = TABLE
    uses = frozenset({"table_options"})
    words: ClassVar[Mapping[Sql, str]] = {
        Sql.LOCK_ROW: " LOCK IN SHARE MODE",
        Sql.BIG_INTEGER: "bigint",
        Sql.TEXT: "longtext",
        Sql.KEY_TEXT: "varbinary(700)",
        Sql.BOOLEAN: "boolean",
        Sql.TABLE_SUFFIX: " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
    }

    def quote(self, name: str) -> str:
        """A name as SQL."""
        return "`" + name.replace("`", "``") + "`"

    def settings(self, login: Login) -> MysqlSettings:
        """See Dialect.settings."""
        return settings_of(login)

    def touches(self, settings: MysqlSettings) -> Iterable[tuple[str, str]]:
        """All hosts, and the files of certificates."""
        yield from (("host", str(server)) for server in settings.servers)
        yield from (("path", file) for file in settings.files)

    def open(
        self,
        settings: MysqlSettings,
        *,
        read_only: bool,
        memory: int | None = None,
        label: str = "",
        snapshot: str = "",
    ) -> Mysql:
        """See Dialect.open."""
        if snapshot:
            from headrace.connectors._jdbc.dialects.mysql.snapshot import reader_of

            return reader_of(snapshot)
        return Mysql(self, settings, read_only=read_only, label="" if read_only else label)

    def target(self, settings: MysqlSettings, table: str, database: str | None) -> Name:
        """`database.table`, or a table of the option `database`, or of the url's."""
        outer, _, name = table.rpartition(".")
        found = outer or database or settings.database
        if not found:
            raise ValueError(f"table {table}: say in which database, by the option database or in the url")
        return (found, name)

    def own_table(self, settings: MysqlSettings, schema: str | None, table: str) -> Name:
        """See Dialect.own_table."""
        found = schema or settings.database
        if not found:
            raise ValueError("url: name a database: the positions of jobs are kept there; or set positions_schema")
        return (found, table)

    def find(self, path: str, names: Sequence[Name]) -> Name | None:
        """A table alone is looked for in the url's database first: it comes first among the names."""
        return super().find(path, names)

    def declare(self, column: Column, *, in_key: bool = False) -> str:
        """See Dialect.declare."""
        return declare(column, in_key=in_key)

    def on_conflict(self, of: Statements) -> str:
        """See Dialect.on_conflict."""
        columns = self.columns(of)
        changed = of.others or of.key
        changes = (f"{columns[n]} = VALUES({columns[n]})" for n in changed)
        return f"ON DUPLICATE KEY UPDATE {', '.join(changes)}"

    def _insert_missing(self, of: Statements) -> tuple[str, tuple[str, ...]]:
        columns = self.columns(of)
        marks = ", ".join("?" * len(columns))
        sql = (
            f"INSERT INTO {self.quoted(of.table)} ({', '.join(columns.values())}) SELECT {marks} FROM DUAL "
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.quoted(of.table)} WHERE {self._is_key(of)})"
        )
        return sql, (*columns, *of.key)

    def comments(self, name: Name, table: TableSchema, columns: Mapping[str, str]) -> Iterable[str]:
        """See Dialect.comments; those of columns stand in their declarations."""
        if table.comment:
            yield f"ALTER TABLE {self.quoted(name)} COMMENT = {literal(table.comment).decode()}"

    def column_suffix(self, column: Column) -> str:
        """See Dialect.column_suffix."""
        return f" COMMENT {literal(column.comment).decode()}" if column.comment else ""

    def table_suffix(self, table_options: Mapping[str, str]) -> str:
        """`engine`, `charset`, `collate` and other options of CREATE TABLE."""
        given = {name.lower().replace("default ", ""): value for name, value in table_options.items()}
        wrong = [text for pair in given.items() for text in pair if not text.replace("_", "").isalnum()]
        if wrong:
            raise Rejected(f"table_options: {', '.join(wrong)} cannot be the name or the value of an option of a table")
        charset = given.pop("charset", given.pop("character_set", "utf8mb4"))
        engine = given.pop("engine", "InnoDB")
        rest = "".join(f" {name.upper()}={value}" for name, value in given.items())
        return f" ENGINE={engine} DEFAULT CHARSET={charset}{rest}"

    def unstorable(self, column: pa.Array, declared: str | None) -> tuple[pa.BooleanArray, str] | None:
        """See Dialect.unstorable."""
        return unstorable(column, declared or "")

    def make_database(self, settings: MysqlSettings) -> None:
        """See Dialect.make_database."""
        if settings.database and not self.is_there(settings):
            with Mysql(self, settings, read_only=False, database="") as other:
                other.execute(f"CREATE DATABASE IF NOT EXISTS {self.quote(settings.database)}")

    def is_there(self, settings: MysqlSettings) -> bool:
        """Whether the database exists."""
        try:
            Mysql(self, settings, read_only=True).close()
        except Rejected as error:
            if "Unknown database" in error.message:
                return False
            raise
        return True

    def hold_snapshot(self, settings: MysqlSettings, job: str, readers: int) -> Any:
        """See Dialect.hold_snapshot."""
        from headrace.connectors._jdbc.dialects.mysql.snapshot import Snapshot

        return Snapshot(self, settings, job, readers)


DIALECT = MysqlDialect()
