"""A binary COPY as columns (postgresql.org/docs/current/sql-copy.html, "Binary Format").

A row is a count of fields, then for each field its length (-1 for null) and its bytes. Where each row begins is known
from the messages of the protocol; the fields are walked column by column over all rows of a batch at once.
"""

import json
import struct
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.connectors._jdbc.decoding import cut
from headrace.connectors._jdbc.dialects.postgresql.types import Wire
from headrace.rows import estimated_width

HEADER = 19
"""Bytes before the first row: the signature, flags and the length of an extension, which is always 0."""

_DAYS, _MICROSECONDS = 10_957, 946_684_800_000_000
"""From 1970 to 2000, where PostgreSQL's dates and timestamps count from."""

_SPARE = 8
"""Bytes behind the last row, so that numbers can be read anywhere."""

Bad = tuple[np.ndarray, str]
"""Rows that have no value of their column's type, as a mask, and why."""


class Rows:
    """Rows of one batch as they came. data: their bytes. ends: where each ends."""

    def __init__(self, data: bytearray, ends: Sequence[int] | np.ndarray) -> None:
        data += bytes(_SPARE)
        self.data = np.frombuffer(data, np.uint8)
        self.ends = np.array(ends, np.int64)
        starts = np.empty_like(self.ends)
        starts[0:1], starts[1:] = 0, self.ends[:-1]
        self._at = starts + 2

    def column(self, wire: Wire) -> tuple[pa.Array, Bad | None]:
        """The next column; a bad value is null in it."""
        begin, lengths, missing = self._next()
        nulls = missing if missing.any() else None
        if wire.kind in _TEXTS:
            found = cut(self.data, begin, lengths, nulls)
            return _TEXTS[wire.kind](found, wire.type)
        if wire.kind == "numeric":
            return self._numeric(wire.type, begin, lengths, missing)
        return self._fixed(wire, begin, nulls)

    def measure(self, wire: Wire) -> tuple[np.ndarray, bool]:
        """Go past the next column: what each value counts in `estimate_bytes`, and whether one of them is bad."""
        begin, lengths, missing = self._next()
        width = _UUID_LENGTH if wire.kind == "uuid" else estimated_width(wire.type)
        sizes = lengths if width is None else np.where(missing, 0, width)
        if wire.kind == "jsonb":
            return sizes - ~missing, False
        if wire.kind == "numeric":
            bad = self._numbers(">u2", begin + 4) >= _NOT_FINITE
        elif wire.kind in ("date", "time", "timestamp"):
            bad = _not_on_a_calendar(self._plain(wire, begin), wire)
        else:
            return sizes, False
        return sizes, bool((bad & ~missing).any())

    def _next(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the values of the next column begin, their lengths, and which are null."""
        lengths = self._numbers(">i4", self._at).astype(np.int64)
        begin, missing = self._at + 4, lengths < 0
        lengths[missing] = 0
        self._at = begin + lengths
        return begin, lengths, missing

    def _numbers(self, dtype: str, at: np.ndarray) -> np.ndarray:
        width = np.dtype(dtype).itemsize
        anywhere = np.ndarray((len(self.data) - width + 1,), dtype, self.data, strides=(1,))
        return anywhere[np.minimum(at, len(anywhere) - 1)]

    def _plain(self, wire: Wire, begin: np.ndarray) -> np.ndarray:
        """Numbers of one width, in the machine's order of bytes."""
        width = {"date": ">i4", "time": ">i8", "timestamp": ">i8"}.get(wire.kind, wire.kind)
        return self._numbers(width, begin).astype(np.dtype(width).newbyteorder("="))

    def _fixed(self, wire: Wire, begin: np.ndarray, nulls: np.ndarray | None) -> tuple[pa.Array, Bad | None]:
        if wire.kind == "bool":
            return pa.array(self._numbers("u1", begin) != 0, pa.bool_(), mask=nulls), None
        values = self._plain(wire, begin)
        if wire.kind in ("date", "time", "timestamp"):
            return _times(values, wire, nulls)
        return pa.array(values, wire.type, mask=nulls), None

    def _numeric(
        self, dtype: pa.DataType, begin: np.ndarray, lengths: np.ndarray, missing: np.ndarray
    ) -> tuple[pa.Array, Bad | None]:
        """Numbers of a column that says its precision: groups of four digits (numeric_send in numeric.c)."""
        sign = self._numbers(">u2", begin + 4)
        bad = (sign >= _NOT_FINITE) & ~missing
        absent = missing | bad
        if dtype.precision <= _IN_64_BITS:
            found = self._small_numeric(dtype, begin, sign, absent)
        else:
            found = pa.array(self._big_numeric(begin, lengths, absent), dtype)
        if not bad.any():
            return found, None
        return found, (bad, _does_not_fit(dtype))

    def _small_numeric(self, dtype: pa.DataType, begin: np.ndarray, sign: np.ndarray, absent: np.ndarray) -> pa.Array:
        groups = np.where(absent, 0, self._numbers(">i2", begin).astype(np.int64))
        powers = 4 * self._numbers(">i2", begin + 2).astype(np.int64) + dtype.scale
        values = np.zeros(len(begin), np.int64)
        for number in range(int(groups.max(initial=0))):
            digits = np.where(groups > number, self._numbers(">i2", begin + 8 + 2 * number).astype(np.int64), 0)
            power = np.clip(powers - 4 * number, -3, _IN_64_BITS)
            values += digits * _TENS[np.maximum(power, 0)] // _TENS[np.maximum(-power, 0)]
        np.negative(values, out=values, where=sign == _NEGATIVE)
        words = np.empty((len(begin), 2), np.int64)
        words[:, 0], words[:, 1] = values, values >> 63
        valid = pa.array(~absent).buffers()[1] if absent.any() else None
        return pa.Array.from_buffers(dtype, len(begin), [valid, pa.py_buffer(words)])

    def _big_numeric(self, begin: np.ndarray, lengths: np.ndarray, absent: np.ndarray) -> list[Decimal | None]:
        plain = self.data.tobytes()
        return [
            None if is_absent else _decimal(plain[at : at + size])
            for at, size, is_absent in zip(begin.tolist(), lengths.tolist(), absent.tolist(), strict=True)
        ]


_NOT_FINITE, _NEGATIVE = 0xC000, 0x4000
"""Signs of a numeric: NaN and the infinities are the first or above."""

_IN_64_BITS = 18
"""Digits of a number that fits 64 bits."""

_TENS = 10 ** np.arange(_IN_64_BITS + 1, dtype=np.int64)


def _decimal(data: bytes) -> Decimal:
    """A numeric as it is sent: how many groups of four digits, the power of the first, sign, scale, the groups."""
    count, weight, sign, scale = struct.unpack_from(">hhHH", data)
    number = 0
    for group in struct.unpack_from(f">{count}h", data, 8):
        number = number * 10_000 + group
    power = 4 * (weight - count + 1)
    shown = number * 10 ** (power + scale) if power + scale >= 0 else number // 10 ** -(power + scale)
    digits = tuple(int(digit) for digit in str(shown))
    return Decimal((int(sign == _NEGATIVE), digits, -scale))


def _not_on_a_calendar(values: np.ndarray, wire: Wire) -> np.ndarray:
    """24:00:00, and infinite dates and times."""
    if wire.kind == "time":
        return values >= 86_400_000_000
    info = np.iinfo(values.dtype)
    return (values == info.max) | (values == info.min)


def _times(values: np.ndarray, wire: Wire, nulls: np.ndarray | None) -> tuple[pa.Array, Bad | None]:
    bad = _not_on_a_calendar(values, wire)
    if wire.kind == "time":
        reason = "24:00:00 is not a time of a day"
    else:
        reason = "infinity is not a point in time"
        shift = values.dtype.type(_DAYS if wire.kind == "date" else _MICROSECONDS)
        with np.errstate(over="ignore"):
            values = values + shift
    if nulls is not None:
        bad = bad & ~nulls
    if not bad.any():
        return pa.array(values, mask=nulls).cast(wire.type), None
    array = pa.array(values, mask=bad if nulls is None else bad | nulls).cast(wire.type)
    return array, (bad, reason)


def _as_bytes(found: pa.Array, dtype: pa.DataType) -> tuple[pa.Array, Bad | None]:
    return found, None


def _as_text(found: pa.Array, dtype: pa.DataType) -> tuple[pa.Array, Bad | None]:
    try:
        return found.cast(pa.string()), None
    except pa.ArrowInvalid:
        return _one_by_one(found, lambda value: value.decode(), dtype, "the text is not UTF-8")


def _as_decimal(found: pa.Array, dtype: pa.DataType) -> tuple[pa.Array, Bad | None]:
    texts = found.cast(pa.string())
    if _longest(texts) <= dtype.precision - dtype.scale:  # Arrow does not notice numbers that are far too long
        with suppress(pa.ArrowInvalid):
            return texts.cast(dtype), None
    return _one_by_one(texts, _finite, dtype, _does_not_fit(dtype))


def _does_not_fit(dtype: pa.DataType) -> str:
    return f"the number does not fit {dtype.precision} digits, {dtype.scale} of them behind the point"


_UUID_LENGTH = 36
"""Characters."""


def _as_uuid(found: pa.Array, dtype: pa.DataType) -> tuple[pa.Array, Bad | None]:
    """Sixteen bytes."""
    return pa.array([None if v is None else str(UUID(bytes=v)) for v in found.to_pylist()], dtype), None


def _as_jsonb(found: pa.Array, dtype: pa.DataType) -> tuple[pa.Array, Bad | None]:
    """The number of a version, then the text."""
    return _as_text(pa.array([None if v is None else v[1:] for v in found.to_pylist()], pa.binary()), dtype)


def _longest(texts: pa.Array) -> int:
    """Digits before the point of the longest number."""
    points = pc.find_substring(texts, ".")
    lengths = pc.if_else(pc.equal(points, -1), pc.binary_length(texts), points)
    signs = pc.starts_with(texts, "-").cast(pa.int32())
    return int(pc.max(pc.subtract(lengths, signs)).as_py() or 0)


def _finite(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError("not a number")
    return number


def _as_list(found: pa.Array, dtype: pa.DataType) -> tuple[pa.Array, Bad | None]:
    values = [None if value is None else json.loads(value) for value in found.to_pylist()]
    if pa.types.is_floating(dtype.value_type):  # JSON has no NaN: it comes as text
        values = [v if v is None else [float(x) if isinstance(x, str) else x for x in v] for v in values]
    try:
        return pa.array(values, dtype), None
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return _one_by_one(
            values,
            lambda value: value,
            dtype,
            "an array of several dimensions",
        )


_TEXTS = {
    "bytes": _as_bytes, "text": _as_text, "decimal": _as_decimal, "list": _as_list, "uuid": _as_uuid,
    "jsonb": _as_jsonb,
}  # fmt: skip


def _one_by_one(values: Any, read: Any, dtype: pa.DataType, reason: str) -> tuple[pa.Array, Bad]:
    """The good values; what cannot be read is null, and bad."""
    plain = values.to_pylist() if isinstance(values, pa.Array) else values
    bad, good = np.zeros(len(plain), bool), []
    for row, value in enumerate(plain):
        try:
            good.append(None if value is None else pa.array([read(value)], dtype)[0].as_py())
        except (ValueError, pa.ArrowInvalid, pa.ArrowTypeError):
            bad[row] = True
            good.append(None)
    return pa.array(good, dtype), (bad, reason)
