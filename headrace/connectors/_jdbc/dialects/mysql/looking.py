"""What of a server keeps a sink from writing, or slows it down, with its cure."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from headrace.connector import Problem
from headrace.connectors._jdbc.dialect import Name, Right

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.mysql.database import Mysql

OLDEST = (5, 6)


def version_of(text: str) -> tuple[int, ...]:
    """`5.6.24-log`, `10.11.6-MariaDB`; MariaDB's may begin with 5.5.5- for old clients."""
    plain = text.removeprefix("5.5.5-") if "MariaDB" in text else text
    return tuple(int(part) for part in plain.split("-")[0].split(".") if part.isdecimal())


def look(database: "Mysql") -> Iterator[Problem]:
    """The version, and whether the server takes writes."""
    [(version, read_only)] = database.execute("SELECT VERSION(), @@global.read_only")
    if version_of(version) < OLDEST:
        yield Problem("url", f"{database.shown} is version {version}", "use MySQL 5.6 or MariaDB 10.0, or newer")
    if read_only and not _may_write_all_the_same(database):
        cure = "name the primary, or SET GLOBAL read_only = OFF there"
        yield Problem("url", f"{database.shown} is only read (read_only), as replicas are", cure)


def _may_write_all_the_same(database: "Mysql") -> bool:
    rights = " ".join(str(row[0]) for row in database.execute("SHOW GRANTS"))
    return any(right in rights for right in ("ALL PRIVILEGES ON *.*", "SUPER", "READ_ONLY ADMIN", "CONNECTION_ADMIN"))


def lacks(database: "Mysql", name: Name, rights: Sequence[Right]) -> list[Right]:
    """See Database.lacks. What comes by a role, or from everybody's rights, is not listed: then nothing is known."""
    granted = [str(row[0]) for row in database.execute("SHOW GRANTS")]
    if any(" ON " not in text or text.rstrip().endswith("PUBLIC") for text in granted):
        return []
    *outer, table = name
    [(grantee, schema)] = database.execute(
        "SELECT CONCAT(CHAR(39), LEFT(u, CHAR_LENGTH(u) - CHAR_LENGTH(h) - 1), CHAR(39), '@', CHAR(39), h, CHAR(39)), "
        "coalesce(?, DATABASE()) "
        "FROM (SELECT CURRENT_USER() AS u, SUBSTRING_INDEX(CURRENT_USER(), '@', -1) AS h) s",
        (outer[-1] if outer else None,),
    )
    of = "SELECT privilege_type FROM information_schema."
    rows = database.execute(
        f"{of}user_privileges WHERE grantee = ? UNION {of}schema_privileges WHERE grantee = ? AND ? LIKE table_schema "
        f"UNION {of}table_privileges WHERE grantee = ? AND table_schema = ? AND table_name = ? "
        f"UNION {of}column_privileges WHERE grantee = ? AND table_schema = ? AND table_name = ?",
        (grantee, grantee, schema, grantee, schema, table, grantee, schema, table),
    )
    has = {str(row[0]).upper() for row in rows}
    return [right for right in rights if right not in has]
