"""The place between a task's readers and its writing side: bounded by bytes, control messages go first."""

import threading
import time
from collections import deque
from typing import Any

MAX_ITEMS = 4
"""Batches of normal size a reader may run ahead; more only wait longer in memory."""


class Buffer:
    """Hands items from reader threads to the task's thread.

    A reader waits in `put` while the buffered bytes exceed `max_bytes` (one item is always let in, whatever its size)
    or a few batches are there already. `control` items are never held back and come out before any data.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._items: deque[tuple[Any, int]] = deque()
        self._control: deque[Any] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self.reader_waited = 0.0
        self.writer_waited = 0.0

    def put(self, item: Any, size: int) -> bool:
        """Add an item of `size` bytes; wait for room. False when the buffer was closed meanwhile."""
        with self._changed:
            if self._full(size):
                began = time.monotonic()
                while self._full(size):
                    self._changed.wait()
                self.reader_waited += time.monotonic() - began
            if self._closed:
                return False
            self._items.append((item, size))
            self._bytes += size
            self._changed.notify_all()
            return True

    def _full(self, size: int) -> bool:
        if self._closed or not self._items:
            return False
        return self._bytes + size > self._max_bytes or len(self._items) >= MAX_ITEMS

    def put_control(self, item: Any) -> None:
        """Add an item that overtakes all data."""
        with self._changed:
            self._control.append(item)
            self._changed.notify_all()

    def get(self, timeout: float) -> Any | None:
        """The next control item or data item; None when there was none for `timeout` seconds."""
        with self._changed:
            if not self._control and not self._items:
                began = time.monotonic()
                self._changed.wait_for(lambda: self._control or self._items, timeout)
                self.writer_waited += time.monotonic() - began
            if self._control:
                return self._control.popleft()
            if not self._items:
                return None
            item, size = self._items.popleft()
            self._bytes -= size
            self._changed.notify_all()
            return item

    def get_control(self) -> Any:
        """The next control item; waits as long as it takes."""
        with self._changed:
            self._changed.wait_for(lambda: self._control)
            return self._control.popleft()

    def close(self) -> None:
        """Let waiting readers go; drop what is buffered."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._bytes = 0
            self._changed.notify_all()
