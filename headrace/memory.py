"""Memory of this process and machine: what is used, what is allowed, sizes as people write them."""

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MIB = 1024 * 1024

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_CGROUPS = Path("/sys/fs/cgroup")
_M_MMAP_THRESHOLD = -3
_KEPT_BYTES = 128 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")


def parse_size(text: str) -> int:
    """`512M`, `1.5 GiB`, `2000000` or `50%` of what this machine allows, in bytes. Raises ValueError."""
    text = text.strip()
    if text.endswith("%") and text[:-1].strip().replace(".", "", 1).isdecimal():
        share = float(text[:-1]) / 100
        if 0 < share <= 1:
            return int(allowed_bytes() * share)
    elif (match := _SIZE.fullmatch(text)) and float(match[1]) > 0:
        return int(float(match[1]) * _UNITS[match[2].upper()])
    raise ValueError(f"{text!r} is not a size; use 512M, 2G or 50%")


def show_size(size: float) -> str:
    """`300 MiB`, rounded up: whoever asks for that much gets enough."""
    return f"{-(-int(size) // MIB)} MiB"


def resident_bytes() -> int:
    """What this process holds in memory at this moment."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE


def allowed_bytes() -> int:
    """What the control groups of this process allow, or all the memory there is."""
    physical = os.sysconf("SC_PHYS_PAGES") * _PAGE
    limits = [physical]
    for file in _limit_files():
        with suppress(OSError, ValueError):  # `max`: no limit there
            limits.append(int(file.read_text()))
    return min(limits)


def _limit_files() -> Iterator[Path]:
    """Where limits stand, of both versions of control groups, from the process's own group up to the root."""
    yield from (_CGROUPS / "memory.max", _CGROUPS / "memory" / "memory.limit_in_bytes")
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            root, name = _CGROUPS, "memory.max"
            if "memory" in controllers.split(","):
                root, name = _CGROUPS / "memory", "memory.limit_in_bytes"
            elif controllers:
                continue
            parts = Path(path.lstrip("/")).parts
            yield from (root.joinpath(*parts[:depth]) / name for depth in range(len(parts), 0, -1))


def keep_nothing() -> None:
    """From now on give big pieces of memory back as soon as they are free, at the cost of some speed."""
    with suppress(OSError, AttributeError):  # only the GNU C library has it
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)


def release_unused() -> None:
    """Give memory that the allocators keep for later back to the system."""
    if pa := sys.modules.get("pyarrow"):
        pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # only the GNU C library has it
        ctypes.CDLL(None).malloc_trim(0)
