"""Binary files: their bytes in pieces, with the file's path below the option `path` and the piece's number."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from headrace.connector import Position, TaskContext
from headrace.formats.file_format import FileFormat, FilePart, FormatWriter, ReadSettings, WriteSettings
from headrace.storage.opened import Opened

SCHEMA = pa.schema([("data", pa.binary()), ("relativePath", pa.string()), ("partIndex", pa.int64())])

BLOCK_BYTES = 4 * 1024 * 1024


class BinaryFormat(FileFormat):
    """Any file. A position is the number of pieces read; a piece has `binary_chunk_size` bytes, the last one fewer."""

    name = "binary"
    suffix = ""
    unverified = "binary files hold bytes, not rows"
    own_schema = True
    fixed_schema = SCHEMA

    def file_schema(self, file: Opened) -> pa.Schema:  # noqa: D102
        return SCHEMA

    def cut(self, file: Opened, split_size: int, settings: ReadSettings) -> list[tuple[int, int]]:  # noqa: D102
        return [(0, file.size)]

    def read(  # noqa: D102
        self,
        part: FilePart,
        position: Position | None,
        schema: pa.Schema,
        settings: ReadSettings,
        task: TaskContext,
        table: str,
    ) -> Iterator[tuple[pa.RecordBatch, Position]]:
        size = part.file.size if settings.binary_whole else settings.binary_chunk
        cure = f"set binary_{'complete_file_mode = false' if settings.binary_whole else 'chunk_size lower'}"
        task.check_size(size, f"{'all' if settings.binary_whole else 'a piece'} of {part.label}", cure)
        most = min(BLOCK_BYTES, task.batch_bytes) // max(size, 1)
        pieces = 1 if settings.binary_whole else max(1, most)
        number = position or 0
        with part.file.stream() as file:
            file.seek(number * size)
            while data := file.read(size * min(pieces, task.batch_rows)):
                count = -(-len(data) // size)
                ends = np.minimum(np.arange(count + 1, dtype=np.int64) * size, len(data)).astype(np.int32)
                columns = [
                    pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(ends), pa.py_buffer(data)]),
                    pa.repeat(pa.scalar(part.relative), count),
                    pa.array(range(number, number + count), pa.int64()),
                ]
                number += count
                rows = pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
                yield rows.select(schema.names), number

    def writer(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> FormatWriter:  # noqa: D102
        return _BinaryWriter(stream)


class _BinaryWriter(FormatWriter):
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, rows: pa.RecordBatch) -> None:
        for piece in rows.column("data"):
            self._stream.write(piece.as_buffer() if piece.is_valid else b"")

    def close(self) -> None:
        """Every piece was written whole."""
