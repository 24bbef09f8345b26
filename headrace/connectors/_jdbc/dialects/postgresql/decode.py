"""A binary COPY as columns (postgresql.org/docs/current/sql-copy.html, "Binary Format").

A row is a count of fields, then for each field its length (-1 for null) and its bytes. Where each row begins is known
from the messages of the protocol; the fields are walked column by column over all rows of a batch at once.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.connectors._jdbc.decoding import cut
from headrace.connectors._jdbc.dialects.postgresql.types import Wire

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

    def __init__(self, data: bytearray, ends: Sequence[int]) -> None:
        data += bytes(_SPARE)
        self.data = np.frombuffer(data, np.uint8)
        self.ends = np.array(ends, np.int64)
        starts = np.empty_like(self.ends)
        starts[0:1], starts[1:] = 0, self.ends[:-1]
        self._at = starts + 2

    def column(self, wire: Wire) -> tuple[pa.Array, Bad | None]:
        """The next column; a bad value is null in it."""
        lengths = self._numbers(">i4", self._at).astype(np.int64)
        begin, missing = self._at + 4, lengths < 0
        lengths[missing] = 0
        self._at = begin + lengths
        nulls = missing if missing.any() else None
        if wire.kind in ("text", "bytes", "decimal", "list"):
            found = cut(self.data, begin, lengths, nulls)
            return _TEXTS[wire.kind](found, wire.type)
        return self._fixed(wire, begin, nulls)

    def _numbers(self, dtype: str, at: np.ndarray) -> np.ndarray:
        width = np.dtype(dtype).itemsize
        anywhere = np.ndarray((len(self.data) - width + 1,), dtype, self.data, strides=(1,))
        return anywhere[np.minimum(at, len(anywhere) - 1)]

    def _fixed(self, wire: Wire, begin: np.ndarray, nulls: np.ndarray | None) -> tuple[pa.Array, Bad | None]:
        width = {"bool": "u1", "date": ">i4", "time": ">i8", "timestamp": ">i8"}.get(wire.kind, wire.kind)
        values = self._numbers(width, begin)
        if wire.kind == "bool":
            return pa.array(values != 0, pa.bool_(), mask=nulls), None
        values = values.astype(np.dtype(width).newbyteorder("="))
        if wire.kind in ("date", "time", "timestamp"):
            return _times(values, wire, nulls)
        return pa.array(values, wire.type, mask=nulls), None


def _times(values: np.ndarray, wire: Wire, nulls: np.ndarray | None) -> tuple[pa.Array, Bad | None]:
    if wire.kind == "time":
        bad, reason = values >= 86_400_000_000, "24:00:00 is not a time of a day"
    else:
        info = np.iinfo(values.dtype)
        bad, reason = (values == info.max) | (values == info.min), "infinity is not a point in time"
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
    reason = f"the number does not fit {dtype.precision} digits, {dtype.scale} of them behind the point"
    return _one_by_one(texts, _finite, dtype, reason)


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


_TEXTS = {"bytes": _as_bytes, "text": _as_text, "decimal": _as_decimal, "list": _as_list}


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
