"""The type that several values have in common."""

from collections.abc import Sequence

import pyarrow as pa

from headrace.rows import VectorType, decimal_type, parse_type, type_name
from headrace.sql.functions import NUMBERS, wrong

_ORDER = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64()]


def plain_type(dtype: pa.DataType) -> pa.DataType:
    """The type that expressions see: the one of SeaTunnel's types that holds the same values.

    Tables that come from Arrow, pandas or polars have others: large_string, dictionaries, nanoseconds, uint8.
    """
    if pa.types.is_dictionary(dtype):
        return plain_type(dtype.value_type)
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype):
        return pa.list_(plain_type(dtype.value_type))
    if pa.types.is_map(dtype):
        return pa.map_(plain_type(dtype.key_type), plain_type(dtype.item_type))
    if pa.types.is_struct(dtype):
        return pa.struct([pa.field(field.name, plain_type(field.type), field.nullable) for field in dtype])
    return dtype if pa.types.is_decimal(dtype) or isinstance(dtype, VectorType) else parse_type(type_name(dtype))


def common_type(types: Sequence[pa.DataType], text: str) -> pa.DataType:
    """The widest of number types, or the one type that all have. Raises ConfigError when there is none."""
    known = [dtype for dtype in types if not pa.types.is_null(dtype)]
    if not known:
        return pa.null()
    if all(dtype.equals(known[0]) for dtype in known):
        return known[0]
    if all(NUMBERS.has(dtype) for dtype in known):
        return widest(known)
    names = ", ".join(dict.fromkeys(map(type_name, known)))
    raise wrong(f"the values of {text} have different types: {names}", "CAST them to one type")


def widest(types: Sequence[pa.DataType]) -> pa.DataType:
    """The number type that holds all; decimals keep their digits and scale, as SeaTunnel has it."""
    decimals = [dtype for dtype in types if pa.types.is_decimal(dtype)]
    if decimals:
        return decimal_type(max(t.precision for t in decimals), max(t.scale for t in decimals))
    return max(types, key=_ORDER.index)


def element_type(types: Sequence[pa.DataType]) -> pa.DataType:
    """The type of the elements of ARRAY(…) and of MAP(…): the widest number, the one type they share, or STRING."""
    known = [dtype for dtype in types if not pa.types.is_null(dtype)]
    if known and all(dtype.equals(known[0]) for dtype in known):
        return known[0]
    if known and all(dtype in _ORDER for dtype in known):
        return widest(known)
    return pa.string()
