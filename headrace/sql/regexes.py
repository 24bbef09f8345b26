"""Java's regular expressions, as SeaTunnel's functions take them, for Python's `re`."""

import re
from functools import lru_cache

_CLASSES = {
    "d": "0-9",
    "w": "a-zA-Z0-9_",
    "s": r" \t\n\x0b\f\r",
    "h": r" \t\xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000",
    "v": r"\n\x0b\f\r\x85\u2028\u2029",
}
_PROPERTIES = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Punct": r"!-/:-@\[-`{-~",
    "Blank": r" \t",
    "Space": r" \t\n\x0b\f\r",
    "XDigit": "0-9a-fA-F",
    "ASCII": r"\x00-\x7f",
    "IsHan": r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
}
_TOKEN = re.compile(
    r"\\Q(.*?)(?:\\E|\Z)|\\p\{(\w+)\}|\\P\{(\w+)\}|\\k<(\w+)>|\\(.)|\(\?<([A-Za-z])|(\[\^?)|(\])|.", re.DOTALL
)
_FLAGS = {"i": re.IGNORECASE, "n": re.DOTALL, "m": re.MULTILINE}


def flags_of(text: str | None) -> int:
    """The flags that `i`, `c`, `n` and `m` stand for; `c` takes `i` back. Raises ValueError for other letters."""
    flags = 0
    for letter in text or "":
        if letter == "c":
            flags &= ~re.IGNORECASE
        elif letter in _FLAGS:
            flags |= _FLAGS[letter]
        else:
            raise ValueError(f"flag {letter!r} is none of i, c, n and m")
    return flags


@lru_cache(512)
def compiled(pattern: str, flags: str | None = None) -> re.Pattern[str]:
    """The pattern for Python. Raises ValueError when it is none."""
    try:
        return re.compile(_for_python(pattern), flags_of(flags))
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error


def _for_python(pattern: str) -> str:
    inside = False
    out = []
    for match in _TOKEN.finditer(pattern):
        quoted, prop, no_prop, back, escape, group, opens, closes = match.groups()
        if quoted is not None:
            out.append(re.escape(quoted))
        elif prop or no_prop:
            out.append(_set(_property(prop or no_prop), inside, bool(no_prop)))
        elif back:
            out.append(f"(?P={back})")
        elif escape is not None:
            out.append(_escape(escape, inside))
        elif group and not inside:
            out.append(f"(?P<{group}")
        else:
            if opens and inside:
                raise ValueError(f"{pattern!r} has a set within a set, which only Java reads")
            inside = bool(opens) or (inside and not closes)
            out.append(match[0])
    return "".join(out)


def _property(name: str) -> str:
    if name not in _PROPERTIES:
        raise ValueError(f"\\p{{{name}}} is not known; known are {', '.join(_PROPERTIES)}")
    return _PROPERTIES[name]


def _escape(letter: str, inside: bool) -> str:
    if letter.lower() in _CLASSES:
        return _set(_CLASSES[letter.lower()], inside, letter.isupper())
    if letter == "z":
        return r"\Z"
    if letter == "Z":
        return r"(?=\n?\Z)"
    if letter == "R":
        return r"(?:\r\n|[\n\x0b\f\r\x85\u2028\u2029])"
    if letter == "e":
        return r"\x1b"
    return f"\\{letter}"


def _set(members: str, inside: bool, negated: bool) -> str:
    if not inside:
        return f"[{'^' if negated else ''}{members}]"
    if negated:
        raise ValueError("a negated class within a set, such as [\\W_], is not supported; write its characters")
    return members


def replacement(text: str) -> str:
    """The replacement of Java's `replaceAll` for `re.sub`: `$1` and `${name}` are groups, `\\` quotes."""

    def convert(match: re.Match[str]) -> str:
        quoted, number, name = match.groups()
        if quoted is not None:
            return "\\\\" if quoted == "\\" else quoted
        return f"\\g<{number or name}>"

    return re.sub(r"\\(.)|\$(\d)|\$\{(\w+)\}", convert, text)


def for_arrow(pattern: str, flags: str | None) -> str | None:
    """The pattern for Arrow's own engine, or None where that one might find something else than Java.

    It is much faster. What may match nothing at all is left to Python, since the engines go on differently after it.
    """
    python = compiled(pattern, flags)
    if python.match("") or re.search(r"\\[^dws.+*?()\[\]{}|\\/-]|\(\?|[$^]|[*+?}][+]|[^\x00-\x7f]", pattern):
        return None
    letters = "".join({"n": "s"}.get(f, f) for f in "inm" if flags_of(flags) & _FLAGS[f])
    return f"(?{letters}){pattern}" if letters else pattern
