"""Timestamps that libraries read as nanoseconds, for which only the years 1678 to 2261 have room.

A file whose first rows have digits below a microsecond keeps nanoseconds, any other is read as microseconds, of all
years. What does not fit afterwards is an error, never another moment.
"""

import numpy as np
import pyarrow as pa

from headrace.errors import Rejected
from headrace.leaves import change_leaves

NANOS_PER_MICRO = 1000
_MOST = (2**63 - 1) // NANOS_PER_MICRO
"""Microseconds from 1970 that nanoseconds have room for."""


def with_unit(dtype: pa.DataType, unit: str) -> pa.DataType:
    """The type with its timestamps, however deep they lie, in another unit."""
    if pa.types.is_timestamp(dtype):
        return pa.timestamp(unit, dtype.tz)
    if pa.types.is_map(dtype):
        return pa.map_(with_unit(dtype.key_type, unit), with_unit(dtype.item_type, unit))
    if pa.types.is_list(dtype):
        return pa.list_(dtype.value_field.with_type(with_unit(dtype.value_type, unit)))
    if pa.types.is_struct(dtype):
        return pa.struct([field.with_type(with_unit(field.type, unit)) for field in dtype])
    return dtype


def numbers_of(column: pa.Array) -> list[pa.Array]:
    """The timestamps of a column, however deep they lie, as numbers."""
    found: list[pa.Array] = []

    def keep(leaves: pa.Array) -> pa.Array:
        found.append(leaves.cast(pa.int64()).drop_null())
        return leaves

    change_leaves(column, pa.types.is_timestamp, keep)
    return found


def has_nanoseconds(column: pa.Array) -> bool:
    """Whether a column of nanoseconds has digits below a microsecond."""
    return any(np.any(numbers.to_numpy() % NANOS_PER_MICRO) for numbers in numbers_of(column))


def lost_digits(micros: pa.Array, nanos: pa.Array) -> bool:
    """Whether the same column read as nanoseconds has digits that the microseconds lack, where both have room."""
    for coarse, fine in zip(numbers_of(micros), numbers_of(nanos), strict=True):
        inside = np.abs(coarse.to_numpy()) < _MOST
        if np.any(coarse.to_numpy()[inside] * NANOS_PER_MICRO != fine.to_numpy()[inside]):
            return True
    return False


def beyond_nanoseconds(micros: pa.Array) -> bool:
    """Whether one of the years has no room in nanoseconds."""
    return any(np.any(np.abs(numbers.to_numpy()) >= _MOST) for numbers in numbers_of(micros))


def as_micros(column: pa.Array, dtype: pa.DataType, place: str) -> pa.Array:
    """A column of nanoseconds as one of microseconds. Raises Rejected where digits would be lost."""
    if column.type.equals(dtype):
        return column
    if has_nanoseconds(column):
        raise Rejected(nanoseconds_text(place))
    return change_leaves(column, pa.types.is_timestamp, lambda leaves: leaves.cast(pa.timestamp("us", leaves.type.tz)))


def nanoseconds_text(place: str) -> str:
    """What is said of a file in which years and digits need different units."""
    return (
        f"cannot read {place}: it has digits below a microsecond, which its first rows have not, or years outside "
        "1678 to 2261 beside them; no type holds both, write it again with microseconds"
    )
