"""Java's date patterns (`yyyy-MM-dd HH:mm:ss.SSS`) for Arrow and Python, as far as file names and columns need them."""

import re
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

_LETTERS = {
    "yyyy": "%Y", "yy": "%y", "MM": "%m", "dd": "%d", "HH": "%H", "hh": "%I", "mm": "%M", "ss": "%S", "a": "%p",
    "DDD": "%j", "SSS": "%f3", "SSSSSS": "%f6", "S": "%f1",
}  # fmt: skip
TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")
"""A quoted text, a letter and its repetitions, or what stands between them."""


def strftime_pattern(pattern: str) -> str:
    """The pattern for strftime; fractions as %f1, %f3 or %f6. Raises ValueError naming a letter it has no word for."""
    out = []
    for match in TOKEN.finditer(pattern):
        token = match[0]
        if match[1] is not None:
            out.append(match[1].replace("''", "'").replace("%", "%%") or "'")
        elif match[2]:
            if token not in _LETTERS:
                raise ValueError(f"date pattern {pattern!r}: {token!r} is not known; known: {', '.join(_LETTERS)}")
            out.append(_LETTERS[token])
        else:
            out.append(token.replace("%", "%%"))
    return "".join(out)


def format_datetime(value: datetime, pattern: str) -> str:
    """One moment by a Java pattern."""
    text = strftime_pattern(pattern)
    for digits in (1, 3, 6):
        text = text.replace(f"%f{digits}", f"{value.microsecond:06d}"[:digits])
    return value.strftime(text)


def format_column(column: pa.Array, pattern: str) -> pa.Array:
    """A date, time or timestamp column as text by a Java pattern; moments with a zone in UTC, as they are read."""
    text = strftime_pattern(pattern)
    if pa.types.is_timestamp(column.type) and column.type.tz:
        column = column.cast(pa.timestamp(column.type.unit))
    if pa.types.is_time(column.type):  # Arrow formats moments only
        column = column.cast(pa.time64("us")).cast(pa.int64()).cast(pa.timestamp("us"))
    if "%f" not in text:
        unit = "s"
    else:
        unit = "ms" if "%f3" in text else "us"
        text = text.replace("%S.%f3", "%S").replace("%S.%f6", "%S")
        if "%f" in text:
            raise ValueError(f"date pattern {pattern!r}: a fraction must follow the seconds and a point")
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp(unit, column.type.tz), safe=False)
    return pc.strftime(column, text)
