"""Room for jobs: a fixed number of slots, or any number."""

import threading
from collections import deque


class Slots:
    """Who waits gets slots in the order of arrival. total: None for any number."""

    def __init__(self, total: int | None) -> None:
        self._total, self._used = total, 0
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()

    def take(self, count: int, canceled: threading.Event, *, wait: bool) -> bool:
        """Take `count` slots; False when they are not free, or when `canceled` was set while waiting for them."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                while self._queue[0] is not ticket or not self._fits(count):
                    if not wait or canceled.is_set():
                        return False
                    self._changed.wait(0.2)
                self._used += count
                return True
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def give_back(self, count: int) -> None:
        """Give slots back."""
        with self._changed:
            self._used -= count
            self._changed.notify_all()

    def used(self) -> int:
        """How many are taken."""
        return self._used

    def free(self) -> int:
        """How many are free; 0 where any number can be made."""
        return 0 if self._total is None else self._total - self._used

    def _fits(self, count: int) -> bool:
        return self._total is None or self._used + count <= self._total
