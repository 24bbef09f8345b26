"""What is being written for a store elsewhere: kept in a temporary file, to be sent, sent again, and read back."""

import io
import os
import tempfile
import weakref
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from headrace.errors import Unavailable
from headrace.storage.local import LocalFile
from headrace.storage.opened import Opened


class Spool:
    """A file of this machine without a name, which goes with the last who holds it.

    written: called after each write, with the bytes so far.
    """

    def __init__(self, written: Callable[[int], None]) -> None:
        self._file = tempfile.TemporaryFile(prefix="headrace-", buffering=1 << 20)
        self._descriptor = os.dup(self._file.fileno())
        weakref.finalize(self, os.close, self._descriptor)
        self._written = written
        self.stream: BinaryIO = cast(BinaryIO, _Stream(self))

    def write(self, data: Any) -> int:
        """Behind what was written before. Raises Unavailable where there is no room."""
        try:
            count = self._file.write(data)
        except OSError as error:
            raise self._full(error) from error
        self._written(self._file.tell())
        return count

    def tell(self) -> int:
        """Bytes so far."""
        return self._file.tell()

    def flush(self) -> None:
        """What was written can be read by `part`. Raises Unavailable where there is no room."""
        try:
            self._file.flush()
        except OSError as error:
            raise self._full(error) from error

    def part(self, start: int, size: int) -> bytes:
        """Some of what was flushed."""
        return os.pread(self._descriptor, size, start)

    def opened(self, name: str) -> Opened:
        """All of it, to be read; messages call it `name`."""
        return _Spooled(self, self._descriptor, name)

    @property
    def closed(self) -> bool:
        """Whether nothing more is written."""
        return self._file.closed

    def close(self) -> None:
        """Nothing more is written; what was can still be read."""
        self._file.close()

    def _full(self, error: OSError) -> Unavailable:
        where = tempfile.gettempdir()
        return Unavailable(
            f"cannot keep in {where} what is to be sent: {error.strerror or error}; make room there, or name another "
            "directory by TMPDIR"
        )


class _Spooled(LocalFile):
    """Its descriptor stays open as long as this is there."""

    def __init__(self, spool: Spool, descriptor: int, name: str) -> None:
        super().__init__(f"/proc/self/fd/{descriptor}", name)
        self._spool = spool


class _Stream(io.RawIOBase):
    """What writers of formats write into."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._spool.write(data)

    def tell(self) -> int:
        return self._spool.tell()
