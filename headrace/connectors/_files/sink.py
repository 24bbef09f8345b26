"""Writing files: staged where nobody looks, published on commit."""

import contextlib
import logging
import os
import uuid
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AliasChoices, Field, field_validator, model_validator

from headrace.connector import (
    Batch,
    CallsRun,
    Choice,
    Claim,
    Committable,
    JobContext,
    Left,
    Problem,
    Sink,
    SinkKind,
    SinkSession,
    SinkWriter,
    State,
    TableSchema,
    TaskContext,
    Verifier,
    Written,
    staging_name,
)
from headrace.connectors._files.binary import BinaryFilesWriter
from headrace.connectors._files.partitions import NULL_PARTITION, check_partitions, folder_of, folder_values
from headrace.connectors._files.staging import Batches, Staging
from headrace.errors import BadRow, Rejected, Undelivered
from headrace.formats.binary import SCHEMA as BINARY_SCHEMA
from headrace.formats.file_format import KIND, FileFormat, FormatWriter, WriteSettings
from headrace.formats.java_dates import format_datetime, strftime_pattern
from headrace.formats.packing import ArchiveCodec, Codec, PackedStream, plain_file
from headrace.formats.registry import file_format
from headrace.options import PATH, LocalPath
from headrace.storage.contract import Staged, StagedFile, Stat, Storage
from headrace.storage.opened import Opened

LOG = logging.getLogger("headrace.plugin")

MAX_OPEN_FILES = 128
"""Partitions a writer keeps open; the one that was idle longest is finished to make room."""


class SchemaSaveMode(Choice):
    """What happens to the target directory before the first row."""

    RECREATE_SCHEMA = "RECREATE_SCHEMA"
    CREATE_SCHEMA_WHEN_NOT_EXIST = "CREATE_SCHEMA_WHEN_NOT_EXIST"
    ERROR_WHEN_SCHEMA_NOT_EXIST = "ERROR_WHEN_SCHEMA_NOT_EXIST"
    IGNORE = "IGNORE"


class DataSaveMode(Choice):
    """What happens to the files in it before the first row."""

    APPEND_DATA = "APPEND_DATA"
    DROP_DATA = "DROP_DATA"
    ERROR_WHEN_DATA_EXISTS = "ERROR_WHEN_DATA_EXISTS"


class FileSinkOptions(WriteSettings):
    """Options of a file sink."""

    filled_in: ClassVar[Mapping[str, str]] = {
        "file_name_expression": "now|uuid|transactionId",
        "partition_dir_expression": r"[kv](\d+|n)",
    }

    path: LocalPath = Field(
        min_length=1, json_schema_extra=PATH, description="The target directory; ${table_name} and its like are filled."
    )
    tmp_path: LocalPath = Field(
        default="/tmp/seatunnel",
        json_schema_extra=PATH,
        description="Staging; a hidden directory in `path` where that is another file system.",
    )
    file_format_type: str = Field(
        default="csv",
        validation_alias=AliasChoices("file_format_type", "file_format"),
        description="text, csv, json, parquet, orc, avro, excel, xml, binary, canal_json, debezium_json or "
        "maxwell_json.",
    )
    custom_filename: bool = Field(default=False, description="Name files by file_name_expression.")
    file_name_expression: str = Field(
        default="${transactionId}",
        description="With ${now}, ${uuid}, ${transactionId}. Without ${transactionId} the first file of a job with one "
        "task has exactly this name, if it is free; all others get the transaction and a number.",
    )
    filename_time_format: str = Field(default="yyyy.MM.dd", description="Java pattern of ${now}.")
    filename_extension: str | None = Field(default=None, description="The files' suffix; the format's own by default.")
    have_partition: bool = Field(default=False, description="Write a directory for each partition.")
    partition_by: list[str] = Field(default=[], description="The columns that make partitions.")
    partition_dir_expression: str = Field(
        default="${k0}=${v0}/${k1}=${v1}/.../${kn}=${vn}/",
        description="${k0} is the first column's name, ${v0} its value.",
    )
    is_partition_field_write_in_file: bool = Field(default=False, description="Keep partition columns in the files.")
    sink_columns: list[str] | None = Field(default=None, description="Only these columns, in this order.")
    is_enable_transaction: bool = Field(default=True, description="Accepted: files always appear on commit only.")
    batch_size: int = Field(default=1_000_000, gt=0, description="Rows of a file.")
    single_file_mode: bool = Field(default=False, description="One file for each task and checkpoint.")
    create_empty_file: bool = Field(
        default=False, validation_alias="create_empty_file_when_no_data", description="A file even without rows."
    )
    schema_save_mode: SchemaSaveMode = Field(
        default=SchemaSaveMode.CREATE_SCHEMA_WHEN_NOT_EXIST, description="What to do with the directory first."
    )
    data_save_mode: DataSaveMode = Field(
        default=DataSaveMode.APPEND_DATA, description="What to do with its files first."
    )
    replica: int = Field(
        default=1, validation_alias="multi_table_sink_replica", description="Accepted: a task has one writer per table."
    )

    @field_validator("file_format_type")
    @classmethod
    def _check_format(cls, value: str) -> str:
        return file_format(value).name

    @model_validator(mode="after")
    def _check(self) -> Self:
        wrong = []
        for name in ("date_format", "datetime_format", "time_format", "filename_time_format"):
            try:
                strftime_pattern(getattr(self, name) or "")
            except ValueError as error:
                wrong.append(f"{name}: {error}")
        form = file_format(self.file_format_type)
        codecs = tuple(Codec) if form.packable else form.codecs
        if self.compress_codec.lower() not in codecs:
            text = f"compress_codec {self.compress_codec!r} is not for {self.file_format_type}"
            wrong.append(f"{text}; possible: {', '.join(codecs)}")
        if "/" in (self.filename_extension or ""):
            wrong.append(f"filename_extension {self.filename_extension!r} cannot hold a '/'")
        if {".", ".."} & set(self.partition_dir_expression.split("/")):
            wrong.append(f"partition_dir_expression {self.partition_dir_expression!r} leads out of the directory")
        if self.have_partition and not self.partition_by:
            wrong.append("have_partition is true, so partition_by must name the columns")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @property
    def partitions(self) -> list[str]:
        """The partition columns, as far as partitions are wanted at all."""
        return self.partition_by if self.have_partition or self.partition_by else []

    def columns_of(self, table: TableSchema) -> list[str]:
        """The columns of the files, in their order."""
        names = self.sink_columns or table.names
        if self.is_partition_field_write_in_file:
            return list(names)
        return [name for name in names if name not in self.partitions]


class FileSink(Sink):
    """Writes files into a directory. Staged: a file is visible, whole, once its checkpoint is committed."""

    Options = FileSinkOptions
    options: FileSinkOptions
    kind = SinkKind.STAGED

    @abstractmethod
    def storage(self) -> Storage:
        """Where the files lie."""

    @property
    def calls_run(self) -> CallsRun:
        """As the storage can be reached."""
        return CallsRun.WHERE_STAGED if self.storage().is_of_one_machine else CallsRun.ANYWHERE

    def lacks(self, parallelism: int) -> Sequence[str]:
        """What the storage says."""
        return self.storage().lacks

    def source_of_bad_rows(self, table: TableSchema) -> Mapping[str, Any] | None:
        """The files of the table's directory, with the same delimiters; those of this machine only."""
        if not self.storage().is_of_one_machine:
            return None
        options: FileSinkOptions = self.options_for(table)
        if options.file_format_type == "csv" and options.quote_mode.upper() == "NONE":
            return None
        if not any(self._visible(options.path)):
            return {}
        found = {
            "path": options.path,
            "file_format_type": options.file_format_type,
            "encoding": options.encoding,
            "row_delimiter": options.row_delimiter,
            "skip_header_row_number": int(options.header or options.file_format_type == "excel"),
            "schema": {"fields": {c.name: "string" for c in table.columns}},
            "xml_row_tag": options.xml_row_tag,
            "xml_use_attr_format": options.xml_attributes,
        }
        if not file_format(options.file_format_type).own_schema:
            found["compress_codec"] = options.compress_codec
        given = {"field_delimiter": options.field_delimiter, "filename_extension": options.filename_extension}
        return {**found, **{key: value for key, value in given.items() if value is not None}}

    def files_of_bad_rows(self, table: TableSchema) -> Sequence[Stat]:
        """See Sink.files_of_bad_rows: all of the table's directory."""
        return list(self._files_below(self.options_for(table).path))

    def _files_below(self, folder: str) -> Iterator[Stat]:
        for entry in self._visible(folder):
            if entry.is_folder:
                yield from self._files_below(entry.path)
            else:
                yield entry

    def discard_bad_rows(self, table: TableSchema, rows: int, files: Sequence[Stat]) -> None:
        """See Sink.discard_bad_rows: files that came since, or were changed, stay."""
        now = {file.path: file.version for file in self.files_of_bad_rows(table)}
        for file in files:
            if now.get(file.path) == file.version:
                self.storage().delete(file.path)

    def cure_for_changes(self, table: TableSchema) -> str:
        """Formats of changes write the kind of each row."""
        if file_format(self.options.file_format_type).gives_changes:
            return ""
        return f"write debezium_json, canal_json or maxwell_json, or {super().cure_for_changes(table)}"

    def options_for(self, table: TableSchema) -> FileSinkOptions:
        """The options of one table. Raises Rejected when its name would lead out of the directory that `path` names."""
        options: FileSinkOptions = super().options_for(table)
        begin, filled, _ = self.options.path.partition("${")
        base = os.path.abspath(os.path.dirname(begin) or ".")
        below = os.path.relpath(os.path.abspath(options.path), base).split("/")
        hidden = [part for part in below if part.startswith(".") and part not in self.options.path.split("/")]
        if filled and hidden and below != ["."]:
            where = f"{'outside' if hidden[0] == '..' else 'hidden in'} {base!r}"
            raise Rejected(
                f"path: the files of table {table.path} would lie in {options.path!r}, {where}; rename the table, such "
                "as with TableRename"
            )
        if filled and ".." in options.path.split("/"):  # a table's name has it; no directory is called so
            options = options.model_copy(update={"path": os.path.normpath(options.path)})
        return options

    def check(self, tables: Sequence[TableSchema]) -> Iterator[Problem]:
        """Columns that the options name must be there; the path must not be a file."""
        self._tell_of_mixed(tables)
        for table in tables:
            missing = [name for name in BINARY_SCHEMA.names if name not in table.names]
            if self.options.file_format_type == "binary" and missing:
                text = f"table {table.path} has no column {missing[0]!r}"
                yield Problem("file_format_type", text, "binary files come from a source that reads binary files")
            for option in ("partition_by", "sink_columns"):
                for name in getattr(self.options, option) or ():
                    if name not in table.names:
                        text = f"table {table.path} has no column {name!r}"
                        yield Problem(option, text, f"its columns are {', '.join(table.names)}")
            yield from check_partitions(table, self.options.partitions, self.options.columns_of(table))
            path = self.options_for(table).path
            found = self.storage().stat(path)
            if found is not None and not found.is_folder:
                yield Problem("path", f"{path!r} is a file", "name the directory that the files go into")

    def _tell_of_mixed(self, tables: Sequence[TableSchema]) -> None:
        """Warns where tables of different columns go into one directory, from which no reader tells them apart."""
        first: dict[str, TableSchema] = {}
        for table in tables:
            other = first.setdefault(self.options_for(table).path, table)
            if not other.arrow.equals(table.arrow):
                LOG.warning(
                    "the files of tables %s and %s, whose columns differ, go into one directory, %s; "
                    "add ${table_name} to path",
                    other.path,
                    table.path,
                    self.options_for(table).path,
                )

    def unverified(self, table: TableSchema) -> str:
        """Every file is read again once it is finished, where its format keeps the rows' values."""
        return file_format(self.options.file_format_type).unverified

    def check_save_modes(self, tables: Sequence[TableSchema]) -> Iterator[Problem]:
        """A directory that must be there, or must hold no files."""
        for table in tables:
            yield from self._refused(self.options_for(table))

    def emptied(self, tables: Sequence[TableSchema]) -> dict[str, str]:
        """The directories of the tables, where their files are to be dropped."""
        options = self.options
        if options.schema_save_mode is SchemaSaveMode.RECREATE_SCHEMA:
            option = f"schema_save_mode = {options.schema_save_mode}"
        elif options.data_save_mode is DataSaveMode.DROP_DATA:
            option = f"data_save_mode = {options.data_save_mode}"
        else:
            return {}
        return {self.rooted(self.options_for(table).path): option for table in tables}

    def rooted(self, path: str) -> str:
        """A path from a root that tells storages apart, as `emptied` gives it."""
        return os.path.realpath(path)

    def save_mode(self, table: TableSchema) -> None:
        """Act on the directory as a table and its files as the data."""
        options: FileSinkOptions = self.options_for(table)
        for problem in self._refused(options):
            raise Rejected(f"{problem.message}; {problem.cure}")
        recreate = options.schema_save_mode is SchemaSaveMode.RECREATE_SCHEMA
        if recreate or options.data_save_mode is DataSaveMode.DROP_DATA:
            for entry in list(self._visible(options.path)):
                self.storage().delete(entry.path)
        if options.schema_save_mode is not SchemaSaveMode.IGNORE:
            self.storage().make_folder(options.path)

    def _refused(self, options: "FileSinkOptions") -> Iterator[Problem]:
        """What the save modes refuse of a directory as it is."""
        path, schema_mode = options.path, options.schema_save_mode
        if schema_mode is SchemaSaveMode.ERROR_WHEN_SCHEMA_NOT_EXIST:
            found = self.storage().stat(path)
            if found is None or not found.is_folder:
                text = f"schema_save_mode is {schema_mode}, and there is no {path!r}"
                yield Problem("schema_save_mode", text, "create the directory, or use CREATE_SCHEMA_WHEN_NOT_EXIST")
        recreate = schema_mode is SchemaSaveMode.RECREATE_SCHEMA
        refuses = options.data_save_mode is DataSaveMode.ERROR_WHEN_DATA_EXISTS and not recreate
        if refuses and any(self._visible(path)):
            text = f"data_save_mode is {options.data_save_mode}, and {path!r} holds files"
            yield Problem("data_save_mode", text, "empty it, or use APPEND_DATA or DROP_DATA")

    def _visible(self, path: str) -> Iterator[Stat]:
        """What readers see in a directory."""
        return (one for one in self.storage().entries(path) if not os.path.basename(one.path).startswith("."))

    def left(self) -> Iterator[Left]:
        """See Sink.left."""
        return self.storage().left(self._areas())

    def remove(self, claims: Collection[Claim]) -> None:
        """See Sink.remove."""
        self.storage().remove(self._areas(), lambda claim: claim in claims)

    def open(self, task: TaskContext) -> SinkSession:
        """See Sink.open. What killed starts of the pipeline have staged goes; the marks of what they published stay.

        One task does it where the others see the same; on storages of one machine each does, for its own.
        """
        storage = self.storage()
        if task.index == 0 or storage.is_of_one_machine:
            mine = task.job.claim
            storage.remove(self._areas(), lambda claim: claim.is_older_than(mine), marks=False)
        return super().open(task)

    def writer(self, table: TableSchema, task: TaskContext, state: State | None) -> SinkWriter:
        """See Sink.writer."""
        options: FileSinkOptions = self.options_for(table)
        staging = Staging(self.storage(), options.path, options.tmp_path, task.job.claim)
        if options.file_format_type == "binary":
            return BinaryFilesWriter(staging, state)
        return _FileWriter(options, table, task, staging)

    def merge_states(self, states: Sequence[State]) -> State:
        """The bytes that binary files have so far."""
        return {path: size for state in states for path, size in state.items()}

    def commit(self, committables: Sequence[Committable], job: JobContext) -> None:
        """Publish; what was published before stays as it is, what is lost is Undelivered (guarantee 3)."""
        Batches(self.storage(), self.options.tmp_path, committables).publish(job)

    def abort(self, committables: Sequence[Committable], job: JobContext) -> None:
        """Remove the staged files."""
        Batches(self.storage(), self.options.tmp_path, committables).drop()

    def end(self, job: JobContext) -> None:
        """Remove what is staged for the job, and its marks."""
        self.storage().remove(self._areas(), job.claim.is_of_job)

    def _areas(self) -> Sequence[str]:
        """Where the sink may have staged files."""
        return self.storage().areas(self.options.path, self.options.tmp_path)


class _OpenFile:
    """One file that is being written."""

    def __init__(self, staged: StagedFile, form: FileFormat, schema: pa.Schema, options: FileSinkOptions) -> None:
        self._staged, self.rows = staged, 0
        self._packed: PackedStream | None = None
        try:
            if form.packable and options.compress_codec.lower() != "none":
                self._packed = PackedStream(staged.stream, Codec(options.compress_codec))
            target: Any = self._packed or staged.stream
            self._writer: FormatWriter | None = form.writer(target, schema, options)
        except BaseException:
            staged.drop()
            raise

    def write(self, rows: pa.RecordBatch) -> None:
        assert self._writer is not None, "the file is finished"
        self._writer.write(rows)
        self.rows += rows.num_rows

    @property
    def held(self) -> int:
        """Bytes that are only in memory so far."""
        return self._writer.held if self._writer else 0

    def flush(self) -> None:
        """Write them out, as far as the format allows."""
        if self._writer is not None:
            self._writer.flush()

    def finish(self) -> Staged:
        """Whole and durable."""
        assert self._writer is not None, "a file is finished once"
        self._writer.close()
        if self._packed is not None:
            self._packed.close()
        self._writer = self._packed = None  # finished files wait for the commit, maybe many; their buffers must not
        return self._staged.finish()

    def opened(self) -> Opened:
        return self._staged.opened()

    def drop(self) -> None:
        with contextlib.suppress(Exception):
            if self._writer is not None:
                self._writer.close()
        self._staged.drop()


class _FileWriter(SinkWriter):
    def __init__(self, options: FileSinkOptions, table: TableSchema, task: TaskContext, staging: Staging) -> None:
        self._options, self._task, self._staging = options, task, staging
        self._form = file_format(options.file_format_type)
        self._names = names = options.columns_of(table)
        self._schema = pa.schema([f for name in names for f in table.arrow if f.name == name])
        self._other_encoding = "utf" not in options.encoding.lower() and not self._form.own_schema
        self._unique = uuid.uuid4().hex[:10]
        self._open: dict[str, _OpenFile] = {}
        self._numbers: dict[str, int] = {}
        self._named: set[str] = set()
        self._batch = 1
        self._table, self._written = table.path, 0
        self._verifier = None if self._form.unverified else task.verifier

    def write(self, batch: Batch) -> None:
        batch = self._writable(batch)
        with self._staging.telling():
            rows, names = batch.rows, self._names
            if self._form.gives_changes:
                rows, names = rows.append_column(KIND, batch.kind_array()), [*names, KIND]
            for partition, part in self._parts(rows):
                self._write_part(partition, part.select(names))

    def _writable(self, batch: Batch) -> Batch:
        """The rows that the files can hold; the others are set aside before any row is written."""
        bad = dict(self._form.refused(batch.rows.select(self._names), self._options))
        if self._other_encoding:
            bad = self._not_encodable(batch) | bad
        if not bad:
            return batch
        mask = pa.array([row in bad for row in range(batch.num_rows)])
        self._task.rejects.add(batch, mask, pa.array([bad.get(row, "") for row in range(batch.num_rows)]))
        return batch.filter(pc.invert(mask))

    def _not_encodable(self, batch: Batch) -> dict[int, str]:
        """The rows with texts that the files' encoding does not have, and why."""
        bad: dict[int, str] = {}
        for name in self._names:
            if pa.types.is_string(batch.rows.schema.field(name).type):
                for row, text in enumerate(batch.rows.column(name).to_pylist()):
                    try:
                        (text or "").encode(self._options.encoding)
                    except UnicodeEncodeError as error:
                        char = error.object[error.start]
                        bad.setdefault(row, f"column {name}: {self._options.encoding} has no {char!r}")
        return bad

    def _write_part(self, partition: str, rows: pa.RecordBatch) -> None:
        limit = None if self._options.single_file_mode else self._options.batch_size
        while rows.num_rows:
            file = self._file(partition)
            room = rows.num_rows if limit is None else limit - file.rows
            part = rows.slice(0, room)
            file.write(part)
            if self._verifier is not None:
                self._verifier.wrote(self._table, self._form.kept(part, self._options))
            rows = rows.slice(min(room, rows.num_rows))
            if limit is not None and file.rows >= limit:
                self._finish(partition)
            self._relieve()

    def _relieve(self) -> None:
        """Write out what open files hold back, the most first, until it is no more than this writer may hold."""
        while sum(file.held for file in self._open.values()) > self._task.held_bytes:
            partition, file = max(self._open.items(), key=lambda item: item[1].held)
            before = file.held
            file.flush()
            if file.held == before:  # the format holds a file until it is whole
                self._finish(partition)

    def _parts(self, rows: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        """The rows of each partition, with the directory they go into; each keeps its order."""
        if not self._options.partitions:
            yield "", rows
            return
        formats = self._options.formats()
        keys = [folder_values(rows.column(name), formats) for name in self._options.partitions]
        joined = pc.binary_join_element_wise(*keys, "\x00").dictionary_encode()
        for code, key in enumerate(joined.dictionary.to_pylist()):
            mine = rows.filter(pc.equal(joined.indices, code)) if len(joined.dictionary) > 1 else rows
            yield self._partition_folder(key.split("\x00")), mine

    def _partition_folder(self, values: Sequence[str]) -> str:
        return folder_of(self._options.partition_dir_expression, self._options.partitions, values)

    def _file(self, partition: str) -> _OpenFile:
        file = self._open.pop(partition, None)
        if file is None:
            if len(self._open) >= MAX_OPEN_FILES:
                self._finish(next(iter(self._open)))
            file = self._new_file(partition)
        self._open[partition] = file
        return file

    def _new_file(self, partition: str) -> _OpenFile:
        number = self._numbers.get(partition, 0)
        self._numbers[partition] = number + 1
        name = os.path.join(partition, self._exact_name(partition) or self._file_name(number))
        return _OpenFile(self._staging.file(name), self._form, self._schema, self._options)

    @property
    def _suffix(self) -> str:
        suffix = (self._options.filename_extension or self._form.suffix).lstrip(".")
        codec = self._options.compress_codec.lower()
        return suffix if codec == "none" else f"{codec}.{suffix}"

    def _finish(self, partition: str) -> None:
        file = self._open.pop(partition)
        try:
            self._staging.add(file.finish())
        except BaseException:
            file.drop()
            raise
        self._written += file.rows
        if self._verifier is not None:
            self._read_back(file.opened(), self._verifier)

    def _read_back(self, file: Opened, verifier: Verifier) -> None:
        codec = Codec(self._options.compress_codec) if self._form.packable else Codec.NONE
        try:
            with plain_file(file, ArchiveCodec.NONE, codec, "") as plain:
                for rows in self._form.read_back(plain, self._schema, self._options):
                    verifier.found(self._table, rows)
        except (BadRow, Rejected) as error:
            raise Undelivered(f"a file of table {self._table} cannot be read back: {error}") from error

    def written(self) -> Written:
        return Written(self._written)

    def prepare_commit(self, checkpoint_id: int) -> Committable | None:
        options = self._options
        first = self._task.index == 0 and checkpoint_id > 0
        with self._staging.telling():
            if options.create_empty_file and first and not self._numbers:
                self._file("")
            for partition in list(self._open):
                self._finish(partition)
        self._numbers, self._batch = {}, self._batch + 1
        return self._staging.prepared(checkpoint_id)

    def _file_name(self, number: int) -> str:
        transaction = f"T_{self._unique}_{staging_name(self._task.job, self._task.index, self._batch)}"
        name = transaction
        if self._options.custom_filename:
            name = self._own_name(transaction)
            if "${transactionId}" not in self._options.file_name_expression:
                name = f"{transaction}_{name}"  # names must never meet those of another checkpoint or task
        return f"{_safe(name)}_{number}.{self._suffix}"

    def _own_name(self, transaction: str) -> str:
        """What file_name_expression says."""
        now = format_datetime(datetime.now(), self._options.filename_time_format)  # noqa: DTZ005  the machine's day is meant
        name = self._options.file_name_expression.replace("${transactionId}", transaction)
        return name.replace("${now}", now).replace("${uuid}", uuid.uuid4().hex)

    def _exact_name(self, partition: str) -> str:
        """The name that the job says and nothing else, for the first file where no other task writes; else empty."""
        options = self._options
        if not options.custom_filename or "${transactionId}" in options.file_name_expression:
            return ""
        name = f"{_safe(self._own_name(''))}.{self._suffix}"
        final = os.path.join(options.path, partition, name)
        if self._task.job.parallelism > 1 or final in self._named or self._staging.is_taken(final):
            return ""
        self._named.add(final)
        return name

    def close(self) -> None:
        for file in self._open.values():
            file.drop()
        self._staging.drop()


def _safe(text: str) -> str:
    """A text as one name in a directory."""
    return text.replace("/", "%2F").replace("\x00", "") or NULL_PARTITION
