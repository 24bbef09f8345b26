"""Texts in SQL, as far as they are read alike for all databases."""

import re
from collections.abc import Iterator


def tokens(pattern: re.Pattern[str], sql: str) -> Iterator[tuple[str, str]]:
    """The kind of each token, which is the name of its group, and its text; they make up the whole text."""
    for match in pattern.finditer(sql):
        yield match.lastgroup or "other", match[0]


def statements(pattern: re.Pattern[str], sql: str) -> Iterator[str]:
    """The statements that tokens of the kind `end` separate."""
    part = ""
    for kind, text in tokens(pattern, sql):
        if kind == "end":
            if part.strip():
                yield part
            part = ""
        else:
            part += text
    if part.strip():
        yield part
