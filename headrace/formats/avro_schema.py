"""Schemas of Avro ↔ types of Arrow (Avro 1.12 specification: «Schema Declaration», «Logical Types»).

Values are decoded and encoded without logical types, as the plain numbers and bytes that a file holds, so that every
year and every digit fits; what they mean is a cast of Arrow's.
"""

import re
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa

from headrace.errors import Rejected
from headrace.rows import VectorType, decimal_type, type_name

_PLAIN = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "bytes": pa.binary(),
    "enum": pa.string(),
    "fixed": pa.binary(),
}
_LOGICAL = {
    ("int", "date"): pa.date32(),
    ("int", "time-millis"): pa.time32("ms"),
    ("long", "time-micros"): pa.time64("us"),
    ("long", "timestamp-millis"): pa.timestamp("ms", "UTC"),
    ("long", "timestamp-micros"): pa.timestamp("us", "UTC"),
    ("long", "timestamp-nanos"): pa.timestamp("ns", "UTC"),
    ("long", "local-timestamp-millis"): pa.timestamp("ms"),
    ("long", "local-timestamp-micros"): pa.timestamp("us"),
    ("long", "local-timestamp-nanos"): pa.timestamp("ns"),
}
EXACT = Context(prec=100)
"""More digits than a decimal has, so that none is rounded."""
_FLAT = {"boolean", "int", "long", "float", "double", "string", "bytes"}
_WHOLE = ["int", "long"]
_FRACTIONS = ["float", "double"]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Resolved:
    """A part of a schema. kind: Avro's type; inner: of arrays, maps and records; logical: Arrow's type of values."""

    def __init__(self, kind: str, logical: pa.DataType, inner: "dict[str, Resolved] | None" = None) -> None:
        self.kind, self.logical, self.inner = kind, logical, inner or {}
        self.is_mixed = False

    @property
    def stored(self) -> pa.DataType:
        """Arrow's type of what the file holds; a decimal is one already."""
        return self._arrow(lambda of: of.logical if pa.types.is_decimal(of.logical) else _PLAIN[of.kind])

    @property
    def final(self) -> pa.DataType:
        """Arrow's type of a column; times and timestamps are in microseconds, or nanoseconds where they have such."""
        return self._arrow(_in_microseconds)

    def _arrow(self, plain: "Callable[[Resolved], pa.DataType]") -> pa.DataType:
        """The type, nested as this is. plain: gives that of a part that holds no others."""
        if self.kind == "array":
            return pa.list_(self.inner["item"]._arrow(plain))
        if self.kind == "map":
            return pa.map_(pa.string(), self.inner["value"]._arrow(plain))
        if self.kind == "record":
            return pa.struct([pa.field(name, inner._arrow(plain)) for name, inner in self.inner.items()])
        return plain(self)

    @property
    def is_flat(self) -> bool:
        """Whether polars reads and writes it."""
        return self.kind in _FLAT and not self.is_mixed and not pa.types.is_decimal(self.logical)

    def plain(self, value: Any) -> Any:
        """A decoded value as Arrow takes it for `stored`: decimals out of their bytes, maps as pairs."""
        if value is None:
            return None
        if pa.types.is_decimal(self.logical):
            return Decimal(int.from_bytes(value, "big", signed=True)).scaleb(-self.logical.scale, EXACT)
        if self.kind == "array":
            return [self.inner["item"].plain(item) for item in value]
        if self.kind == "map":
            return [(key, self.inner["value"].plain(item)) for key, item in value.items()]
        if self.kind == "record":
            return {name: inner.plain(value[name]) for name, inner in self.inner.items()}
        return value


def _in_microseconds(of: Resolved) -> pa.DataType:
    if pa.types.is_time(of.logical):
        return pa.time64("us")
    if pa.types.is_timestamp(of.logical) and of.logical.unit == "ms":
        return pa.timestamp("us", of.logical.tz)
    return of.logical


def columns_of(schema: Any, label: str) -> dict[str, Resolved]:
    """The fields of a file's record by name. Raises Rejected for what no column can hold."""
    found = _resolve(schema, label, "", {}, ())
    if found.kind != "record":
        raise Rejected(f"{label} holds values of type {found.kind}, not records; only records have columns")
    return found.inner


def _resolve(schema: Any, label: str, name: str, known: dict[str, Any], within: tuple[str, ...]) -> Resolved:
    if isinstance(schema, list):
        return _union(schema, label, name, known, within)
    if isinstance(schema, str):
        if schema in _PLAIN:
            return Resolved(schema, _PLAIN[schema])
        if schema in within or schema not in known:
            raise Rejected(f"column {name} of {label} has the type {schema!r}, which holds itself or is not declared")
        return _resolve(known[schema], label, name, known, within)
    kind = schema["type"]
    if isinstance(kind, list | dict):
        return _resolve(kind, label, name, known, within)
    full = schema.get("name", "")
    if full:
        space = schema.get("namespace")
        known[full] = schema
        known[f"{space}.{full}" if space else full] = schema
    if kind == "array":
        return Resolved(kind, pa.null(), {"item": _resolve(schema["items"], label, name, known, within)})
    if kind == "map":
        return Resolved(kind, pa.null(), {"value": _resolve(schema["values"], label, name, known, within)})
    if kind == "record":
        inner = {
            field["name"]: _resolve(field["type"], label, f"{name}.{field['name']}".strip("."), known, (*within, full))
            for field in schema["fields"]
        }
        return Resolved(kind, pa.null(), inner)
    if kind not in _PLAIN:
        return _resolve(kind, label, name, known, within)
    logical = schema.get("logicalType")
    if logical == "decimal" and kind in ("bytes", "fixed"):
        return Resolved(kind, decimal_type(schema["precision"], schema.get("scale", 0)))
    return Resolved(kind, _LOGICAL.get((kind, str(logical)), _PLAIN[kind]))


def _union(schema: list[Any], label: str, name: str, known: dict[str, Any], within: tuple[str, ...]) -> Resolved:
    parts = [_resolve(part, label, name, known, within) for part in schema]
    real = [part for part in parts if part.kind != "null"]
    if len(real) < 2:
        return real[0] if real else Resolved("null", pa.null())
    kinds = [part.kind for part in real]
    for order in (_WHOLE, _FRACTIONS):
        if all(part.kind in order and part.logical == _PLAIN[part.kind] for part in real):
            widest = max(real, key=lambda part: order.index(part.kind))
            widest.is_mixed = True
            return widest
    if set(kinds) <= {"string", "enum"}:
        return Resolved("string", pa.string())
    raise Rejected(
        f"column {name} of {label} is a union of {', '.join(kinds)}, which no column type holds; leave it out of "
        "read_columns, or write the file with one type"
    )


def without_logical(schema: Any) -> Any:
    """The schema with the plain types alone."""
    if isinstance(schema, list):
        return [without_logical(part) for part in schema]
    if isinstance(schema, dict):
        return {
            key: without_logical(value) if key in ("type", "items", "values", "fields") else value
            for key, value in schema.items()
            if key not in ("logicalType", "default", "precision", "scale")
        }
    return schema


# ------------------------------------------------------------------------------------------------- from Arrow's types


def schema_for(schema: pa.Schema) -> dict[str, Any]:
    """The record of a file with these columns, all nullable. Raises Rejected for what Avro has no name or type for."""
    names = _Names()
    return names.record("row", schema, "")


class _Names:
    """Records within records need names of their own."""

    def __init__(self) -> None:
        self._count = 0

    def record(self, name: str, fields: Any, column: str) -> dict[str, Any]:
        made = []
        for field in fields:
            place = f"{column}.{field.name}".strip(".")
            if not _NAME.fullmatch(field.name):
                raise Rejected(
                    f"avro files cannot hold column {place!r}: a name has letters, digits and _ and begins with "
                    "no digit; rename it"
                )
            made.append({"name": field.name, "type": ["null", self.type(field.type, place)], "default": None})
        return {"type": "record", "name": name, "fields": made}

    def type(self, dtype: pa.DataType, column: str) -> Any:
        if isinstance(dtype, VectorType | pa.ExtensionType):
            return self.type(dtype.storage_type, column)
        if pa.types.is_struct(dtype):
            self._count += 1
            return self.record(f"row_{self._count}", [dtype.field(i) for i in range(dtype.num_fields)], column)
        if pa.types.is_list(dtype) or pa.types.is_fixed_size_list(dtype) or pa.types.is_large_list(dtype):
            return {"type": "array", "items": ["null", self.type(dtype.value_type, column)]}
        if pa.types.is_map(dtype):
            if not pa.types.is_string(dtype.key_type):
                text = f"avro files cannot hold column {column}: {type_name(dtype)}, for keys of maps are texts there"
                raise Rejected(f"{text}; CAST it, or write another format")
            return {"type": "map", "values": ["null", self.type(dtype.item_type, column)]}
        return _leaf(dtype, column)


def _leaf(dtype: pa.DataType, column: str) -> Any:
    if pa.types.is_decimal(dtype):
        return {"type": "bytes", "logicalType": "decimal", "precision": dtype.precision, "scale": dtype.scale}
    if pa.types.is_date(dtype):
        return {"type": "int", "logicalType": "date"}
    if pa.types.is_time(dtype):
        return {"type": "long", "logicalType": "time-micros"}
    if pa.types.is_timestamp(dtype):
        unit = "nanos" if dtype.unit == "ns" else "micros"
        return {"type": "long", "logicalType": f"{'' if dtype.tz else 'local-'}timestamp-{unit}"}
    kinds = {
        "boolean": pa.types.is_boolean, "double": pa.types.is_float64, "float": pa.types.is_float32,
        "string": pa.types.is_string, "bytes": pa.types.is_binary,
    }  # fmt: skip
    if pa.types.is_signed_integer(dtype):
        return "long" if dtype.bit_width == 64 else "int"
    for name, fits in kinds.items():
        if fits(dtype):
            return name
    if pa.types.is_null(dtype):
        return "string"
    raise Rejected(f"avro files cannot hold column {column}: {type_name(dtype)}; CAST it, or write another format")
