"""Regular expressions as SeaTunnel's functions take them: Java's, with flags as letters."""

import re
from functools import lru_cache

from headrace.javaregex import compile_regex

_FLAGS = {"i": re.IGNORECASE, "n": re.DOTALL, "m": re.MULTILINE}
_OTHER_IN_ARROW = re.compile(
    r"\\[^dws.+*?()\[\]{}|\\/-]|\(\?|[$^]|[*+?}][+]|[^\x00-\x7f]|&&|\[[^\]]*(?<!\\)\[|\[[^\]]*\\[dws]-"
)
"""What Arrow's engine reads in another way, or not at all."""


def flags_of(text: str | None) -> int:
    """The flags that `i`, `c`, `n` and `m` stand for; `c` takes `i` back. Raises ValueError for other letters."""
    flags = 0
    for letter in text or "":
        if letter == "c":
            flags &= ~re.IGNORECASE
        elif letter in _FLAGS:
            flags |= _FLAGS[letter]
        else:
            raise ValueError(f"flag {letter!r} is not one of i, c, n and m")
    return flags


@lru_cache(512)
def compiled(pattern: str, flags: str | None = None) -> re.Pattern[str]:
    """The pattern for Python. Raises ValueError when it is none."""
    wanted = flags_of(flags)
    return compile_regex(
        pattern,
        ignore_case=bool(wanted & re.IGNORECASE),
        dotall=bool(wanted & re.DOTALL),
        multiline=bool(wanted & re.MULTILINE),
    )


def for_arrow(pattern: str, flags: str | None) -> str | None:
    """The pattern for Arrow's own engine, or None where that one might find something else than Java.

    It is much faster. What may match nothing at all is left to Python, since the engines go on differently after it.
    """
    python = compiled(pattern, flags)
    if python.match("") or _OTHER_IN_ARROW.search(pattern):
        return None
    letters = "".join({"n": "s"}.get(f, f) for f in "inm" if flags_of(flags) & _FLAGS[f])
    return f"(?{letters}){pattern}" if letters else pattern
