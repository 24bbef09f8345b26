"""Texts from outside, such as file names, rows in errors and job names, as they can be stored and safely read."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""A database may refuse the character 0, and UTF-8 has no half surrogates."""

_UNREADABLE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Beside them what moves a terminal's cursor, changes its colours, or turns the direction of reading around."""


def storable(text: str, most: int | None = None) -> str:
    """The text with what no store takes written as an escape; one of more than `most` characters without its middle."""
    if most is not None and len(text) > most:
        half = most // 2
        text = f"{text[:half]} … ({len(text) - 2 * half:,} characters are left out here) … {text[-half:]}"
    return _UNSTORABLE.sub(_escape, text)


def readable(text: str) -> str:
    """The text as people may read it: control characters but tab and line end are written as escapes."""
    return _UNREADABLE.sub(_escape, text)


MOST_NAMES = 8
"""Names that a message shows."""


def near_names(names: Iterable[str], wanted: str) -> str:
    """Names that are there instead of `wanted`, those that resemble it first; hidden ones are left out."""
    shown = sorted(name for name in names if not name.startswith("."))
    close = get_close_matches(wanted, shown, MOST_NAMES)
    found = list(dict.fromkeys([*close, *shown]))
    return ", ".join(found[:MOST_NAMES]) + (", …" if len(found) > MOST_NAMES else "")


_AN = re.compile(r"[aeio]|x[^aeiou]", re.IGNORECASE)
"""How what follows `an` begins: `an INT`, `an xlsx file`."""


def with_article(noun: str) -> str:
    """`a STRING`, `an INT`."""
    return f"{'an' if _AN.match(noun) else 'a'} {noun}"


def storable_values(value: Any) -> Any:
    """Nested values, as those of JSON, with every text in them storable."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable_values(key): storable_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable_values(item) for item in value]
    return value


def _escape(match: re.Match[str]) -> str:
    """A byte that is not UTF-8, as Python keeps it in file names (PEP 383), is written as that byte."""
    number = ord(match[0])
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
