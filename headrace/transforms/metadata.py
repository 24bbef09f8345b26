"""Metadata: makes columns of what is known of a row beside its values."""

import logging
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import pyarrow as pa
from pydantic import Field

from headrace.connector import Batch, Problem, TableSchema, TaskContext, transform
from headrace.errors import ConfigError
from headrace.rows import Column, RowKind
from headrace.transforms._tables import TableOptions, TableTransform, add_arrays

LOG = logging.getLogger("headrace")

_SEATUNNELS = {
    "EventTime": pa.int64(), "Delay": pa.int64(), "Partition": pa.string(), "SourceTimestamp": pa.int64(),
    "BinlogFile": pa.string(), "BinlogPos": pa.int64(), "BinlogRow": pa.int32(), "Gtid": pa.string(),
    "FilePath": pa.string(), "FileCreateTime": pa.int64(), "FileUpdateTime": pa.int64(), "FileSize": pa.int64(),
    "FileType": pa.string(),
}  # fmt: skip
"""What some sources tell; as in SeaTunnel it is null where another source does not."""


class MetadataOptions(TableOptions):
    """Options of Metadata."""

    metadata_fields: dict[str, str] = Field(
        default={},
        description="Key → new column. Database, Table and RowKind are known of all rows, FilePath, FileCreateTime, "
        "FileUpdateTime (milliseconds), FileSize and FileType of those of files; SeaTunnel's other keys are null.",
    )


@transform("Metadata")
class MetadataTransform(TableTransform):
    """Appends what is known of a row beside its values: its database, table and kind, and what its source tells."""

    Options = MetadataOptions

    def describe(self, table: TableSchema, options: MetadataOptions) -> TableSchema:  # noqa: D102
        told = {column.name: column for column in table.metadata}
        known = [*_ALWAYS, *_SEATUNNELS, *told]
        problems: list[Problem] = []
        new: list[Column] = []
        for key, name in options.metadata_fields.items():
            place = f"metadata_fields.{key}"
            if key not in known:
                near = get_close_matches(key, known, 1, 0.7) or [k for k in known if k.lower() == key.lower()]
                cure = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
                problems.append(Problem(place, f"the source of table {table.path} tells no {key!r}", cure))
            elif name in table.names or name in [column.name for column in new]:
                problems.append(Problem(place, f"table {table.path} has a column {name!r} already", "choose another"))
            else:
                new.append(replace(told[key], name=name) if key in told else Column(name, _type(key)))
                if key not in told and key not in _ALWAYS:
                    LOG.warning("the source of table %s tells no %s: %s is null", table.path, key, name)
        if problems:
            raise ConfigError(problems)
        return table.with_columns([*table.columns, *new])

    def change(self, batch: Batch, options: MetadataOptions, task: TaskContext) -> Batch:  # noqa: D102
        new = {name: _values(key, batch) for key, name in options.metadata_fields.items()}
        return batch.with_rows(add_arrays(batch.rows, new))


def _values(key: str, batch: Batch) -> pa.Array:
    if key in _ALWAYS:
        return _ALWAYS[key](batch)
    if batch.metadata is None or key not in batch.metadata.schema.names:
        return pa.nulls(batch.num_rows, _type(key))
    column = batch.metadata.column(key)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _type(key: str) -> pa.DataType:
    return _SEATUNNELS.get(key, pa.string())


def _database(batch: Batch) -> pa.Array:
    """What stands before the first dot of the path; null where there is none."""
    parts = batch.table.split(".", 2)
    return _same(parts[0] if len(parts) > 1 else None, batch)


def _table(batch: Batch) -> pa.Array:
    return _same(batch.table.split(".", 2)[-1], batch)


def _row_kind(batch: Batch) -> pa.Array:
    if batch.kinds is None:
        return _same(RowKind.INSERT.short, batch)
    return pa.array([kind.short for kind in RowKind]).take(batch.kinds)


def _same(text: str | None, batch: Batch) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), batch.num_rows)


_ALWAYS: dict[str, Callable[[Batch], Any]] = {"Database": _database, "Table": _table, "RowKind": _row_kind}
