"""What a job file says about reading files."""

import os
import re
from collections.abc import Iterator, Sequence
from typing import Self

from pydantic import AliasChoices, Field, field_validator, model_validator

from headrace.formats.file_format import ReadSettings
from headrace.formats.java_dates import strftime_pattern
from headrace.formats.packing import ArchiveCodec, Codec
from headrace.formats.registry import file_format
from headrace.options import PATH, Choice, LocalPath
from headrace.schema_options import SchemaOptions
from headrace.values import parse_duration, parse_timestamp

_NEED_COLUMNS = ("json", "excel", "xml")
"""Formats whose files SeaTunnel does not read without a schema."""


class DiscoveryMode(Choice):
    """When files are looked for."""

    ONCE = "once"
    CONTINUOUS = "continuous"


class StartMode(Choice):
    """What of a directory that is watched is read at first."""

    EARLIEST = "earliest"
    LATEST = "latest"


class SyncMode(Choice):
    """Which files are read."""

    FULL = "full"
    UPDATE = "update"


class UpdateStrategy(Choice):
    """When a file of the target counts as the source's."""

    DISTCP = "distcp"
    STRICT = "strict"


class CompareMode(Choice):
    """What of a file is compared."""

    LEN_MTIME = "len_mtime"
    CHECKSUM = "checksum"


class PostSyncAction(Choice):
    """What becomes of a file whose rows are safe."""

    NONE = "none"
    DELETE = "delete"
    BACKUP = "backup"


class FileSchemaOptions(SchemaOptions):
    """The `schema` of files, which may only name the table where the files carry their columns."""

    needs_columns = False


class FileTableOptions(ReadSettings):
    """Which files make a table, and how they are read."""

    path: LocalPath = Field(
        default="",
        json_schema_extra=PATH,
        description="Required: a file, or a directory that is read with all below it.",
    )
    file_format_type: str = Field(
        default="",
        validation_alias=AliasChoices("file_format_type", "file_format"),
        description="Required: text, csv, json, parquet, orc, avro, excel, xml, binary, canal_json, debezium_json or "
        "maxwell_json.",
    )
    table_schema: FileSchemaOptions | None = Field(
        default=None,
        validation_alias="schema",
        description="The columns; needed for json, excel and xml. Without it text and csv lines are one column "
        "`content`, and parquet, orc and avro files tell theirs; with it theirs are cast. See infer_schema.",
    )
    infer_schema: bool = Field(
        default=False,
        description="Find the columns of text, csv, json, excel and xml files by looking at them, where schema names "
        "none; with them the delimiter, whether the first line has the names, and xml_row_tag, unless they are set.",
    )
    infer_schema_bytes: int = Field(
        default=8 * 1024 * 1024, ge=0, description="How much of each file infer_schema looks at; 0: all of it."
    )
    compress_codec: str = Field(
        default="none", description="How text, csv, json and xml files are packed: lzo, gzip, zstd, lz4, brotli, bz2."
    )
    archive_codec: ArchiveCodec = Field(
        default=ArchiveCodec.NONE,
        validation_alias="archive_compress_codec",
        description="What the files are in: ZIP, TAR, TAR_GZ or GZ; every fitting file in it is read.",
    )
    read_columns: list[str] | None = Field(default=None, description="Only these columns, in this order.")
    parse_partition_from_path: bool = Field(default=True, description="Directories `k=v` become text columns.")
    read_partitions: list[str] | None = Field(default=None, description="Only these partitions, such as dt=2024-01-01.")
    file_filter_pattern: str | None = Field(default=None, description="A regular expression for file names.")
    filename_extension: str | None = Field(default=None, description="Only files whose name ends so.")
    modified_start: str | None = Field(
        default=None, validation_alias="file_filter_modified_start", description="Only files changed at or after this."
    )
    modified_end: str | None = Field(
        default=None, validation_alias="file_filter_modified_end", description="Only files changed before this."
    )
    enable_file_split: bool = Field(default=True, description="Read parts of a big file side by side.")
    file_split_size: int = Field(default=128 * 1024 * 1024, gt=0, description="Bytes of such a part.")
    recursive: bool = Field(
        default=True, validation_alias="recursive_file_scan", description="Also files in directories below."
    )
    newest_first: bool = Field(
        default=False,
        validation_alias="sort_files_by_modification_time",
        description="Begin with the file that changed last; its columns are the table's first ones.",
    )
    discovery_mode: DiscoveryMode = Field(
        default=DiscoveryMode.ONCE,
        description="`once`: the files that are there, then the source ends. `continuous`: it goes on with those that "
        "come later.",
    )
    scan_interval: str = Field(default="10S", description="How often `continuous` looks: `500MS`, `10S`, `PT1M`.")
    start_mode: StartMode = Field(
        default=StartMode.EARLIEST, description="`latest`: not what is there when a `continuous` job first starts."
    )
    sync_mode: SyncMode = Field(
        default=SyncMode.FULL,
        description="`update`: only binary files that target_path lacks or has otherwise.",
    )
    target_path: LocalPath | None = Field(
        default=None, json_schema_extra=PATH, description="Where `update` compares: the sink's `path`."
    )
    target_hadoop_conf: dict[str, str] = Field(
        default={}, description="Accepted: target_path is a directory of this machine."
    )
    update_strategy: UpdateStrategy = Field(
        default=UpdateStrategy.DISTCP,
        description="Copied is what is as long and no older (`distcp`), or the same as compare_mode says (`strict`).",
    )
    compare_mode: CompareMode = Field(
        default=CompareMode.LEN_MTIME,
        description="What `strict` compares: `len_mtime`, length and time of change; `checksum`, the content.",
    )
    update_compare_parallelism: int = Field(
        default=8, ge=1, le=64, description="Accepted: a directory of this machine is asked at once."
    )
    update_compare_bulk_threshold: int = Field(
        default=0, ge=0, description="Accepted: a directory of this machine is asked at once."
    )
    post_sync_action: PostSyncAction = Field(
        default=PostSyncAction.NONE,
        description="`delete` or `backup` files of a `continuous` source once a checkpoint holds all their rows.",
    )
    backup_path: LocalPath | None = Field(
        default=None, json_schema_extra=PATH, description="Where `backup` moves files; on the file system of `path`."
    )
    retention_max_age: str | None = Field(
        default=None, description="Remove files from backup_path that were moved there so long ago, such as `7D`."
    )
    retention_check_interval: str = Field(default="1H", description="How often to look for such.")

    @field_validator("file_format_type")
    @classmethod
    def _check_format(cls, value: str) -> str:
        return file_format(value).name if value else value

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.check_table()
        return self

    def check_table(self) -> None:
        """Raises ValueError with everything that does not fit together."""
        wrong = [f"{n}: required option is missing" for n in ("path", "file_format_type") if not getattr(self, n)]
        form = file_format(self.file_format_type) if self.file_format_type else None
        if form is not None and not self.has_columns and form.gives_changes:
            wrong.append(f"schema is needed to read {form.name} files")
        elif form is not None and not self.has_columns and form.name in _NEED_COLUMNS and not self.infer_schema:
            cure = "infer_schema = true finds the columns by looking at the files"
            wrong.append(f"schema is needed to read {form.name} files; {cure}")
        if self.infer_schema and self.is_continuous and not self.has_columns:
            wrong.append("infer_schema looks at the files that are there, and discovery_mode = continuous reads others")
        if self.file_format_type == "xml" and not self.xml_row_tag and not self.infer_schema:
            wrong.append("xml_row_tag is needed to read xml files")
        if self.compress_codec.lower() not in list(Codec) and not self._packs_itself():
            known = ", ".join(Codec)
            wrong.append(
                f"compress_codec {self.compress_codec!r} is not for {self.file_format_type}; possible: {known}"
            )
        if self.file_filter_pattern is not None:
            try:
                re.compile(self.file_filter_pattern)
            except re.error as error:
                wrong.append(f"file_filter_pattern {self.file_filter_pattern!r} is not a regular expression: {error}")
        if self.read_columns and self.table_schema is not None and self.has_columns:
            names = self.table_schema.table_schema().names
            if unknown := [name for name in self.read_columns if name not in names]:
                wrong.append(f"read_columns: no column {unknown[0]!r} in {', '.join(names)}")
        try:
            "".encode(self.encoding)
        except LookupError:
            wrong.append(f"encoding {self.encoding!r} is not known")
        for name in ("date_format", "datetime_format", "time_format"):
            try:
                strftime_pattern(getattr(self, name) or "")
            except ValueError as error:
                wrong.append(f"{name}: {error}")
        for name in ("modified_start", "modified_end"):
            if (text := getattr(self, name)) is not None:
                parse_timestamp(text)
        wrong += [*self._wrong_durations(), *self._wrong_update(), *self._wrong_post_sync()]
        if wrong:
            raise ValueError("; ".join(wrong))

    def _wrong_durations(self) -> Iterator[str]:
        for name in ("scan_interval", "retention_max_age", "retention_check_interval"):
            try:
                if (text := getattr(self, name)) is not None and not parse_duration(text):
                    yield f"{name} must be longer than nothing"
            except ValueError as error:
                yield f"{name}: {error}"

    def _wrong_update(self) -> Iterator[str]:
        if self.sync_mode is SyncMode.UPDATE:
            if self.file_format_type != "binary":
                yield "sync_mode = update is for file_format_type = binary"
            if not self.target_path:
                yield "sync_mode = update needs target_path, the directory that the sink writes to"
        if self.compare_mode is CompareMode.CHECKSUM and self.update_strategy is not UpdateStrategy.STRICT:
            yield "compare_mode = checksum needs update_strategy = strict"
        place = self.target_hadoop_conf.get("fs.defaultFS", "file:///")
        if not place.startswith("file:"):
            yield f"target_hadoop_conf: target_path is a directory of this machine, not of {place!r}"

    def _wrong_post_sync(self) -> Iterator[str]:
        action = self.post_sync_action
        if action is not PostSyncAction.NONE and not self.is_continuous:
            yield f"post_sync_action = {action} needs discovery_mode = continuous"
        if action is PostSyncAction.BACKUP and not self.backup_path:
            yield "post_sync_action = backup needs backup_path"
        if action is not PostSyncAction.BACKUP:
            given = [n for n in ("backup_path", "retention_max_age") if getattr(self, n) is not None]
            yield from (f"{name} needs post_sync_action = backup" for name in given)
        elif self.backup_path and self.path:
            here, there = os.path.realpath(self.path), os.path.realpath(self.backup_path)
            if os.path.commonpath([here, there]) in (here, there):
                yield f"backup_path {self.backup_path!r} and path {self.path!r} must not lie in one another"

    def hints(self) -> Iterator[tuple[str, str]]:
        """Lines that are read whole, as in SeaTunnel."""
        if self.file_format_type in ("text", "csv") and self.whole_lines:
            yield (
                f"without schema a line of {self.path} is one column, content",
                "infer_schema = true finds the columns by looking at the files",
            )

    def _packs_itself(self) -> bool:
        """Whether the files of the format tell how they are packed, so that nothing need be said."""
        return bool(self.file_format_type) and not file_format(self.file_format_type).packable

    @property
    def has_columns(self) -> bool:
        """Whether the schema option tells the columns."""
        return self.table_schema is not None and bool(self.table_schema.fields or self.table_schema.columns)

    @property
    def whole_lines(self) -> bool:
        return not self.has_columns and not self.infer_schema

    @property
    def is_complete(self) -> bool:
        return self.infer_schema

    @property
    def codec(self) -> Codec:
        """How whole files are packed."""
        return Codec.NONE if self._packs_itself() else Codec(self.compress_codec)

    @property
    def is_packed(self) -> bool:
        """Whether files are read through a plain copy."""
        return self.codec is not Codec.NONE or self.archive_codec is not ArchiveCodec.NONE

    @property
    def is_continuous(self) -> bool:
        """Whether the directory is watched."""
        return self.discovery_mode is DiscoveryMode.CONTINUOUS

    @property
    def scan_seconds(self) -> float:
        """`scan_interval`."""
        return parse_duration(self.scan_interval).total_seconds()


class FileSourceOptions(FileTableOptions):
    """Options of one table, or of several tables with theirs."""

    tables_configs: list[FileTableOptions] | None = Field(
        default=None, description="Several tables, each with all the options of one."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.tables_configs is None:
            self.check_table()
        else:
            modes = [table.discovery_mode for table in self.tables_configs]
            if "discovery_mode" in self.model_fields_set and self.discovery_mode not in modes:
                raise ValueError("discovery_mode stands in each of tables_configs, not beside them")
            if len(set(modes)) > 1:
                raise ValueError(f"discovery_mode must be the same in all of tables_configs, not {', '.join(modes)}")
        return self

    def hints(self) -> Iterator[tuple[str, str]]:
        """Those of all tables."""
        for table in self.tables():
            yield from FileTableOptions.hints(table)

    def tables(self) -> Sequence[FileTableOptions]:
        """What each table's files are."""
        return self.tables_configs or [self]


def refuse_local_options(options: FileTableOptions, why: str) -> None:
    """Raises ValueError where an option is set that only LocalFile has."""
    for name in ("discovery_mode", "sync_mode", "post_sync_action"):
        if getattr(options, name) is not type(options).model_fields[name].default:
            raise ValueError(f"{name} = {getattr(options, name)} is for LocalFile; {why}")
