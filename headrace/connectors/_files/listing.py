"""Which files an option `path` names, and what their paths say."""

import filecmp
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from headrace.connectors._files.options import CompareMode, FileTableOptions, SyncMode, UpdateStrategy
from headrace.connectors._files.partitions import is_passed_over, partition_values
from headrace.errors import Rejected
from headrace.values import parse_timestamp


class FoundFile(NamedTuple):
    """A file, as it was when it was listed."""

    path: str
    stat: os.stat_result


def list_files(options: FileTableOptions) -> list[FoundFile]:
    """The files that the options let through, by name or newest first; none where there are none.

    A file that goes while they are listed is none. Raises Rejected when the path is missing or cannot be listed.
    """
    root = Path(options.path)
    try:
        exists = root.exists()
    except PermissionError as error:
        raise Rejected(f"cannot read {options.path}: {error.strerror}; check its permissions") from error
    if not exists:
        near = sorted(p.name for p in root.parent.iterdir())[:8] if root.parent.is_dir() else []
        cure = f"; {root.parent} holds {', '.join(near)}" if near else ""
        raise Rejected(f"there is no file or directory {options.path!r}{cure}")
    found = [] if root.is_dir() else [str(root)]
    chosen = [file for path in found or _walk(root, options.recursive) if (file := _wanted(path, options))]
    if options.newest_first:
        return sorted(chosen, key=lambda file: (-file.stat.st_mtime_ns, file.path))
    return sorted(chosen)


def readable_files(options: FileTableOptions) -> list[FoundFile]:
    """The same; also raises Rejected when one of them cannot be read."""
    files = list_files(options)
    for path, _ in files:
        may_read = os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids)
        if not may_read and os.path.exists(path):
            raise Rejected(f"cannot read {path}: Permission denied; check its permissions")
    return files


def _walk(root: Path, recursive: bool) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise Rejected(f"cannot list {error.filename}: {error.strerror}; check its permissions") from error

    for folder, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        folders[:] = [name for name in folders if recursive and not is_passed_over(name)]
        for name in files:
            if not name.startswith(".") and name != "_SUCCESS":
                yield os.path.join(folder, name)


def _wanted(path: str, options: FileTableOptions) -> FoundFile | None:
    name = os.path.basename(path)
    if options.file_filter_pattern and not (
        re.fullmatch(options.file_filter_pattern, name) or re.fullmatch(options.file_filter_pattern, path)
    ):
        return None
    if options.filename_extension and not name.endswith("." + options.filename_extension.lstrip(".")):
        return None
    if options.read_partitions:
        folders = set(Path(path).parent.parts)
        wanted = [set(partition.strip("/").split("/")) for partition in options.read_partitions]
        if not any(parts <= folders for parts in wanted):
            return None
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return None
    if options.modified_start and stat.st_mtime < parse_timestamp(options.modified_start).timestamp():
        return None
    if options.modified_end and stat.st_mtime >= parse_timestamp(options.modified_end).timestamp():
        return None
    if not stat.st_size and os.path.isdir(options.path):
        return None
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    if shown != path:  # it is a part of positions and messages, which are texts
        raise Rejected(f"the name of file {shown} is not UTF-8; rename it, or leave it out by file_filter_pattern")
    return FoundFile(path, stat)


def partitions_of(path: str, options: FileTableOptions) -> dict[str, str | None]:
    """`k=v` directories of the path, in order; Hive's marker is null."""
    return partition_values(path) if options.parse_partition_from_path else {}


def holds(options: FileTableOptions, path: str) -> bool:
    """Whether a file, as it was listed, is the option `path` or lies below it."""
    return Path(path).is_relative_to(options.path)


def relative_path(path: str, options: FileTableOptions) -> str:
    """The path below the option `path`; of the file that the option names itself, its name."""
    return str(Path(path).relative_to(options.path)) if os.path.isdir(options.path) else os.path.basename(path)


def is_copied(file: FoundFile, options: FileTableOptions) -> bool:
    """With `sync_mode = update`: whether target_path has the file already. False in other modes.

    Times are compared in milliseconds, as SeaTunnel does.
    """
    if options.sync_mode is not SyncMode.UPDATE:
        return False
    target = os.path.join(options.target_path or "", relative_path(file.path, options))
    try:
        there = os.stat(target)
        if there.st_size != file.stat.st_size:
            return False
        here_ms, there_ms = file.stat.st_mtime_ns // 1_000_000, there.st_mtime_ns // 1_000_000
        if options.update_strategy is UpdateStrategy.DISTCP:
            return here_ms <= there_ms
        if options.compare_mode is CompareMode.CHECKSUM:
            return filecmp.cmp(file.path, target, shallow=False)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Rejected(f"cannot compare {target}: {error.strerror}; check its permissions") from error
    return here_ms == there_ms
