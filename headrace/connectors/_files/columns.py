"""The columns of files that carry their own: of all files together, and of one file as the table's."""

import logging
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from headrace.connector import TableSchema
from headrace.errors import Rejected
from headrace.formats.convert import convert
from headrace.formats.file_format import FilePart
from headrace.rows import decimal_type, type_name

LOG = logging.getLogger("headrace.plugin")

LOOKED_AT = 100
"""Files whose columns make the table's; a later one with more columns is warned of."""

_WIDER = ([pa.int8(), pa.int16(), pa.int32(), pa.int64()], [pa.float32(), pa.float64()])


def united(files: Iterable[tuple[str, pa.Schema]]) -> pa.Schema:
    """The columns of the first file, then those that others have beside them; names match without regard to case.

    A type that holds only nulls gives way to the one of the next file, a narrow number to a wider one.
    """
    fields: dict[str, pa.Field] = {}
    since: dict[str, str] = {}
    first = ""
    for label, schema in files:
        first = first or label
        for field in schema:
            known = fields.get(field.name.lower())
            if known is None:
                since[field.name.lower()] = label
                fields[field.name.lower()] = field if first == label else field.with_nullable(True)
            else:
                fields[known.name.lower()] = known.with_type(common(known.type, field.type))
        for lower in [lower for lower, field in fields.items() if lower not in {n.lower() for n in schema.names}]:
            if fields[lower].nullable is False:
                fields[lower] = fields[lower].with_nullable(True)
    for label in dict.fromkeys(since.values()):
        new = [fields[lower].name for lower, file in since.items() if file == label]
        if label != first:
            LOG.warning("%s has columns that %s lacks, which are null there: %s", label, first, ", ".join(new))
    return pa.schema(list(fields.values()))


def common(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    """The type that holds the values of both where one is null or a narrower number; else the first."""
    if pa.types.is_null(left) or left.equals(right):
        return right
    for order in _WIDER:
        if left in order and right in order:
            return max(left, right, key=order.index)
    if pa.types.is_decimal(left) and pa.types.is_decimal(right):
        scale = max(left.scale, right.scale)
        return decimal_type(min(max(left.precision - left.scale, right.precision - right.scale) + scale, 76), scale)
    if pa.types.is_list(left) and pa.types.is_list(right):
        return pa.list_(common(left.value_type, right.value_type))
    if pa.types.is_map(left) and pa.types.is_map(right):
        return pa.map_(common(left.key_type, right.key_type), common(left.item_type, right.item_type))
    if pa.types.is_struct(left) and pa.types.is_struct(right):
        have = {field.name: field for field in right}
        same = [f.with_type(common(f.type, have[f.name].type)) if f.name in have else f for f in left]
        return pa.struct([*same, *(field for name, field in have.items() if left.get_field_index(name) < 0)])
    return left


def has_room(dtype: pa.DataType, other: pa.DataType) -> bool:
    """Whether a type that is, or holds, null alone leaves no value of the other type out."""
    if pa.types.is_null(dtype):
        return pa.types.is_null(other)
    if not (pa.types.is_nested(dtype) and pa.types.is_nested(other)):
        return True
    if pa.types.is_struct(dtype) and pa.types.is_struct(other):
        names = [field.name for field in dtype]
        return all(has_room(dtype.field(f.name).type, f.type) for f in other if f.name in names)
    inner, others = ([t.field(i).type for i in range(t.num_fields)] for t in (dtype, other))
    return len(inner) != len(others) or all(map(has_room, inner, others))


def own_columns(have: pa.Schema, label: str, table: TableSchema, names: Sequence[str], *, declared: bool) -> pa.Schema:
    """The columns to read from a file, as it spells and types them.

    declared: the schema option tells the columns, so that one that the file lacks is refused by the format; else it is
    null.
    """
    by_lower = {name.lower(): name for name in reversed(have.names)}
    fields = []
    for column in table.columns:
        name = column.name if column.name in have.names else by_lower.get(column.name.lower())
        if name is not None:
            if not declared and not has_room(column.type, have.field(name).type):
                raise Rejected(
                    f"column {name} of {label} is {type_name(have.field(name).type)}, and held only nulls in the files "
                    f"that the columns were taken from; declare {name} in schema",
                    table=table.path,
                )
            fields.append(have.field(name))
        elif column.name in names and declared:
            fields.append(pa.field(column.name, column.type))
    if names and not fields:
        raise Rejected(f"{label} has none of the columns {', '.join(names)}; it has {', '.join(have.names)}")
    return pa.schema(fields)


def tell_of_others(have: pa.Schema, label: str, table: TableSchema, told: set[str]) -> None:
    """Warns of a file's columns that the table lacks, once for each set of names in `told`."""
    known = {name.lower() for name in table.names}
    others = ", ".join(name for name in have.names if name.lower() not in known)
    if others and others not in told:
        told.add(others)
        LOG.warning(
            "%s has columns that the first %d files lack, and that are left out: %s; name all columns in schema",
            label,
            LOOKED_AT,
            others,
        )


def shaped(
    rows: pa.RecordBatch, table: TableSchema, partitions: Mapping[str, str | None], part: FilePart
) -> pa.RecordBatch:
    """The table's columns in its order with its types, the path's partitions among them; what is nowhere is null."""
    if rows.schema.names == table.names and rows.schema.types == table.arrow.types:
        return rows
    by_lower = {name.lower(): i for i, name in reversed(list(enumerate(rows.schema.names)))}
    exact = {name: i for i, name in reversed(list(enumerate(rows.schema.names)))}
    columns = []
    for column in table.columns:
        index = exact.get(column.name, by_lower.get(column.name.lower()))
        if index is not None:
            found = rows.column(index)
        elif column.name in partitions:
            found = pa.repeat(pa.scalar(partitions[column.name], pa.string()), rows.num_rows)
        else:
            found = pa.nulls(rows.num_rows, column.type)
        try:
            columns.append(convert(found, column.type))
        except ValueError as error:
            raise Rejected(f"cannot read column {column.name} of {part.label}: {error}", table=table.path) from error
    return pa.RecordBatch.from_arrays(columns, schema=table.arrow)
