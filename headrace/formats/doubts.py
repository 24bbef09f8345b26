"""What Arrow's readers take without an error though it does not fit."""

import pyarrow as pa
import pyarrow.compute as pc

_YEAR_ONE = -719_162
"""The first day that Python's dates know, in days since 1970."""

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def is_doubtful(column: pa.ChunkedArray) -> bool:
    """Whether Arrow took a number that is too large for its type, or a year that Python's dates do not know."""
    if pa.types.is_floating(column.type):
        return bool(pc.any(pc.is_inf(column), min_count=0).as_py())
    if pa.types.is_decimal(column.type):
        limit, ends = 10 ** (column.type.precision - column.type.scale), pc.min_max(column).as_py()
        return ends["min"] is not None and (ends["max"] >= limit or ends["min"] <= -limit)
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return len(column) > 0 and _is_before_year_one(pc.min(column))
    return False


def _is_before_year_one(first: pa.Scalar) -> bool:
    if not first.is_valid:
        return False
    if pa.types.is_date(first.type):
        return bool(first.cast(pa.date32()).cast(pa.int32()).as_py() < _YEAR_ONE)
    return bool(first.cast(pa.int64()).as_py() < _YEAR_ONE * 86_400 * _PER_SECOND[first.type.unit])
