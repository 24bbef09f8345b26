"""Parquet files: cut at row groups, read without copying."""

import contextlib
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.connector import Position, TaskContext
from headrace.errors import Rejected
from headrace.formats.file_format import FileFormat, FilePart, FormatWriter, ReadSettings, WriteSettings
from headrace.storage.opened import Opened

SAMPLE_ROWS = 64
"""Looked at to see how wide rows are whose texts are kept in dictionaries."""

PAGE_BYTES = 64 * 1024
"""Read at once of each column, so that no column of a row group is in memory as a whole."""

ROW_GROUP_BYTES = 32 * 1024 * 1024
"""In memory. Twice the size encodes no faster; a sixteenth, as plain batches have, takes 1.7 times as long."""


class ParquetFormat(FileFormat):
    """Parquet files carry their own columns; a part is a range of row groups, a position a row in it."""

    name = "parquet"
    suffix = "parquet"
    own_schema = True
    codecs = ("none", "snappy", "zstd", "gzip", "lz4", "brotli")

    def file_schema(self, file: Opened) -> pa.Schema:  # noqa: D102
        with _open(file) as opened:
            schema = opened.schema_arrow
        written_by = (schema.metadata or {}).get(b"parquet.avro.schema", b"")
        if b"SeaTunnelRecord" in written_by:
            schema = pa.schema([pa.field(f.name, _without_zone(f.type), f.nullable) for f in schema])
        return schema.remove_metadata()

    def cut(self, file: Opened, split_size: int, settings: ReadSettings) -> list[tuple[int, int]]:  # noqa: D102
        with _open(file) as opened:
            sizes = [opened.metadata.row_group(i).total_byte_size for i in range(opened.metadata.num_row_groups)]
        parts, start, held = [], 0, 0
        for i, group in enumerate(sizes):
            if held and held + group > split_size:
                parts.append((start, i))
                start, held = i, 0
            held += group
        return [*parts, (start, len(sizes))] if start < len(sizes) or not parts else parts

    def read(  # noqa: D102
        self,
        part: FilePart,
        position: Position | None,
        schema: pa.Schema,
        settings: ReadSettings,
        task: TaskContext,
        table: str,
    ) -> Iterator[tuple[pa.RecordBatch, Position]]:
        done, skip = 0, position or 0
        with _open(part.file) as file:
            groups = list(range(part.start, part.end))
            columns = [name for name in schema.names if name in file.schema_arrow.names]
            if missing := [name for name in schema.names if name not in columns]:
                known = ", ".join(file.schema_arrow.names)
                raise Rejected(f"{part.label} has no column {missing[0]!r}; it has {known}")
            while groups and skip >= done + file.metadata.row_group(groups[0]).num_rows:
                done += file.metadata.row_group(groups.pop(0)).num_rows
            try:
                for batch in _batches(file, groups, columns, part, task):
                    fresh = batch.slice(max(skip - done, 0)) if skip > done else batch
                    done += batch.num_rows
                    if fresh.num_rows and done > skip:
                        yield pa.RecordBatch.from_arrays([fresh.column(n) for n in schema.names], schema.names), done
            except (pa.ArrowException, OSError) as error:
                raise Rejected(f"cannot read {part.label} after row {done}: {error}") from error

    def writer(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> FormatWriter:  # noqa: D102
        return _ParquetWriter(stream, schema, settings)


def _batches(
    file: pq.ParquetFile, groups: list[int], columns: list[str], part: FilePart, task: TaskContext
) -> Iterator[pa.RecordBatch]:
    """The rows of these groups, as many at a time as make a batch; how wide they are is seen from the first few."""
    for group in groups:
        rows, size = _size(file, group, columns)
        task.check_size(size // max(rows, 1), f"a row of row group {group} of {part.label}")
        most = max(1, min(task.batch_rows, rows * task.batch_bytes // max(size, 1)))
        if any(not _has_width(file.schema_arrow.field(name).type) for name in columns):
            first = next(file.iter_batches(min(most, SAMPLE_ROWS), [group], columns, use_threads=False), None)
            most = min(most, task.fitting_rows(first)) if first is not None else most
        yield from file.iter_batches(most, [group], columns, use_threads=False)


def _size(file: pq.ParquetFile, group: int, columns: list[str]) -> tuple[int, int]:
    """How many rows a row group has, and the bytes of the columns that are read, unpacked but still encoded."""
    found = file.metadata.row_group(group)
    chunks = (found.column(i) for i in range(found.num_columns))
    return found.num_rows, sum(
        c.total_uncompressed_size for c in chunks if c.path_in_schema.partition(".")[0] in columns
    )


def _has_width(dtype: pa.DataType) -> bool:
    """Whether all values are equally big, so that a batch of as many rows as usual is no bigger than usual."""
    return bool(pa.types.is_primitive(dtype) or pa.types.is_decimal(dtype))


def _without_zone(dtype: pa.DataType) -> pa.DataType:
    """SeaTunnel writes its timestamps, which have no zone, as moments in UTC."""
    if pa.types.is_timestamp(dtype):
        return pa.timestamp(dtype.unit)
    if pa.types.is_struct(dtype):
        fields = [dtype.field(i) for i in range(dtype.num_fields)]
        return pa.struct([pa.field(field.name, _without_zone(field.type), field.nullable) for field in fields])
    return dtype


@contextlib.contextmanager
def _open(file: Opened) -> Iterator[pq.ParquetFile]:
    with contextlib.ExitStack() as stack:
        try:
            source = stack.enter_context(file.arrow())
            opened = stack.enter_context(pq.ParquetFile(source, pre_buffer=False, buffer_size=PAGE_BYTES))
        except (pa.ArrowException, OSError) as error:
            raise Rejected(f"{file.name} is no parquet file: {error}") from error
        yield opened


class _ParquetWriter(FormatWriter):
    def __init__(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> None:
        codec = settings.compress_codec.lower()
        self._writer = pq.ParquetWriter(
            stream,
            schema,
            compression="snappy" if codec == "none" else codec,
            use_deprecated_int96_timestamps=settings.int96_timestamps,
        )
        self._batches: list[pa.RecordBatch] = []

    def write(self, rows: pa.RecordBatch) -> None:
        self._batches.append(rows)
        self.held += rows.nbytes
        if self.held >= ROW_GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        """Begin a new row group."""
        if self._batches:
            self._writer.write_table(pa.Table.from_batches(self._batches))
        self._batches, self.held = [], 0

    def close(self) -> None:
        self.flush()
        self._writer.close()
