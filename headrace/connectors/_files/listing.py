"""Which files an option `path` names, and what their paths say."""

import io
import os
import re
from pathlib import Path

from headrace.connectors._files.options import CompareMode, FileTableOptions, SyncMode, UpdateStrategy
from headrace.connectors._files.partitions import is_passed_over, partition_values
from headrace.errors import Rejected
from headrace.reach import is_guarded
from headrace.storage.contract import Stat, Storage
from headrace.storage.opened import Opened
from headrace.texts import near_names
from headrace.values import parse_timestamp


def list_files(storage: Storage, options: FileTableOptions) -> list[Stat]:
    """The files that the options let through, by name or newest first; none where there are none.

    A file that goes while they are listed is none. Raises Rejected when the path is missing or cannot be listed.
    """
    root = storage.stat(options.path)
    if root is None:
        above = os.path.dirname(options.path.rstrip("/"))
        entries = () if is_guarded() else storage.entries(above or ".")  # who asks a server learns nothing of its disk
        names = (os.path.basename(entry.path.rstrip("/")) for entry in entries)
        near = near_names(names, os.path.basename(options.path.rstrip("/")))
        cure = f"; {above or '.'} holds {near}" if near else ""
        raise Rejected(f"there is no file or directory {options.path!r}{cure}")
    if root.is_folder:
        enters = (lambda name: not is_passed_over(name)) if options.recursive else (lambda name: False)
        found = storage.files(options.path, enters, lambda path: _is_seen(path) and _is_named(path, options))
        chosen = [file for file in found if file.size and _is_of_time(file, options)]
    else:
        chosen = [root] if _is_named(options.path, options) and _is_of_time(root, options) else []
    for file in chosen:
        shown = os.fsencode(file.path).decode("utf-8", "backslashreplace")
        if shown != file.path:  # it is a part of positions and messages, which are texts
            raise Rejected(f"the name of file {shown} is not UTF-8; rename it, or leave it out by file_filter_pattern")
    if options.newest_first:
        return sorted(chosen, key=lambda file: (-file.modified, file.path))
    return sorted(chosen)


def _is_seen(path: str) -> bool:
    name = os.path.basename(path)
    return not name.startswith(".") and name != "_SUCCESS"


def readable_files(storage: Storage, options: FileTableOptions) -> list[Stat]:
    """The same; also raises Rejected when one of them cannot be read."""
    files = list_files(storage, options)
    for file in files:
        storage.check_readable(file.path)
    return files


def _is_named(path: str, options: FileTableOptions) -> bool:
    """Whether the options let a file of this path through."""
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
        return any(parts <= folders for parts in wanted)
    return True


def _is_of_time(file: Stat, options: FileTableOptions) -> bool:
    seconds = file.modified / 1e9
    if options.modified_start and seconds < parse_timestamp(options.modified_start).timestamp():
        return False
    return not options.modified_end or seconds < parse_timestamp(options.modified_end).timestamp()


def partitions_of(path: str, options: FileTableOptions) -> dict[str, str | None]:
    """`k=v` directories of the path, in order; Hive's marker is null."""
    return partition_values(path) if options.parse_partition_from_path else {}


MOST_FOLDERS = 100
"""Directories that `check` looks into to find out whether there are partitions."""


def has_no_partitions(options: FileTableOptions) -> bool:
    """Whether no directory of the path is a `k=v` one, as far as a look at names tells; false where it is not known."""
    if not options.parse_partition_from_path:
        return True
    if partition_values(options.path):
        return False
    if not os.path.isdir(options.path):
        return bool(os.path.splitext(options.path)[1])
    for number, (_, folders, _) in enumerate(os.walk(options.path)):
        if any("=" in name for name in folders) or number >= MOST_FOLDERS:
            return False
    return True


def holds(options: FileTableOptions, path: str) -> bool:
    """Whether a file, as it was listed, is the option `path` or lies below it."""
    return Path(path).is_relative_to(options.path)


def relative_path(path: str, options: FileTableOptions) -> str:
    """The path below the option `path`; of the file that the option names itself, its name."""
    relative = Path(path).relative_to(options.path)
    return str(relative) if relative.parts else os.path.basename(path)


def is_copied(storage: Storage, file: Stat, options: FileTableOptions) -> bool:
    """With `sync_mode = update`: whether target_path has the file already. False in other modes.

    Times are compared in milliseconds, as SeaTunnel does.
    """
    if options.sync_mode is not SyncMode.UPDATE:
        return False
    target = os.path.join(options.target_path or "", relative_path(file.path, options))
    there = storage.stat(target)
    if there is None or there.size != file.size:
        return False
    here_ms, there_ms = file.modified // 1_000_000, there.modified // 1_000_000
    if options.update_strategy is UpdateStrategy.DISTCP:
        return here_ms <= there_ms
    if options.compare_mode is CompareMode.CHECKSUM:
        return _is_equal(storage.open(file.path), storage.open(target))
    return here_ms == there_ms


def _is_equal(one: Opened, other: Opened) -> bool:
    with io.BufferedReader(one.stream()) as left, io.BufferedReader(other.stream()) as right:  # type: ignore[type-var]
        while part := left.read(1 << 20):
            if part != right.read(1 << 20):
                return False
        return not right.read(1)
