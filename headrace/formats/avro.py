"""Avro files: cut at blocks, read and written by polars where all columns are plain, by fastavro elsewhere.

Both come with the extra `avro`: polars is 175 MB that no other format needs.
"""

import importlib.util
import io
import os
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa

from headrace.connector import Position, TaskContext
from headrace.errors import BadRow, Rejected
from headrace.formats.avro_container import CODECS, SYNC_BYTES, Block, Header, block_of, blocks, header_of, read_header
from headrace.formats.avro_schema import EXACT, Resolved, columns_of, schema_for, without_logical
from headrace.formats.file_format import FileFormat, FilePart, FormatWriter, ReadSettings, WriteSettings, pieces
from headrace.storage.opened import Opened

BLOCK_BYTES = 1024 * 1024
"""Of a file that is written, before it is packed."""

ROW_FACTOR = 12
"""Decoded rows take so many times the memory of a block."""


class AvroFormat(FileFormat):
    """Avro files carry their own columns; a part is a range of bytes, a position `[offset of a block, rows after it]`.

    Measured at a million rows of a number, a text and a timestamp: polars decodes 18 times as fast as fastavro, but has
    fewer types, and no blocks: each is given to it as a file of its own.
    """

    name = "avro"
    suffix = "avro"
    own_schema = True
    codecs = tuple(CODECS)

    def file_schema(self, file: Opened) -> pa.Schema:  # noqa: D102
        with file.stream() as stream:
            header = read_header(stream, file.name)
        return pa.schema([(name, column.final) for name, column in columns_of(header.schema, file.name).items()])

    def cut(self, file: Opened, split_size: int, settings: ReadSettings) -> list[tuple[int, int]]:  # noqa: D102
        starts = range(0, max(file.size, 1), max(split_size, 1))
        return [(start, min(start + split_size, file.size)) for start in starts]

    def read(  # noqa: D102
        self,
        part: FilePart,
        position: Position | None,
        schema: pa.Schema,
        settings: ReadSettings,
        task: TaskContext,
        table: str,
    ) -> Iterator[tuple[pa.RecordBatch, Position]]:
        begin, skip = position or (part.start, 0)
        with part.file.stream() as raw:
            stream: Any = io.BufferedReader(raw)
            header = read_header(stream, part.label)
            decoder = _Decoder(header, schema, part.label)
            for block in blocks(stream, header, begin, part.end, part.file.size, part.label):
                task.check_size(ROW_FACTOR * len(block.data), f"the block at byte {block.start} of {part.label}")
                rows = decoder.rows(block)
                done, skip = skip, 0
                for piece in pieces(rows.slice(done), task):
                    done += piece.num_rows
                    yield piece, [block.start, done] if done < rows.num_rows else [block.end, 0]

    def kept(self, rows: pa.RecordBatch, settings: WriteSettings) -> pa.RecordBatch:
        """Small whole numbers as INT, vectors as arrays, nulls alone as texts: Avro has no others."""
        wanted = {n: c.final for n, c in columns_of(schema_for(rows.schema), "rows").items()}
        return pa.RecordBatch.from_arrays(
            [_storage(column).cast(wanted[name]) for name, column in zip(rows.schema.names, rows.columns, strict=True)],
            rows.schema.names,
        )

    def writer(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> FormatWriter:  # noqa: D102
        return _AvroWriter(stream, schema, settings)


class _Decoder:
    """Rows of blocks with the wanted columns."""

    def __init__(self, header: Header, schema: pa.Schema, label: str) -> None:
        known = columns_of(header.schema, label)
        self._plain, self._label = without_logical(header.schema), label
        self._columns: dict[str, Resolved] = {name: known[name] for name in schema.names if name in known}
        if missing := [name for name in schema.names if name not in known]:
            raise Rejected(f"{label} has no column {missing[0]!r}; it has {', '.join(known)}")
        self._is_flat = all(column.is_flat for column in known.values()) and _has_polars(label)
        self._head = header_of(self._plain, "null", b"\x00" * SYNC_BYTES)

    def rows(self, block: Block) -> pa.RecordBatch:
        """The rows of a block."""
        try:
            columns = self._by_polars(block) if self._is_flat else self._by_fastavro(block)
            arrays = [_meant(column, found) for column, found in zip(self._columns.values(), columns, strict=True)]
        except (ValueError, EOFError, IndexError, pa.ArrowException) as error:
            raise Rejected(f"{self._label} is damaged in its block at byte {block.start}: {error}") from error
        return pa.RecordBatch.from_arrays(arrays, list(self._columns))

    def _by_polars(self, block: Block) -> list[pa.Array]:
        import polars as pl

        data = io.BytesIO(self._head + block_of(block.rows, block.data, "null", b"\x00" * SYNC_BYTES))
        try:
            table = pl.read_avro(data, columns=list(self._columns)).to_arrow()
        except pl.exceptions.PolarsError as error:
            raise ValueError(str(error)) from error
        return [table.column(name).combine_chunks() for name in self._columns]

    def _by_fastavro(self, block: Block) -> list[pa.Array]:
        fastavro = _fastavro(self._label)
        parsed, stream = fastavro.parse_schema(self._plain), io.BytesIO(block.data)
        rows = [fastavro.schemaless_reader(stream, parsed) for _ in range(block.rows)]
        return [
            pa.array([column.plain(row[name]) for row in rows], column.stored) for name, column in self._columns.items()
        ]


def _meant(column: Resolved, found: pa.Array) -> pa.Array:
    """What a file holds as what it means: numbers as dates and times, in their own unit at first."""
    return found.cast(column.stored).cast(_exact(column)).cast(column.final)


def _exact(column: Resolved) -> pa.DataType:
    """The logical type with the file's own units, however deep."""
    if column.kind == "array":
        return pa.list_(_exact(column.inner["item"]))
    if column.kind == "map":
        return pa.map_(pa.string(), _exact(column.inner["value"]))
    if column.kind == "record":
        return pa.struct([pa.field(name, _exact(inner)) for name, inner in column.inner.items()])
    return column.logical


def _has_polars(label: str) -> bool:
    """Whether the fast reader is there; fastavro reads the same, if it has to. Raises Rejected where neither is."""
    if importlib.util.find_spec("polars") is None:
        _fastavro(label)
        return False
    return True


def _fastavro(label: str) -> Any:
    try:
        import fastavro
    except ImportError as error:
        raise Rejected(f"cannot read or write {label}: avro files need pip install 'headrace[avro]'") from error
    return fastavro


def _storage(column: pa.Array) -> pa.Array:
    return column.storage if isinstance(column, pa.ExtensionArray) else column


class _AvroWriter(FormatWriter):
    """All columns are nullable. Blocks hold about BLOCK_BYTES."""

    def __init__(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> None:
        self._stream, self._codec, self._sync = stream, CODECS[settings.compress_codec.lower()], os.urandom(SYNC_BYTES)
        made = schema_for(schema)
        self._columns, self._plain = columns_of(made, "the file"), without_logical(made)
        self._is_flat = all(column.is_flat for column in self._columns.values()) and _has_polars(
            "the file that is written"
        )
        if not self._is_flat:
            _fastavro("the file that is written")
        stream.write(header_of(made, self._codec, self._sync))

    def write(self, rows: pa.RecordBatch) -> None:
        most = max(1, rows.num_rows * BLOCK_BYTES // max(rows.nbytes, 1))
        for start in range(0, rows.num_rows, most):
            piece = rows.slice(start, most)
            data = self._by_polars(piece) if self._is_flat else self._by_fastavro(piece)
            self._stream.write(block_of(piece.num_rows, data, self._codec, self._sync))

    def _stored(self, rows: pa.RecordBatch) -> Iterator[tuple[str, Resolved, pa.Array]]:
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            resolved = self._columns[name]
            yield name, resolved, _storage(column).cast(resolved.final).cast(_exact(resolved))

    def _by_polars(self, rows: pa.RecordBatch) -> bytes:
        import polars as pl

        arrays = {name: column.cast(resolved.stored) for name, resolved, column in self._stored(rows)}
        made = io.BytesIO()
        frame = pl.from_arrow(pa.table(arrays))
        assert isinstance(frame, pl.DataFrame), "a table makes a frame"
        frame.write_avro(made)
        header = read_header(made, "polars")
        return b"".join(
            b.data for b in blocks(made, header, 0, made.tell() + (1 << 62), len(made.getvalue()), "polars")
        )

    def _by_fastavro(self, rows: pa.RecordBatch) -> bytes:
        fastavro = _fastavro("the file that is written")
        parsed, out = fastavro.parse_schema(self._plain), io.BytesIO()
        lists: list[Sequence[Any]] = []
        for name, resolved, column in self._stored(rows):
            try:
                lists.append([_encodable(value, resolved) for value in column.cast(resolved.stored).to_pylist()])
            except ValueError as error:
                raise BadRow(f"column {name}: {error}") from error
        names = rows.schema.names
        for row in zip(*lists, strict=True):
            fastavro.schemaless_writer(out, parsed, dict(zip(names, row, strict=True)))
        return out.getvalue()

    def close(self) -> None:
        """Every block was written whole."""


def _encodable(value: Any, column: Resolved) -> Any:
    """A value as fastavro takes it: decimals as bytes, maps as objects."""
    if value is None:
        return None
    if pa.types.is_decimal(column.logical):
        number = int(value.scaleb(column.logical.scale, EXACT))
        return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
    if column.kind == "array":
        return [_encodable(item, column.inner["item"]) for item in value]
    if column.kind == "map":
        made = {key: _encodable(item, column.inner["value"]) for key, item in value}
        if len(made) != len(value):
            raise ValueError("a map has a key twice, which avro files cannot hold; write another format")
        return made
    if column.kind == "record":
        return {name: _encodable(value[name], inner) for name, inner in column.inner.items()}
    return value
