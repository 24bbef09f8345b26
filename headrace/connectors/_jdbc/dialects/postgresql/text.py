"""Statements as PostgreSQL writes them: where a `?` stands for a value, and where a statement ends."""

import re
from collections.abc import Iterator

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


def _tokens(sql: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(sql):
        yield match.lastgroup or "other", match[0]


def with_places(sql: str) -> tuple[str, int]:
    """The statement with `%s` for each `?`, and how many there are; `??` is the operator `?`, as in Java's driver."""
    parts, count = [], 0
    for kind, text in _tokens(sql):
        if kind == "mark":
            parts.append("%s")
            count += 1
        else:
            parts.append("?" if kind == "escaped" else text.replace("%", "%%"))
    return "".join(parts), count


def with_numbers(sql: str) -> str:
    """The statement with `$1`, `$2` for each `?`."""
    parts, count = [], 0
    for kind, text in _tokens(sql):
        if kind == "mark":
            count += 1
            parts.append(f"${count}")
        else:
            parts.append("?" if kind == "escaped" else text)
    return "".join(parts)


def statements(sql: str) -> Iterator[str]:
    """The statements that `;` separates outside of texts, names and comments."""
    part = ""
    for kind, text in _tokens(sql):
        if kind == "end":
            if part.strip():
                yield part
            part = ""
        else:
            part += text
    if part.strip():
        yield part


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"
