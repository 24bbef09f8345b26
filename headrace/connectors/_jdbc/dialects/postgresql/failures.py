"""What PostgreSQL's errors mean (postgresql.org/docs/current/errcodes-appendix.html)."""

import re
from typing import Any

from headrace.connectors._jdbc.dialects.postgresql.connection import PostgresqlSettings
from headrace.errors import Rejected, Unavailable

_ROW = ("22", "23")
"""Classes of errors that a row's values cause: data exceptions, and constraints."""

_ROW_CODES = {"21000", "P0001", "44000", "54000"}
"""A row that a statement would touch twice; what a trigger says; what a view's check says; what is too big."""

_AGAIN = ("08", "40", "53", "57", "58")
"""Classes of errors that may be over when it is tried again: connection, rollback, resources, operator, system."""

_AGAIN_CODES = {"55P03", "55006", "25P03", "25006"}
"""A lock that is not given; an object in use; a transaction that idled; a server that is only read, as after a
failover."""


def state_of(error: Any) -> str:
    """The five letters of an error; empty where the server said nothing."""
    return getattr(error, "sqlstate", None) or ""


def is_of_row(error: Any) -> bool:
    """Whether a row is refused for what it holds."""
    state = state_of(error)
    return state.startswith(_ROW) or state in _ROW_CODES


def is_of_statement(error: Any) -> bool:
    """Whether the server does not take such a statement there: a feature that is missing, no right, a wrong type."""
    return state_of(error).startswith(("0A", "42"))


def reason_of(error: Any) -> str:
    """The server's words for a refused row."""
    found = error.diag
    parts = [found.message_primary or str(error), found.message_detail]
    text = "; ".join(part for part in parts if part)
    column = re.search(r", column ([^:]+):", found.context or "")
    named = found.column_name or (column[1] if column else "")
    return f"column {named}: {text}" if named and named not in text else text


def line_of(error: Any) -> int | None:
    """The line of a COPY that is at fault, from 1; None where the server does not say."""
    found = re.match(r"COPY .*?, line (\d+)", error.diag.context or "", re.DOTALL)
    return int(found[1]) if found else None


def meaning(error: Any, settings: PostgresqlSettings, *, read_only: bool = False) -> Rejected | Unavailable:
    """The error as one of ours, with the cure."""
    state, where = state_of(error), settings.shown
    text = _text(error)
    if not state:
        return _unreached(text, where)
    if state == "25006" and read_only:
        return Rejected(f"{where}: {text}; a source only reads")
    if state.startswith(_AGAIN) or state in _AGAIN_CODES:
        return Unavailable(f"cannot use {where}: {text}")
    if state in ("28P01", "28000"):
        return Rejected(f"cannot log in to {where}: {text}; check user and password, and the server's pg_hba.conf")
    if state == "3D000":
        return Rejected(f"cannot open {where}: {text}; create it, or check the url")
    if state == "42501":
        return Rejected(f"{where}: {text}; grant the login the right to it")
    return Rejected(f"{where}: {text}")


def _text(error: Any) -> str:
    found = getattr(error, "diag", None)
    if found is None or not found.message_primary:
        return " ".join(str(error).split())
    return "; ".join(filter(None, (found.message_primary, found.message_detail, found.message_hint)))


def _unreached(text: str, where: str) -> Rejected | Unavailable:
    """What libpq says before there is an answer of the server, and when it has gone."""
    for sign, cure in _FOR_GOOD.items():
        if sign in text:
            return Rejected(f"cannot connect to {where}: {text}; {cure}")
    return Unavailable(f"cannot reach {where}: {text}")


_FOR_GOOD = {
    "certificate verify failed": "check sslrootcert, and whether the server's certificate is meant for this host",
    "does not match host name": "connect by the name in the server's certificate, or use sslmode=verify-ca",
    "root certificate file": "check sslrootcert",
    "certificate file": "check sslcert",
    "private key file": "check sslkey; it must not be readable by others",
    "server does not support SSL": "use sslmode=prefer, or switch on ssl at the server",
    "password authentication failed": "check user and password, and the server's pg_hba.conf",
    "no password supplied": "set the option password",
    "no pg_hba.conf entry": "add the login to the server's pg_hba.conf",
    "does not exist": "create it, or check the url",
}
