"""Columns of files that carry their types, as the types a job file asks for."""

import pyarrow as pa
import pyarrow.compute as pc

from headrace.formats.cells import cell_texts
from headrace.rows import type_name
from headrace.values import parse_value, to_array


def convert(column: pa.Array, dtype: pa.DataType) -> pa.Array:
    """The values as `dtype`, none of them changed. Raises ValueError naming one that does not fit."""
    if column.type == dtype:
        return column
    if pa.types.is_string(dtype):
        return cell_texts(column, {}, None)
    if pa.types.is_struct(dtype) and pa.types.is_struct(column.type):
        return _fields(column, dtype)
    if pa.types.is_timestamp(dtype) and pa.types.is_timestamp(column.type) and column.type.tz and not dtype.tz:
        column = pc.local_timestamp(column.cast(pa.timestamp(column.type.unit, "UTC")))
    try:
        return column.cast(dtype)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        _check_digits(column, dtype)
    try:
        return to_array([parse_value(value, dtype) for value in column.to_pylist()], dtype)
    except (ValueError, pa.ArrowException) as error:
        raise ValueError(f"{error}; the file has {type_name(column.type)}, the schema {type_name(dtype)}") from error


def _check_digits(column: pa.Array, dtype: pa.DataType) -> None:
    """Raises ValueError naming the first value whose nanoseconds a time or timestamp has no room for."""
    kinds = (pa.types.is_time, pa.types.is_timestamp)
    if not any(kind(column.type) and kind(dtype) for kind in kinds) or column.type.unit != "ns":
        return
    odd = pc.not_equal(column.cast(dtype, safe=False).cast(column.type), column)
    if pc.any(odd).as_py():
        text = column.filter(odd).slice(0, 1).cast(pa.string())[0].as_py()
        raise ValueError(
            f"{text} has nanoseconds, and {type_name(dtype)} holds microseconds; declare the column as string in schema"
        )


def _fields(column: pa.Array, dtype: pa.DataType) -> pa.Array:
    """A row's fields by name, or by their names without regard to case; one that the file has not is null."""
    have = [column.type.field(i).name for i in range(column.type.num_fields)]
    lower = [name.lower() for name in have]
    arrays = []
    for i in range(dtype.num_fields):
        field = dtype.field(i)
        at = (
            have.index(field.name)
            if field.name in have
            else lower.index(field.name.lower())
            if field.name.lower() in lower
            else -1
        )
        arrays.append(pa.nulls(len(column), field.type) if at < 0 else convert(pc.struct_field(column, at), field.type))
    return pa.StructArray.from_arrays(
        arrays, fields=[dtype.field(i) for i in range(dtype.num_fields)], mask=column.is_null()
    )
