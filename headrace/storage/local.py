"""Files of this machine."""

import os
from typing import BinaryIO

import pyarrow as pa

from headrace.storage.opened import Opened


class LocalFile(Opened):
    """A file of this machine, read by the system's own calls; Arrow reads it without Python in between."""

    def __init__(self, path: str, name: str = "", size: int | None = None) -> None:
        """name: where it is not the path. size: where it is known; what lies behind it is still read."""
        self.path, self.name = path, name or path
        self.size = os.stat(path).st_size if size is None else size

    @classmethod
    def of_descriptor(cls, descriptor: int, name: str, size: int | None = None) -> "LocalFile":
        """A file that is open, whatever became of its name."""
        return cls(f"/proc/self/fd/{descriptor}", name, size)

    def stream(self) -> BinaryIO:  # noqa: D102
        return open(self.path, "rb", buffering=0)

    def arrow(self, *, mapped: bool = False) -> pa.NativeFile:  # noqa: D102
        return pa.memory_map(self.path) if mapped else pa.OSFile(self.path)
