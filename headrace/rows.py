"""What flows: batches of Arrow rows with their kinds and table; SeaTunnel's types and schemas as Arrow."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import IntEnum
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

TARGET_ROWS = 65_536
"""Rows of a full batch; a source hands on smaller ones only when they reach TARGET_BYTES or it waits for data."""

TARGET_BYTES = 16 * 1024 * 1024
"""Bytes of a full batch, whichever comes first."""


class RowKind(IntEnum):
    """What a row says about its table; the values are SeaTunnel's (RowKind.java)."""

    INSERT = 0
    UPDATE_BEFORE = 1
    UPDATE_AFTER = 2
    DELETE = 3

    @property
    def short(self) -> str:
        """`+I`, `-U`, `+U` or `-D`."""
        return ("+I", "-U", "+U", "-D")[self]


# ---------------------------------------------------------------------------------------------------------- types


VECTOR_STORAGE: dict[str, pa.DataType] = {
    "binary_vector": pa.binary(),
    "float_vector": pa.list_(pa.float32()),
    "float16_vector": pa.list_(pa.float16()),
    "bfloat16_vector": pa.binary(),  # two bytes a value, little endian: Arrow has no bfloat16
    "sparse_float_vector": pa.map_(pa.int32(), pa.float32()),
}
"""SeaTunnel's vector types, and how each is stored."""


class VectorType(pa.ExtensionType):  # type: ignore[misc]  # pyarrow has no types
    """A SeaTunnel vector, kept as an Arrow extension type so that it stays distinct from a list.

    name: one of VECTOR_STORAGE.
    """

    def __init__(self, name: str = "float_vector") -> None:
        self.name = name
        super().__init__(VECTOR_STORAGE[name], "headrace.vector")

    def __arrow_ext_serialize__(self) -> bytes:
        return self.name.encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> "VectorType":
        return cls(serialized.decode())


try:
    pa.register_extension_type(VectorType())
except pa.ArrowKeyError:  # the module is loaded a second time, as some test tools do
    pa.unregister_extension_type("headrace.vector")
    pa.register_extension_type(VectorType())

SIMPLE_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "null": pa.null(),
    "bytes": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamp_tz": pa.timestamp("us", tz="UTC"),
    **{name: VectorType(name) for name in VECTOR_STORAGE},
}
"""SeaTunnel's parameterless types (schema-feature page, SqlType.java) and the Arrow type that carries each."""

TYPE_ALIASES = {
    "byte": "tinyint",
    "short": "smallint",
    "integer": "int",
    "long": "bigint",
    "varchar": "string",
    "datetime": "timestamp",
}

MAX_DECIMAL_PRECISION = 76
MAX_NESTING = 100


def parse_type(value: str | Mapping[str, Any]) -> pa.DataType:
    """The Arrow type of a SeaTunnel type as a job file writes it: `int`, `array<map<string, int>>`, `{a = int}`.

    Names are matched without regard to case. Raises ValueError naming the part that is wrong.
    """
    if isinstance(value, Mapping):
        return pa.struct([pa.field(str(name), parse_type(inner)) for name, inner in value.items()])
    if not isinstance(value, str):
        raise ValueError(f'{value!r} is not a type; write its name as text, such as "int"')
    text = value.strip()
    if text.count("<") + text.count("{") > MAX_NESTING:
        raise ValueError(f"a type has more than {MAX_NESTING} brackets, {text[:40]}…")
    if text.startswith("{"):
        return _parse_row_text(text)
    head, _, rest = text.partition("<")
    name = head.strip().lower()
    if rest and text.endswith(">") and name in ("array", "map"):
        inner = text[text.index("<") + 1 : -1]
        if name == "array":
            return pa.list_(parse_type(inner))
        parts = split_outside_brackets(inner, ",")
        if len(parts) != 2:
            raise ValueError(f"map type {value!r} needs a key type and a value type: map<string, int>")
        return pa.map_(parse_type(parts[0]), parse_type(parts[1]))
    if decimal := re.fullmatch(r"decimal\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)", text, re.IGNORECASE):
        return decimal_type(int(decimal[1]), int(decimal[2]))
    name = TYPE_ALIASES.get(text.lower(), text.lower())
    if name in SIMPLE_TYPES:
        return SIMPLE_TYPES[name]
    if name.startswith("decimal"):
        raise ValueError(f"type {value!r} needs precision and scale: decimal(10, 2)")
    known = [*SIMPLE_TYPES, "decimal(p,s)", "array<T>", "map<K,V>"]
    near = get_close_matches(name, [*SIMPLE_TYPES, *TYPE_ALIASES], 1)
    raise ValueError(
        f"unknown type {value!r}" + (f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}")
    )


def _parse_row_text(text: str) -> pa.DataType:
    """`{a = int, "b": array<string>}` as a struct; a new line is as good as a comma, as in HOCON."""
    fields = []
    for part in _pairs(text.strip()[1:-1]):
        if not part.strip():
            continue
        match = re.match(r"\s*(\"[^\"]*\"|[^=:\s{]+)\s*[=:]?\s*(.*)", part, re.DOTALL)
        if match is None or not match[2].strip():
            raise ValueError(f"row type {text!r} needs pairs such as {{a = int, b = string}}")
        inner = match[2].strip()
        fields.append(pa.field(match[1].strip('"'), parse_type(inner.strip('"'))))
    return pa.struct(fields)


_PAIR = re.compile(r"\s*(\"[^\"]*\"|[^=:\s{}<>()]+)\s*[=:{]")
"""How a field of a row begins."""


def _pairs(text: str) -> list[str]:
    """The fields of a row: between commas, and on lines of their own."""
    found = []
    for part in split_outside_brackets(text, ","):
        pairs: list[str] = []
        for line in split_outside_brackets(part, "\n"):
            if not pairs or not pairs[-1].strip() or _PAIR.match(line):
                pairs.append(line)
            else:
                pairs[-1] += f"\n{line}"
        found += pairs
    return found


def split_outside_brackets(text: str, separator: str, brackets: str = "<>(){}") -> list[str]:
    """Split at `separator` where it is outside of double quotes and brackets. brackets: pairs of them."""
    opening, closing = brackets[::2], brackets[1::2]
    parts, depth, quoted, start = [], 0, False, 0
    for i, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif not quoted and char in opening:
            depth += 1
        elif not quoted and char in closing:
            depth -= 1
        elif not quoted and depth == 0 and char == separator:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def decimal_type(precision: int, scale: int) -> pa.DataType:
    """decimal(p, s): 128 bits up to 38 digits, 256 above. Raises ValueError outside 1 … 76, or if scale > precision."""
    if not 1 <= precision <= MAX_DECIMAL_PRECISION or scale > precision:
        raise ValueError(
            f"decimal({precision}, {scale}) is outside 1 <= precision <= {MAX_DECIMAL_PRECISION}, scale <= precision"
        )
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def type_name(dtype: pa.DataType) -> str:
    """SeaTunnel's name of an Arrow type, in the spelling of its logs: `STRING`, `DECIMAL(10, 2)`, `ARRAY<INT>`.

    Arrow types that no SeaTunnel type maps to get the one that holds all their values (uint8 → SMALLINT, …).
    """
    if isinstance(dtype, VectorType):
        return dtype.name.upper()
    if pa.types.is_dictionary(dtype):
        return type_name(dtype.value_type)
    if pa.types.is_decimal(dtype):
        return f"DECIMAL({dtype.precision}, {dtype.scale})"
    if pa.types.is_timestamp(dtype):
        return "TIMESTAMP_TZ" if dtype.tz else "TIMESTAMP"
    if pa.types.is_map(dtype):
        return f"MAP<{type_name(dtype.key_type)}, {type_name(dtype.item_type)}>"
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype):
        return f"ARRAY<{type_name(dtype.value_type)}>"
    if pa.types.is_struct(dtype):
        inner = ", ".join(f"{dtype.field(i).name} {type_name(dtype.field(i).type)}" for i in range(dtype.num_fields))
        return f"ROW<{inner}>"
    for check, name in _NAMES:
        if check(dtype):
            return name
    return "STRING"


_NAMES: list[tuple[Callable[[pa.DataType], bool], str]] = [
    (pa.types.is_boolean, "BOOLEAN"),
    (pa.types.is_int8, "TINYINT"),
    (lambda t: pa.types.is_int16(t) or pa.types.is_uint8(t), "SMALLINT"),
    (lambda t: pa.types.is_int32(t) or pa.types.is_uint16(t), "INT"),
    (lambda t: pa.types.is_int64(t) or pa.types.is_uint32(t), "BIGINT"),
    (pa.types.is_uint64, "DECIMAL(20, 0)"),
    (lambda t: pa.types.is_float32(t) or pa.types.is_float16(t), "FLOAT"),
    (pa.types.is_float64, "DOUBLE"),
    (pa.types.is_null, "NULL"),
    (pa.types.is_date, "DATE"),
    (pa.types.is_time, "TIME"),
    (
        lambda t: (
            pa.types.is_binary(t)
            or pa.types.is_large_binary(t)
            or pa.types.is_fixed_size_binary(t)
            or pa.types.is_binary_view(t)
        ),
        "BYTES",
    ),
]


# --------------------------------------------------------------------------------------------------------- schemas


@dataclass(frozen=True)
class Column:
    """One column of a table, as SeaTunnel's catalog describes it.

    length: `columnLength`, characters or bytes, None when not given. scale: `columnScale`.
    default: the value as the job file gives it, not converted. source_type: the type's name in its own system.
    sink_type: the native type a DefineSinkType transform asks for.
    """

    name: str
    type: pa.DataType
    nullable: bool = True
    length: int | None = None
    scale: int | None = None
    default: Any = None
    comment: str | None = None
    source_type: str | None = None
    sink_type: str | None = None


@dataclass(frozen=True)
class PrimaryKey:
    """A primary key: its name and its columns in order."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class ConstraintKey:
    """An index, unique, foreign or vector key. columns: (name, sort type `ASC`, `DESC` or None)."""

    name: str
    type: str
    columns: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class TableSchema:
    """A table: its path, columns, keys, comment. SeaTunnel calls this CatalogTable.

    path: `table`, `database.table` or `database.schema.table`, as SeaTunnel prints it.
    schema_first: a two-part path is `schema.table`, not `database.table`.
    options: what a source knows beside (a topic, a file), as text.
    metadata: what a source knows of each row, by SeaTunnel's keys (`EventTime`, `FilePath`); see `Batch.metadata`.
    partition_keys: the columns by which the table is partitioned.
    """

    path: str
    columns: tuple[Column, ...]
    primary_key: PrimaryKey | None = None
    constraint_keys: tuple[ConstraintKey, ...] = ()
    comment: str | None = None
    schema_first: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    metadata: tuple[Column, ...] = ()
    partition_keys: tuple[str, ...] = ()

    @property
    def arrow(self) -> pa.Schema:
        """The columns as an Arrow schema."""
        return pa.schema([pa.field(c.name, c.type, c.nullable) for c in self.columns])

    @property
    def names(self) -> list[str]:
        """The columns' names in order."""
        return [c.name for c in self.columns]

    @property
    def path_parts(self) -> tuple[str, str, str]:
        """(database, schema, table); parts that are not given are empty."""
        parts = self.path.split(".")
        if len(parts) == 1:
            return "", "", parts[0]
        if len(parts) == 2:
            return ("", parts[0], parts[1]) if self.schema_first else (parts[0], "", parts[1])
        return parts[0], parts[1], ".".join(parts[2:])

    def column(self, name: str) -> Column:
        """The column called `name`. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def with_columns(self, columns: Sequence[Column]) -> "TableSchema":
        """The same table with other columns; keys whose columns are not all kept are dropped."""
        names = {c.name for c in columns}
        key = self.primary_key if self.primary_key and names.issuperset(self.primary_key.columns) else None
        constraints = tuple(k for k in self.constraint_keys if names.issuperset(n for n, _ in k.columns))
        partitions = self.partition_keys if names.issuperset(self.partition_keys) else ()
        return replace(
            self, columns=tuple(columns), primary_key=key, constraint_keys=constraints, partition_keys=partitions
        )

    @classmethod
    def from_arrow(cls, schema: pa.Schema, path: str = "default") -> "TableSchema":
        """A table with the columns of an Arrow schema."""
        return cls(path, tuple(Column(f.name, f.type, f.nullable) for f in schema))


# --------------------------------------------------------------------------------------------------------- batches


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one table.

    rows: the columns are those of the table's schema at this point of the pipeline, in order.
    table: the path of the table the rows belong to.
    kinds: one RowKind value for each row as uint8; None when all rows are inserts, which must cost nothing.
    metadata: the columns that the table's `metadata` names, beside the rows until a Metadata transform takes them;
    None where the source knows nothing of its rows.
    """

    rows: pa.RecordBatch
    table: str = "default"
    kinds: pa.UInt8Array | None = None
    metadata: pa.RecordBatch | None = None

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return self.rows.num_rows

    def filter(self, mask: pa.BooleanArray) -> "Batch":
        """The rows where `mask` is true; null counts as false."""
        return self._each(lambda values: values.filter(mask))

    def take(self, indices: pa.Array) -> "Batch":
        """The rows at `indices`, in that order."""
        return self._each(lambda values: values.take(indices))

    def slice(self, offset: int, length: int | None = None) -> "Batch":
        """A part of the rows, without copying."""
        return self._each(lambda values: values.slice(offset, length))

    def with_rows(self, rows: pa.RecordBatch) -> "Batch":
        """The same table, kinds and metadata with other columns; as many rows as before."""
        return replace(self, rows=rows)

    def _each(self, change: Callable[[Any], Any]) -> "Batch":
        kinds = None if self.kinds is None else change(self.kinds)
        return Batch(change(self.rows), self.table, kinds, None if self.metadata is None else change(self.metadata))

    def kind_array(self) -> pa.UInt8Array:
        """The kinds, written out even when all rows are inserts."""
        if self.kinds is not None:
            return self.kinds
        return pa.repeat(pa.scalar(int(RowKind.INSERT), pa.uint8()), self.num_rows)

    @property
    def nbytes(self) -> int:
        """Bytes of the rows' buffers; a shared buffer counts for the part the batch refers to."""
        return self.rows.nbytes

    @property
    def estimated_bytes(self) -> int:
        """See `estimate_bytes`."""
        return estimate_bytes(self.rows)


class Encoded(Protocol):
    """Rows as an outside system gave them, for a sink that can pass them on as they are. All of them can be decoded.

    form: names the encoding. types: what the outside system calls the type of each column. estimated_bytes: of
    `estimate_bytes`.
    """

    form: str
    types: tuple[str, ...]

    @property
    def num_rows(self) -> int: ...  # noqa: D102

    @property
    def nbytes(self) -> int: ...  # noqa: D102

    @property
    def estimated_bytes(self) -> int: ...  # noqa: D102

    def slice(self, offset: int, length: int) -> "Encoded":
        """A part of the rows, without copying."""

    def decode(self) -> pa.RecordBatch:
        """The rows as columns."""


class EncodedBatch(Batch):
    """Rows that are decoded when somebody asks for `rows`: all are inserts, and they have no metadata."""

    __slots__ = ("_decoded", "encoded")
    encoded: Encoded

    def __init__(self, encoded: Encoded, table: str) -> None:
        for name, value in (("encoded", encoded), ("_decoded", None), ("table", table)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "kinds", None)
        object.__setattr__(self, "metadata", None)

    @property
    def rows(self) -> pa.RecordBatch:
        """The rows, decoded once."""
        found: pa.RecordBatch | None = self._decoded  # type: ignore[attr-defined]
        if found is None:
            found = self.encoded.decode()
            object.__setattr__(self, "_decoded", found)
        return found

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return self.encoded.num_rows

    def slice(self, offset: int, length: int | None = None) -> Batch:
        """A part of the rows, without copying or decoding."""
        left = self.num_rows - offset
        return EncodedBatch(self.encoded.slice(offset, left if length is None else min(length, left)), self.table)

    def with_rows(self, rows: pa.RecordBatch) -> Batch:
        """The same table with other columns."""
        return Batch(rows, self.table)

    @property
    def nbytes(self) -> int:
        """Bytes of the rows as they came."""
        return self.encoded.nbytes

    @property
    def estimated_bytes(self) -> int:
        """See `estimate_bytes`."""
        return self.encoded.estimated_bytes


_WIDTHS = {
    "BOOLEAN": 1, "TINYINT": 1, "SMALLINT": 2, "INT": 4, "FLOAT": 4, "BIGINT": 8, "DOUBLE": 8,
    "DATE": 24, "TIME": 12, "TIMESTAMP": 48, "TIMESTAMP_TZ": 48, "NULL": 0,
}  # fmt: skip


def estimated_width(dtype: pa.DataType) -> int | None:
    """Bytes of each value in `estimate_bytes`; None where they depend on the value."""
    return 36 if pa.types.is_decimal(dtype) else _WIDTHS.get(type_name(dtype))


def estimate_bytes(rows: pa.RecordBatch) -> int:
    """Bytes of the rows as SeaTunnel estimates them for its metrics (SeaTunnelRow.getBytesSize); null is 0.

    Text counts in UTF-8 bytes, not in characters; nested values count their Arrow bytes.
    """
    total = 0
    for column in rows.columns:
        dtype = column.type
        width = estimated_width(dtype)
        if width is not None:
            total += width * (len(column) - column.null_count)
        elif pa.types.is_string(dtype) or pa.types.is_binary(dtype):
            lengths = pc.binary_length(column)
            total += pc.sum(lengths).as_py() or 0
        else:
            total += column.nbytes
    return total
