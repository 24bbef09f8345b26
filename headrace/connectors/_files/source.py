"""Reading files: which ones, cut into which splits, with which columns."""

import logging
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from headrace.connector import Position, Read, Source, Split, TableSchema, TaskContext
from headrace.connectors._files.actions import PostSync
from headrace.connectors._files.columns import LOOKED_AT, own_columns, shaped, tell_of_others, united
from headrace.connectors._files.follower import FileFollower
from headrace.connectors._files.inferred import completed, with_cure
from headrace.connectors._files.listing import has_no_partitions, holds, is_copied, partitions_of, readable_files
from headrace.connectors._files.metadata import FILE_METADATA, FileMetadata
from headrace.connectors._files.options import FileSourceOptions, FileTableOptions, PostSyncAction
from headrace.connectors._files.parts import cut, members_of, part_of, share_before, whole
from headrace.errors import BadRow, HeadraceError, Rejected, Unavailable
from headrace.formats.delimited import NO_SCHEMA_COLUMN
from headrace.formats.file_format import KIND, FileFormat, FilePart
from headrace.formats.packing import plain_file
from headrace.formats.registry import file_format
from headrace.rows import Batch, Column
from headrace.storage.contract import Stat, Storage
from headrace.storage.local import LocalFile
from headrace.storage.opened import InMemory

LOG = logging.getLogger("headrace.plugin")

COUNTED_BYTES = 16 * 1024 * 1024
"""Splits as big as this are worth a look at how many rows they hold, to tell how far their reading is."""


class FileSource(Source):
    """Reads files of a file system that this machine sees.

    Bounded unless `discovery_mode = continuous`. A split is a part of a file (a range of bytes, or of row groups) and
    is read by one task; positions are places in it, so a restart goes on in its middle: exactly once. A continuous
    source follows a directory; see FileFollower.
    """

    Options = FileSourceOptions
    options: FileSourceOptions

    def __init__(self, options: FileSourceOptions) -> None:
        super().__init__(options)
        self._described: dict[int, tuple[TableSchema, list[str]]] = {}
        self._follower = FileFollower(options.tables(), self) if self._is_continuous else None
        self._post_sync = PostSync(options.tables())
        self._told: set[str] = set()
        self._completed: list[FileTableOptions] | None = None

    def _tables(self) -> list[FileTableOptions]:
        """The options of each table, with the columns that are found by looking."""
        if self._completed is None:
            self._completed = [completed(self.storage(), options) for options in self.options.tables()]
        return self._completed

    @abstractmethod
    def storage(self) -> Storage:
        """Where the files lie."""

    @property
    def _is_continuous(self) -> bool:
        return any(options.is_continuous for options in self.options.tables())

    def is_bounded(self, mode: str) -> bool:
        """A directory is listed once, in a STREAMING job likewise, as in SeaTunnel; or it is followed."""
        return not self._is_continuous

    def gives_changes(self, table: TableSchema) -> bool:
        """Formats of changes tell the kind of each row."""
        return any(file_format(options.file_format_type).gives_changes for options in self.options.tables())

    def describes_offline(self) -> bool:
        """Partitions and the columns of parquet files are only known from the files."""
        return False

    def declared_tables(self) -> list[TableSchema] | None:
        """See Source.declared_tables: those of the schema option, where no directory can add a partition column."""
        found = []
        for options in self.options.tables():
            declared = self._declared(options)
            if declared is None or options.infer_schema or options.read_columns or not has_no_partitions(options):
                return None
            found.append(replace(declared, metadata=FILE_METADATA))
        return found

    def places(self) -> list[str]:
        """The directories and files that are read."""
        return [self.rooted(options.path) for options in self.options.tables()]

    def rooted(self, path: str) -> str:
        """A path from a root that tells storages apart, as `places` gives it."""
        return os.path.realpath(path)

    def tables(self) -> list[TableSchema]:
        """The schema option's columns, or the file's own; then the partitions of the path."""
        return [self._describe(number)[0] for number in range(len(self.options.tables()))]

    too_many_splits = "raise file_split_size, set enable_file_split = false, or read fewer files at a time"

    def splits(self, parallelism: int) -> Iterator[Split]:
        """Every file, cut where it is big; every file of an archive. Shares of the directory where it is followed."""
        if self._follower is not None:
            yield from self._follower.splits(parallelism)
            return
        for number, options in enumerate(self._tables()):
            table, _ = self.table(number)
            files = readable_files(self.storage(), options)
            if not files:
                LOG.warning("%s: 0 rows of table %s", self._nothing_to_read(options), table.path)
            for file in files:
                if not is_copied(self.storage(), file, options):
                    yield from self._file_splits(number, table, file, options)

    def _file_splits(self, number: int, table: TableSchema, file: Stat, options: FileTableOptions) -> Iterator[Split]:
        form = file_format(options.file_format_type)
        path, size = file.path, file.size
        data = {"config": number, "path": path, "size": size, "modified": file.version}
        opened = self.storage().open(path, size)
        if options.is_packed:
            for member in members_of(opened, form, options):
                yield Split(f"{table.path}:{path}:{member}", size, table.path, data=data | {"member": member})
            return
        split_size = options.file_split_size if options.enable_file_split else size + 1
        for start, end in cut(form, opened, split_size, options):
            weight = size if form.own_schema else end - start
            name = f"{table.path}:{path}:{start}-{end}"
            yield Split(name, weight, table.path, data=data | {"start": start, "end": end})

    def rereads_alike(self, mode: str) -> bool:
        """See Source.rereads_alike; a directory that is followed has other files after a restart."""
        return self._follower is None

    def read(self, split: Split, position: Position | None, task: TaskContext) -> Iterator[Read | None]:
        """See Source.read; a file that is no longer the one that was listed is refused."""
        split = self._in_its_table(split)
        if self._follower is not None:
            yield from self._follower.read(split, position, task)
            return
        number, path = split.data["config"], split.data["path"]
        options = self._tables()[number]
        stat = self.storage().stat(path)
        if stat is None:
            raise Unavailable(f"cannot read {path}: there is no such file any more")
        if (stat.size, stat.version) != (split.data["size"], str(split.data["modified"])):
            raise Rejected(
                f"{path} has changed since the job began: {stat.size} bytes now, {split.data['size']} then; "
                "start the job anew",
                split=split.id,
            )
        member = split.data.get("member", "")
        form = file_format(options.file_format_type)
        with plain_file(self.storage().open(path, stat.size), options.archive_codec, options.codec, member) as plain:
            span = (split.data["start"], split.data["end"]) if "start" in split.data else whole(form, plain, options)
            part = part_of(path, plain, span, options, member)
            total = form.rows_of(part) if split.size >= COUNTED_BYTES else None
            for batch, after in self.read_part(number, path, part, position, task):
                yield Read(batch, after, share_before(after, part, total))

    def _in_its_table(self, split: Split) -> Split:
        """The split with the number that its table has now: a job file may be restored with its tables reordered."""
        tables = self._tables()
        numbers = sorted(range(len(tables)), key=lambda number: number != split.data["config"])
        named = [number for number in numbers if self.table(number)[0].path == split.table]
        path = split.data.get("path")
        for number in named:
            if path is None or holds(tables[number], path):
                return replace(split, data={**split.data, "config": number})
        raise Rejected(
            f"the saved state goes on in {path or split.id}, and table {split.table} is read from "
            f"{' and '.join(tables[number].path for number in named) or 'nowhere'} now; put the path back as it was, "
            "or start under a new job id",
            split=split.id,
        )

    def read_part(
        self, number: int, path: str, part: FilePart, position: Position | None, task: TaskContext
    ) -> Iterator[tuple[Batch, Position]]:
        """The rows of a part of the file `path`, of the table with this number."""
        options = self._tables()[number]
        table, names = self.table(number)
        form = file_format(options.file_format_type)
        declared, own = self._declared(options), None
        if form.own_schema:
            have = form.file_schema(part.file)
            own = own_columns(have, part.label, table, names, declared=declared is not None)
            if declared is None and not options.read_columns:
                tell_of_others(have, part.label, table, self._told)
        # Text formats need all the fields of a line to find the wanted ones.
        wanted = pa.schema([field for field in table.arrow if field.name in names])
        schema = own or (declared.arrow if declared is not None else wanted)
        partitions, known = partitions_of(path, options), FileMetadata(path, part, self._stat(path, part))
        for rows, after in _cured(form.read(part, position, schema, options, task, table.path), options):
            kinds = rows.column(KIND) if form.gives_changes else None
            fitting = shaped(rows, table, partitions, part)
            yield Batch(fitting, table.path, kinds, known.of(fitting.num_rows)), after

    def hears_checkpoints(self) -> bool:
        """See Source.hears_checkpoints; only where something becomes of files that were read."""
        return any(options.post_sync_action is not PostSyncAction.NONE for options in self.options.tables())

    def checkpointed(self, positions: Mapping[str, Position]) -> None:
        """Delete or move the files whose rows are safe, where post_sync_action says so."""
        self._post_sync.act(positions)

    def parse_again(self, table: str, raw: bytes | str, place: str) -> Batch:
        """See Source.parse_again; a csv file with a header line must still be where it was."""
        path = place.rpartition(" row ")[0]
        data = raw if isinstance(raw, bytes) else raw.encode()
        try:
            number, schema = next((n, t) for n, t in enumerate(self.tables()) if t.path == table)
            options = self._tables()[number]
            partitions = partitions_of(path, options)
            declared = self._declared(options)
            columns = declared or schema.with_columns([c for c in schema.columns if c.name not in partitions])
            stat = self.storage().stat(path)
            file = self.storage().open(path, stat.size) if stat else None
            rows, bad = file_format(options.file_format_type).parse(data, file, columns.arrow, options)
        except StopIteration:
            raise ValueError(f"the source gives no table {table} any more") from None
        except HeadraceError as error:
            raise ValueError(str(error)) from error
        if bad:
            raise ValueError(f"it is still bad: {bad[0].reason}")
        if rows.num_rows != 1:
            raise ValueError(f"it is {rows.num_rows} rows now")
        part = FilePart(file or InMemory(path, b""), 0, 0)
        told = FileMetadata(path, part, stat).of(1) if stat else None
        [row] = rows.to_batches()
        kinds = row.column(KIND) if KIND in row.schema.names else None
        return Batch(shaped(row, schema, partitions, part), table, kinds, told)

    def _declared(self, options: FileTableOptions) -> TableSchema | None:
        """The columns of the schema option; None where it has none."""
        if options.table_schema is None or not options.has_columns:
            return None
        return options.table_schema.table_schema(self.output)

    def table(self, number: int) -> tuple[TableSchema, list[str]]:
        """A table, and the names of the columns that come from the files' content; as they were told first."""
        return self._described.get(number) or self._describe(number)

    def _describe(self, number: int) -> tuple[TableSchema, list[str]]:
        options = self._tables()[number]
        declared = self._declared(options)
        form = file_format(options.file_format_type)
        path = options.table_schema.table_schema(self.output).path if options.table_schema else self.output
        files = readable_files(self.storage(), options)
        if declared is not None:
            table = declared
        elif form.own_schema and (files or form.fixed_schema is not None):
            table = TableSchema.from_arrow(form.fixed_schema or self._schema_of(files, form, options), path)
        else:  # as in SeaTunnel, also where no file is there to tell its columns
            names = (not files and form.own_schema and options.read_columns) or [NO_SCHEMA_COLUMN]
            table = TableSchema(path, tuple(Column(name, pa.string()) for name in names))
        if options.read_columns:
            known = {c.name: c for c in table.columns}
            if unknown := [name for name in options.read_columns if name not in known]:
                raise Rejected(f"read_columns: no column {unknown[0]!r} in {', '.join(known)}", table=table.path)
            table = table.with_columns([known[name] for name in options.read_columns])
        names = table.names
        partitions = {name: None for file in files for name in partitions_of(file.path, options)}
        extra = [Column(name, pa.string()) for name in partitions if name not in names]
        table = replace(table.with_columns([*table.columns, *extra]), metadata=FILE_METADATA)
        self._described[number] = table, names
        return self._described[number]

    def _stat(self, path: str, part: FilePart) -> Stat:
        """What is known of a file; it may be gone by now, while its part is still open."""
        found = self.storage().stat(path)
        if found is None and isinstance(part.file, LocalFile):
            found = self.storage().stat(part.file.path)
        if found is None:
            raise Unavailable(f"cannot read {path}: there is no such file any more")
        return found

    def _nothing_to_read(self, options: FileTableOptions) -> str:
        """Says that there are no files, and why."""
        found = sum(1 for _ in self.storage().files(options.path))
        why = f"holds {found} files, but none that the filters let through" if found else "is empty"
        return f"there is nothing to read: {options.path!r} {why}"

    def _schema_of(self, files: Sequence[Stat], form: FileFormat, options: FileTableOptions) -> pa.Schema:
        """The columns of the files, or of the first where more come later or where finding them costs unpacking."""
        most = 1 if options.is_packed or options.is_continuous else LOOKED_AT
        return united((file.path, self._file_schema(file, form, options)) for file in files[:most])

    def _file_schema(self, file: Stat, form: FileFormat, options: FileTableOptions) -> pa.Schema:
        """The columns that a file, or the first file of an archive, carries."""
        opened = self.storage().open(file.path, file.size)
        found = members_of(opened, form, options) if options.is_packed else [""]
        if not found:
            raise Rejected(f"there is nothing to read: {file.path!r} holds no files")
        with plain_file(opened, options.archive_codec, options.codec, found[0]) as plain:
            return form.file_schema(plain)


def _cured(
    rows: Iterator[tuple[pa.RecordBatch, Position]], options: FileTableOptions
) -> Iterator[tuple[pa.RecordBatch, Position]]:
    """The same; a row that is bad says, too, that the columns were found by looking."""
    try:
        yield from rows
    except BadRow as error:
        raise with_cure(error, options) if options.infer_schema else error from error
