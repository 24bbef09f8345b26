"""The plain values within columns of any type: those of some types changed, however deep they lie."""

from collections.abc import Callable

import pyarrow as pa


def change_leaves(
    column: pa.Array, wanted: Callable[[pa.DataType], bool], change: Callable[[pa.Array], pa.Array]
) -> pa.Array:
    """The column with `change` of all values within it whose type is `wanted`; the column itself where there are none.

    wanted is asked about plain types and vectors; arrays, maps and rows are gone through.
    """
    dtype = column.type
    if not has_leaves(dtype, wanted):
        return column
    if not pa.types.is_nested(dtype):
        return change(column)
    column = column.take(pa.array(range(len(column)), pa.int64()))  # the parts of a slice would be those of the whole

    def inner(part: pa.Array) -> pa.Array:
        return change_leaves(part, wanted, change)

    if pa.types.is_map(dtype):
        return pa.MapArray.from_arrays(column.offsets, inner(column.keys), inner(column.items), mask=column.is_null())
    if pa.types.is_list(dtype):
        return pa.ListArray.from_arrays(column.offsets, inner(column.values), mask=column.is_null())
    fields = [inner(column.field(i)) for i in range(dtype.num_fields)]
    return pa.StructArray.from_arrays(fields, [field.name for field in dtype], mask=column.is_null())


def has_leaves(dtype: pa.DataType, wanted: Callable[[pa.DataType], bool]) -> bool:
    """Whether a type is, or holds, one that is wanted."""
    if not pa.types.is_nested(dtype):
        return wanted(dtype)
    return any(has_leaves(dtype.field(i).type, wanted) for i in range(dtype.num_fields))


def printed_floats(column: pa.Array) -> pa.Array:
    """The column with its 32-bit floats as the 64-bit ones of the same print: 3.14, not 3.140000104904175."""
    return change_leaves(column, pa.types.is_float32, lambda floats: floats.cast(pa.string()).cast(pa.float64()))
