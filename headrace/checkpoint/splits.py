"""Who reads what: splits are given to idle tasks, the biggest first, after those they wait for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headrace.connector import Position, Split


class SplitAssigner:
    """Gives the splits of one pipeline start to its tasks. Pure bookkeeping; the caller sends the messages.

    A bounded split is given to one idle task at a time (`next_split`). The splits of an unbounded source never end,
    so all of them are dealt out at once, evenly (`deal`).
    """

    def __init__(self, splits: Iterable[Split], positions: Mapping[str, Position], finished: Iterable[str]) -> None:
        self.splits = {split.id: split for split in splits}
        self.positions = dict(positions)
        self.finished = set(finished) & self.splits.keys()
        self._waiting = sorted(self.splits.keys() - self.finished, key=self._order)
        self._owner: dict[str, int] = {}
        self._sizes = _Sizes()
        for split in self.splits.values():
            self._sizes.add(split)
        for split_id in self.finished:
            self._sizes.done += self.splits[split_id].size

    def _order(self, split_id: str) -> tuple[int, str]:
        return -self.splits[split_id].size, split_id

    def next_split(self, task: int) -> Split | None:
        """The split `task` shall read now; None when there is none for it now."""
        for split_id in self._waiting:
            split = self.splits[split_id]
            if self.finished.issuperset(s for s in split.after if s in self.splits):
                self._waiting.remove(split_id)
                self._owner[split_id] = task
                return split
        return None

    def deal(self, tasks: int) -> dict[int, list[Split]]:
        """All waiting splits, dealt out to tasks 0 … tasks-1 so that each has about as many."""
        load = dict.fromkeys(range(tasks), 0)
        for owner in self._owner.values():
            load[owner] += 1
        dealt: dict[int, list[Split]] = {}
        for split_id in self._waiting:
            task = min(load, key=lambda t: (load[t], t))
            load[task] += 1
            self._owner[split_id] = task
            dealt.setdefault(task, []).append(self.splits[split_id])
        self._waiting = []
        return dealt

    def add(self, splits: Iterable[Split]) -> None:
        """Splits that have appeared since."""
        for split in splits:
            if split.id not in self.splits:
                self.splits[split.id] = split
                self._waiting.append(split.id)
                self._sizes.add(split)

    def finish(self, split_id: str) -> None:
        """A task read a split to its end."""
        if split_id not in self.finished:
            self._sizes.done += self.splits[split_id].size
        self.finished.add(split_id)
        self._owner.pop(split_id, None)

    def all_read(self) -> bool:
        """Whether every split was read to its end."""
        return len(self.finished) == len(self.splits)

    def size(self) -> tuple[int, int]:
        """(size of the finished splits, size of all); (0, 0) when a split's size is unknown. Asked by other threads."""
        sizes = self._sizes
        return (0, 0) if sizes.unknown else (sizes.done, sizes.all)


@dataclass
class _Sizes:
    """Sums that are kept, so that whoever asks goes through no splits while they change."""

    done: int = 0
    all: int = 0
    unknown: bool = False

    def add(self, split: Split) -> None:
        self.all += split.size
        self.unknown |= split.size <= 0
