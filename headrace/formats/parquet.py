"""Parquet files: cut at row groups, read without copying."""

import contextlib
import itertools
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.connector import Position, TaskContext
from headrace.errors import Rejected
from headrace.formats.file_format import FileFormat, FilePart, FormatWriter, ReadSettings, WriteSettings, pieces
from headrace.formats.moments import beyond_nanoseconds, lost_digits, nanoseconds_text, with_unit
from headrace.rows import TARGET_ROWS
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
            schema, old = opened.schema_arrow, _int96(opened)
        if old:
            unit = _int96_unit(file, old)
            schema = pa.schema([f.with_type(with_unit(f.type, unit)) if f.name in old else f for f in schema])
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
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(_open(part.file))
            exact = None
            old = [field.type for field in schema if field.name in _int96(file)]
            if any(with_unit(dtype, "us").equals(dtype) for dtype in old):
                file, exact = stack.enter_context(_open(part.file, "us")), file
            groups = list(range(part.start, part.end))
            columns = [name for name in schema.names if name in file.schema_arrow.names]
            if missing := [name for name in schema.names if name not in columns]:
                known = ", ".join(file.schema_arrow.names)
                raise Rejected(f"{part.label} has no column {missing[0]!r}; it has {known}")
            while groups and skip >= done + file.metadata.row_group(groups[0]).num_rows:
                done += file.metadata.row_group(groups.pop(0)).num_rows
            try:
                for batch in _batches(file, exact, groups, columns, part, task):
                    fresh = batch.slice(max(skip - done, 0)) if skip > done else batch
                    done += batch.num_rows
                    fresh = pa.RecordBatch.from_arrays([fresh.column(n) for n in schema.names], schema.names)
                    reached = done - fresh.num_rows
                    for piece in pieces(fresh, task):
                        reached += piece.num_rows
                        yield piece, reached
            except (pa.ArrowException, OSError) as error:
                raise Rejected(f"cannot read {part.label} after row {done}: {error}") from error

    def rows_of(self, part: FilePart) -> int | None:
        """See FileFormat.rows_of."""
        with _open(part.file) as file:
            return sum(file.metadata.row_group(group).num_rows for group in range(part.start, part.end))

    def writer(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> FormatWriter:  # noqa: D102
        return _ParquetWriter(stream, schema, settings)


def _batches(
    file: pq.ParquetFile,
    exact: pq.ParquetFile | None,
    groups: list[int],
    columns: list[str],
    part: FilePart,
    task: TaskContext,
) -> Iterator[pa.RecordBatch]:
    """The rows of these groups, as many at a time as fit a batch; how wide they are is seen from the first few.

    exact: the file with nanoseconds, where `file` gives INT96 as microseconds: it shows whether that loses digits.
    """
    for group in groups:
        rows, size = _size(file, group, columns)
        task.check_size(size // max(rows, 1), f"a row of row group {group} of {part.label}")
        most = max(1, min(TARGET_ROWS, rows * task.batch_bytes // max(size, 1)))
        if any(not _has_width(file.schema_arrow.field(name).type) for name in columns):
            first = next(file.iter_batches(min(most, SAMPLE_ROWS), [group], columns, use_threads=False), None)
            if first is not None:
                most = max(1, min(most, first.num_rows * task.batch_bytes // max(first.nbytes, 1)))
        batches = file.iter_batches(most, [group], columns, use_threads=False)
        yield from batches if exact is None else _checked(batches, exact, most, group, part)


def _checked(
    batches: Iterator[pa.RecordBatch], exact: pq.ParquetFile, most: int, group: int, part: FilePart
) -> Iterator[pa.RecordBatch]:
    """The batches of a row group. Raises Rejected where nanoseconds show digits that they lack."""
    first = next(batches, None)
    names = sorted(_int96(exact) & set(first.schema.names if first is not None else ()))
    fine = exact.iter_batches(most, [group], names, use_threads=False)
    for micros, nanos in zip(itertools.chain([] if first is None else [first], batches), fine, strict=True):
        for name in names:
            if lost_digits(micros.column(name), nanos.column(name)):
                raise Rejected(nanoseconds_text(f"column {name} of {part.label}"))
        yield micros


def _int96(file: pq.ParquetFile) -> set[str]:
    """The columns that hold INT96, the old form of timestamps that Spark, Hive and Impala write."""
    columns = (file.schema.column(i) for i in range(len(file.schema)))
    return {column.path.partition(".")[0] for column in columns if column.physical_type == "INT96"}


def _int96_unit(file: Opened, names: set[str]) -> str:
    """Nanoseconds where the first rows have such digits and no year beyond them, else microseconds."""
    first = []
    for unit in ("us", "ns"):
        with _open(file, unit) as opened:
            first.append(next(opened.iter_batches(columns=sorted(names), use_threads=False), None))
    micros, nanos = first
    if micros is None or nanos is None or any(map(beyond_nanoseconds, micros.columns)):
        return "us"
    return "ns" if any(map(lost_digits, micros.columns, nanos.columns)) else "us"


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
def _open(file: Opened, int96_unit: str | None = None) -> Iterator[pq.ParquetFile]:
    with contextlib.ExitStack() as stack:
        try:
            source = stack.enter_context(file.arrow())
            opened = stack.enter_context(
                pq.ParquetFile(source, pre_buffer=False, buffer_size=PAGE_BYTES, coerce_int96_timestamp_unit=int96_unit)
            )
        except (pa.ArrowException, OSError) as error:
            cure = "write it again: it may have been cut off, for what it holds stands at its end"
            raise Rejected(f"{file.name} is not a parquet file that can be read: {error}; {cure}") from error
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
