"""What a file format must do: say how a file can be cut, read a part of it, write one."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, BinaryIO, ClassVar, NamedTuple

import pyarrow as pa
from pydantic import AliasChoices, Field

from headrace.connector import JobContext, Position, TaskContext
from headrace.options import Options
from headrace.storage.opened import Opened

KIND = "\x00kind"
"""The last column of what a format of changes reads and writes: the kinds of the rows, as RowKind's numbers."""

READ_BACK_BYTES = 4 * 1024 * 1024
"""Of a batch that is only looked at."""


class ReadSettings(Options):
    """How files are read; each format uses what concerns it."""

    field_delimiter: str | None = Field(
        default=None,
        validation_alias=AliasChoices("field_delimiter", "delimiter"),
        description="Between the fields; \\001 in text files, a comma in csv files when left out.",
    )
    row_delimiter: str = Field(default="\n", min_length=1, description="Between the rows of text files.")
    skip_header: int = Field(
        default=0, ge=0, validation_alias="skip_header_row_number", description="Lines to skip at the start of a file."
    )
    use_header: bool = Field(
        default=False, validation_alias="csv_use_header_line", description="Find csv columns by the first line's names."
    )
    quote_char: str = Field(default='"', max_length=1, description="Around csv fields that hold special characters.")
    escape_char: str | None = Field(default=None, max_length=1, description="Before a special character in csv fields.")
    null_format: str | None = Field(default=None, description="A text that means null, beside the empty one.")
    encoding: str = Field(default="UTF-8", description="The files' encoding.")
    date_format: str | None = Field(
        default=None, description="Java pattern of dates; recognised by shape when left out."
    )
    datetime_format: str | None = Field(default=None, description="Java pattern of timestamps.")
    time_format: str | None = Field(default=None, description="Java pattern of times.")
    sheet_name: str | None = Field(default=None, description="The sheet of excel files; the first when left out.")
    excel_engine: str = Field(default="POI", description="Accepted: one reader serves xls and xlsx.")
    xml_row_tag: str | None = Field(default=None, description="The element that is a row; needed for xml files.")
    xml_attributes: bool = Field(
        default=False,
        validation_alias="xml_use_attr_format",
        description="The fields of an xml row are its attributes, else its children.",
    )
    binary_chunk: int = Field(
        default=1024, gt=0, validation_alias="binary_chunk_size", description="Bytes of a row of binary files."
    )
    binary_whole: bool = Field(
        default=False, validation_alias="binary_complete_file_mode", description="A whole binary file is one row."
    )

    @property
    def whole_lines(self) -> bool:
        """Whether a line of a text or csv file is one value, as it is where nothing tells the columns."""
        return False

    @property
    def is_complete(self) -> bool:
        """Whether the columns are all there are: a row that has others, or other numbers of fields, is a bad one."""
        return False

    def patterns(self) -> list[str]:
        """The patterns that were given."""
        return [p for p in (self.datetime_format, self.date_format, self.time_format) if p]


class WriteSettings(Options):
    """How files are written; each format uses what concerns it."""

    field_delimiter: str | None = Field(
        default=None,
        validation_alias=AliasChoices("field_delimiter", "delimiter"),
        description="Between the fields; \\001 in text files, a comma in csv files when left out.",
    )
    row_delimiter: str = Field(default="\n", min_length=1, description="Between the rows.")
    header: bool = Field(
        default=False, validation_alias="enable_header_write", description="Write the columns' names first (text, csv)."
    )
    quote_mode: str = Field(
        default="MINIMAL",
        validation_alias="csv_string_quote_mode",
        description="csv texts: ALL, MINIMAL or NONE quoted.",
    )
    encoding: str = Field(default="UTF-8", description="The files' encoding.")
    date_format: str | None = Field(default=None, description="Java pattern of dates; yyyy-MM-dd when left out.")
    datetime_format: str | None = Field(
        default=None, description="Java pattern of timestamps; default: yyyy-MM-dd HH:mm:ss with the fraction there is."
    )
    time_format: str | None = Field(default=None, description="Java pattern of times; HH:mm:ss when left out.")
    compress_codec: str = Field(
        default="none",
        description="parquet: snappy, zstd, gzip, lz4, brotli; orc: snappy, zlib, lz4, zstd; avro: deflate, snappy, "
        "zstd, bzip2, xz; text, csv, json and xml: lzo, gzip, zstd, lz4, brotli, bz2.",
    )
    sheet_name: str = Field(default="Sheet0", description="The sheet of excel files.")
    sheet_max_rows: int = Field(default=1_048_576, gt=1, le=1_048_576, description="Rows of a sheet, names included.")
    max_rows_in_memory: int | None = Field(default=None, description="Accepted: a workbook is written as a stream.")
    merge_updates: bool = Field(
        default=False,
        validation_alias="merge_update_event",
        description="canal_json, debezium_json, maxwell_json: an update is one message, not two.",
    )
    xml_root_tag: str = Field(default="RECORDS", description="The outermost element of xml files.")
    xml_row_tag: str = Field(default="RECORD", description="The element of a row of xml files.")
    xml_attributes: bool = Field(
        default=False, validation_alias="xml_use_attr_format", description="Write fields as attributes, else children."
    )
    int96_timestamps: bool = Field(
        default=False,
        validation_alias="parquet_avro_write_timestamp_as_int96",
        description="Write timestamps of parquet files as INT96, for old readers.",
    )
    int96_columns: list[str] = Field(
        default=[], validation_alias="parquet_avro_write_fixed_as_int96", description="Accepted."
    )

    def formats(self) -> dict[str, str | None]:
        """The patterns by what they are for."""
        return {"date": self.date_format, "datetime": self.datetime_format, "time": self.time_format}


class FilePart(NamedTuple):
    """What one split reads: a range of a file, in the format's own unit (bytes or row groups).

    name: what messages call the file, where it is not the name of what is read. relative: its path below the option
    `path`. growing: whether the file is still written to, so that a last line without an end is left.
    """

    file: Opened
    start: int
    end: int
    name: str = ""
    relative: str = ""
    growing: bool = False

    @property
    def label(self) -> str:
        """What messages call the file."""
        return self.name or self.file.name


class BadLine(NamedTuple):
    """A line that makes no row. after: how many rows of its block come before it. place: file, row and column.

    mended: it makes one nevertheless, that of number `after`; says how: `padded` or `cut`, see Notices.
    """

    after: int
    raw: bytes | str
    reason: str
    place: str
    mended: str = ""


class FormatWriter(ABC):
    """Writes one file. Nobody sees it before it is whole."""

    held = 0
    """Bytes that are in memory and not yet in the stream."""

    def flush(self) -> None:
        """Write what is held back, as far as the format allows that before the end."""

    @abstractmethod
    def write(self, rows: pa.RecordBatch) -> None:
        """Add rows."""

    @abstractmethod
    def close(self) -> None:
        """Write what is still held back; the stream stays open."""


class FileFormat(ABC):
    """Bytes of files ↔ rows."""

    name: ClassVar[str]
    suffix: ClassVar[str]
    own_schema: ClassVar[bool] = False
    """Whether files carry their columns, so that the `schema` option is not needed."""
    fixed_schema: ClassVar[pa.Schema | None] = None
    """The columns of all files, where they are always the same."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """The suffixes of files in archives, beside `suffix`."""
    unverified: ClassVar[str] = ""
    """Why a file that was written cannot be compared with its rows; empty when it can."""
    codecs: ClassVar[tuple[str, ...]] = ("none",)
    """What `compress_codec` may be when the format packs by itself; a packed text is for the caller."""
    packable: ClassVar[bool] = False
    """Whether whole files are packed by `compress_codec`."""

    gives_changes: ClassVar[bool] = False
    """Whether the rows that are read and written have their kinds behind them, in the column KIND."""

    def file_schema(self, file: Opened) -> pa.Schema:
        """The columns of a file that carries them. Raises Rejected."""
        raise NotImplementedError

    @abstractmethod
    def cut(self, file: Opened, split_size: int, settings: ReadSettings) -> list[tuple[int, int]]:
        """Ranges of about `split_size` bytes that can be read independently of one another."""

    @abstractmethod
    def read(
        self,
        part: FilePart,
        position: Position | None,
        schema: pa.Schema,
        settings: ReadSettings,
        task: TaskContext,
        table: str,
    ) -> Iterator[tuple[pa.RecordBatch, Position]]:
        """The rows of a part with the columns of `schema`, and the position after each batch.

        Rows that do not fit go to `task.rejects` with file and row. Raises Rejected for what makes no rows at all.
        """

    def rows_of(self, part: FilePart) -> int | None:
        """How many rows a part holds, where the file tells and positions count them."""
        return None

    def can_grow(self, settings: ReadSettings) -> bool:
        """Whether files are read by lines from any line on, so that more can be read when more was written.

        Then the position after a batch is `[offset, rows after it]`, and `[offset, 0]` at the end of a part.
        """
        return False

    def parse(
        self, raw: bytes, header: Opened | None, schema: pa.Schema, settings: ReadSettings
    ) -> tuple[pa.Table, Sequence[BadLine]]:
        """The row of a line that was set aside once, or why it still is none. header: a file with the same first line.

        Raises ValueError when lines of this format cannot be read by themselves.
        """
        raise ValueError(f"{self.name} has no lines")

    def refused(self, rows: pa.RecordBatch, settings: WriteSettings) -> Mapping[int, str]:
        """The rows that a file cannot hold so that they are read back as they are, by number from 0, and why.

        Asked before they are written; the reasons name the columns. The default: there are none.
        """
        return {}

    def kept(self, rows: pa.RecordBatch, settings: WriteSettings) -> pa.RecordBatch:
        """The rows as `read_back` gives them: what a file keeps of what Arrow tells apart."""
        return rows

    def read_back(self, file: Opened, schema: pa.Schema, settings: WriteSettings) -> Iterator[pa.RecordBatch]:
        """All rows of a finished file, as `kept` shows them. Raises Rejected or BadRow for what is no such row."""
        read = ReadSettings.model_validate(
            {
                "field_delimiter": settings.field_delimiter,
                "row_delimiter": settings.row_delimiter,
                "skip_header_row_number": int(settings.header),
                **{
                    name: getattr(settings, name)
                    for name in ("encoding", "date_format", "datetime_format", "time_format")
                },
            }
        )
        for start, end in self.cut(file, file.size + 1, read):
            part = FilePart(file, start, end)
            task = TaskContext(JobContext(0), batch_bytes=READ_BACK_BYTES)
            yield from (rows for rows, _ in self.read(part, None, schema, read, task, ""))

    @abstractmethod
    def writer(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> FormatWriter:
        """Begin a file."""


def pieces(rows: pa.RecordBatch, task: TaskContext) -> Iterator[pa.RecordBatch]:
    """The rows in batches each of which is as big as the task asks for at that moment."""
    start = 0
    while start < rows.num_rows:
        yield (piece := rows.slice(start, task.fitting_rows(rows)))
        start += piece.num_rows


def slices(
    rows: pa.Table,
    task: TaskContext,
    start: int,
    end: int,
    skip: int,
    bad: Sequence[BadLine] = (),
    table: str = "",
) -> Iterator[tuple[pa.RecordBatch, Any]]:
    """Batches of a block's rows with positions `[offset, rows after it]`; the first `skip` rows were read before.

    A bad line is set aside with the rows around it: with the batch whose position lies behind it, and only with that.
    """
    done, waiting = skip, [line for line in bad if line.after >= skip]
    fresh = rows.slice(skip) if skip else rows
    for batch in chain.from_iterable(pieces(chunk, task) for chunk in fresh.to_batches()):
        done += batch.num_rows
        last = done >= rows.num_rows
        while waiting and (last or waiting[0].after < done):
            _set_aside(waiting.pop(0), task, table)
        yield batch, [end, 0] if last else [start, done]
    if waiting:
        for line in waiting:
            _set_aside(line, task, table)
        yield pa.RecordBatch.from_pylist([], rows.schema), [end, 0]


def _set_aside(line: BadLine, task: TaskContext, table: str) -> None:
    if line.mended:
        task.notices.mended(table, line.mended, f"{line.place}: {line.reason}")
        return
    task.rejects.add_raw(table, [line.raw], line.reason, line.place)
