"""Dates and times written by Java patterns as ISO texts, whole columns at once, so that Arrow can cast them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from headrace.formats.java_dates import TOKEN

_DIGITS = {"yyyy": 4, "MM": 2, "dd": 2, "HH": 2, "mm": 2, "ss": 2, "SSS": 3, "SSSSSS": 6}


@dataclass(frozen=True)
class IsoPattern:
    """regex: matches what is written so, every part in a group; None when this cannot be told. parts: its groups."""

    pattern: str
    regex: str | None
    parts: tuple[str, ...]

    def fits(self, dtype: pa.DataType) -> bool:
        """Whether it holds all that a value of the type needs."""
        return fits(self.pattern, dtype)

    def is_iso(self, dtype: pa.DataType) -> bool:
        """Whether a text that is written so is an ISO text already."""
        plain = ("yyyy", "MM", "dd", "HH", "mm", "ss")
        start = 3 if pa.types.is_time(dtype) else 0
        return self.parts in (plain[start:], plain[:3]) and self.pattern in (
            "yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-dd", "HH:mm:ss",
        )  # fmt: skip

    def replacement(self, dtype: pa.DataType) -> str:
        """What makes an ISO text of a match."""
        at = {part: rf"\{number}" for number, part in enumerate(self.parts, 1)}
        day = "-".join(at.get(part, "01") for part in ("yyyy", "MM", "dd"))
        clock = ":".join(at.get(part, "00") for part in ("HH", "mm", "ss"))
        clock += next((f".{at[part]}" for part in ("SSS", "SSSSSS") if part in at), "")
        return day if pa.types.is_date(dtype) else clock if pa.types.is_time(dtype) else f"{day} {clock}"


def fits(pattern: str, dtype: pa.DataType) -> bool:
    """Whether a text of this Java pattern holds all that a value of the type needs: a day, or a time of day."""
    letters = {match[2] for match in TOKEN.finditer(pattern) if match[2]}
    if pa.types.is_time(dtype):
        return bool(letters & {"H", "h"})
    return "y" in letters and ({"M", "d"} <= letters or "D" in letters)


def iso_patterns(patterns: Sequence[str]) -> list[IsoPattern]:
    """The patterns, each with what finds its parts in a text."""
    return [_of(pattern) for pattern in patterns]


def _of(pattern: str) -> IsoPattern:
    out, parts, known = [], [], True
    for match in TOKEN.finditer(pattern):
        token = match[0]
        if match[1] is not None:
            out.append(re.escape(match[1].replace("''", "'") or "'"))
        elif match[2]:
            known = known and token in _DIGITS and token not in parts
            out.append(f"([0-9]{{{_DIGITS.get(token, 1)}}})")
            parts.append(token)
        else:
            out.append(re.escape(token))
    return IsoPattern(pattern, f"^{''.join(out)}$" if known else None, tuple(parts))


def to_iso(column: pa.ChunkedArray, patterns: Sequence[IsoPattern], dtype: pa.DataType) -> pa.ChunkedArray:
    """The texts with those that a pattern fits as ISO texts, the others as they are. Raises ValueError.

    The first pattern that fits a text is the one that is meant.
    """
    texts, taken = column, None
    for pattern in patterns:
        if not pattern.fits(dtype):
            continue
        if pattern.regex is None:
            raise ValueError(f"{pattern.pattern} is read value by value")
        fitting = pc.match_substring_regex(column, pattern.regex)
        free = fitting if taken is None else pc.and_not(fitting, taken)
        changed = pc.replace_substring_regex(column, pattern.regex, pattern.replacement(dtype))
        texts = pc.if_else(free, changed, texts)
        taken = fitting if taken is None else pc.or_(taken, fitting)
    return texts
