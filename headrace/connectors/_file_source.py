"""Reading files: which ones, cut into which splits, with which columns."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from headrace.connector import Position, Read, Source, Split, TableSchema, TaskContext
from headrace.errors import HeadraceError, Rejected, Unavailable
from headrace.formats.delimited import NO_SCHEMA_COLUMN
from headrace.formats.file_format import FilePart, ReadSettings
from headrace.formats.registry import file_format
from headrace.options import PATH
from headrace.rows import Batch, Column
from headrace.schema_options import SchemaOptions
from headrace.values import parse_timestamp


class FileTableOptions(ReadSettings):
    """Which files make a table, and how they are read."""

    path: str = Field(
        default="",
        json_schema_extra=PATH,
        description="Required: a file, or a directory that is read with all below it.",
    )
    file_format_type: str = Field(default="", description="Required: text, csv, json or parquet.")
    table_schema: SchemaOptions | None = Field(
        default=None, validation_alias="schema", description="The columns; needed for json, else one column `content`."
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
        if self.file_format_type == "json" and self.table_schema is None:
            wrong.append("schema is needed to read json files")
        if self.file_filter_pattern is not None:
            try:
                re.compile(self.file_filter_pattern)
            except re.error as error:
                wrong.append(f"file_filter_pattern {self.file_filter_pattern!r} is no regular expression: {error}")
        if self.read_columns and self.table_schema is not None:
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
        """Every file, cut where it is big."""
        found = []
        for number, options in enumerate(self._configs()):
            table, _ = self._table(options)
            form = file_format(options.file_format_type)
            for path in list_files(options):
                stat = _stat(path)
                split_size = options.file_split_size if options.enable_file_split else stat.st_size + 1
                for start, end in _cut(form, path, stat.st_size, split_size, options):
                    data = {"config": number, "path": path, "start": start, "end": end}
                    data |= {"size": stat.st_size, "modified": stat.st_mtime_ns}
                    whole = form.own_schema
                    size = stat.st_size if whole else end - start
                    found.append(Split(f"{table.path}:{path}:{start}-{end}", size, table.path, data=data))
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
        partitions = _partitions(path, options)
        form = file_format(options.file_format_type)
        part = FilePart(path, split.data["start"], split.data["end"])
        wanted = pa.schema([f for f in table.arrow if f.name not in partitions or f.name in names])
        # Text formats need all the fields of a line to find the wanted ones.
        all_columns = self._declared(options)
        schema = wanted if form.own_schema or all_columns is None else all_columns.arrow
        for rows, after in form.read(part, position, schema, options, task, table.path):
            yield Read(Batch(_shape(rows, table, partitions), table.path), after)

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
        return Batch(_shape(rows.to_batches()[0], schema, partitions), table)

    def _configs(self) -> Sequence[FileTableOptions]:
        return self.options.tables_configs or [self.options]

    def _declared(self, options: FileTableOptions) -> TableSchema | None:
        return options.table_schema.table_schema(self.output) if options.table_schema is not None else None

    def _table(self, options: FileTableOptions) -> tuple[TableSchema, list[str]]:
        """The table, and the names of the columns that come from the files' content."""
        declared = self._declared(options)
        form = file_format(options.file_format_type)
        if form.own_schema:
            files = list_files(options)
            own = TableSchema.from_arrow(form.file_schema(files[0]), declared.path if declared else self.output)
            table = own
        elif declared is not None:
            table = declared
        else:
            table = TableSchema(self.output, (Column(NO_SCHEMA_COLUMN, pa.string()),))
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


def _shape(rows: pa.RecordBatch, table: TableSchema, partitions: dict[str, str]) -> pa.RecordBatch:
    """The table's columns in its order, the path's partitions among them."""
    if rows.schema.names == table.names and rows.schema.types == table.arrow.types:
        return rows
    names = rows.schema.names
    columns = [
        rows.column(names.index(c.name)) if c.name in names else pa.repeat(pa.scalar(partitions[c.name]), rows.num_rows)
        for c in table.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=table.arrow)


def list_files(options: FileTableOptions) -> list[str]:
    """The files to read, sorted. Raises Rejected when there are none, or the path cannot be read."""
    root = Path(options.path)
    if not root.exists():
        near = sorted(p.name for p in root.parent.iterdir())[:8] if root.parent.is_dir() else []
        cure = f"; {root.parent} holds {', '.join(near)}" if near else ""
        raise Rejected(f"there is no file or directory {options.path!r}{cure}")
    found = [str(root)] if root.is_file() else list(_walk(root))
    chosen = [path for path in found if _is_wanted(path, options)]
    if not chosen:
        why = "is empty" if not found else f"holds {len(found)} files, but none that the filters let through"
        raise Rejected(f"there is nothing to read: {options.path!r} {why}")
    for path in chosen:
        if not os.access(path, os.R_OK):
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
