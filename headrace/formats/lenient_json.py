"""JSON as Java's json-smart reads it in its permissive mode: keys and texts without quotes, or in single ones.

SeaTunnel's JsonPath reads documents that way, so documents that are not quite JSON work there.
"""

import re
from typing import Any

_BARE = re.compile(r"[^,:\[\]{}]*")
_BARE_VALUE = re.compile(r"[^,\[\]{}]*")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?\Z")
_BLANK = re.compile(r"\s*")
_WORDS = {"true": True, "false": False, "null": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def loads(text: str) -> Any:
    """The document. Raises ValueError naming the place where a bracket or quote is missing."""
    value, at = _value(text, 0)
    if _skip(text, at) < len(text):
        raise ValueError(f"unexpected {text[at : at + 10]!r} at character {at + 1}")
    return value


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    assert match is not None
    return match.end()


def _value(text: str, at: int) -> tuple[Any, int]:
    at = _skip(text, at)
    char = text[at : at + 1]
    if char == "{":
        return _object(text, at + 1)
    if char == "[":
        return _array(text, at + 1)
    if char in ('"', "'"):
        return _quoted(text, at)
    match = _BARE_VALUE.match(text, at)
    assert match is not None
    return _bare(match[0].strip()), match.end()


def _bare(word: str) -> Any:
    if word in _WORDS:
        return _WORDS[word]
    if _NUMBER.match(word):
        return int(word) if word.lstrip("-").isdigit() else float(word)
    return word


def _object(text: str, at: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while True:
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            return found, at + 1
        if text[at : at + 1] in ('"', "'"):
            key, at = _quoted(text, at)
        else:
            match = _BARE.match(text, at)
            assert match is not None
            key, at = match[0].strip(), match.end()
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise ValueError(f"a colon is missing at character {at + 1}")
        found[key], at = _value(text, at + 1)
        at = _separator(text, at, "}")


def _array(text: str, at: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    while True:
        at = _skip(text, at)
        if text[at : at + 1] == "]":
            return found, at + 1
        item, at = _value(text, at)
        found.append(item)
        at = _separator(text, at, "]")


def _separator(text: str, at: int, end: str) -> int:
    at = _skip(text, at)
    char = text[at : at + 1]
    if char == ",":
        return at + 1
    if char != end:
        raise ValueError(f"{end!r} or a comma is missing at character {at + 1}")
    return at


def _quoted(text: str, at: int) -> tuple[str, int]:
    quote, start = text[at], at
    out: list[str] = []
    at += 1
    while at < len(text):
        char = text[at]
        if char == quote:
            joined = "".join(out).encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # pairs of \\u escapes
            return joined, at + 1
        if char == "\\" and at + 1 < len(text):
            at += 1
            if text[at] == "u" and re.fullmatch(r"[0-9a-fA-F]{4}", text[at + 1 : at + 5]):
                out.append(chr(int(text[at + 1 : at + 5], 16)))
                at += 4
            else:
                out.append(_ESCAPES.get(text[at], text[at]))
        else:
            out.append(char)
        at += 1
    raise ValueError(f"the quote of character {start + 1} is not closed")
