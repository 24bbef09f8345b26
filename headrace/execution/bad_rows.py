"""Bad rows as records: what was wrong, where, and the row itself in a form that can be read back without loss."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa

from headrace.connector import Batch
from headrace.plan.error_table import error_table
from headrace.plan.plan import Step
from headrace.rows import RowKind, TableSchema, type_name
from headrace.texts import with_article

MAX_MESSAGE = 4096
"""Characters of a reason that are kept."""


@dataclass(frozen=True, slots=True)
class BadRecord:
    """One row that was set aside. original: its JSON, None where it is not kept."""

    step: Step
    table: str
    message: str
    exception: str = "BadRow"
    stacktrace: str | None = None
    original: str | None = None

    @property
    def stage(self) -> str:
        """SOURCE, TRANSFORM or SINK."""
        return self.step.plugin.kind.upper()

    def __str__(self) -> str:
        row = f"; row: {self.original}" if self.original is not None else ""
        return f"bad row set aside by {self.step.plugin.place}, table {self.table}: {self.message}{row}"


def as_batch(records: Sequence[BadRecord], path: str) -> Batch:
    """The records as rows of the error table."""
    now = datetime.now(UTC).replace(tzinfo=None)
    rows = [
        (
            record.stage,
            record.stage,
            record.step.plugin.name,
            record.table,
            record.message,
            record.exception,
            record.stacktrace,
            record.original,
            now,
        )
        for record in records
    ]
    schema = error_table(path).arrow
    arrays = [pa.array(values, f.type) for values, f in zip(zip(*rows, strict=True), schema, strict=True)]
    return Batch(pa.RecordBatch.from_arrays(arrays, schema=schema), path)


# ------------------------------------------------------------------------------------------------ rows as JSON, exactly


def shorten(text: str, length: int) -> str:
    """At most `length` characters, the last of them `…` where some are missing; 0: all."""
    return text if not length or len(text) <= length else text[: length - 1] + "…"


def row_texts(pipeline: int, step: Step, batch: Batch, length: int = 0) -> list[str]:
    """Each row as JSON with all that a replay needs: who refused it, its table, kind, values, metadata, and types.

    length: see `shorten`. The types, which only explain what no longer fits, are left out where they make it too long.
    """
    rows = _plain_rows(batch.rows)
    metadata = _plain_rows(batch.metadata) if batch.metadata is not None else None
    kinds = batch.kinds.to_pylist() if batch.kinds is not None else None
    types = f',"types":{_compact([type_name(field.type) for field in batch.rows.schema])}}}'
    texts = []
    for i, row in enumerate(rows):
        found: dict[str, Any] = {"pipeline": pipeline, "step": step.name, "table": batch.table}
        found["kind"] = RowKind(kinds[i]).short if kinds else RowKind.INSERT.short
        found["row"] = row
        if metadata is not None:
            found["metadata"] = metadata[i]
        text = _compact(found)
        is_short = not length or len(text) - 1 + len(types) <= length
        texts.append(text[:-1] + types if is_short else shorten(text, length))
    return texts


def _compact(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def raw_text(pipeline: int, step: Step, table: str, raw: bytes | str, place: str) -> str:
    """Input that never became a row, likewise. Bytes that are not text stand in base64."""
    found: dict[str, Any] = {"pipeline": pipeline, "step": step.name, "table": table, "place": place}
    try:
        found["raw"] = raw if isinstance(raw, str) else raw.decode()
        found["raw"].encode()
    except UnicodeError:
        data = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
        found.pop("raw", None)
        found["base64"] = base64.b64encode(data).decode()
    return _compact(found)


def raw_of(original: Mapping[str, Any]) -> bytes | str:
    """What `raw_text` was given."""
    if "raw" in original:
        return str(original["raw"])
    return base64.b64decode(original["base64"])


def plain_text(original: str | None) -> str:
    """What was set aside, as people read it: the line as it came, or `id=7, name="ann"`; empty where it is not kept."""
    if not original:
        return ""
    try:
        found = json.loads(original)
        if "row" in found:
            kind = "" if found["kind"] == RowKind.INSERT.short else f"{found['kind']} "
            return kind + ", ".join(f"{name}={_compact(value)}" for name, value in found["row"].items())
        return str(found["raw"]) if "raw" in found else f"base64 {found['base64']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return original


def batch_of(originals: Sequence[Mapping[str, Any]], table: TableSchema) -> Batch:
    """Rows of one table as `row_texts` gave them, with the columns that the table has now.

    Raises ValueError when the columns are others, or a value does not fit its column's type.
    """
    schema = table.arrow
    for original in originals:
        _check_columns(list(original["row"]), schema.names)
    types = originals[0].get("types") or [None] * len(schema)
    rows = _array_rows([o["row"] for o in originals], schema, types)
    shorts = {kind.short: int(kind) for kind in RowKind}
    kinds = [shorts[o["kind"]] for o in originals]
    metadata = None
    if table.metadata:
        columns = pa.schema([pa.field(c.name, c.type) for c in table.metadata])
        metadata = _array_rows([o.get("metadata") or {} for o in originals], columns, [None] * len(columns))
    return Batch(rows, table.path, pa.array(kinds, pa.uint8()) if any(kinds) else None, metadata)


def _check_columns(before: list[str], now: list[str]) -> None:
    """Raises ValueError that names what has changed since."""
    gone, new = [n for n in before if n not in now], [n for n in now if n not in before]
    changes = [
        *([f"{', '.join(gone)}, which the table no longer has"] if gone else []),
        *([f"not {', '.join(new)}, which the table has now"] if new else []),
    ]
    if changes:
        raise ValueError(f"it was set aside with {', and '.join(changes)}")
    if before != now:
        raise ValueError(f"its columns were {', '.join(before)} when set aside and are {', '.join(now)} now")


def _array_rows(rows: Sequence[Mapping[str, Any]], schema: pa.Schema, types: Sequence[str | None]) -> pa.RecordBatch:
    """types: what the columns were when the rows were set aside, where it is known."""
    arrays = []
    for field, before in zip(schema, types, strict=True):
        now = type_name(field.type)
        changed = before is not None and before != now
        told = f"{field.name} was {before} when set aside and is {now} now"
        if changed and before is not None and (_is_encoded(before) or _is_encoded(now)):
            raise ValueError(told)
        try:
            arrays.append(_array([row.get(field.name) for row in rows], field.type))
        except (ValueError, TypeError, ArithmeticError, AttributeError, pa.ArrowException):
            value = next(v for row in rows if not _fits(v := row.get(field.name), field.type))
            shown = json.dumps(value, ensure_ascii=False)
            shown = shown if len(shown) <= MOST_SHOWN else shown[:MOST_SHOWN] + "…"
            place = told if changed else f"column {field.name}"
            raise ValueError(f"{place}: {shown} is not {with_article(now)}") from None
        if changed and not _is_exact([row.get(field.name) for row in rows], arrays[-1]):
            raise ValueError(f"{told}, which does not hold all of its digits")
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


MOST_SHOWN = 80
"""Characters of a value that a message shows."""


def _is_encoded(name: str) -> bool:
    """Whether JSON has values of the type in a form that would be taken for another type's: base64, or bare numbers."""
    return not _PLAIN_TYPES.fullmatch(name)


_PLAIN_TYPES = re.compile(r"STRING|BOOLEAN|(?:TINY|SMALL|BIG)?INT|FLOAT|DOUBLE|DATE|DECIMAL\(.*\)|NULL")


def _is_exact(values: Sequence[Any], array: pa.Array) -> bool:
    """Whether numbers are what they were; no others can be less than that."""
    if not pa.types.is_floating(array.type):
        return True
    pairs = zip(values, array.to_pylist(), strict=True)
    return all(v is None or v != v or (float(v) if isinstance(v, str) else v) == now for v, now in pairs)


def _fits(value: Any, dtype: pa.DataType) -> bool:
    try:
        _array([value], dtype)
    except (ValueError, TypeError, ArithmeticError, AttributeError, pa.ArrowException):
        return False
    return True


def _plain_rows(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    columns = [_plain_column(column) for column in rows.columns]
    return [dict(zip(rows.schema.names, values, strict=True)) for values in zip(*columns, strict=True)] or [
        {} for _ in range(rows.num_rows)
    ]


def _plain_column(column: pa.Array) -> list[Any]:
    if isinstance(column, pa.ExtensionArray):
        return _plain_column(column.storage)
    if pa.types.is_dictionary(column.type):
        return _plain_column(column.dictionary_decode())
    if _is_odd_time(column.type):
        return _plain_column(column.cast(pa.int64()))
    return [_plain(value) for value in column.to_pylist()]


def _is_odd_time(dtype: pa.DataType) -> bool:
    """Times that Python has no type for: their numbers are kept."""
    return pa.types.is_duration(dtype) or (
        (pa.types.is_timestamp(dtype) or pa.types.is_time64(dtype)) and dtype.unit == "ns"
    )


def _plain(value: Any) -> Any:
    """A value as JSON has it: decimals and times as text, bytes in base64, maps as lists of pairs."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # JSON has no infinities
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return float(value)  # numpy's half


def _array(values: Sequence[Any], dtype: pa.DataType) -> pa.Array:
    if isinstance(dtype, pa.ExtensionType):
        return pa.ExtensionArray.from_storage(dtype, _array(values, dtype.storage_type))
    if pa.types.is_dictionary(dtype):
        return _array(values, dtype.value_type).cast(dtype)
    if _is_odd_time(dtype):
        return pa.array(values, pa.int64()).cast(dtype)
    return pa.array([_value(value, dtype) for value in values], dtype)


def _value(value: Any, dtype: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_struct(dtype):
        fields = [dtype.field(i) for i in range(dtype.num_fields)]
        return {f.name: _value(value.get(f.name), f.type) for f in fields}
    if pa.types.is_map(dtype):
        return [(_value(k, dtype.key_type), _value(v, dtype.item_type)) for k, v in value]
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype):
        return [_value(item, dtype.value_type) for item in value]
    if pa.types.is_decimal(dtype):
        return Decimal(value)
    if pa.types.is_float16(dtype):
        import numpy as np

        return np.float16(value)
    if pa.types.is_floating(dtype):
        return float(value)
    if pa.types.is_date(dtype):
        return date.fromisoformat(value)
    if pa.types.is_time(dtype):
        return time.fromisoformat(value)
    if pa.types.is_timestamp(dtype):
        return datetime.fromisoformat(value)
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_boolean(dtype):
        return value
    if pa.types.is_integer(dtype) or pa.types.is_null(dtype):
        return value
    return base64.b64decode(value)
