"""Who reads what: splits are given to idle tasks, the biggest first, after those they wait for."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from headrace.connector import Position, Split


def reading_order(split: Split) -> tuple[int, str]:
    """The biggest first, so that none is left over when all others are done."""
    return -split.size, split.id


class SplitAssigner:
    """Gives the splits of one pipeline start to its tasks. Pure bookkeeping; the caller sends the messages.

    A split that ends is given to one idle task at a time (`next_split`): all of a bounded source, and those that an
    unbounded one says end. The others of an unbounded source are dealt out at once, evenly (`deal`).
    """

    def __init__(
        self,
        splits: Iterable[Split],
        positions: Mapping[str, Position],
        finished: Iterable[str],
        *,
        bounded: bool = True,
    ) -> None:
        self._bounded = bounded
        self.splits = {split.id: split for split in splits}
        self.positions = dict(positions)
        self.finished = self.splits.keys() & set(finished)
        self._ready: deque[Split] = deque()
        self._freed: list[tuple[tuple[int, str], Split]] = []
        self._held: dict[str, Split] = {}
        self._endless: list[Split] = []
        self._owner: dict[str, int] = {}
        self._sizes = _Sizes()
        for split in self.splits.values():
            self._sizes.add(split)
        for split_id in self.finished:
            self._sizes.done += self.splits[split_id].size
        for split in sorted((s for s in self.splits.values() if s.id not in self.finished), key=reading_order):
            self._queue(split)

    def _queue(self, split: Split) -> None:
        if not self.ends(split.id):
            self._endless.append(split)
        elif self._may_start(split):
            self._ready.append(split)
        else:
            self._held[split.id] = split

    def ends(self, split_id: str) -> bool:
        """Whether a split is one that a task reads to its end before it asks for the next."""
        return self._bounded or self.splits[split_id].ends

    def _may_start(self, split: Split) -> bool:
        return all(before in self.finished for before in split.after if before in self.splits)

    def next_split(self, task: int) -> Split | None:
        """The split `task` shall read now; None when there is none for it now."""
        if self._freed and (not self._ready or self._freed[0][0] < reading_order(self._ready[0])):
            split = heappop(self._freed)[1]
        elif self._ready:
            split = self._ready.popleft()
        else:
            return None
        self._owner[split.id] = task
        return split

    def deal(self, tasks: int) -> dict[int, list[Split]]:
        """All waiting splits without an end, dealt out to tasks 0 … tasks-1 so that each has about as many."""
        load = dict.fromkeys(range(tasks), 0)
        for owner in self._owner.values():
            load[owner] += 1
        dealt: dict[int, list[Split]] = {}
        for split in self._endless:
            task = min(load, key=lambda t: (load[t], t))
            load[task] += 1
            self._owner[split.id] = task
            dealt.setdefault(task, []).append(split)
        self._endless = []
        return dealt

    def add(self, splits: Iterable[Split]) -> None:
        """Splits that have appeared since."""
        for split in splits:
            if split.id not in self.splits:
                self.splits[split.id] = split
                self._sizes.add(split)
                self._queue(split)

    def finish(self, split_id: str) -> None:
        """A task read a split to its end."""
        if split_id not in self.finished:
            self._sizes.done += self.splits[split_id].size
        self.finished.add(split_id)
        self.positions.pop(split_id, None)
        self._owner.pop(split_id, None)
        for split in [held for held in self._held.values() if split_id in held.after and self._may_start(held)]:
            heappush(self._freed, (reading_order(split), self._held.pop(split.id)))

    def all_read(self) -> bool:
        """Whether every split was read to its end."""
        return len(self.finished) == len(self.splits)

    def size(self, shares: Mapping[str, float] | None = None) -> tuple[int, int]:
        """(size of what was read, size of all splits); (0, 0) when a split's size is unknown. Asked by other threads.

        shares: how much was read of splits that are not finished.
        """
        sizes = self._sizes
        if sizes.unknown:
            return 0, 0
        begun = [(self.splits.get(name), share) for name, share in (shares or {}).items() if name not in self.finished]
        done = sizes.done + sum(int(split.size * share) for split, share in begun if split is not None)
        return min(done, sizes.all), sizes.all


@dataclass
class _Sizes:
    """Sums that are kept, so that whoever asks goes through no splits while they change."""

    done: int = 0
    all: int = 0
    unknown: bool = False

    def add(self, split: Split) -> None:
        self.all += split.size
        self.unknown |= split.size <= 0
