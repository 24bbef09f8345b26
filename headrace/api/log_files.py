"""Log files as SeaTunnel shows them. A name is looked up in the list of files, never joined into a path."""

import html
import os
import re
import zlib
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from headrace.logs import BACKUPS

PART_BYTES = 4 * 1024 * 1024
"""Of a log that is read from a position on, a request gets so much at most."""

_MARK_BYTES = 128
"""A file is known again by its inode and its first bytes: an inode alone is soon another file's."""

_BEGINS = b"Init JobMaster for Job "
"""What the log of a job begins with; a first part without it is not the first that there was."""


@dataclass(frozen=True)
class LogPart:
    """Bytes of a log. position: where the next part begins. cut: whether what lay before is no longer there."""

    content: bytes
    position: str
    cut: bool


class LogFiles:
    """The regular files of one directory whose names are those of logs; links and anything else are not seen.

    limit: bytes of a file's end that are given, at most.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit

    def names(self, part: str = "") -> list[str]:
        """Names of the files, the newest first; only those that contain `part`."""
        try:
            with os.scandir(self._folder) as entries:
                found = [
                    (entry.stat(follow_symlinks=False).st_mtime, entry.name)
                    for entry in entries
                    if entry.is_file(follow_symlinks=False) and ".log" in entry.name and part in entry.name
                ]
        except FileNotFoundError:
            return []
        return [name for _, name in sorted(found, reverse=True)]

    def read(self, name: str) -> bytes | None:
        """The end of a file; None when it is not in the list."""
        if name not in self.names():
            return None
        try:
            handle = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return None
        with os.fdopen(handle, "rb") as file:
            file.seek(max(0, os.fstat(handle).st_size - self._limit))
            return file.read()

    def part(self, name: str, after: str) -> LogPart | None:
        """What follows a position in a log and in the parts that were rotated away, oldest first, PART_BYTES at most.

        after: what a former part told; empty for the beginning. None when there is no such log.
        """
        if name not in self.names():
            return None
        with ExitStack() as stack:
            parts = self._open_parts(name, stack)
            place, offset = _find(parts, after)
            whole = len(parts) <= BACKUPS or _BEGINS in parts[0].read(_MARK_BYTES * 8)
            cut = place is None and (bool(after) or not whole)
            at, content = place or 0, b""
            while True:
                parts[at].seek(offset)
                content += parts[at].read(PART_BYTES - len(content))
                if len(content) >= PART_BYTES or at + 1 == len(parts):
                    return LogPart(content, _position(parts[at]), cut)
                at, offset = at + 1, 0

    def _open_parts(self, name: str, stack: ExitStack) -> list[BufferedReader]:
        """A log and its rotated parts, oldest first. Opened newest first: a rotation meanwhile hides none of them."""
        found: dict[int, BufferedReader] = {}
        for part in (name, *(f"{name}.{number}" for number in range(1, BACKUPS + 1))):
            with suppress(OSError):
                handle = os.open(self._folder / part, os.O_RDONLY | os.O_NOFOLLOW)
                file = stack.enter_context(os.fdopen(handle, "rb"))
                found.setdefault(os.fstat(handle).st_ino, file)
        return list(reversed(found.values()))


def _position(file: BufferedReader) -> str:
    """Where a file was read to, and how to know it again."""
    offset = file.tell()
    size = min(offset, _MARK_BYTES)
    return f"{os.fstat(file.fileno()).st_ino}-{offset}-{size}-{_mark(file, size)}"


def _find(parts: list[BufferedReader], position: str) -> tuple[int | None, int]:
    """The file of a position and the offset in it; None where it is no longer there."""
    if not re.fullmatch(r"\d{1,20}(-\d{1,20}){3}", position):
        return None, 0
    inode, offset, size, mark = map(int, position.split("-"))
    for place, file in enumerate(parts):
        status = os.fstat(file.fileno())
        if status.st_ino == inode and status.st_size >= offset and _mark(file, min(size, _MARK_BYTES)) == mark:
            return place, offset
    return None, 0


def _mark(file: BufferedReader, size: int) -> int:
    return zlib.crc32(os.pread(file.fileno(), size, 0))


def page(links: list[tuple[str, str]]) -> str:
    """SeaTunnel's page of log files. links: (address, name)."""
    items = "".join(f'<li><a href="{html.escape(link)}">{html.escape(name)}</a></li>\n' for link, name in links)
    return (
        "<html><head><title>Seatunnel log</title></head>\n<body>\n <h2>Seatunnel log</h2>\n <ul>\n"
        f"{items} </ul>\n</body></html>"
    )
