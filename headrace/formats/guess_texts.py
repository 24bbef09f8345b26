"""The type that holds every text of a column: what is found by looking at fields of csv, text and xml files.

Rules. A number must be written as a number is printed: leading zeros and a plus sign belong to codes, and stay texts. A
date or time has the shape of ISO 8601, and every value of the column has it. Blanks tell nothing. A number whose digits
a DOUBLE does not keep makes the column DECIMAL, or a text. What no type holds is a text, so that nothing is lost.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from headrace.formats.cells import parse_cell
from headrace.formats.iso_texts import IsoPattern, iso_patterns
from headrace.rows import decimal_type

_WHOLE = r"^(0|-?[1-9][0-9]*)$"
_NUMBER = r"^-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$|^NaN$|^-?Infinity$"
_PLAIN = r"^-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)$"
_NO_NUMBER = r"^(NaN|-?Infinity)$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?$"
_TIMESTAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?$"
_ZONED = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})$"

_DIGITS = 38
"""Of the widest DECIMAL that every target knows."""

_SURE = 15
"""A number of so many digits is the same one after it was a DOUBLE."""


class _Kind(NamedTuple):
    """shape: what its texts look like. holds: whether texts of that shape are all such values."""

    name: str
    shape: str
    holds: Callable[[pa.Array], bool]


def _casts_to(dtype: pa.DataType) -> Callable[[pa.Array], bool]:
    def holds(texts: pa.Array) -> bool:
        try:
            return bool(pc.all(pc.greater_equal(pc.year(texts.cast(dtype)), 1), min_count=0).as_py())
        except (ValueError, pa.ArrowException):
            return False

    return holds


def _always(texts: pa.Array) -> bool:
    return True


_KINDS = (
    _Kind("boolean", "(?i)^(true|false)$", _always),
    _Kind("whole", _WHOLE, _always),
    _Kind("number", _NUMBER, _always),
    _Kind("date", _DATE, _casts_to(pa.date32())),
    _Kind("timestamp", _TIMESTAMP, _casts_to(pa.timestamp("us"))),
    _Kind("timestamp_tz", _ZONED, _casts_to(pa.timestamp("us", "UTC"))),
    _Kind("time", _TIME, _always),
)


class TextGuess:
    """What the texts of a column can be, the more so the more of them were seen.

    patterns: Java patterns of dates and times that the job gives. odd: the one text that keeps a column of numbers from
    being one, such as `NA`.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._possible = list(_KINDS)
        self._patterns = iso_patterns(patterns)
        self._by_pattern = [t for t in _BY_PATTERN if any(_is_for(pattern, t) for pattern in self._patterns)]
        self._seen = self._has_digits = False
        self._exact, self._is_long, self._has_exponent = True, True, False
        self._before = self._behind = 0
        self._misfits: set[str] = set()
        self._numbers = 0

    def add(self, texts: pa.Array) -> None:
        """Look at more values. texts: strings; null and blanks tell nothing."""
        found = pc.unique(pc.utf8_trim_whitespace(texts)).drop_null()
        found = found.filter(pc.not_equal(found, ""))
        if not len(found):
            return
        self._seen = True
        self._look_for_odd(found)
        self._possible = [kind for kind in self._possible if _is_all(kind, found)]
        if any(kind.name in ("whole", "number") for kind in self._possible):
            self._measure(found)
        self._by_pattern = [dtype for dtype in self._by_pattern if self._reads(found, dtype)]

    @property
    def dtype(self) -> pa.DataType:
        """The type of all texts so far; STRING where nothing was seen."""
        names = [kind.name for kind in self._possible] if self._seen else []
        if self._seen and self._by_pattern:
            return self._by_pattern[0]
        if "whole" in names:
            return self._whole()
        if "number" in names:
            return self._number()
        return _TYPES[names[0]] if names else pa.string()

    @property
    def is_typed(self) -> bool:
        """Whether all texts so far are something else than texts."""
        return not pa.types.is_string(self.dtype)

    @property
    def odd(self) -> str:
        """The one text beside numbers; empty where there is none, or more than one."""
        only = next(iter(self._misfits), "")
        return only if len(self._misfits) == 1 and self._numbers > 1 and not self.is_typed else ""

    def _whole(self) -> pa.DataType:
        if self._is_long:
            return pa.int64()
        return decimal_type(_DIGITS, 0) if self._before <= _DIGITS else pa.string()

    def _number(self) -> pa.DataType:
        if not self._has_digits:
            return pa.string()
        if self._exact:
            return pa.float64()
        fits = not self._has_exponent and self._before + self._behind <= _DIGITS
        return decimal_type(_DIGITS, self._behind) if fits else pa.string()

    def _measure(self, texts: pa.Array) -> None:
        """How many digits the numbers have, and whether a DOUBLE keeps them."""
        numbers = texts.filter(pc.invert(pc.match_substring_regex(texts, _NO_NUMBER)))
        self._has_digits = self._has_digits or len(numbers) > 0
        self._has_exponent = self._has_exponent or not _matches(texts, _PLAIN)
        parts = pc.extract_regex(numbers, r"^-?(?P<before>[0-9]*)(?:\.(?P<behind>[0-9]*))?")
        for side in ("before", "behind"):
            most = pc.max(pc.utf8_length(pc.struct_field(parts, side))).as_py() or 0
            setattr(self, f"_{side}", max(getattr(self, f"_{side}"), most))
        self._is_long = self._is_long and _fit_64_bits(numbers)
        is_short = pc.less_equal(pc.utf8_length(numbers), _SURE)
        long = numbers.filter(pc.or_(pc.match_substring(numbers, "e", ignore_case=True), pc.invert(is_short)))
        self._exact = self._exact and all(map(_is_kept, long.to_pylist()))

    def _look_for_odd(self, texts: pa.Array) -> None:
        if len(self._misfits) > 1:
            return
        is_number = pc.match_substring_regex(texts, _NUMBER)
        self._numbers += pc.sum(is_number).as_py()
        self._misfits.update(texts.filter(pc.invert(is_number)).slice(0, 2).to_pylist())

    def _reads(self, texts: pa.Array, dtype: pa.DataType) -> bool:
        fitting = [pattern for pattern in self._patterns if _is_for(pattern, dtype)]
        if all(pattern.regex for pattern in fitting):
            shapes = "|".join(pattern.regex or "" for pattern in fitting)
            if not _matches(texts, shapes):
                return False
        try:
            for text in texts.to_pylist():
                parse_cell(text, dtype, [pattern.pattern for pattern in fitting])
        except ValueError:
            return False
        return True


_BY_PATTERN = (pa.timestamp("us"), pa.date32(), pa.time64("us"))

_TYPES = {
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamp_tz": pa.timestamp("us", "UTC"),
    "time": pa.time64("us"),
}


def _is_for(pattern: IsoPattern, dtype: pa.DataType) -> bool:
    """Whether a pattern has all of a value of the type, and nothing beside it."""
    has_day, has_clock = pattern.fits(pa.date32()), pattern.fits(pa.time64("us"))
    if pa.types.is_timestamp(dtype):
        return has_day and has_clock
    return has_day and not has_clock if pa.types.is_date(dtype) else has_clock and not has_day


def _is_all(kind: _Kind, texts: pa.Array) -> bool:
    return _matches(texts, kind.shape) and kind.holds(texts)


def _matches(texts: pa.Array, shape: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, shape), min_count=0).as_py())


def _fit_64_bits(texts: pa.Array) -> bool:
    long = texts.filter(pc.match_substring_regex(texts, r"^-?[0-9]{19,}$"))
    return all(-(1 << 63) <= int(text) < 1 << 63 for text in long.to_pylist())


def _is_kept(text: str) -> bool:
    """Whether a DOUBLE is printed as this number again."""
    number = float(text)
    with localcontext() as context:
        context.prec = 400
        return abs(number) != float("inf") and Decimal(repr(number)) == Decimal(text)
