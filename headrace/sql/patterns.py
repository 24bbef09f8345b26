"""Date and time patterns of Java's DateTimeFormatter: `yyyy-MM-dd HH:mm:ss.SSS`, `dd MMM yyyy`, `yyyy-MM-dd'T'HH:mm`.

Formatting works on whole columns; parsing on single texts.
"""

import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.sql.functions import wrong

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[\[\]]|.", re.DOTALL)
_KNOWN = "yuMLdDEQqaHhKkmsSnAeXxZwG"
_OF_TIME = set("aHhKkmsSnA")


@dataclass(frozen=True)
class Token:
    """A letter that is repeated `count` times; or a literal text, when letter is empty."""

    letter: str
    count: int
    text: str = ""


@lru_cache(256)
def tokens_of(pattern: str) -> tuple[Token, ...]:
    """The parts of a pattern; `[` and `]` are letters. Raises ValueError for letters that are not known."""
    found = []
    for match in _TOKEN.finditer(pattern):
        quoted, letter = match.group(1), match.group(2)
        if quoted is not None:
            found.append(Token("", 0, quoted.replace("''", "'") or "'"))
        elif letter:
            if letter not in _KNOWN:
                raise ValueError(f"pattern {pattern!r}: the letter {letter!r} is not known; quote texts: 'T'")
            found.append(Token(letter, len(match[0])))
        elif match[0] in "[]":
            found.append(Token(match[0], 1))
        elif match[0] == "'":
            raise ValueError(f"pattern {pattern!r}: a quote is not closed")
        else:
            found.append(Token("", 0, match[0]))
    return tuple(found)


def result_type(pattern: str) -> pa.DataType:
    """What a text of the pattern is parsed to: a TIMESTAMP, DATE or TIME. Raises ConfigError and ValueError."""
    letters = {token.letter for token in tokens_of(pattern)} - {"", "[", "]"}
    if letters & set("yu"):
        return pa.timestamp("us") if letters & _OF_TIME else pa.date32()
    if letters & _OF_TIME and letters <= _OF_TIME:
        return pa.time64("us")
    raise wrong(f"pattern {pattern!r} has no year", "write one such as 'yyyy-MM-dd HH:mm:ss' or 'HH:mm'")


# ------------------------------------------------------------------------------------------------------ formatting


_WHOLE = {
    "yyyy-MM-dd HH:mm:ss": "s",
    "yyyy-MM-dd HH:mm:ss.SSS": "ms",
    "yyyy-MM-dd HH:mm:ss.SSSSSS": "us",
}
"""Patterns that Arrow writes by itself."""


def format_column(column: pa.Array, pattern: str) -> pa.Array:
    """The column's dates, times or timestamps as texts; null stays null. Raises ValueError for what a value lacks."""
    tokens = tokens_of(pattern)
    zoned = pa.types.is_timestamp(column.type) and column.type.tz
    local = pc.local_timestamp(column) if zoned else column
    if pa.types.is_timestamp(column.type) and pattern in _WHOLE:
        return local.cast(pa.timestamp(_WHOLE[pattern]), safe=False).cast(pa.string())
    if pa.types.is_date(column.type) and pattern == "yyyy-MM-dd":
        return column.cast(pa.string())
    has_date, has_time = not pa.types.is_time(column.type), not pa.types.is_date(column.type)
    parts: list[Any] = []
    for token in tokens:
        if token.letter in ("[", "]"):
            continue
        if not token.letter:
            parts.append(token.text)
            continue
        if not (has_time if token.letter in _OF_TIME else has_date):
            raise ValueError(f"pattern {pattern!r}: the value has no {token.letter!r}")
        parts.append(_zone(column, token) if token.letter in "XxZ" else _FORMATS[token.letter](local, token.count))
    if not any(isinstance(part, pa.Array) for part in parts):
        parts.append(pc.if_else(column.is_valid(), "", pa.scalar(None, pa.string())))
    return pc.binary_join_element_wise(*parts, "")


_DIGITS: dict[int, pa.Array] = {}


def _number(values: pa.Array, width: int) -> pa.Array:
    """Small numbers as text, padded with zeros to a width."""
    if width > 3:
        return pc.utf8_lpad(values.cast(pa.string()), width, "0")
    if width not in _DIGITS:
        _DIGITS[width] = pa.array([f"{n:0{width}d}" for n in range(1000)])
    return _DIGITS[width].take(values)


def _named(names: tuple[str, ...], index: pa.Array, count: int) -> pa.Array:
    length = {4: None, 5: 1}.get(count, 3)
    return pa.array([name[:length] for name in names]).take(index)


def _year(column: pa.Array, count: int) -> pa.Array:
    years = pc.year(column)
    if count == 2:
        return _number(pc.subtract(years, pc.multiply(pc.divide(years, 100), 100)).cast(pa.int64()), 2)
    return _number(years, max(count, 4)) if count > 2 else years.cast(pa.string())


def _month(column: pa.Array, count: int) -> pa.Array:
    months = pc.month(column)
    return _number(months, count) if count < 3 else _named(MONTHS, pc.subtract(months, 1), count)


def _day_name(column: pa.Array, count: int) -> pa.Array:
    return _named(DAYS, pc.day_of_week(column), count)


def _fraction(column: pa.Array, count: int) -> pa.Array:
    digits = pc.utf8_lpad(_micros(column).cast(pa.string()), 6, "0")
    return pc.utf8_rpad(pc.utf8_slice_codeunits(digits, 0, min(count, 6)), count, "0")


def _micros(column: pa.Array) -> pa.Array:
    return pc.add(pc.multiply(pc.millisecond(column), 1000), pc.microsecond(column))


def _half_day(column: pa.Array, count: int) -> pa.Array:
    return pc.if_else(pc.less(pc.hour(column), 12), "AM", "PM")


def _clock(low: int, size: int) -> Callable[[pa.Array, int], pa.Array]:
    """Hours counted from `low`, `size` of them."""

    def make(column: pa.Array, count: int) -> pa.Array:
        hours = pc.hour(column)
        rest = pc.subtract(hours, pc.multiply(pc.divide(hours, size), size))
        return _number(pc.if_else(pc.equal(rest, 0), size if low else 0, rest), count)

    return make


def _plain(kernel: Callable[[pa.Array], pa.Array]) -> Callable[[pa.Array, int], pa.Array]:
    return lambda column, count: _number(kernel(column), count)


def _quarter(column: pa.Array, count: int) -> pa.Array:
    quarters = pc.quarter(column)
    if count < 3:
        return _number(quarters, count)
    texts = pa.array(
        [f"Q{n}" for n in range(1, 5)] if count == 3 else ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"]
    )
    return texts.take(pc.subtract(quarters, 1))


def _of_day(unit: int) -> Callable[[pa.Array, int], pa.Array]:
    """Thousandths (1000) of a second since midnight."""

    def make(column: pa.Array, count: int) -> pa.Array:
        seconds = pc.add(
            pc.add(pc.multiply(pc.hour(column), 3600), pc.multiply(pc.minute(column), 60)), pc.second(column)
        )
        return (
            _number(pc.add(pc.multiply(seconds, unit), pc.millisecond(column)), max(count, 4))
            if count > 3
            else pc.add(pc.multiply(seconds, unit), pc.millisecond(column)).cast(pa.string())
        )

    return make


def _week_of_year(column: pa.Array) -> pa.Array:
    return pc.iso_week(column)


_FORMATS: dict[str, Callable[[pa.Array, int], pa.Array]] = {
    "y": _year, "u": _year, "M": _month, "L": _month, "d": _plain(pc.day), "D": _plain(pc.day_of_year),
    "E": _day_name, "e": _plain(lambda c: pc.add(pc.day_of_week(c, week_start=7), 1)), "w": _plain(_week_of_year),
    "Q": _quarter, "q": _quarter, "a": _half_day, "H": _plain(pc.hour), "k": _clock(1, 24), "K": _clock(0, 12),
    "h": _clock(1, 12), "m": _plain(pc.minute), "s": _plain(pc.second), "S": _fraction,
    "n": lambda c, count: pc.multiply(_micros(c), 1000).cast(pa.string()), "A": _of_day(1000),
    "G": lambda c, count: pc.if_else(pc.greater(pc.year(c), 0), "AD", "BC"),
}  # fmt: skip


def _zone(column: pa.Array, token: Token) -> pa.Array:
    """Offsets from UTC: X writes Z for none, x and Z write digits; three letters and more have a colon."""
    if not (pa.types.is_timestamp(column.type) and column.type.tz):
        raise ValueError(f"pattern letter {token.letter!r} needs a time zone; write … AT TIME ZONE 'UTC'")
    local, utc = pc.local_timestamp(column), column.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
    minutes = pc.divide(pc.subtract(local, utc).cast(pa.int64()), 60_000_000)
    texts = {m: _offset(m, token) for m in pc.unique(minutes).to_pylist() if m is not None}
    return pa.array([None if m is None else texts[m] for m in minutes.to_pylist()], pa.string())


def _offset(minutes: int, token: Token) -> str:
    if token.letter == "X" and minutes == 0:
        return "Z"
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    if token.letter != "Z" and token.count == 1:
        return f"{sign}{hours:02d}" + (f"{rest:02d}" if rest else "")
    colon = ":" if token.letter != "Z" and token.count in (3, 5) else ""
    return f"{sign}{hours:02d}{colon}{rest:02d}"


# --------------------------------------------------------------------------------------------------------- parsing


_NUMERIC = set("yuMLdDHhKkmsSnAe")


@lru_cache(256)
def _regex(pattern: str) -> tuple[re.Pattern[str], tuple[Token, ...]]:
    """A regular expression for the texts of a pattern, and the letter of each of its groups."""
    tokens = tokens_of(pattern)
    out, groups = [], []
    for index, token in enumerate(tokens):
        if token.letter in ("[", "]"):
            out.append("(?:" if token.letter == "[" else ")?")
        elif not token.letter:
            out.append(re.escape(token.text))
        else:
            groups.append(token)
            after = tokens[index + 1] if index + 1 < len(tokens) else None
            crowded = after is not None and after.letter in _NUMERIC and after.count < 3
            out.append(f"({_group(token, crowded)})")
    return re.compile("".join(out)), tuple(groups)


def _group(token: Token, crowded: bool) -> str:
    letter, count = token.letter, token.count
    if letter in "ML" and count > 2:
        return "|".join(name if count == 4 else name[:3] for name in MONTHS)
    if letter == "E":
        return "|".join(name if count == 4 else name[:3] for name in DAYS)
    if letter == "a":
        return "AM|PM"
    if letter in "XxZ":
        return r"Z|[+-]\d\d(?::?\d\d)?"
    if letter in "yu" and count != 2:
        return rf"\d{{{count}}}" if crowded or count == 4 else r"\d{1,9}"
    if letter in "QqwG":
        raise ValueError(f"the letter {letter!r} can be written, not read")
    return rf"\d{{{count}}}" if count > 1 or letter == "S" else r"\d{1,9}" if letter in "nA" else r"\d{1,3}"


def parse(text: str, pattern: str, dtype: pa.DataType) -> Any:
    """The date, time or timestamp that a text says. Raises ValueError.

    As in Java, the 29th to 31st of a month that has fewer days is its last day.
    """
    regex, groups = _regex(pattern)
    match = regex.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not of the form {pattern!r}")
    fields = {token.letter: _field(token, found) for token, found in zip(groups, match.groups(), strict=True) if found}
    try:
        day = None if pa.types.is_time(dtype) else _date(fields)
        if day is not None and pa.types.is_date(dtype):
            return day
        clock = _time(fields)
    except ValueError as error:
        raise ValueError(f"{text!r} is not of the form {pattern!r}: {error}") from error
    return clock if day is None else datetime.combine(day, clock)


def _field(token: Token, found: str) -> int:
    if token.letter in "ML" and token.count > 2:
        return next(i for i, name in enumerate(MONTHS, 1) if name.startswith(found))
    if token.letter in "yu" and token.count == 2:
        return 2000 + int(found)
    if token.letter == "S":
        return int(found[:6].ljust(6, "0"))
    if token.letter == "a":
        return int(found == "PM")
    return int(found) if found.isdigit() else 0


def _date(fields: dict[str, int]) -> date:
    year = fields.get("y", fields.get("u", 1970))
    if "D" in fields:
        made = np.datetime64(f"{year:04d}-01-01") + np.timedelta64(fields["D"] - 1, "D")
        if not 1 <= fields["D"] <= 366 or made.astype(object).year != year:
            raise ValueError(f"year {year} has no day {fields['D']}")
        return made.astype(object)
    month, day = fields.get("M", fields.get("L", 1)), fields.get("d", 1)
    if 1 <= month <= 12 and 28 < day <= 31:
        day = min(day, monthrange(year, month)[1])
    return date(year, month, day)


def _time(fields: dict[str, int]) -> time:
    if "A" in fields:
        seconds, thousandths = divmod(fields["A"], 1000)
        return time(seconds // 3600, seconds // 60 % 60, seconds % 60, thousandths * 1000)
    hour = fields.get("H", fields.get("k", 0) % 24)
    if "h" in fields or "K" in fields:
        hour = fields.get("h", fields.get("K", 0)) % 12 + 12 * fields.get("a", 0)
    return time(hour, fields.get("m", 0), fields.get("s", 0), fields.get("S", fields.get("n", 0) // 1000))
