"""Orc files: cut at stripes, read without copying."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import orc

from headrace.connector import Position, TaskContext
from headrace.errors import Rejected
from headrace.formats.cells import cell_texts
from headrace.formats.file_format import FileFormat, FilePart, FormatWriter, ReadSettings, WriteSettings, pieces
from headrace.formats.moments import as_micros, has_nanoseconds, nanoseconds_text, with_unit
from headrace.formats.orc_moments import read_moments
from headrace.leaves import change_leaves
from headrace.rows import type_name
from headrace.storage.opened import Opened

STRIPE_BYTES = 4 * 1024 * 1024
"""Of a file that is written; they are in memory until the stripe is whole."""

CODECS = {"none": "uncompressed", "snappy": "snappy", "zlib": "zlib", "lz4": "lz4", "zstd": "zstd"}


class OrcFormat(FileFormat):
    """Orc files carry their own columns; a part is a range of stripes, a position a row in it."""

    name = "orc"
    suffix = "orc"
    own_schema = True
    codecs = tuple(CODECS)

    def file_schema(self, file: Opened) -> pa.Schema:  # noqa: D102
        opened = _open(file)
        schema = opened.schema.remove_metadata()
        names = [field.name for field in schema if not with_unit(field.type, "us").equals(field.type)]
        if not names or not opened.nstripes:
            return schema
        unit = "ns" if _has_nanoseconds(opened, names) else "us"
        return pa.schema([field.with_type(with_unit(field.type, unit)) for field in schema])

    def cut(self, file: Opened, split_size: int, settings: ReadSettings) -> list[tuple[int, int]]:  # noqa: D102
        stripes = _open(file).nstripes
        each = max(1, stripes if file.size <= split_size else split_size * stripes // file.size)
        return [(start, min(start + each, stripes)) for start in range(0, stripes, each)] or [(0, 0)]

    def read(  # noqa: D102
        self,
        part: FilePart,
        position: Position | None,
        schema: pa.Schema,
        settings: ReadSettings,
        task: TaskContext,
        table: str,
    ) -> Iterator[tuple[pa.RecordBatch, Position]]:
        file, done, skip = _open(part.file), 0, position or 0
        # How big the values are is not known before they are read; packed, they take a third or less.
        task.check_size(3 * file.content_length // max(file.nstripes, 1), f"a stripe of {part.label}")
        for stripe in range(part.start, part.end):
            try:
                rows = _stripe(file, stripe, schema, part)
            except (pa.ArrowException, OSError) as error:
                raise Rejected(f"cannot read {part.label} after row {done}: {error}; write the file again") from error
            fresh = rows.slice(max(skip - done, 0))
            done += rows.num_rows - fresh.num_rows
            for batch in pieces(fresh, task):
                done += batch.num_rows
                yield batch, done

    def rows_of(self, part: FilePart) -> int | None:
        """See FileFormat.rows_of; the stripes of a file are taken to hold equally many."""
        file = _open(part.file)
        return int(file.nrows * (part.end - part.start) / file.nstripes) if file.nstripes else None

    def kept(self, rows: pa.RecordBatch, settings: WriteSettings) -> pa.RecordBatch:
        """Times as texts."""
        return _storable(rows, settings)

    def writer(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> FormatWriter:  # noqa: D102
        return _OrcWriter(stream, schema, settings)


def _open(file: Opened) -> Any:
    try:
        return orc.ORCFile(file.arrow(mapped=True))
    except (pa.ArrowException, OSError) as error:
        cure = "write it again: it may have been cut off, for what it holds stands at its end"
        raise Rejected(f"{file.name} is not an orc file that can be read: {error}; {cure}") from error


def _has_nanoseconds(file: Any, names: list[str]) -> bool:
    """Whether the first stripe has digits below a microsecond, and no year for which they leave no room."""
    try:
        return any(map(has_nanoseconds, file.read_stripe(0, names).columns))
    except (pa.ArrowException, OSError):  # reading the rows will tell
        return False


def _stripe(file: Any, stripe: int, schema: pa.Schema, part: FilePart) -> pa.RecordBatch:
    """The rows of a stripe with the columns of `schema`; what the file has in nanoseconds may be microseconds there."""
    try:
        rows = file.read_stripe(stripe, schema.names)
    except pa.ArrowInvalid as error:
        if "nanosecond" not in str(error):
            raise
        rows = None
    if not schema.names:
        return rows
    columns = []
    for field in schema:
        place = f"column {field.name} of {part.label}"
        column = _column(file, stripe, field, part, place) if rows is None else rows.column(field.name)
        fits = with_unit(field.type, "us").equals(field.type)
        columns.append(as_micros(column, field.type, place) if fits else column)
    return pa.RecordBatch.from_arrays(columns, schema.names)


def _column(file: Any, stripe: int, field: pa.Field, part: FilePart, place: str) -> pa.Array:
    """One column of a stripe in which Arrow cannot read some."""
    try:
        return file.read_stripe(stripe, [field.name]).column(field.name)
    except pa.ArrowInvalid as error:
        if "nanosecond" in str(error) and with_unit(field.type, "ns").equals(field.type):
            raise Rejected(nanoseconds_text(place)) from error
        if "nanosecond" not in str(error):
            raise
    return read_moments(part, stripe, field)


def _storable(rows: pa.RecordBatch, settings: WriteSettings) -> pa.RecordBatch:
    """Times become text and vectors their items, also within arrays, maps and rows: Orc has neither."""
    return pa.RecordBatch.from_arrays([_stored(column, settings) for column in rows.columns], rows.schema.names)


def _stored(column: pa.Array, settings: WriteSettings) -> pa.Array:
    def store(leaves: pa.Array) -> pa.Array:
        if isinstance(leaves.type, pa.ExtensionType):
            return _stored(leaves.storage, settings)
        is_time = pa.types.is_time(leaves.type)
        return cell_texts(leaves, settings.formats(), None) if is_time else leaves.cast(pa.string())

    return change_leaves(column, _is_foreign, store)


def _is_foreign(dtype: pa.DataType) -> bool:
    return isinstance(dtype, pa.ExtensionType) or pa.types.is_time(dtype) or pa.types.is_null(dtype)


class _OrcWriter(FormatWriter):
    """Writes stripes."""

    def __init__(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> None:
        codec = CODECS[settings.compress_codec.lower()]
        self._writer = orc.ORCWriter(stream, compression=codec, stripe_size=STRIPE_BYTES)
        self._settings = settings
        for field in schema:
            self._check(field)
        self.write(pa.RecordBatch.from_arrays([pa.array([], f.type) for f in schema], schema.names))

    def _check(self, field: pa.Field) -> None:
        """Raises Rejected where Orc has no such type."""
        empty = pa.RecordBatch.from_arrays([pa.array([], field.type)], [field.name])
        try:
            orc.write_table(pa.Table.from_batches([_storable(empty, self._settings)]), pa.BufferOutputStream())
        except pa.ArrowNotImplementedError as error:
            text = f"orc files cannot hold column {field.name}: {type_name(field.type)}"
            raise Rejected(f"{text}; CAST it, or write another format") from error

    def write(self, rows: pa.RecordBatch) -> None:
        self._writer.write(pa.Table.from_batches([_storable(rows, self._settings)]))
        self.held = min(self.held + rows.nbytes, STRIPE_BYTES)

    def close(self) -> None:
        self._writer.close()
