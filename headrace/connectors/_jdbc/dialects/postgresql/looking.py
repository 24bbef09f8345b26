"""What of a PostgreSQL server keeps a sink from writing, with its cure."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from headrace.connector import Problem

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
