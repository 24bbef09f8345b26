"""PostgreSQL, by psycopg 3: read and written by COPY."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from headrace.connectors._jdbc.dialect import Dialect, Login, Name, Sql
from headrace.connectors._jdbc.dialects.postgresql.connection import PostgresqlSettings, settings_of
from headrace.connectors._jdbc.dialects.postgresql.database import Postgresql
from headrace.connectors._jdbc.dialects.postgresql.encoded import COPY_BINARY
from headrace.connectors._jdbc.dialects.postgresql.text import literal
from headrace.connectors._jdbc.dialects.postgresql.types import TABLE, declare
from headrace.errors import Rejected
from headrace.rows import Column, TableSchema


class PostgresqlDialect(Dialect):
    """Tables are read by binary COPY in read-only transactions on one snapshot that all tasks share, in parts of a key:
    the primary key, or a unique index that holds no null. Where the parts begin, a sample of the table's blocks tells:
    nothing is read before the first row. A table without a key is read in ranges of its blocks; views, queries and
    foreign tables in one part. A restart goes on after the last key, with a snapshot of its own.

    Rows are written by COPY; upserts with a key that is there already, updates and deletes through a temporary table.
    From PostgreSQL to PostgreSQL rows are handed on as they come, undecoded, where no transform stands between, the
    columns have the same built-in types and `verify = count`: they are counted, not hashed. What the database refuses
    is set aside with its reason, the other rows arrive. Jobs that stop in the middle of a transaction, by a deadlock or
    a lost connection, go on after the last commit, up to `job.retry.times`.

    Needs `pip install 'headrace[postgresql]'`.
    """

    name, title, kinds = "postgresql", "PostgreSQL", ("postgresql", "postgres")
    url_form = "jdbc:postgresql://HOST:5432/DATABASE"
    drivers = ("postgresql",)
    sqlglot = "postgres"
    bulk = True
    usual_schema = "public"
    accepts = frozenset({COPY_BINARY})
    types = TABLE
    uses = frozenset({"table_options"})
    idle: ClassVar[Mapping[str, str]] = {}
    words: ClassVar[Mapping[Sql, str]] = {
        Sql.LOCK_ROW: " FOR SHARE",
        Sql.BIG_INTEGER: "bigint",
        Sql.TEXT: "text",
        Sql.KEY_TEXT: "text",
        Sql.BOOLEAN: "boolean",
        Sql.TABLE_SUFFIX: "",
    }

    def schemes(self) -> tuple[str, ...]:
        """People write it short, too."""
        return ("postgres", *self.kinds)

    def settings(self, login: Login) -> PostgresqlSettings:
        """See Dialect.settings."""
        return settings_of(login)

    def touches(self, settings: PostgresqlSettings) -> Iterable[tuple[str, str]]:
        """All hosts, and the files of certificates."""
        yield from (("host", str(server)) for server in settings.servers)
        yield from (("path", file) for file in settings.files if file != "system")

    def open(
        self,
        settings: PostgresqlSettings,
        *,
        read_only: bool,
        memory: int | None = None,
        label: str = "",
        snapshot: str = "",
    ) -> Postgresql:
        """See Dialect.open."""
        return Postgresql(self, settings, read_only=read_only, label=label, snapshot=snapshot)

    def target(self, settings: PostgresqlSettings, table: str, database: str | None) -> Name:
        """`schema.table`, or a table as the search path finds it; a database before them must be that of the url."""
        *outer, name = table.split(".", 2)
        if len(outer) == 2:
            database, *outer = outer
        if database and database.lower() != settings.database.lower():
            raise ValueError(
                f"table {table} is to lie in the database {database}, and the url leads to {settings.database}; a "
                "connection has one database"
            )
        return (*(part for part in outer if part), name)

    def find(self, path: str, names: Sequence[Name]) -> Name | None:
        """A table alone is looked for in `public` first."""
        return super().find(path, sorted(names, key=lambda name: name[0] != "public"))

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
        """`tablespace`, and storage parameters such as `fillfactor`."""
        storage = {name: value for name, value in table_options.items() if name.lower() != "tablespace"}
        wrong = [name for name in storage if not name.replace("_", "").replace(".", "").isalnum()]
        if wrong:
            raise Rejected(f"table_options: {', '.join(wrong)} cannot be the name of an option of a table")
        end = f" WITH ({', '.join(f'{name} = {literal(value)}' for name, value in storage.items())})" if storage else ""
        space = next((value for name, value in table_options.items() if name.lower() == "tablespace"), None)
        return f"{end} TABLESPACE {self.quote(space)}" if space else end

    def make_database(self, settings: PostgresqlSettings) -> None:
        """See Dialect.make_database."""
        try:
            Postgresql(self, settings, read_only=False).close()
            return
        except Rejected as error:
            if "does not exist" not in error.message:
                raise
        with Postgresql(self, settings, read_only=False, database="postgres") as other:
            other.execute(f"CREATE DATABASE {self.quote(settings.database)}")

    def is_there(self, settings: PostgresqlSettings) -> bool:
        """Whether the database exists."""
        try:
            Postgresql(self, settings, read_only=True).close()
        except Rejected as error:
            if "does not exist" in error.message:
                return False
            raise
        return True

    def hold_snapshot(self, settings: PostgresqlSettings, job: str, readers: int) -> Any:
        """See Dialect.hold_snapshot."""
        from headrace.connectors._jdbc.dialects.postgresql.snapshot import Snapshot

        return Snapshot(self, settings, job)


DIALECT = PostgresqlDialect()
