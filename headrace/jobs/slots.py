"""Room for jobs: a fixed number of slots, or any number."""

import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass, field

PATIENCE_SECONDS = 60.0
"""A job that has waited for longer is overtaken by one other job at a time, so that the slots for it come together."""


@dataclass
class _Waiting:
    job: Hashable
    count: int
    since: float = field(default_factory=time.monotonic)


class Slots:
    """Who waits gets slots in the order of arrival, but what fits may run before what does not fit.

    total: None for any number.
    """

    def __init__(self, total: int | None) -> None:
        self._total, self._used = total, 0
        self._changed = threading.Condition()
        self._queue: list[_Waiting] = []
        self._taken: dict[Hashable, int] = {}
        self._overtaking: set[Hashable] = set()

    def take(self, job: Hashable, count: int, canceled: threading.Event, *, wait: bool) -> bool:
        """Take `count` slots; False when they are not free, or when `canceled` was set while waiting for them."""
        mine = _Waiting(job, count)
        with self._changed:
            self._queue.append(mine)
            try:
                while not self._may_go(mine):
                    if not wait or canceled.is_set():
                        return False
                    self._changed.wait(0.2)
                if self._queue[0] is not mine:
                    self._overtaking.add(job)
                self._used += count
                self._taken[job] = count
                return True
            finally:
                self._queue.remove(mine)
                self._changed.notify_all()

    def give_back(self, job: Hashable) -> None:
        """Give back the slots that a job has, if any."""
        with self._changed:
            self._used -= self._taken.pop(job, 0)
            self._overtaking.discard(job)
            self._changed.notify_all()

    def used(self) -> int:
        """How many are taken."""
        return self._used

    def free(self) -> int:
        """How many are free; 0 where any number can be made."""
        return 0 if self._total is None else self._total - self._used

    def state(self) -> str:
        """How many there are and who has them or waits, in words."""
        with self._changed:
            have = ", ".join(f"{job} has {count}" for job, count in self._taken.items() if count)
            before = ", ".join(f"{one.job} waits for {one.count}" for one in self._queue)
        parts = [f"{self.free()} of {self._total} slots are free", have, before]
        return "; ".join(part for part in parts if part)

    def _may_go(self, mine: _Waiting) -> bool:
        before = self._queue[: self._queue.index(mine)]
        if not self._fits(mine.count) or any(self._fits(one.count) for one in before):
            return False
        late = any(time.monotonic() - one.since >= PATIENCE_SECONDS for one in before)
        return not (late and self._overtaking)

    def _fits(self, count: int) -> bool:
        return self._total is None or self._used + count <= self._total
