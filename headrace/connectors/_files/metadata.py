"""What is known of a file's rows beside their values, for Metadata transforms."""

from functools import lru_cache
from pathlib import PurePath

import pyarrow as pa

from headrace.formats.file_format import FilePart
from headrace.rows import TARGET_ROWS, Column
from headrace.storage.contract import Stat

FILE_METADATA = (
    Column("FilePath", pa.string(), comment="the file, or its path within an archive"),
    Column("FileCreateTime", pa.int64(), comment="milliseconds; when it was written where that is not known"),
    Column("FileUpdateTime", pa.int64(), comment="milliseconds"),
    Column("FileSize", pa.int64(), comment="bytes; of the archive where it is in one"),
    Column("FileType", pa.string(), comment="the end of its name, without the dot"),
)
"""SeaTunnel page «Metadata»."""


class FileMetadata:
    """The same for all rows of one part of a file.

    It costs no memory for each row: all columns have the same places in dictionaries of one value.
    """

    def __init__(self, path: str, part: FilePart, file: Stat) -> None:
        """path: the file, or the archive that holds it. file: what is known of it."""
        name = part.label.removeprefix(f"{path}:")
        times = file.created // 1_000_000, file.modified // 1_000_000
        values = (name, *times, file.size, PurePath(name).suffix[1:])
        self._values = [pa.array([v], c.type) for c, v in zip(FILE_METADATA, values, strict=True)]

    def of(self, rows: int) -> pa.RecordBatch:
        """The columns of FILE_METADATA for some rows."""
        places = _places(max(TARGET_ROWS, rows)).slice(0, rows)
        columns = [pa.DictionaryArray.from_arrays(places, values, safe=False) for values in self._values]
        return pa.RecordBatch.from_arrays(columns, [column.name for column in FILE_METADATA])


@lru_cache(4)
def _places(rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(0, pa.int8()), rows)
