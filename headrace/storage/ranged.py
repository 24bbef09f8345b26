"""Bytes that come in ranges over a network: read ahead, so that waiting for some and working on others overlap."""

import io
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any, BinaryIO, NamedTuple, cast

from headrace.errors import HeadraceError
from headrace.storage.opened import Opened

PIECE = 4 << 20
"""Bytes of one request, at most."""

_FIRST = 256 << 10
"""How far ahead is read when two reads have followed each other; from then on twice as far with each."""

AHEAD = 16 << 20
"""How far ahead a stream reads at most: what 20 ms let through at 800 MB/s."""


@cache
def requests() -> ThreadPoolExecutor:
    """The threads of a process on which requests to storages wait."""
    return ThreadPoolExecutor(16, thread_name_prefix="headrace-storage")


def all_done(futures: "Iterable[Future[Any]]") -> None:
    """Wait for all, then raise what failed first."""
    failed: list[HeadraceError] = []
    for future in list(futures):
        try:
            future.result()
        except HeadraceError as error:
            failed.append(error)
    if failed:
        raise failed[0]


class RangedFile(Opened):
    """A stored file, of which `fetch(start, end)` gives a range: all of it, or Unavailable or Rejected."""

    def __init__(self, name: str, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self.name, self.size, self._fetch = name, size, fetch

    def stream(self) -> BinaryIO:  # noqa: D102
        return cast(BinaryIO, _RangedStream(self.size, self._fetch))


class _Piece(NamedTuple):
    start: int
    end: int
    content: "Future[bytes]"


class _RangedStream(io.RawIOBase):
    """Reads that follow each other are served from pieces asked for before; a jump gives them up."""

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self._size, self._fetch = size, fetch
        self._place, self._expected, self._window = 0, 0, 0
        self._pieces: deque[_Piece] = deque()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def readall(self) -> bytes:
        return self.read()

    def read(self, size: int | None = -1) -> bytes:
        start = self._place
        end = self._size if size is None or size < 0 else min(start + size, self._size)
        if end <= start:
            return b""
        self._ask_for(start, end)
        found = self._taken(start, end)
        self._place = self._expected = end
        return found

    def readinto(self, buffer: Any) -> int:
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        self._give_up()
        super().close()

    def _ask_for(self, start: int, end: int) -> None:
        """Have what is wanted on its way, and what likely comes next."""
        while self._pieces and self._pieces[0].end <= start:
            self._pieces.popleft()
        if start == self._expected and start:
            self._window = min(max(2 * self._window, _FIRST), AHEAD)
        elif not self._pieces or self._pieces[0].start > start:
            self._window = 0
        if self._pieces and self._pieces[0].start > start:
            self._give_up()
        place = self._pieces[-1].end if self._pieces else start
        goal = min(end + self._window, self._size)
        step = min(max(self._window // 4, _FIRST), PIECE)
        while place < goal:
            last = min(place + (PIECE if place < end else step), goal)
            if place >= end and last - place < step and last < self._size:
                return  # a whole piece, or none
            self._pieces.append(_Piece(place, last, requests().submit(self._fetch, place, last)))
            place = last

    def _taken(self, start: int, end: int) -> bytes:
        parts = []
        for piece in self._pieces:
            if piece.start >= end:
                break
            content = piece.content.result()
            whole = start <= piece.start and piece.end <= end
            parts.append(content if whole else memoryview(content)[max(start - piece.start, 0) : end - piece.start])
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def _give_up(self) -> None:
        for piece in self._pieces:
            piece.content.cancel()
        self._pieces.clear()
