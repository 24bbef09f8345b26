"""What of a server keeps a sink from writing, or slows a job down, with its cure; and what the login may do there."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from headrace.connector import Problem
from headrace.connectors._jdbc.dialect import Name, Right, Uses

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.mysql.database import Mysql

OLDEST = (5, 6)

ROOMY = 16 << 20
"""Bytes of `max_allowed_packet` that are enough for nearly every row."""

_OTHERWISE = ("ANSI_QUOTES", "PIPES_AS_CONCAT", "NO_BACKSLASH_ESCAPES", "IGNORE_SPACE", "REAL_AS_FLOAT",
              "HIGH_NOT_PRECEDENCE", "NO_UNSIGNED_SUBTRACTION", "PAD_CHAR_TO_FULL_LENGTH")  # fmt: skip
"""Modes by which the server reads a statement, or counts, otherwise than the sessions of jobs."""

_NOW = re.compile(
    r"\b(now|sysdate|curdate|curtime|current_date|current_time|current_timestamp|localtime|localtimestamp|from_unixtime|"
    r"unix_timestamp)\b",
    re.IGNORECASE,
)


def version_of(text: str) -> tuple[int, ...]:
    """`5.6.24-log`, `10.11.6-MariaDB`; MariaDB's may begin with 5.5.5- for old clients."""
    plain = text.removeprefix("5.5.5-") if "MariaDB" in text else text
    return tuple(int(part) for part in plain.split("-")[0].split(".") if part.isdecimal())


# ------------------------------------------------------------------------------------------------ what keeps a sink


def look(database: "Mysql") -> Iterator[Problem]:
    """The version, and whether the server takes writes."""
    [(version, read_only)] = database.execute("SELECT VERSION(), @@global.read_only")
    yield from _too_old(database, version)
    if read_only and not _may_write_all_the_same(database):
        cure = "name the primary, or SET GLOBAL read_only = OFF there"
        yield Problem("url", f"{database.shown} is only read (read_only), as replicas are", cure)


def _too_old(database: "Mysql", version: str) -> Iterator[Problem]:
    if version_of(version) < OLDEST:
        yield Problem("url", f"{database.shown} is version {version}", "use MySQL 5.6 or MariaDB 10.0, or newer")


def _may_write_all_the_same(database: "Mysql") -> bool:
    rights = " ".join(str(row[0]) for row in database.execute("SHOW GRANTS"))
    return any(right in rights for right in ("ALL PRIVILEGES ON *.*", "SUPER", "READ_ONLY ADMIN", "CONNECTION_ADMIN"))


# ------------------------------------------------------------------------------------------- what could be better


def advise(database: "Mysql", uses: Uses) -> Iterator[Problem]:
    """The settings that matter to a job. The sessions of jobs have a mode, a time zone and waits of their own."""
    [(version, packet, mode, zone, system)] = database.execute(
        "SELECT VERSION(), @@global.max_allowed_packet, @@global.sql_mode, @@global.time_zone, @@system_time_zone"
    )
    if uses.inserts:
        yield from _advise_sink(database, packet)
    else:
        yield from _too_old(database, version)
    otherwise = ", ".join(name for name in _OTHERWISE if name in mode.split(","))
    if uses.sql and otherwise:
        text = f"the sql_mode of {database.shown} has {otherwise}, which statements of this job do not get"
        yield Problem("query", text, "write them as MySQL reads them without it: 'text', `name`, concat(a, b)")
    there = system if zone == "SYSTEM" else zone
    if there not in ("UTC", "+00:00") and (found := _NOW.search(uses.sql)):
        text = f"{found[0]} is told in UTC here, though the time zone of {database.shown} is {there}"
        yield Problem("query", text, f"use CONVERT_TZ(…, '+00:00', '{there}') where the server's clock is meant")


def _advise_sink(database: "Mysql", packet: int) -> Iterator[Problem]:
    if packet < ROOMY:
        text = (
            f"{database.shown} takes rows of less than {packet:,} bytes (max_allowed_packet); bigger ones are bad rows"
        )
        yield Problem("url", text, f"SET GLOBAL max_allowed_packet = {ROOMY << 2}, and in the server's configuration")
    if reason := database.does_not_load():
        yield Problem(
            "url", f"rows are inserted into {database.shown}, not loaded, which is slower: {reason[0]}", reason[1]
        )


# ------------------------------------------------------------------------------------------------------- rights


class _Grant(NamedTuple):
    """A right to what is called so. table: empty for all tables of the schemas. is_pattern: whether `schema` is one."""

    schema: str
    table: str
    right: str
    is_pattern: int

    def is_for(self, schema: str, table: str) -> bool:
        if self.table and self.table.lower() != table.lower():
            return False
        if not self.is_pattern:
            return self.schema.lower() == schema.lower()
        return re.fullmatch(_as_regex(self.schema), schema, re.IGNORECASE | re.DOTALL) is not None


def _as_regex(pattern: str) -> str:
    r"""A pattern of LIKE: `%` is any text, `_` any character, `\` takes the meaning of the next."""
    found = re.findall(r"\\(.)|(.)", pattern, re.DOTALL)
    return "".join(
        re.escape(said) if said else {"%": ".*", "_": "."}.get(sign, re.escape(sign)) for said, sign in found
    )


class Rights:
    """What the login of a connection may do, asked once."""

    def __init__(self, database: "Mysql") -> None:
        granted = [str(row[0]) for row in database.execute("SHOW GRANTS")]
        self._is_known = not any(" ON " not in text or text.rstrip().endswith("PUBLIC") for text in granted)
        self._here, self._grants = "", list[_Grant]()
        if not self._is_known:  # what comes by a role, or from everybody's rights, is not listed
            return
        [(grantee, here)] = database.execute(
            "SELECT CONCAT(CHAR(39), LEFT(u, CHAR_LENGTH(u) - CHAR_LENGTH(h) - 1), CHAR(39), '@', CHAR(39), h, "
            "CHAR(39)), DATABASE() "
            "FROM (SELECT CURRENT_USER() AS u, SUBSTRING_INDEX(CURRENT_USER(), '@', -1) AS h) s"
        )
        of = "privilege_type, {} FROM information_schema.{} WHERE grantee = ?"
        rows = database.execute(
            " UNION ALL ".join(
                f"SELECT {schema}, {table}, {of.format(is_pattern, view)}"
                for schema, table, is_pattern, view in (
                    ("'%'", "''", 1, "user_privileges"),
                    ("table_schema", "''", 1, "schema_privileges"),
                    ("table_schema", "table_name", 0, "table_privileges"),
                    ("table_schema", "table_name", 0, "column_privileges"),
                )
            ),
            (grantee,) * 4,
        )
        self._here, self._grants = here or "", list({_Grant(*row) for row in rows})

    def lacking(self, name: Name, rights: Sequence[Right]) -> list[Right]:
        """See Database.lacks."""
        if not self._is_known:
            return []
        *outer, table = name
        schema = outer[-1] if outer else self._here
        has = {grant.right.upper() for grant in self._grants if grant.is_for(schema, table)}
        return [right for right in rights if right not in has]
