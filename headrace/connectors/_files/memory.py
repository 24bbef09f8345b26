"""Which files of a directory were read, and how far: what a position of a followed directory holds."""

import base64
import os
import struct
import zlib
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from headrace.storage.contract import Stat

FRESH = 256
"""Changes that are kept beside the packed memory, so that it is not packed anew for every file."""

TAIL_BYTES = 64
"""Before the place reached in a growing file; when they are others now, the file was written anew."""

_ENTRY = struct.Struct("<QQI")


class Seen(NamedTuple):
    """What is remembered of a file: its bytes that were read, and a checksum that tells its versions apart."""

    size: int
    check: int


def version_check(file: Stat) -> int:
    """The checksum of a file that is read as a whole: of the time it was changed."""
    return zlib.crc32(file.version.encode())


def tail_check(descriptor: int, offset: int) -> int:
    """The checksum of a file that is read up to `offset` and may grow: of the bytes before it."""
    start = max(0, offset - TAIL_BYTES)
    return zlib.crc32(os.pread(descriptor, offset - start, start))


class FileMemory:
    """The files of a share of a directory, 20 bytes for each that is still there."""

    def __init__(self, saved: Any = None) -> None:
        saved = saved or {}
        packed = base64.b64decode(saved.get("read", ""))
        self._seen = {key: Seen(size, check) for key, size, check in _ENTRY.iter_unpack(packed)}
        self._packed: str = saved.get("read", "")
        self._fresh: list[list[int]] = saved.get("fresh", [])
        self._seen |= {key: Seen(size, check) for key, size, check in self._fresh}
        self._missing: set[int] = set()

    def get(self, key: int) -> Seen | None:
        """What is known of a file."""
        return self._seen.get(key)

    def put(self, key: int, seen: Seen) -> None:
        """The file was read so far."""
        self._seen[key] = seen
        self._fresh = [*self._fresh, [key, *seen]]  # a new list: the old one is part of a position
        if len(self._fresh) > FRESH:
            self._pack()

    def forget_all_but(self, keys: Collection[int]) -> bool:
        """These are there now. What is missing twice is forgotten; once may be a rename while files were listed.

        Gives back whether anything was.
        """
        missing = self._seen.keys() - keys
        gone = missing & self._missing
        self._missing = missing - gone
        if gone:
            for key in gone:
                del self._seen[key]
            self._pack()
        return bool(gone)

    def _pack(self) -> None:
        self._packed = pack(self._seen.items())
        self._fresh = []

    def saved(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {"read": self._packed, **({"fresh": self._fresh} if self._fresh else {})}


def pack(entries: Iterable[tuple[int, Seen]]) -> str:
    """Entries as text."""
    return base64.b64encode(b"".join(_ENTRY.pack(key, *seen) for key, seen in sorted(entries))).decode()
