"""What a file of a followed directory is known by, whatever it is called."""

import contextlib
import ctypes
import os
import struct
from collections.abc import Callable
from functools import cache
from hashlib import blake2b

from headrace.connectors._files.listing import FoundFile

_CHANGING_INODES = ("fuse", "cifs", "smb", "9p", "vboxsf", "vmhgfs")
"""File systems that may number the same files anew."""

_BORN = 0x800
"""STATX_BTIME, see statx(2)."""


def key_of(file: FoundFile, root: str, *, by_inode: bool) -> int:
    """64 bits of the inode and the time it was made, for inodes are used again; or of the path below `root`."""
    name = f"{file.stat.st_ino} {_birth(file.path)}" if by_inode else os.path.relpath(file.path, root)
    return int.from_bytes(blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest(), "little")


def keeps_inodes(path: str) -> bool:
    """Whether the file system numbers its files for good, as far as its kind tells."""
    real, best, kind = os.path.realpath(path), "", ""
    with contextlib.suppress(OSError), open("/proc/self/mountinfo") as mounts:
        for line in mounts:
            fields, _, after = line.partition(" - ")
            place = fields.split()[4].replace("\\040", " ")
            if len(place) >= len(best) and os.path.commonpath([place, real]) == place:
                best, kind = place, after.split()[0]
    return not kind.startswith(_CHANGING_INODES)


def _birth(path: str) -> int:
    """When the file was made, in nanoseconds; 0 where the file system does not know."""
    call, buffer = _statx(), ctypes.create_string_buffer(256)
    if call is None or call(-100, os.fsencode(path), 0, _BORN, buffer) != 0:
        return 0
    (mask,) = struct.unpack_from("<I", buffer, 0)
    seconds, nanoseconds = struct.unpack_from("<qI", buffer, 80)
    return int(seconds * 1_000_000_000 + nanoseconds) if mask & _BORN else 0


@cache
def _statx() -> Callable[..., int] | None:
    """The C library's function; Python has none that tells when a file was made."""
    return getattr(ctypes.CDLL(None), "statx", None)
