"""The place between a task's readers and its writing side: what is under way is bounded, control messages go first."""

import threading
import time
from collections import deque
from typing import Any

from headrace.execution.budget import MemoryShare

MAX_ITEMS = 4
"""Batches of normal size a reader may run ahead; more only wait longer in memory."""

TIGHT_SECONDS = 0.5
"""How often a waiting reader looks whether the process has more memory again."""


class Buffer:
    """Hands items from reader threads to the task's thread.

    A reader waits, in `reserve` before it makes a batch and in `put` where that came out bigger, while what is under
    way exceeds the task's share of the memory, or a few batches are there already; one is always let in, whatever its
    size. Under way is what is being made, what waits here, and what the task's thread took last. `control` items are
    never held back and come out before any data.
    """

    def __init__(self, share: MemoryShare) -> None:
        self._share = share
        self._items: deque[tuple[Any, int]] = deque()
        self._control: deque[Any] = deque()
        self._bytes = 0
        self._taken = 0
        self._changed = threading.Condition()
        self._closed = False
        self.reader_waited = 0.0
        self.writer_waited = 0.0

    def reserve(self, size: int) -> bool:
        """Wait for room for an item that will be made, of about `size` bytes. False when the buffer was closed."""
        with self._changed:
            self._wait_for_room(size, 0)
            self._bytes += size
            return not self._closed

    def give_back(self, reserved: int) -> None:
        """Nothing came of it."""
        with self._changed:
            self._bytes -= reserved
            self._changed.notify_all()

    def put(self, item: Any, size: int, reserved: int = 0) -> bool:
        """Add an item of `size` bytes; wait for room. False when the buffer was closed meanwhile."""
        with self._changed:
            if size > reserved or not reserved:
                self._wait_for_room(size, reserved)
            if self._closed:
                return False
            self._items.append((item, size))
            self._bytes += size - reserved
            self._changed.notify_all()
            return True

    def _wait_for_room(self, size: int, own: int) -> None:
        if self._has_room(size, own):
            return
        began = time.monotonic()
        while not self._has_room(size, own):
            self._changed.wait(TIGHT_SECONDS)
        self.reader_waited += time.monotonic() - began

    def _has_room(self, size: int, own: int) -> bool:
        others = self._bytes - own
        if self._closed or not (others or self._items):
            return True
        fits = others + size <= self._share.in_flight and len(self._items) < MAX_ITEMS
        return fits and not self._share.is_tight()

    def put_control(self, item: Any) -> None:
        """Add an item that overtakes all data."""
        with self._changed:
            self._control.append(item)
            self._changed.notify_all()

    def get(self, timeout: float) -> Any | None:
        """The next control item or data item; None when there was none for `timeout` seconds.

        Whoever calls it is done with what it took before.
        """
        with self._changed:
            self._bytes, self._taken = self._bytes - self._taken, 0
            if not self._control and not self._items:
                self._changed.notify_all()
                began = time.monotonic()
                self._changed.wait_for(lambda: self._control or self._items, timeout)
                self.writer_waited += time.monotonic() - began
            self._changed.notify_all()
            if self._control:
                return self._control.popleft()
            if not self._items:
                return None
            item, self._taken = self._items.popleft()
            return item

    def add_taken(self, size: int) -> None:
        """What was made of the item that was taken last counts, too, until the next one is taken."""
        with self._changed:
            self._taken += size
            self._bytes += size

    def next_control(self) -> Any | None:
        """A control item that is there already; None when there is none."""
        if not self._control:
            return None
        with self._changed:
            return self._control.popleft() if self._control else None

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
            self._bytes = self._taken = 0
            self._changed.notify_all()
