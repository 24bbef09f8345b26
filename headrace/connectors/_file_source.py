"""Reading files: which ones, cut into which splits, with which columns."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from headrace.connector import Position, Read, Source, Split, TableSchema, TaskContext
from headrace.errors import HeadraceError, Rejected, Unavailable
from headrace.formats.convert import convert
from headrace.formats.delimited import NO_SCHEMA_COLUMN
from headrace.formats.file_format import FileFormat, FilePart, ReadSettings
from headrace.formats.packing import ArchiveCodec, Codec, members, plain_file
from headrace.formats.registry import file_format
from headrace.options import PATH, LocalPath
from headrace.rows import Batch, Column
from headrace.schema_options import SchemaOptions
from headrace.values import parse_timestamp


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
        default="", description="Required: text, csv, json, parquet, orc, excel, xml or binary."
    )
    table_schema: FileSchemaOptions | None = Field(
        default=None,
        validation_alias="schema",
        description="The columns; needed for json, excel and xml. Without it text and csv lines are one column "
        "`content`, and parquet and orc files tell theirs; with it theirs are cast.",
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
        has_columns = self.table_schema is not None and bool(self.table_schema.fields or self.table_schema.columns)
        if self.file_format_type in ("json", "excel", "xml") and not has_columns:
            wrong.append(f"schema is needed to read {self.file_format_type} files")
        if self.file_format_type == "xml" and not self.xml_row_tag:
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
                wrong.append(f"file_filter_pattern {self.file_filter_pattern!r} is no regular expression: {error}")
        if self.read_columns and self.table_schema is not None and has_columns:
            names = self.table_schema.table_schema().names
            if unknown := [name for name in self.read_columns if name not in names]:
                wrong.append(f"read_columns: no column {unknown[0]!r} in {', '.join(names)}")
        try:
            "".encode(self.encoding)
        except LookupError:
            wrong.append(f"encoding {self.encoding!r} is not known")
        for name in ("modified_start", "modified_end"):
            if (text := getattr(self, name)) is not None:
                parse_timestamp(text)
        if wrong:
            raise ValueError("; ".join(wrong))

    def _packs_itself(self) -> bool:
        """Whether the files of the format tell how they are packed, so that nothing need be said."""
        return bool(self.file_format_type) and not file_format(self.file_format_type).packable

    @property
    def codec(self) -> Codec:
        """How whole files are packed."""
        return Codec.NONE if self._packs_itself() else Codec(self.compress_codec)

    @property
    def is_packed(self) -> bool:
        """Whether files are read through a plain copy."""
        return self.codec is not Codec.NONE or self.archive_codec is not ArchiveCodec.NONE


class FileSourceOptions(FileTableOptions):
    """Options of one table, or of several tables with theirs."""

    tables_configs: list[FileTableOptions] | None = Field(
        default=None, description="Several tables, each with all the options of one."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.tables_configs is None:
            self.check_table()
        return self


class FileSource(Source):
    """Reads files of a file system that this machine sees.

    Bounded. A split is a part of a file (a range of bytes, or of row groups) and is read by one task; positions are
    places in it, so a restart goes on in its middle: exactly once.
    """

    Options = FileSourceOptions
    options: FileSourceOptions

    def is_bounded(self, mode: str) -> bool:
        """A directory is listed once."""
        return True

    def describes_offline(self) -> bool:
        """Partitions and the columns of parquet files are only known from the files."""
        return False

    def tables(self) -> list[TableSchema]:
        """The schema option's columns, or the file's own; then the partitions of the path."""
        return [self._table(options)[0] for options in self._configs()]

    def splits(self, parallelism: int) -> list[Split]:
        """Every file, cut where it is big; every file of an archive."""
        found = []
        for number, options in enumerate(self._configs()):
            table, _ = self._table(options)
            form = file_format(options.file_format_type)
            for path in list_files(options):
                stat = _stat(path)
                data = {"config": number, "path": path, "size": stat.st_size, "modified": stat.st_mtime_ns}
                if options.is_packed:
                    for member in _members(path, form, options):
                        name = f"{table.path}:{path}:{member}"
                        found.append(Split(name, stat.st_size, table.path, data=data | {"member": member}))
                    continue
                split_size = options.file_split_size if options.enable_file_split else stat.st_size + 1
                for start, end in _cut(form, path, stat.st_size, split_size, options):
                    size = stat.st_size if form.own_schema else end - start
                    name = f"{table.path}:{path}:{start}-{end}"
                    found.append(Split(name, size, table.path, data=data | {"start": start, "end": end}))
        return found

    def read(self, split: Split, position: Position | None, task: TaskContext) -> Iterator[Read | None]:
        """See Source.read; a file that is no longer the one that was listed is refused."""
        options = self._configs()[split.data["config"]]
        path = split.data["path"]
        stat = _stat(path)
        if (stat.st_size, stat.st_mtime_ns) != (split.data["size"], split.data["modified"]):
            raise Rejected(
                f"{path} has changed since the job began: {stat.st_size} bytes now, {split.data['size']} then; "
                "start the job anew",
                split=split.id,
            )
        table, names = self._table(options)
        form = file_format(options.file_format_type)
        member = split.data.get("member", "")
        with plain_file(path, options.archive_codec, options.codec, member) as plain:
            part = _part(split, plain, form, options)
            own = _own_columns(form, plain, table, names)
            # Text formats need all the fields of a line to find the wanted ones.
            declared = self._declared(options)
            wanted = pa.schema([field for field in table.arrow if field.name in names])
            schema = own or (declared.arrow if declared is not None else wanted)
            partitions = _partitions(path, options)
            for rows, after in form.read(part, position, schema, options, task, table.path):
                yield Read(Batch(_shape(rows, table, partitions, part), table.path), after)

    def parse_again(self, table: str, raw: bytes | str, place: str) -> Batch:
        """See Source.parse_again; a csv file with a header line must still be where it was."""
        path = place.rpartition(" row ")[0]
        data = raw if isinstance(raw, bytes) else raw.encode()
        try:
            options, schema = next(
                (o, t) for o, t in ((o, self._table(o)[0]) for o in self._configs()) if t.path == table
            )
            partitions = _partitions(path, options)
            declared = self._declared(options)
            columns = declared or schema.with_columns([c for c in schema.columns if c.name not in partitions])
            rows, bad = file_format(options.file_format_type).parse(data, path, columns.arrow, options)
        except StopIteration:
            raise ValueError(f"the source gives no table {table} any more") from None
        except HeadraceError as error:
            raise ValueError(str(error)) from error
        if bad:
            raise ValueError(f"it is still bad: {bad[0].reason}")
        if rows.num_rows != 1:
            raise ValueError(f"it is {rows.num_rows} rows now")
        return Batch(_shape(rows.to_batches()[0], schema, partitions, FilePart(path, 0, 0)), table)

    def _configs(self) -> Sequence[FileTableOptions]:
        return self.options.tables_configs or [self.options]

    def _declared(self, options: FileTableOptions) -> TableSchema | None:
        """The columns of the schema option; None where it has none."""
        if options.table_schema is None or not (options.table_schema.fields or options.table_schema.columns):
            return None
        return options.table_schema.table_schema(self.output)

    def _table(self, options: FileTableOptions) -> tuple[TableSchema, list[str]]:
        """The table, and the names of the columns that come from the files' content."""
        declared = self._declared(options)
        form = file_format(options.file_format_type)
        path = options.table_schema.table_schema(self.output).path if options.table_schema else self.output
        if declared is not None:
            table = declared
        elif form.own_schema:
            table = TableSchema.from_arrow(_file_schema(list_files(options)[0], form, options), path)
        else:
            table = TableSchema(path, (Column(NO_SCHEMA_COLUMN, pa.string()),))
        if options.read_columns:
            known = {c.name: c for c in table.columns}
            if unknown := [name for name in options.read_columns if name not in known]:
                raise Rejected(f"read_columns: no column {unknown[0]!r} in {', '.join(known)}", table=table.path)
            table = table.with_columns([known[name] for name in options.read_columns])
        names = table.names
        partitions = _partitions(list_files(options)[0], options)
        extra = [Column(name, pa.string()) for name in partitions if name not in names]
        return (table.with_columns([*table.columns, *extra]) if extra else table), names


def _cut(form: Any, path: str, size: int, split_size: int, options: FileTableOptions) -> list[tuple[int, int]]:
    try:
        found: list[tuple[int, int]] = form.cut(path, size, split_size, options)
    except OSError as error:
        raise Rejected(f"cannot read {path}: {error.strerror}; check its permissions") from error
    return found


def _stat(path: str) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from error


def _members(path: str, form: FileFormat, options: FileTableOptions) -> list[str]:
    """The files of an archive; of one that packs a single file, that file without a name."""
    if options.archive_codec in (ArchiveCodec.NONE, ArchiveCodec.GZ):
        return [""]
    return members(path, options.archive_codec, (form.suffix, *form.suffixes))


def _file_schema(path: str, form: FileFormat, options: FileTableOptions) -> pa.Schema:
    """The columns that a file, or the first file of an archive, carries."""
    found = _members(path, form, options) if options.is_packed else [""]
    if not found:
        raise Rejected(f"there is nothing to read: {path!r} holds no files")
    with plain_file(path, options.archive_codec, options.codec, found[0]) as plain:
        return form.file_schema(plain)


def _part(split: Split, plain: str, form: FileFormat, options: FileTableOptions) -> FilePart:
    path, member = split.data["path"], split.data.get("member", "")
    inside = Path(path).relative_to(options.path) if os.path.isdir(options.path) else Path(os.path.basename(path))
    relative = str(inside / member) if member else str(inside)
    if "start" in split.data:
        return FilePart(plain, split.data["start"], split.data["end"], path, relative)
    start, end = _cut(form, plain, os.path.getsize(plain), sys.maxsize, options)[0]
    return FilePart(plain, start, end, f"{path}:{member}" if member else path, relative)


def _own_columns(form: FileFormat, plain: str, table: TableSchema, names: Sequence[str]) -> pa.Schema | None:
    """The columns to read from a file that carries its own, as it spells and types them; None for other files."""
    if not form.own_schema:
        return None
    have = form.file_schema(plain)
    by_lower = {name.lower(): name for name in reversed(have.names)}
    fields = []
    for column in table.columns:
        name = column.name if column.name in have.names else by_lower.get(column.name.lower())
        if name is not None:
            fields.append(have.field(name))
        elif column.name in names:
            fields.append(pa.field(column.name, column.type))  # the format says that there is none
    return pa.schema(fields)


def _shape(rows: pa.RecordBatch, table: TableSchema, partitions: dict[str, str], part: FilePart) -> pa.RecordBatch:
    """The table's columns in its order with its types, the path's partitions among them."""
    if rows.schema.names == table.names and rows.schema.types == table.arrow.types:
        return rows
    by_lower = {name.lower(): i for i, name in reversed(list(enumerate(rows.schema.names)))}
    exact = {name: i for i, name in reversed(list(enumerate(rows.schema.names)))}
    columns = []
    for column in table.columns:
        index = exact.get(column.name, by_lower.get(column.name.lower()))
        if index is None:
            columns.append(pa.repeat(pa.scalar(partitions[column.name]), rows.num_rows))
            continue
        try:
            columns.append(convert(rows.column(index), column.type))
        except ValueError as error:
            raise Rejected(f"cannot read column {column.name} of {part.label}: {error}", table=table.path) from error
    return pa.RecordBatch.from_arrays(columns, schema=table.arrow)


def list_files(options: FileTableOptions) -> list[str]:
    """The files to read, sorted. Raises Rejected when there are none, or the path cannot be read."""
    root = Path(options.path)
    try:
        exists = root.exists()
    except PermissionError as error:
        raise Rejected(f"cannot read {options.path}: {error.strerror}; check its permissions") from error
    if not exists:
        near = sorted(p.name for p in root.parent.iterdir())[:8] if root.parent.is_dir() else []
        cure = f"; {root.parent} holds {', '.join(near)}" if near else ""
        raise Rejected(f"there is no file or directory {options.path!r}{cure}")
    found = [str(root)] if root.is_file() else list(_walk(root))
    chosen = [path for path in found if _is_wanted(path, options)]
    if not chosen:
        why = (
            f"holds {len(found)} files, but none that the filters let through"
            if found
            else "is empty; check path, or put a file there"
        )
        raise Rejected(f"there is nothing to read: {options.path!r} {why}")
    for path in chosen:
        if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
            raise Rejected(f"cannot read {path}: Permission denied; check its permissions")
    return sorted(chosen)


def _walk(root: Path) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise Rejected(f"cannot list {error.filename}: {error.strerror}; check its permissions") from error

    for folder, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        for name in files:
            path = os.path.join(folder, name)
            if not name.startswith(".") and name != "_SUCCESS" and os.path.getsize(path):
                yield path


def _is_wanted(path: str, options: FileTableOptions) -> bool:
    name = os.path.basename(path)
    if options.file_filter_pattern and not (
        re.fullmatch(options.file_filter_pattern, name) or re.fullmatch(options.file_filter_pattern, path)
    ):
        return False
    if options.filename_extension and not name.endswith("." + options.filename_extension.lstrip(".")):
        return False
    if options.read_partitions:
        folders = set(Path(path).parent.parts)
        wanted = [set(partition.strip("/").split("/")) for partition in options.read_partitions]
        if not any(parts <= folders for parts in wanted):
            return False
    changed = os.path.getmtime(path)
    if options.modified_start and changed < parse_timestamp(options.modified_start).timestamp():
        return False
    return not (options.modified_end and changed >= parse_timestamp(options.modified_end).timestamp())


def _partitions(path: str, options: FileTableOptions) -> dict[str, str]:
    """`k=v` directories of the path, in order."""
    if not options.parse_partition_from_path:
        return {}
    parts = [part.partition("=") for part in Path(path).parent.parts]
    return {key: value for key, equals, value in parts if equals and key}
