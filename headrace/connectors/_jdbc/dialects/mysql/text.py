"""Statements as MySQL writes them: where a `?` stands for a value, where one ends, and values as SQL."""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from headrace.connectors._jdbc import sql_text

_TOKEN = re.compile(
    r"""
    (?P<text>'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*")
    |(?P<name>`(?:[^`]|``)*`)
    |(?P<line>--(?=\s|$)[^\n]*|\#[^\n]*)
    |(?P<block>/\*.*?\*/)
    |(?P<mark>\?)
    |(?P<end>;)
    |(?P<word>\w[\w$]*)
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def pieces(sql: str) -> list[str]:
    """The statement, cut at each `?` that stands for a value."""
    found = [""]
    for kind, text in sql_text.tokens(_TOKEN, sql):
        if kind == "mark":
            found.append("")
        else:
            found[-1] += text
    return found


def filled(sql: str, values: Sequence[Any]) -> str | bytes:
    """The statement with a value for each `?`."""
    if not values:
        return sql
    parts = pieces(sql)
    if len(parts) != len(values) + 1:
        raise ValueError(f"the statement has {len(parts) - 1} `?`, and there are {len(values)} values")
    found = parts[0].encode()
    for value, part in zip(values, parts[1:], strict=True):
        found += literal(value) + part.encode()
    return found


def statements(sql: str) -> Iterator[str]:
    """The statements that `;` separates outside of texts, names and comments."""
    return sql_text.statements(_TOKEN, sql)


def literal(value: Any) -> bytes:
    """A value as SQL."""
    if value is None:
        return b"NULL"
    if isinstance(value, bool):
        return b"1" if value else b"0"
    if isinstance(value, int | Decimal):
        return f"{value:f}".encode() if isinstance(value, Decimal) else str(value).encode()
    if isinstance(value, float):
        return repr(value).encode()
    if isinstance(value, bytes):
        return b"_binary" + _quoted(value)
    if isinstance(value, datetime | date | time):
        return f"'{value}'".encode()
    return _quoted(str(value).encode())


def _quoted(value: bytes) -> bytes:
    return b"'" + value.replace(b"\\", b"\\\\").replace(b"'", b"''") + b"'"
