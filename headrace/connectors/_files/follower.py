"""A directory that is followed: new files, and new lines of files that grow, each read exactly once.

Every split is a share of the directory for good, so that the state has as many entries as there are files, however many
came and went: a file belongs to the share that its number says, and the share's position remembers which were read.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.connector import Position, Read, Split, TaskContext
from headrace.connectors._files.actions import check_backup
from headrace.connectors._files.identity import key_of
from headrace.connectors._files.listing import list_files
from headrace.connectors._files.memory import Seen, pack, tail_check, version_check
from headrace.connectors._files.options import FileTableOptions, StartMode
from headrace.connectors._files.share import WAIT_SECONDS, PartReader, Share, Turns, grows_by_lines
from headrace.errors import Rejected, Unavailable
from headrace.storage.contract import Stat
from headrace.storage.local import LocalStorage, device_of, inode_of, keeps_inodes

SHARES = 4
"""Shares of a directory, at least; twice the parallelism where that is more, so that a big file holds few others up."""


class FileFollower:
    """The followed directories of a source. Serves all tasks of a process; each directory is listed for all at once."""

    def __init__(self, tables: Sequence[FileTableOptions], reader: PartReader) -> None:
        self._tables, self._reader = tables, reader
        self._listings = [_Listing(options) for options in tables]
        self._turns: dict[tuple[int, int], Turns] = {}
        self._lock = threading.Lock()

    def splits(self, parallelism: int) -> list[Split]:
        """The shares of every table's directory."""
        return [
            split
            for number, options in enumerate(self._tables)
            for split in self._shares_of(number, options, max(SHARES, 2 * parallelism))
        ]

    def _shares_of(self, number: int, options: FileTableOptions, shares: int) -> Iterator[Split]:
        check_backup(options)
        path, root = self._reader.table(number)[0].path, _root(options)
        data = {
            "config": number,
            "shares": shares,
            "by_inode": keeps_inodes(options.path),
            "root": inode_of(root),
            "is_file": not root.is_folder,
        }
        known: list[dict[int, Seen]] = [{} for _ in range(shares)]
        if options.start_mode is StartMode.LATEST:
            listed = _Listing(options).newer(0, data)
            assert listed is not None, "the first one is always due"
            for seen, files in zip(known, listed.shares, strict=True):
                seen.update({key: _as_it_is(file, grows=grows_by_lines(options)) for key, file in files})
        for share in range(shares):
            own = {"share": share, "known": pack(known[share].items())}
            yield Split(f"{path}:{number}:share-{share}", table=path, data=data | own)

    def read(self, split: Split, position: Position | None, task: TaskContext) -> Iterator[Read | None]:
        """The files of a share as they come, without end."""
        number = split.data["config"]
        with self._lock:
            turns = self._turns.setdefault((task.job.epoch, task.index), Turns())
        share = Share(split, position, self._tables[number], self._reader, task, turns)
        listing, seen = self._listings[number], 0
        while True:
            scan = listing.newer(seen, split.data)
            if scan is None:
                time.sleep(min(WAIT_SECONDS, self._tables[number].scan_seconds))
                yield None
                continue
            seen = scan.number
            yield from share.take(scan.shares[split.data["share"]], all_there=scan.is_whole)
            yield None  # listing a big directory may take longer than the interval


def _root(options: FileTableOptions) -> Stat:
    """The followed directory, or file. Raises Rejected where there is none."""
    found = LocalStorage().stat(options.path)
    if found is None:
        raise Rejected(f"there is no file or directory {options.path!r}")
    return found


def _ordered(files: Sequence[Stat], options: FileTableOptions) -> list[Stat]:
    """The file that changed first before the others, unless asked otherwise."""
    if options.newest_first:
        return list(files)
    return sorted(files, key=lambda file: (file.modified, file.path))


def _as_it_is(file: Stat, *, grows: bool) -> Seen:
    """A file that was there before the job: all of it counts as read, but a line that has no end yet."""
    if not grows:
        return Seen(file.size, version_check(file))
    descriptor = os.open(file.path, os.O_RDONLY)
    try:
        start = max(0, file.size - (1 << 20))
        end = os.pread(descriptor, file.size - start, start).rfind(b"\n") + 1
        offset = start + end if end else file.size
        return Seen(offset, tail_check(descriptor, offset))
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class _Scan:
    """One listing: the files of each share with their keys. is_whole: what is not among them is gone."""

    number: int
    shares: list[list[tuple[int, Stat]]]
    is_whole: bool


class _Listing:
    """The files of a directory, listed anew every `scan_interval` by the first share that asks."""

    def __init__(self, options: FileTableOptions) -> None:
        self._options, self._lock = options, threading.Lock()
        self._due, self._scan = 0.0, _Scan(0, [], is_whole=False)
        self._keys: dict[str, tuple[tuple[int, int], int]] = {}

    def newer(self, number: int, data: dict[str, Any]) -> _Scan | None:
        """A listing that is newer than the one with this number; None when none is due."""
        with self._lock:
            if time.monotonic() >= self._due:
                self._scan = self._list(data)
                self._due = time.monotonic() + self._options.scan_seconds
            return self._scan if self._scan.number > number else None

    def _list(self, data: dict[str, Any]) -> _Scan:
        options, number = self._options, self._scan.number + 1
        try:
            root = _root(options)
            files = list_files(LocalStorage(), options)
        except Rejected as error:
            if os.path.exists(options.path):
                raise
            if data["is_file"]:  # its name comes again with the next file
                return _Scan(number, [[] for _ in range(data["shares"])], is_whole=False)
            raise Unavailable(f"the directory {options.path!r} is not there any more") from error
        # The empty directory that a file system was mounted on says nothing of the files of that file system.
        return _Scan(number, self._shared(files, data, root), bool(files) or inode_of(root) == data["root"])

    def _shared(self, files: Sequence[Stat], data: dict[str, Any], root: Stat) -> list[list[tuple[int, Stat]]]:
        """The files of each share with their keys."""
        found: list[list[tuple[int, Stat]]] = [[] for _ in range(data["shares"])]
        keys: dict[str, tuple[tuple[int, int], int]] = {}
        for file in _ordered(files, self._options):
            same = inode_of(file), file.touched
            before = self._keys.get(file.path)
            if before is not None and before[0] == same:
                key = before[1]
            else:
                lasting = data["by_inode"] and device_of(file) == device_of(root)
                key = key_of(file, self._options.path, lasting=lasting)
            keys[file.path] = same, key
            found[key % data["shares"]].append((key, file))
        self._keys = keys
        return found
