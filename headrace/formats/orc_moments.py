"""Timestamps of Orc files outside the years 1678 to 2261, which Arrow's reader refuses: read by pyorc."""

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from headrace.errors import Rejected
from headrace.formats.file_format import FilePart
from headrace.formats.moments import nanoseconds_text

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  timestamps of Orc have no zone


class _Moment:
    """pyorc's converter of a timestamp: the seconds and nanoseconds of the file."""

    @staticmethod
    def from_orc(seconds: int, nanoseconds: int, timezone: Any) -> datetime:
        """See pyorc.ORCConverter."""
        if nanoseconds % 1000:
            raise OverflowError("nanoseconds")
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)

    @staticmethod
    def to_orc(obj: Any, timezone: Any) -> Any:
        """Nothing is written."""
        raise NotImplementedError


def read_moments(part: FilePart, stripe: int, field: pa.Field) -> pa.Array:
    """A column of one stripe, its timestamps as microseconds. Raises Rejected without pyorc, and for nanoseconds."""
    try:
        import pyorc
    except ImportError as error:
        raise Rejected(
            f"column {field.name} of {part.label} has years outside 1678 to 2261; to read them, install headrace[orc]"
        ) from error
    kinds = pyorc.TypeKind
    converters: Any = {kinds.TIMESTAMP: _Moment, kinds.TIMESTAMP_INSTANT: _Moment}
    with part.file.stream() as stream:
        reader = pyorc.Reader(
            stream,
            column_names=[field.name],
            struct_repr=pyorc.StructRepr.DICT,
            converters=converters,
        )
        try:
            values = [_plain(row[field.name], field.type) for row in reader.read_stripe(stripe)]
        except OverflowError as error:
            raise Rejected(nanoseconds_text(f"column {field.name} of {part.label}")) from error
    return pa.array(values, field.type)


def _plain(value: Any, dtype: pa.DataType) -> Any:
    """Maps as the pairs that Arrow takes."""
    if value is None or not pa.types.is_nested(dtype):
        return value
    if pa.types.is_map(dtype):
        return [(_plain(k, dtype.key_type), _plain(v, dtype.item_type)) for k, v in value.items()]
    if pa.types.is_list(dtype):
        return [_plain(item, dtype.value_type) for item in value]
    return {field.name: _plain(value[field.name], field.type) for field in dtype}
