"""One share of a followed directory: its files in the order they changed, and a position that says which were read."""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

import pyarrow as pa

from headrace.connector import Position, Read, Split, TableSchema, TaskContext
from headrace.connectors._files.listing import is_copied, partitions_of
from headrace.connectors._files.memory import FileMemory, Seen, tail_check, version_check
from headrace.connectors._files.options import FileTableOptions, PostSyncAction
from headrace.connectors._files.parts import members_of, part_of, whole
from headrace.errors import Rejected
from headrace.formats.file_format import FilePart
from headrace.formats.packing import plain_file
from headrace.formats.registry import file_format
from headrace.rows import Batch
from headrace.storage.contract import Stat
from headrace.storage.local import LocalFile, LocalStorage, inode_of, open_stat
from headrace.storage.opened import Opened

LOG = logging.getLogger("headrace.plugin")

WAIT_SECONDS = 0.2
"""How long a share sleeps at once."""

QUIET_SECONDS = 10.0
"""How long a file that is read as a whole must not have changed, at most; `scan_interval` where that is shorter."""


class PartReader(Protocol):
    """What a share needs of its source."""

    def table(self, number: int) -> tuple[TableSchema, list[str]]:
        """A table, and the names of the columns that come from the files' content."""

    def read_part(
        self, number: int, path: str, part: FilePart, position: Position | None, task: TaskContext
    ) -> Iterator[tuple[Batch, Position]]:
        """The rows of a part of the file `path`, of the table with this number."""


class Turns:
    """Lets the shares of a task read one after the other, in the order they asked: a task holds one file's rows."""

    def __init__(self) -> None:
        self._condition, self._queue = threading.Condition(), deque[object]()

    def take(self, turn: object) -> Iterator[None]:
        """Ends when it is the caller's turn; call `give_back` with whatever happens."""
        with self._condition:
            self._queue.append(turn)
        while True:
            with self._condition:
                if self._condition.wait_for(lambda: self._queue[0] is turn, WAIT_SECONDS):
                    return
            yield None

    def give_back(self, turn: object) -> None:
        """The next one's turn."""
        with self._condition:
            self._queue.remove(turn)
            self._condition.notify_all()


def grows_by_lines(options: FileTableOptions) -> bool:
    """Whether whole lines are read as they are written; other files are read once they have not changed for a while."""
    form = file_format(options.file_format_type)
    return form.can_grow(options) and not options.is_packed and options.post_sync_action is PostSyncAction.NONE


class Share:
    """Reads the files of one split as they come. Its state is that of the position: what was given away so far."""

    def __init__(
        self,
        split: Split,
        position: Position | None,
        options: FileTableOptions,
        reader: PartReader,
        task: TaskContext,
        turns: Turns,
    ) -> None:
        self._number: int = split.data["config"]
        self._options, self._reader, self._task, self._turns = options, reader, task, turns
        saved = position or {"files": {"read": split.data.get("known", "")}}
        self._memory = FileMemory(saved["files"])
        self._half: list[Any] | None = saved.get("half")
        self._after: list[list[Any]] = saved.get("after", [])
        self._grows = grows_by_lines(options)
        self._quiet = min(options.scan_seconds, QUIET_SECONDS)
        self._waiting: dict[int, tuple[tuple[int, int], float]] = {}
        self._looked_at: dict[int, int] = {}
        self._unread: dict[int, int] = {}
        self._unread_bytes = 0

    def position(self, half: list[Any] | None = None) -> Position:
        """half: of the file that is being read, its key, a checksum of its version, and the place in it."""
        found: dict[str, Any] = {"files": self._memory.saved()}
        if half is not None:
            found["half"] = half
        if self._after:
            found["after"] = self._after
        return found

    def take(self, files: list[tuple[int, Stat]], *, all_there: bool) -> Iterator[Read | None]:
        """What is new in a listing. all_there: a file that is not in it is gone."""
        self._unread = {key: size for key, file in files if (size := self._new_bytes(key, file))}
        self._unread_bytes = sum(self._unread.values())
        self._task.unread(self._unread_bytes)
        for key, file in files:
            if self._is_new(key, file):
                turn = object()
                try:
                    yield from self._turns.take(turn)
                    yield from self._read(key, file)
                except FileNotFoundError:
                    self._left(key, 0)  # it went while it waited
                finally:
                    self._turns.give_back(turn)
        if not all_there:
            return
        there = {key: file.path for key, file in files}
        if self._half is not None and self._half[0] not in there:
            LOG.warning("a file of %s was removed before it was read to its end", self._options.path)
            self._half = None
        self._after = [entry for entry in self._after if there.get(entry[-1]) == entry[1]]
        for known in (self._waiting, self._looked_at):
            for key in known.keys() - there.keys():
                del known[key]
        if self._memory.forget_all_but(there.keys()):
            yield self._no_rows()

    def _new_bytes(self, key: int, file: Stat) -> int:
        """How much of a file was not read, as far as its size tells."""
        seen = self._memory.get(key)
        if seen is None:
            return file.size
        if self._grows:
            return file.size - seen.size if file.size >= seen.size else file.size
        return 0 if seen == Seen(file.size, version_check(file)) else file.size

    def _left(self, key: int, size: int) -> None:
        """So much of a file is still to be read."""
        self._unread_bytes += size - self._unread.get(key, 0)
        self._unread[key] = size
        self._task.unread(self._unread_bytes)

    def _is_new(self, key: int, file: Stat) -> bool:
        seen = self._memory.get(key)
        if self._grows:
            return seen is None or seen.size != file.size or self._looked_at.get(key) != file.modified
        if seen == Seen(file.size, version_check(file)) or not self._is_quiet(key, file):
            return False
        if is_copied(LocalStorage(), file, self._options):
            self._memory.put(key, Seen(file.size, version_check(file)))
            self._left(key, 0)
            return False
        return True

    def _is_quiet(self, key: int, file: Stat) -> bool:
        """Whether the file has not changed for a while, by its time of change or as seen from here."""
        if time.time() - file.modified / 1e9 >= self._quiet:
            return True
        now, state = time.monotonic(), (file.size, file.modified)
        before, since = self._waiting.get(key, (None, now))
        if before != state:
            self._waiting[key] = state, now
            return False
        return now - since >= self._quiet

    def _read(self, key: int, file: Stat) -> Iterator[Read]:
        """The file is read through a descriptor, whatever becomes of its name meanwhile."""
        unknown = partitions_of(file.path, self._options).keys() - set(self._reader.table(self._number)[0].names)
        if unknown:
            raise Rejected(
                f"{file.path} lies below a directory {min(unknown)}=…, which was not there when the columns of the "
                "table were told; start the job when there is a file below it, or set parse_partition_from_path = false"
            )
        try:
            descriptor = os.open(file.path, os.O_RDONLY)
        except PermissionError as error:
            raise Rejected(f"cannot read {file.path}: {error.strerror}; check its permissions") from error
        try:
            stat = open_stat(file.path, descriptor)
            if stat.kept != file.kept:
                return  # another file took the name; the next listing has both
            read = self._lines if self._grows else self._whole
            yield from read(key, stat, descriptor)
        finally:
            os.close(descriptor)

    def _lines(self, key: int, file: Stat, descriptor: int) -> Iterator[Read]:
        """Whole lines from where the file was left; what has no line end when nothing came for a while, too."""
        seen, size, place = self._memory.get(key), file.size, self._resumed(key)
        start, check = (place[1][0], place[0]) if place else (seen or (0, 0))
        if start and (size < start or tail_check(descriptor, start) != check):
            LOG.warning("%s was written anew; it is read from its start", file.path)
            start, place = 0, None
        self._looked_at[key] = file.modified
        if start == size:
            return
        is_quiet = self._is_quiet(key, file)
        plain = LocalFile.of_descriptor(descriptor, file.path, size)
        part = part_of(file.path, plain, (start, size), self._options)._replace(growing=not is_quiet)
        for batch, after in self._batches(file, part, place[1] if place else None):
            end, rows_after = after
            check = tail_check(descriptor, end)
            if not rows_after:
                self._memory.put(key, Seen(end, check))
            self._left(key, size - end)
            yield Read(batch, self.position([key, check, after] if rows_after else None))
        if is_quiet and (seen is None or seen.size != size):
            self._memory.put(key, Seen(size, tail_check(descriptor, size)))
            self._left(key, 0)

    def _whole(self, key: int, file: Stat, descriptor: int) -> Iterator[Read]:
        """All of a file, or of every file of an archive."""
        version, place = Seen(file.size, version_check(file)), self._resumed(key)
        if place is not None and place[0] != version.check:
            LOG.warning("%s has changed before it was read to its end; it is read from its start", file.path)
            place = None
        given = False
        try:
            opened = LocalFile.of_descriptor(descriptor, file.path)
            for batch, after in self._parts(file, opened, place[1] if place else [0, None]):
                given = True
                yield Read(batch, self.position([key, version.check, after]))
        except Rejected as error:
            if not given and self._changed(file, descriptor):
                return  # it is still written: once it has not changed for a while, it is read
            raise Rejected(f"{error.message}; repair it, or move it away", table=error.table) from error
        if self._changed(file, descriptor):
            LOG.warning("%s changed while it was read; it will be read again", file.path)
        self._memory.put(key, version)
        self._left(key, 0)
        if self._options.post_sync_action is not PostSyncAction.NONE:
            act_on = [self._number, file.path, inode_of(file), file.size, file.modified]
            self._after = [*self._after, [*act_on, key]]
        yield self._no_rows()

    def _no_rows(self) -> Read:
        """The position moves."""
        table, _ = self._reader.table(self._number)
        return Read(Batch(pa.RecordBatch.from_pylist([], table.arrow), table.path), self.position())

    def _resumed(self, key: int) -> tuple[int, Any] | None:
        """The checksum and the place in the file that a former reader left, once."""
        if self._half is None or self._half[0] != key:
            return None
        (_, check, place), self._half = self._half, None
        return check, place

    def _changed(self, file: Stat, descriptor: int) -> bool:
        now = open_stat(file.path, descriptor)
        return (now.size, now.modified) != (file.size, file.modified)

    def _parts(self, file: Stat, opened: Opened, place: list[Any]) -> Iterator[tuple[Batch, Position]]:
        """The batches of a file that is read as a whole; a place is the number of the archive's file, and one in it."""
        options, form = self._options, file_format(self._options.file_format_type)
        names = members_of(opened, form, options) if options.is_packed else [""]
        for number, name in enumerate(names[place[0] :], place[0]):
            with plain_file(opened, options.archive_codec, options.codec, name) as plain:
                part = part_of(file.path, plain, whole(form, plain, options), options, name)
                for batch, after in self._batches(file, part, place[1] if number == place[0] else None):
                    yield batch, [number, after]

    def _batches(self, file: Stat, part: FilePart, position: Position | None) -> Iterator[tuple[Batch, Position]]:
        return self._reader.read_part(self._number, file.path, part, position, self._task)
