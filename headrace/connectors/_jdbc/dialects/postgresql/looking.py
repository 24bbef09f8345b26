"""What of a PostgreSQL server is in the way of a job, with its cure."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from headrace.connector import Problem

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.postgresql.database import Postgresql

OLDEST = 120_000
"""The oldest version that is asked for nothing it does not know."""


def look(database: "Postgresql", *, writes: bool) -> Iterator[Problem]:
    """The version, the encoding, whether it can be written to, and the settings that end long transactions."""
    version = database.connection.info.server_version
    if version < OLDEST:
        yield Problem("url", f"{database.shown} is PostgreSQL {version // 10000}", "use 12 or newer")
    [(encoding, standby, read_only, creates)] = database.execute(
        "SELECT current_setting('server_encoding'), pg_is_in_recovery(), "
        "current_setting('default_transaction_read_only'), "
        "has_database_privilege(current_database(), 'CREATE') "
        "OR coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"
    )
    if encoding == "SQL_ASCII":
        yield Problem("url", f"{database.shown} does not check its texts (SQL_ASCII)", "texts that are not UTF-8 are "
                      "bad rows; make the database with the encoding UTF8")  # fmt: skip
    if not writes:
        return
    if standby:
        cure = "name the primary, or set the parameter targetServerType=primary"
        yield Problem("url", f"{database.shown} is a standby, which is only read", cure)
    elif read_only == "on":
        yield Problem("url", f"{database.shown} is only read (default_transaction_read_only)", "set it to off")
    if not creates:
        user = database.connection.info.user
        cure = "grant it CREATE on the schema, or make the tables beforehand and name them by positions_schema"
        yield Problem("user", f"{user} may not create tables in {database.shown}", cure)
