"""What of a PostgreSQL server keeps a sink from writing, or ends what a job does, with its cure."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from headrace.connector import Problem
from headrace.connectors._jdbc.dialect import Name, Right, Uses

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.postgresql.database import Postgresql

OLDEST = 120_000
"""The oldest version that is asked for nothing it does not know."""


def look(database: "Postgresql") -> Iterator[Problem]:
    """The version, and whether the server and the login take writes."""
    yield from _too_old(database)
    [(is_standby, read_only)] = database.execute(
        "SELECT pg_is_in_recovery(), (SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_read_only')"
    )
    if is_standby:
        cure = "name the primary, or set the parameter targetServerType=primary"
        yield Problem("url", f"{database.shown} is a standby, which is only read", cure)
    elif read_only == "on":
        cure = "ALTER ROLE or ALTER DATABASE … SET default_transaction_read_only = off"
        yield Problem("url", f"{database.shown} is only read (default_transaction_read_only)", cure)


def _too_old(database: "Postgresql") -> Iterator[Problem]:
    version = database.connection.info.server_version
    if version < OLDEST:
        yield Problem("url", f"{database.shown} is PostgreSQL {version // 10_000}", "use 12 or newer")


_ENDS = {
    "statement_timeout": "a part of a table whose reading, or rows whose writing, takes longer",
    "transaction_timeout": "a read, or what is written between two checkpoints, that takes longer",
    "idle_session_timeout": "a connection that waits longer for rows",
    "lock_timeout": "a statement that waits longer for others",
}
"""Settings that end what a job does, and what that is."""

_NOW = re.compile(r"\b(current_date|current_time|localtime|localtimestamp)\b", re.IGNORECASE)
"""What depends on the time zone of a session."""


def advise(database: "Postgresql", uses: Uses) -> Iterator[Problem]:
    """The settings that matter to a job, as its sessions have them; they have a time zone of their own."""
    if not uses.inserts:
        yield from _too_old(database)
    marks = ", ".join("?" * len(_ENDS))
    for name, setting in database.execute(
        f"SELECT name, current_setting(name) FROM pg_settings WHERE name IN ({marks}) AND setting <> '0' ORDER BY name",
        tuple(_ENDS),
    ):
        text = f"{name} is {setting} in {database.shown}, which ends {_ENDS[name]}"
        yield Problem("url", text, f"ALTER ROLE {database.dialect.quote(database.connection.info.user)} SET {name} = 0")
    [(zone,)] = database.execute("SELECT reset_val FROM pg_settings WHERE name = 'log_timezone'")
    if zone not in ("UTC", "Etc/UTC", "GMT") and (found := _NOW.search(uses.sql)):
        text = f"{found[0]} is told in UTC here, though {database.shown} keeps its log in {zone}"
        yield Problem("query", text, f"write now() AT TIME ZONE '{zone}' where the clock there is meant")


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
