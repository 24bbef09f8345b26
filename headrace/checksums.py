"""Checksums of rows: a sum modulo 2^64 of a hash of each row, equal for equal rows however they lie in memory.

The hash reads values, not layouts: neither the order of rows nor how they are cut into batches, sliced or
dictionary-encoded changes it, nor do the process, the machine or the versions of libraries. `RULES` says for each type
what of a value counts. Whatever changes a hash must raise `VERSION`: two checksums compare only within one version.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.rows import Batch, RowKind

VERSION = 1

Words = npt.NDArray[np.uint64]

_BLOCK = 64
_WORD_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
_STEP = 0x9E3779B97F4A7C15
_NOT_A_NUMBER = np.uint64(0x7FF8000000000000)
_NULL = np.uint64(0xA5B85C5E198ED849)


def add(one: int | None, other: int | None) -> int | None:
    """The checksum of the rows of both; None where neither was made."""
    return one if other is None else other if one is None else (one + other) % 2**64


def subtract(one: int, other: int) -> int:
    """The checksum of the rows of `one` without those of `other`."""
    return (one - other) % 2**64


def to_text(checksum: int | None) -> str | None:
    """`1-00c5d3…`: the version and 16 digits."""
    return None if checksum is None else f"{VERSION}-{checksum:016x}"


class RowHasher:
    """Makes checksums of batches; columns that were hashed since `forget` are not hashed again while they are shared.

    For one thread.
    """

    def __init__(self) -> None:
        self._columns: dict[Any, tuple[pa.Array, Words]] = {}
        self._sums: dict[int, tuple[Batch, int]] = {}

    def forget(self) -> None:
        """The next batches have nothing in common with those before."""
        self._columns.clear()
        self._sums.clear()

    def checksum(self, batch: Batch) -> int:
        """The sum of the hashes of its rows. Raises TypeError for a type that no rule names."""
        known = self._sums.get(id(batch.rows))
        if known is not None and known[0].rows is batch.rows and known[0].kinds is batch.kinds:
            return known[1]
        found = int(row_hashes(batch.rows, batch.kinds, self._column).sum(dtype=np.uint64))
        self._sums[id(batch.rows)] = batch, found
        return found

    def _column(self, column: pa.Array) -> Words:
        key = _identity(column)
        if key not in self._columns:
            self._columns[key] = column, hashes(column)  # the column is kept, or another might get its address
        return self._columns[key][1]


def checksum(rows: pa.RecordBatch, kinds: pa.UInt8Array | None = None) -> int:
    """The sum of the hashes of the rows."""
    return int(row_hashes(rows, kinds).sum(dtype=np.uint64))


def row_hashes(
    rows: pa.RecordBatch, kinds: pa.UInt8Array | None = None, hash_column: Callable[[pa.Array], Words] | None = None
) -> Words:
    """One hash for each row: of its values by their place, not by their names, and of its kind unless it is `+I`."""
    hash_column = hash_column or hashes
    total = np.zeros(rows.num_rows, np.uint64)
    for place, column in enumerate(rows.columns):
        total += hash_column(column) * _factor(place)
    if kinds is not None:
        total += _KINDS[np.asarray(kinds)]
    return _mix(total ^ _tag("row"))


def hashes(array: pa.Array) -> Words:
    """One hash for each value of a column. Raises TypeError for a type that no rule names."""
    array = _plain(array)
    if pa.types.is_dictionary(array.type):
        return _of_dictionary(array)
    rule = next((rule for rule in RULES if rule.fits(array.type)), None)
    if rule is None:
        raise TypeError(f"values of type {array.type} have no checksum")
    found = rule.hash(array)
    if array.null_count:
        found[~np.asarray(array.is_valid())] = _NULL
    return found


def _identity(array: pa.Array) -> Any:
    """Equal for two columns that are the same part of the same buffers."""
    addresses = tuple(buffer.address if buffer else 0 for buffer in array.buffers())
    inner = _identity(array.dictionary) if pa.types.is_dictionary(array.type) else None
    return array.type, array.offset, len(array), addresses, inner


def _plain(array: pa.Array) -> pa.Array:
    """The same values without what only saves room or names a meaning."""
    dtype = array.type
    if isinstance(array, pa.ExtensionArray):
        return _plain(array.storage)
    if pa.types.is_run_end_encoded(dtype):
        return _plain(pc.run_end_decode(array))
    if pa.types.is_string_view(dtype):
        return array.cast(pa.large_string())
    if pa.types.is_binary_view(dtype):
        return array.cast(pa.large_binary())
    if pa.types.is_decimal32(dtype) or pa.types.is_decimal64(dtype):
        return array.cast(pa.decimal128(dtype.precision, dtype.scale))
    return array


def _of_dictionary(array: pa.Array) -> Words:
    indices = array.indices
    if not len(array.dictionary):
        return np.full(len(array), _NULL)
    places = np.asarray(indices.fill_null(0)).astype(np.int64)
    found: Words = hashes(array.dictionary)[places]
    if indices.null_count:
        found[~np.asarray(indices.is_valid())] = _NULL
    return found


# ---------------------------------------------------------------------------------------------------------- mixing


def _mix(words: Words) -> Words:
    """Spread every bit over all, in place (the finalizer of SplitMix64, Steele et al. 2014)."""
    words ^= words >> np.uint64(30)
    words *= np.uint64(0xBF58476D1CE4E5B9)
    words ^= words >> np.uint64(27)
    words *= np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    return words


@lru_cache(4096)
def _constant(number: int) -> int:
    return int(_mix(np.array([number % 2**64], np.uint64))[0])


@lru_cache
def _tag(name: str) -> np.uint64:
    """A constant that keeps equal bits of different meaning apart."""
    found = VERSION
    for byte in name.encode():
        found = _constant(found * _STEP + byte)
    return np.uint64(found)


@lru_cache(4096)
def _factor(place: int) -> np.uint64:
    """What the hash at a place among others is multiplied with: odd, 1 at the first."""
    return np.uint64(1 if place == 0 else _constant(place * _STEP) | 1)


def _factors(places: npt.NDArray[np.int64]) -> Words:
    found: Words = _mix(places.astype(np.uint64) * np.uint64(_STEP)) | np.uint64(1)
    found[places == 0] = 1
    return found


def _of_words(words: Words, tag: np.uint64) -> Words:
    return _mix(words ^ tag)


_KINDS = np.array([0 if kind is RowKind.INSERT else _constant(int(_tag(kind.short))) for kind in RowKind], np.uint64)


# ---------------------------------------------------------------------------------------------------- fixed widths


def _values(array: pa.Array, dtype: Any) -> npt.NDArray[Any]:
    """The slots of a fixed-width column; those of nulls hold anything."""
    data = array.buffers()[1]
    if data is None:
        return np.zeros(len(array), dtype)
    return np.frombuffer(data, dtype)[array.offset : array.offset + len(array)]


def _of_integers(array: pa.Array) -> Words:
    values = _values(array, array.type.to_pandas_dtype())
    if array.type == pa.uint64():
        tags: Words = np.where(values >> np.uint64(63), _tag("unsigned"), _tag("integer"))
        words: Words = values ^ tags
        return _mix(words)
    return _of_words(values.astype(np.int64).view(np.uint64), _tag("integer"))


def _of_booleans(array: pa.Array) -> Words:
    return _of_words(_values(array.cast(pa.uint8()), np.uint8).astype(np.uint64), _tag("boolean"))


def _of_floats(array: pa.Array) -> Words:
    with np.errstate(invalid="ignore"):
        values = _values(array, array.type.to_pandas_dtype()).astype(np.float64)
    words = values.view(np.uint64)
    words[values == 0] = 0
    words[np.isnan(values)] = _NOT_A_NUMBER
    return _of_words(words, _tag("float"))


def _of_decimals(array: pa.Array) -> Words:
    width = array.type.bit_width // 64
    data = array.buffers()[1]
    if data is None:
        return np.zeros(len(array), np.uint64)
    parts = np.frombuffer(data, np.uint64).reshape(-1, width)[array.offset : array.offset + len(array)]
    low = parts[:, 0]
    sign = (low.view(np.int64) >> 63).view(np.uint64)
    found = _of_words(low, np.uint64(int(_tag("decimal")) ^ (array.type.scale * _STEP) % 2**64))
    wide = np.nonzero((parts[:, 1:] != sign[:, None]).any(axis=1))[0]
    if len(wide):
        sign = (parts[wide, -1].view(np.int64) >> 63).view(np.uint64)
        for place in range(1, 4):
            found[wide] += _of_words(parts[wide, place] if place < width else sign, _tag(f"decimal {place}"))
    return found


def _of_times(name: str) -> Callable[[pa.Array], Words]:
    """Microseconds, and nanoseconds beyond them where there are any."""

    def hash_times(array: pa.Array) -> Words:
        values = _values(array, f"i{array.type.bit_width // 8}").astype(np.int64)
        unit = array.type.unit
        if unit != "ns":
            return _of_words((values * {"s": 1_000_000, "ms": 1000, "us": 1}[unit]).view(np.uint64), _tag(name))
        whole, rest = np.divmod(values, 1000)
        found = _of_words(whole.view(np.uint64), _tag(name))
        some = np.nonzero(rest)[0]
        found[some] += _of_words(rest[some].astype(np.uint64), _tag("nanoseconds"))
        return found

    return hash_times


def _of_dates(array: pa.Array) -> Words:
    if array.type == pa.date64():
        days = np.floor_divide(_values(array, np.int64), 86_400_000)
    else:
        days = _values(array, np.int32).astype(np.int64)
    return _of_words(days.view(np.uint64), _tag("date"))


def _of_intervals(array: pa.Array) -> Words:
    parts = np.frombuffer(array.buffers()[1] or b"", np.uint64).reshape(-1, 2)
    parts = parts[array.offset : array.offset + len(array)]
    return _of_words(parts[:, 0], _tag("interval")) + _of_words(parts[:, 1], _tag("interval 1"))


def _of_nulls(array: pa.Array) -> Words:
    return np.full(len(array), _NULL)


# ----------------------------------------------------------------------------------------------- texts and bytes


def _of_bytes(name: str) -> Callable[[pa.Array], Words]:
    def hash_bytes(array: pa.Array) -> Words:
        if pa.types.is_fixed_size_binary(array.type):
            ends = np.arange(array.offset, array.offset + len(array) + 1, dtype=np.int64) * array.type.byte_width
            data = array.buffers()[1]
        else:
            ends, data = _offsets(array), array.buffers()[2]
        return _of_ranges(data, ends, _tag(name))

    return hash_bytes


def _offsets(array: pa.Array) -> npt.NDArray[np.int64]:
    """Where the values of a column of texts, bytes or maps begin and end."""
    is_large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    data = array.buffers()[1]
    if data is None or not data.size:
        return np.zeros(len(array) + 1, np.int64)
    offsets = np.frombuffer(data, np.int64 if is_large else np.int32)
    return offsets[array.offset : array.offset + len(array) + 1].astype(np.int64)


def _of_ranges(data: pa.Buffer | None, ends: npt.NDArray[np.int64], tag: np.uint64) -> Words:
    """Of the bytes between neighbouring ends: blocks of eight words, each word by its place, then blocks by theirs."""
    first, last = int(ends[0]), int(ends[-1])
    padded = np.zeros(last - first + 8, np.uint8)
    if data is not None and last > first:
        padded[:-8] = np.frombuffer(data, np.uint8, last - first, first)
    words: Words = np.ndarray(len(padded) - 7, "<u8", padded, strides=(1,))
    starts, lengths = ends[:-1] - first, np.diff(ends)
    if not len(lengths) or int(lengths.max()) <= _BLOCK:
        total = _of_blocks(words, starts, lengths)
    else:
        blocks = np.maximum((lengths + _BLOCK - 1) // _BLOCK, 1)
        before = np.cumsum(blocks) - blocks
        places = np.arange(int(blocks.sum()), dtype=np.int64) - np.repeat(before, blocks)
        at = np.repeat(starts, blocks) + places * _BLOCK
        sizes = np.minimum(np.repeat(lengths, blocks) - places * _BLOCK, _BLOCK)
        total = np.add.reduceat(_of_blocks(words, at, sizes) * _factors(places), before)
    return _mix(total ^ (lengths.astype(np.uint64) * np.uint64(_STEP)) ^ tag)


def _of_blocks(words: Words, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Words:
    total = np.zeros(len(starts), np.uint64)
    for place in range(_BLOCK // 8):
        left = lengths - 8 * place
        if place == 0 or bool((left > 0).all()):
            word = words[starts + 8 * place] & _WORD_MASKS[np.clip(left, 0, 8)]
            total += _of_words(word, _factor(place + 1))
            continue
        some = np.nonzero(left > 0)[0]
        if not len(some):
            break
        word = words[starts[some] + 8 * place] & _WORD_MASKS[np.minimum(left[some], 8)]
        total[some] += _of_words(word, _factor(place + 1))
    return total


# ---------------------------------------------------------------------------------------------------------- nested


def _of_items(found: Words, ends: npt.NDArray[np.int64], tag: np.uint64) -> Words:
    """Of runs of hashes, whose sum counts with their number."""
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(found, dtype=np.uint64)])
    starts, lengths = ends[:-1] - ends[0], np.diff(ends)
    total = sums[starts + lengths] - sums[starts]
    return _mix(total ^ (lengths.astype(np.uint64) * np.uint64(_STEP)) ^ tag)


def _of_lists(array: pa.Array) -> Words:
    lengths = np.asarray(pc.list_value_length(array).fill_null(0)).astype(np.int64)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    inner = hashes(array.flatten())
    places = np.arange(len(inner), dtype=np.int64) - np.repeat(ends[:-1], lengths)
    return _of_items(inner * _factors(places), ends, _tag("array"))


def _of_maps(array: pa.Array) -> Words:
    ends = _offsets(array)
    part = slice(int(ends[0]), int(ends[-1]))
    entries = _of_words(hashes(array.keys[part]) + hashes(array.items[part]) * _factor(1), _tag("entry"))
    return _of_items(entries, ends, _tag("map"))


def _of_structs(array: pa.Array) -> Words:
    total = np.zeros(len(array), np.uint64)
    for place, field in enumerate(array.flatten()):
        total += hashes(field) * _factor(place)
    return _mix(total ^ _tag("row"))


# ----------------------------------------------------------------------------------------------------------- rules


@dataclass(frozen=True)
class Rule:
    """What of the values of some types counts. types: SeaTunnel's names. text: for the docs."""

    types: str
    text: str
    fits: Callable[[pa.DataType], bool]
    hash: Callable[[pa.Array], Words]


def _is_list(dtype: pa.DataType) -> bool:
    is_view = pa.types.is_list_view(dtype) or pa.types.is_large_list_view(dtype)
    return is_view or pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype)


def _is_bytes(dtype: pa.DataType) -> bool:
    return pa.types.is_binary(dtype) or pa.types.is_large_binary(dtype) or pa.types.is_fixed_size_binary(dtype)


RULES = (
    Rule("NULL", "every null is the same, whatever its type", pa.types.is_null, _of_nulls),
    Rule("BOOLEAN", "true or false", pa.types.is_boolean, _of_booleans),
    Rule("TINYINT, SMALLINT, INT, BIGINT", "the number, whatever its width", pa.types.is_integer, _of_integers),
    Rule(
        "FLOAT, DOUBLE",
        "the number as a double; -0.0 is 0.0, and every NaN is the same",
        pa.types.is_floating,
        _of_floats,
    ),
    Rule(
        "DECIMAL(p, s)",
        "the number and its scale, not its precision: 1.50 of scale 2 is not 1.5 of scale 1",
        pa.types.is_decimal,
        _of_decimals,
    ),
    Rule(
        "STRING",
        "the bytes in UTF-8; the empty text is not null",
        lambda t: pa.types.is_string(t) or pa.types.is_large_string(t),
        _of_bytes("string"),
    ),
    Rule("BYTES", "the bytes", _is_bytes, _of_bytes("bytes")),
    Rule("DATE", "the day", pa.types.is_date, _of_dates),
    Rule("TIME", "the time, whatever its unit", pa.types.is_time, _of_times("time")),
    Rule(
        "TIMESTAMP",
        "what clock and calendar show, whatever the unit",
        lambda t: pa.types.is_timestamp(t) and not t.tz,
        _of_times("timestamp"),
    ),
    Rule(
        "TIMESTAMP_TZ",
        "the instant, whatever its zone and unit",
        lambda t: pa.types.is_timestamp(t) and bool(t.tz),
        _of_times("instant"),
    ),
    Rule("durations of Arrow", "the duration, whatever its unit", pa.types.is_duration, _of_times("duration")),
    Rule("intervals of Arrow", "months, days and nanoseconds", pa.types.is_interval, _of_intervals),
    Rule("ARRAY&lt;T&gt;, vectors", "the values in order, and how many; an empty one is not null", _is_list, _of_lists),
    Rule("MAP&lt;K, V&gt;", "the entries in any order", pa.types.is_map, _of_maps),
    Rule("ROW&lt;…&gt;", "the values in order, without their names", pa.types.is_struct, _of_structs),
)
"""The first rule that fits a type holds. Dictionary and run-end encoded values count as the values they stand for."""
