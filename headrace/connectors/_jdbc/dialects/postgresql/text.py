"""Statements as PostgreSQL writes them: where a `?` stands for a value, and where a statement ends."""

import re
from collections.abc import Iterator

from headrace.connectors._jdbc import sql_text

_TOKEN = re.compile(
    r"""
    (?P<text>[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*')
    |(?P<name>"(?:[^"]|"")*")
    |(?P<dollar>\$(?P<tag>[^\W\d]\w*)?\$.*?\$(?P=tag)\$|\$\$.*?\$\$)
    |(?P<line>--[^\n]*)
    |(?P<block>/\*.*?\*/)
    |(?P<escaped>\?\?)
    |(?P<mark>\?)
    |(?P<end>;)
    |(?P<word>\w[\w$]*)
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def with_places(sql: str) -> tuple[str, int]:
    """The statement with `%s` for each `?`, and how many there are; `??` is the operator `?`, as in Java's driver."""
    parts, count = [], 0
    for kind, text in sql_text.tokens(_TOKEN, sql):
        if kind == "mark":
            parts.append("%s")
            count += 1
        else:
            parts.append("?" if kind == "escaped" else text.replace("%", "%%"))
    return "".join(parts), count


def with_numbers(sql: str) -> str:
    """The statement with `$1`, `$2` for each `?`."""
    parts, count = [], 0
    for kind, text in sql_text.tokens(_TOKEN, sql):
        if kind == "mark":
            count += 1
            parts.append(f"${count}")
        else:
            parts.append("?" if kind == "escaped" else text)
    return "".join(parts)


def statements(sql: str) -> Iterator[str]:
    """The statements that `;` separates outside of texts, names and comments."""
    return sql_text.statements(_TOKEN, sql)


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"
