"""DuckDB's types ↔ SeaTunnel's (DuckDBTypeConverter.java), and how the value of each travels as Arrow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.rows import Column


@dataclass(frozen=True)
class Wire:
    """How a column is read. sql: the type it is cast to. exact: whether every value has one of that type."""

    type: pa.DataType
    sql: str
    exact: bool = True

    def select(self, column: str, declared: str) -> str:
        """What is selected for a column, given as SQL."""
        if self.sql == declared:
            return column
        return f"{'CAST' if self.exact else 'TRY_CAST'}({column} AS {self.sql})"


_TEXT = Wire(pa.string(), "VARCHAR")
"""Every type that has no counterpart comes as DuckDB writes it."""

_PLAIN: dict[str, Wire] = {
    "BOOLEAN": Wire(pa.bool_(), "BOOLEAN"),
    "TINYINT": Wire(pa.int8(), "TINYINT"),
    "SMALLINT": Wire(pa.int16(), "SMALLINT"),
    "INTEGER": Wire(pa.int32(), "INTEGER"),
    "BIGINT": Wire(pa.int64(), "BIGINT"),
    "UTINYINT": Wire(pa.int16(), "SMALLINT"),
    "USMALLINT": Wire(pa.int32(), "INTEGER"),
    "UINTEGER": Wire(pa.int64(), "BIGINT"),
    "UBIGINT": Wire(pa.decimal128(20, 0), "DECIMAL(20,0)"),
    "HUGEINT": Wire(pa.decimal128(38, 0), "DECIMAL(38,0)", exact=False),
    "UHUGEINT": Wire(pa.decimal128(38, 0), "DECIMAL(38,0)", exact=False),
    "FLOAT": Wire(pa.float32(), "FLOAT"),
    "DOUBLE": Wire(pa.float64(), "DOUBLE"),
    "VARCHAR": _TEXT,
    "JSON": Wire(pa.string(), "JSON"),
    "BLOB": Wire(pa.binary(), "BLOB"),
    "DATE": Wire(pa.date32(), "DATE"),
    "TIME": Wire(pa.time64("us"), "TIME"),
    "TIME_NS": Wire(pa.time64("ns"), "TIME_NS"),
    "TIMESTAMP": Wire(pa.timestamp("us"), "TIMESTAMP"),
    "TIMESTAMP_S": Wire(pa.timestamp("s"), "TIMESTAMP_S"),
    "TIMESTAMP_MS": Wire(pa.timestamp("ms"), "TIMESTAMP_MS"),
    "TIMESTAMP_NS": Wire(pa.timestamp("ns"), "TIMESTAMP_NS"),
    "TIMESTAMP WITH TIME ZONE": Wire(pa.timestamp("us", tz="UTC"), "TIMESTAMP WITH TIME ZONE"),
}


def wire(dtype: Any, quote: Any) -> Wire:
    """How a type is read. dtype: as the library describes it. quote: makes a name SQL."""
    declared, kind = str(dtype), dtype.id
    if kind == "decimal":
        of = dict(dtype.children)
        return Wire(pa.decimal128(of["precision"], of["scale"]), declared)
    if kind in ("list", "array"):
        inner = _inner(dtype.children[0][1], quote)
        return Wire(pa.list_(inner.type), f"{inner.sql}[]")
    if kind == "map":
        key, value = (_inner(child, quote) for _, child in dtype.children)
        return Wire(pa.map_(key.type, value.type), f"MAP({key.sql}, {value.sql})")
    if kind == "struct" and all(name for name, _ in dtype.children):
        fields = [(name, _inner(child, quote)) for name, child in dtype.children]
        listed = ", ".join(f"{_field(name, quote)} {found.sql}" for name, found in fields)
        return Wire(pa.struct([(name, found.type) for name, found in fields]), f"STRUCT({listed})")
    return _PLAIN.get(declared, _TEXT)


def _inner(dtype: Any, quote: Any) -> Wire:
    """Within another type a value cannot be set aside, so all that is not exact is a text."""
    found = wire(dtype, quote)
    return found if found.exact else _TEXT


def _field(name: str, quote: Any) -> str:
    """A field's name as the library writes it in a type, so that equal types are the same text."""
    return name if name.isidentifier() and name.islower() else str(quote(name))


def infinite(column: pa.Array) -> pa.BooleanArray | None:
    """Which values are or hold an infinite date or time, which Arrow has not; None without any."""
    dtype = column.type
    if pa.types.is_date32(dtype):
        return _extreme(column, pa.int32(), 2**31 - 1)
    if pa.types.is_timestamp(dtype):
        return _extreme(column, pa.int64(), 2**63 - 1)
    if pa.types.is_nested(dtype) and any(infinite(child) is not None for child in _children(column)):
        return pa.array(
            [any(infinite(c) is not None for c in _children(column.slice(i, 1))) for i in range(len(column))]
        )
    return None


def _extreme(column: pa.Array, integer: pa.DataType, most: int) -> pa.BooleanArray | None:
    found = pc.is_in(column.view(integer), pa.array([most, -most], integer))
    return found if pc.any(found).as_py() else None


def _children(column: pa.Array) -> list[pa.Array]:
    if pa.types.is_struct(column.type):
        return list(column.flatten())
    if pa.types.is_map(column.type):
        entries = column.cast(
            pa.list_(pa.struct([("k", column.type.key_type), ("v", column.type.item_type)]))
        ).flatten()
        return list(entries.flatten())
    return [column.flatten()]


# ------------------------------------------------------------------------------------------------------- declaring

_DECLARED: list[tuple[Any, str]] = [
    (pa.types.is_boolean, "BOOLEAN"),
    (pa.types.is_int8, "TINYINT"),
    (pa.types.is_int16, "SMALLINT"),
    (pa.types.is_int32, "INTEGER"),
    (pa.types.is_int64, "BIGINT"),
    (pa.types.is_uint8, "UTINYINT"),
    (pa.types.is_uint16, "USMALLINT"),
    (pa.types.is_uint32, "UINTEGER"),
    (pa.types.is_uint64, "UBIGINT"),
    (lambda t: pa.types.is_float32(t) or pa.types.is_float16(t), "FLOAT"),
    (pa.types.is_float64, "DOUBLE"),
    (lambda t: pa.types.is_decimal(t) and t.precision <= 38 and t.scale >= 0, "DECIMAL"),
    (pa.types.is_date, "DATE"),
    (lambda t: pa.types.is_time64(t) and t.unit == "ns", "TIME_NS"),
    (pa.types.is_time, "TIME"),
    (lambda t: pa.types.is_timestamp(t) and t.tz is not None, "TIMESTAMP WITH TIME ZONE"),
    (lambda t: pa.types.is_timestamp(t) and t.unit == "ns", "TIMESTAMP_NS"),
    (pa.types.is_timestamp, "TIMESTAMP"),
    (lambda t: pa.types.is_binary(t) or pa.types.is_large_binary(t) or pa.types.is_fixed_size_binary(t), "BLOB"),
]


def declare(column: Column) -> str:
    """The type a column gets in a new table."""
    return column.sink_type or _declared(column.type)


def _declared(dtype: pa.DataType) -> str:
    if pa.types.is_dictionary(dtype):
        return _declared(dtype.value_type)
    if isinstance(dtype, pa.BaseExtensionType):
        return _declared(dtype.storage_type)
    if pa.types.is_map(dtype):
        return f"MAP({_declared(dtype.key_type)}, {_declared(dtype.item_type)})"
    if pa.types.is_struct(dtype):
        fields = (f'"{f.name.replace(chr(34), chr(34) * 2)}" {_declared(f.type)}' for f in dtype)
        return f"STRUCT({', '.join(fields)})" if dtype.num_fields else "VARCHAR"
    if pa.types.is_nested(dtype):
        return f"{_declared(dtype.value_type)}[]"
    found = next((name for check, name in _DECLARED if check(dtype)), "VARCHAR")
    return f"DECIMAL({dtype.precision},{dtype.scale})" if found == "DECIMAL" else found


def storable(column: pa.Array) -> pa.Array:
    """The column as DuckDB takes it in."""
    dtype = column.type
    if pa.types.is_dictionary(dtype):
        return storable(column.cast(dtype.value_type))
    if isinstance(dtype, pa.BaseExtensionType):
        return storable(column.storage)
    if pa.types.is_decimal(dtype) and _declared(dtype) == "VARCHAR":
        texts = column.cast(pa.string())
        return pa.array([None if v is None else f"{v:f}" for v in column.to_pylist()], texts.type)
    plain = _plain(dtype)
    return column if plain == dtype else column.cast(plain)


def _plain(dtype: pa.DataType) -> pa.DataType:
    """A type without what DuckDB does not take: half floats, within lists and the like, too."""
    if pa.types.is_float16(dtype):
        return pa.float32()
    if pa.types.is_list(dtype):
        return pa.list_(_plain(dtype.value_type))
    if pa.types.is_map(dtype):
        return pa.map_(_plain(dtype.key_type), _plain(dtype.item_type))
    if pa.types.is_struct(dtype):
        return pa.struct([field.with_type(_plain(field.type)) for field in dtype])
    return dtype


TABLE: Mapping[str, str] = {
    "BOOLEAN": "BOOLEAN",
    "TINYINT, SMALLINT, INTEGER, BIGINT": "TINYINT, SMALLINT, INT, BIGINT",
    "UTINYINT, USMALLINT, UINTEGER, UBIGINT": "SMALLINT, INT, BIGINT, DECIMAL(20, 0)",
    "HUGEINT, UHUGEINT": "DECIMAL(38, 0); a number of 39 digits is a bad row",
    "FLOAT, DOUBLE": "FLOAT, DOUBLE; NaN and infinity as they are",
    "DECIMAL(p, s)": "DECIMAL(p, s)",
    "VARCHAR, JSON": "STRING",
    "BLOB": "BYTES",
    "DATE, TIMESTAMP (of every unit), TIMESTAMPTZ": "DATE, TIMESTAMP, TIMESTAMP_TZ, also BC; infinity is a bad row",
    "TIME, TIME_NS": "TIME",
    "lists, arrays, STRUCT, MAP": "ARRAY, ARRAY, ROW, MAP",
    "all others: UUID, ENUM, INTERVAL, BIT, TIMETZ, BIGNUM, UNION, VARIANT, …": "STRING, as DuckDB writes them",
}
"""For the docs: what each type is read as."""
