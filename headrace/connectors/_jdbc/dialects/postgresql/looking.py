"""What of a PostgreSQL server keeps a sink from writing, with its cure."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from headrace.connector import Problem
from headrace.connectors._jdbc.dialect import Name, Right

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.postgresql.database import Postgresql

OLDEST = 120_000
"""The oldest version that is asked for nothing it does not know."""


def look(database: "Postgresql") -> Iterator[Problem]:
    """The version, and whether the server and the login take writes."""
    version = database.connection.info.server_version
    if version < OLDEST:
        yield Problem("url", f"{database.shown} is PostgreSQL {version // 10_000}", "use 12 or newer")
    [(is_standby, read_only)] = database.execute(
        "SELECT pg_is_in_recovery(), (SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_read_only')"
    )
    if is_standby:
        cure = "name the primary, or set the parameter targetServerType=primary"
        yield Problem("url", f"{database.shown} is a standby, which is only read", cure)
    elif read_only == "on":
        cure = "ALTER ROLE or ALTER DATABASE … SET default_transaction_read_only = off"
        yield Problem("url", f"{database.shown} is only read (default_transaction_read_only)", cure)


def lacks(database: "Postgresql", name: Name, rights: Sequence[Right]) -> list[Right]:
    """See Database.lacks. A right to some of the columns counts; a schema that is missing is made in the database."""
    found = []
    for right in rights:
        if right is Right.CREATE:
            [(may,)] = database.execute(
                "SELECT CASE WHEN n IS NULL OR to_regnamespace(quote_ident(n)) IS NULL "
                "THEN has_database_privilege(current_database(), 'CREATE') ELSE has_schema_privilege(n, 'CREATE') END "
                "FROM (SELECT coalesce(?, current_schema()::text) AS n) s",
                (name[-2] if len(name) > 1 else None,),
            )
        else:
            any_column = f" OR has_any_column_privilege(t, '{right}')" if right is not Right.DELETE else ""
            [(may,)] = database.execute(
                f"SELECT has_table_privilege(t, '{right}'){any_column} FROM (SELECT to_regclass(?)::oid AS t) s",
                (database.dialect.quoted(name),),
            )
        found += [right] if may is False else []
    return found
