"""Stored bytes that are read: a name, a size, and any range of the bytes, wherever they lie."""

import io
from abc import ABC, abstractmethod
from typing import BinaryIO

import pyarrow as pa


class Opened(ABC):
    """What formats read. It holds nothing open by itself; streams may be taken from it on any thread, many at once.

    name: what messages call it. size: bytes, as they were when it was opened. Reading raises OSError where it lies on a
    local disk, Unavailable or Rejected where it lies elsewhere.
    """

    name: str
    size: int

    @abstractmethod
    def stream(self) -> BinaryIO:
        """A stream of its own, at the first byte, that can seek. It is unbuffered; `read` gives fewer bytes only where
        they end."""

    def arrow(self, *, mapped: bool = False) -> pa.NativeFile:
        """The same for Arrow's readers. mapped: map it into memory where it can be; pages that were read stay there."""
        return pa.PythonFile(self.stream(), "r")

    def content(self) -> bytes:
        """All of it."""
        with self.stream() as stream:
            return b"".join(iter(lambda: stream.read(1 << 20), b""))


class InMemory(Opened):
    """Bytes that are there already."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name, self.size, self._data = name, len(data), data

    def stream(self) -> BinaryIO:  # noqa: D102
        return io.BytesIO(self._data)
