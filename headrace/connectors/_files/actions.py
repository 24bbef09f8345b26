"""What becomes of files whose rows are safe: they are deleted, or moved into a backup that is cleaned up by age."""

import contextlib
import errno
import logging
import os
import re
import time
import uuid
from collections.abc import Mapping, Sequence

from headrace.connector import Position
from headrace.connectors._files.listing import holds, relative_path
from headrace.connectors._files.options import FileTableOptions, PostSyncAction
from headrace.errors import Rejected
from headrace.storage.local import LocalStorage, inode_of
from headrace.values import parse_duration

LOG = logging.getLogger("headrace.plugin")

_VERSION = re.compile(r"\.v\d+_\d+_(\d{13,})$")
"""How a file in the backup ends: its length, when it was changed, when it was moved (ms), as SeaTunnel names them."""


class PostSync:
    """Acts on the files that saved positions name as read; one that somebody has changed since is left alone."""

    def __init__(self, tables: Sequence[FileTableOptions]) -> None:
        self._tables = tables
        self._cleaned: dict[int, float] = {}
        self._told: set[str] = set()

    def act(self, positions: Mapping[str, Position]) -> None:
        """A checkpoint holds these positions. What cannot be done is told once and tried after the next one."""
        for position in positions.values():
            for number, path, inode, size, modified, _ in position.get("after", ()):
                options = next((t for t in [*self._tables[number : number + 1], *self._tables] if holds(t, path)), None)
                if options is None:  # of a table that the job file no longer reads
                    continue
                try:
                    self._act_on(options, path, (inode, size, modified))
                except OSError as error:
                    self._tell(path, error)
        for number, options in enumerate(self._tables):
            self._clean(number, options)

    def _tell(self, path: str, error: OSError) -> None:
        if path not in self._told:
            self._told.add(path)
            LOG.warning("cannot move or delete %s, which was read: %s; it is tried again", path, error.strerror)

    def _act_on(self, options: FileTableOptions, path: str, version: tuple[int, int, int]) -> None:
        """Take the file out of sight, look whether it is still the one that was read, and only then act."""
        if _version(path) != version:
            return
        aside = os.path.join(os.path.dirname(path), f".headrace-{uuid.uuid4().hex}")
        target = aside
        if options.post_sync_action is PostSyncAction.BACKUP:
            target = self._place(options, path, version)
        os.rename(path, aside)
        if _version(aside) != version:
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)
            os.unlink(aside)
        elif target == aside:
            os.unlink(aside)
        else:
            os.rename(aside, target)

    def _place(self, options: FileTableOptions, path: str, version: tuple[int, int, int]) -> str:
        _, size, modified = version
        name = f"{relative_path(path, options)}.v{size}_{modified // 1_000_000}_{time.time_ns() // 1_000_000}"
        target = os.path.join(options.backup_path or "", name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        return target

    def _clean(self, number: int, options: FileTableOptions) -> None:
        if options.retention_max_age is None or options.backup_path is None:
            return
        every = parse_duration(options.retention_check_interval).total_seconds()
        if time.monotonic() - self._cleaned.get(number, -every) < every:
            return
        self._cleaned[number] = time.monotonic()
        oldest = (time.time() - parse_duration(options.retention_max_age).total_seconds()) * 1000
        for folder, _, names in os.walk(options.backup_path):
            for name in names:
                if (match := _VERSION.search(name)) and int(match[1]) < oldest:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(os.path.join(folder, name))


def _version(path: str) -> tuple[int, int, int] | None:
    found = LocalStorage().stat(path)
    return None if found is None else (inode_of(found), found.size, found.modified)


def check_backup(options: FileTableOptions) -> None:
    """Raises Rejected where files cannot be moved to backup_path."""
    if options.backup_path is None:
        return
    folder = options.path if os.path.isdir(options.path) else os.path.dirname(os.path.abspath(options.path))
    try:
        os.makedirs(options.backup_path, exist_ok=True)
        trial = os.path.join(folder, f".headrace-{uuid.uuid4().hex}")
        os.close(os.open(trial, os.O_CREAT | os.O_EXCL))
        try:
            os.rename(trial, os.path.join(options.backup_path, os.path.basename(trial)))
            trial = os.path.join(options.backup_path, os.path.basename(trial))
        finally:
            os.unlink(trial)
    except OSError as error:
        why = "they are on two file systems" if error.errno == errno.EXDEV else error.strerror
        raise Rejected(
            f"cannot move files from {options.path!r} to backup_path {options.backup_path!r}: {why}"
        ) from error
