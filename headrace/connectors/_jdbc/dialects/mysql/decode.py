"""Rows of the text protocol as columns (dev.mysql.com/doc/dev/mysql-server/latest/, "Text Resultset").

A row is one packet: the text of each value behind its length. Where each row begins is known from the headers of the
packets; the values are walked column by column over all rows of a batch at once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.connectors._jdbc.decoding import cut
from headrace.connectors._jdbc.dialects.mysql.types import Wire

_SPARE = 12
"""Bytes behind the last row, so that a length can be read anywhere."""

_NULL, _TWO, _THREE, _EIGHT = 0xFB, 0xFC, 0xFD, 0xFE
"""The first byte of a value: no value; a length in so many bytes. Below these it is the length itself."""

Bad = tuple[np.ndarray, str]
"""Rows that have no value of their column's type, as a mask, and why."""


class Rows:
    """Rows of one batch as they came. data: their bytes. starts: where the values of each begin."""

    def __init__(self, data: bytearray, starts: Sequence[int], zero_dates: str = "refuse") -> None:
        data += bytes(_SPARE)
        self.data = np.frombuffer(data, np.uint8)
        self._at = np.array(starts, np.int64)
        self._zero_dates = zero_dates

    def column(self, wire: Wire) -> tuple[pa.Array, Bad | None]:
        """The next column; a bad value is null in it."""
        first = self.data[self._at]
        lengths, begin = first.astype(np.int64), self._at + 1
        missing = first == _NULL
        if (first >= _NULL).any():
            lengths[missing] = 0
            for mark, width in ((_TWO, 2), (_THREE, 3), (_EIGHT, 8)):
                chosen = first == mark
                if chosen.any():
                    at = begin[chosen]
                    lengths[chosen] = sum(self.data[at + i].astype(np.int64) << (8 * i) for i in range(width))
                    begin[chosen] += width
        self._at = begin + lengths
        found = cut(self.data, begin, lengths, missing if missing.any() else None)
        return _READ[wire.kind](found, wire.type, self._zero_dates)


Read = tuple[pa.Array, Bad | None]


def _as_bytes(found: pa.Array, dtype: pa.DataType, zero: str) -> Read:
    return found, None


def _as_text(found: pa.Array, dtype: pa.DataType, zero: str) -> Read:
    try:
        return found.cast(pa.string()), None
    except pa.ArrowInvalid:
        return _one_by_one(found, bytes.decode, dtype, "the text is not UTF-8")


def _as_number(found: pa.Array, dtype: pa.DataType, zero: str) -> Read:
    texts = found.cast(pa.string())
    if pa.types.is_float32(dtype):  # by way of double, as the database made it
        return texts.cast(pa.float64()).cast(pa.float32(), safe=False), None
    try:
        return texts.cast(dtype), None
    except pa.ArrowInvalid:
        return _one_by_one(texts, _Reader(dtype), dtype, "the number does not fit the type")


def _as_boolean(found: pa.Array, dtype: pa.DataType, zero: str) -> Read:
    texts = found.cast(pa.string())
    good = pc.is_in(texts, pa.array(["0", "1", None]))
    values = pc.equal(texts, "1")
    if pc.all(good).as_py():
        return values, None
    mask = pc.invert(good).to_numpy(zero_copy_only=False)
    reason = "the number is not 0 or 1; set tinyInt1isBit=false in the url to read numbers"
    return pc.if_else(good, values, pa.scalar(None, pa.bool_())), (mask, reason)


def _as_bit(found: pa.Array, dtype: pa.DataType, zero: str) -> Read:
    return pc.equal(found, b"\1"), None


def _as_day(found: pa.Array, dtype: pa.DataType, zero: str) -> Read:
    """Dates and timestamps; what is not a day is null or bad, as the url says."""
    texts = found.cast(pa.string())
    plain = pa.timestamp("us") if pa.types.is_timestamp(dtype) else dtype
    try:
        return texts.cast(plain).cast(dtype), None
    except pa.ArrowInvalid:
        pass
    zeros = pc.fill_null(pc.match_substring_regex(texts, r"^(0000-|\d{4}-00|\d{4}-\d\d-00)"), False)
    nothing = pa.scalar(None, pa.string())
    if zero == "null":
        texts = pc.if_else(zeros, nothing, texts)
    elif zero == "round":
        texts = pc.if_else(zeros, "0001-01-01" + ("" if pa.types.is_date(dtype) else " 00:00:00"), texts)
    reason = "this is not a day; zeroDateTimeBehavior=CONVERT_TO_NULL in the url reads it as null"
    array, bad = _one_by_one(texts, _Reader(plain), plain, reason)
    return array.cast(dtype), bad if bad[0].any() else None


def _as_time(found: pa.Array, dtype: pa.DataType, zero: str) -> Read:
    texts = found.cast(pa.string())
    plain, on_a_day = pa.timestamp("us"), pc.binary_join_element_wise("1970-01-01", texts, " ")  # no cast of times
    try:
        return on_a_day.cast(plain).cast(dtype), None
    except pa.ArrowInvalid:
        array, bad = _one_by_one(on_a_day, _Reader(plain), plain, "below 0 or above 24 hours it is not a time of a day")
        return array.cast(dtype), bad


_READ: dict[str, Callable[[pa.Array, pa.DataType, str], Read]] = {
    "bytes": _as_bytes, "text": _as_text, "integer": _as_number, "float": _as_number, "decimal": _as_number,
    "boolean": _as_boolean, "bit": _as_bit, "date": _as_day, "timestamp": _as_day, "time": _as_time,
}  # fmt: skip


class _Reader:
    """Reads one value as Arrow does."""

    def __init__(self, dtype: pa.DataType) -> None:
        self._type = dtype

    def __call__(self, value: str) -> Any:
        return pa.scalar(value).cast(self._type)


def _one_by_one(values: pa.Array, read: Callable[[Any], Any], dtype: pa.DataType, reason: str) -> tuple[pa.Array, Bad]:
    """The good values; what cannot be read is null, and bad."""
    bad, good = np.zeros(len(values), bool), []
    for row, value in enumerate(values.to_pylist()):
        try:
            good.append(None if value is None else pa.scalar(read(value), dtype))
        except (ValueError, pa.ArrowInvalid):
            bad[row] = True
            good.append(None)
    return pa.array([v.as_py() if isinstance(v, pa.Scalar) else v for v in good], dtype), (bad, reason)
