"""Which splits of a set were read to their end: a set of names that costs little to copy and to save, however many."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np

from headrace.connector import Split


class Finished(Set[str]):
    """Names of finished splits, as one mark for each split of a set in its order. Never changes."""

    def __init__(self, splits: Sequence[Split], rank: Mapping[str, int], marks: bytes) -> None:
        self._splits, self._rank, self._marks = splits, rank, marks
        self._count = marks.count(1)

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> frozenset[Any]:
        return frozenset(it)

    def __contains__(self, split: object) -> bool:
        rank = self._rank.get(split, -1)  # type: ignore[call-overload]
        return 0 <= rank < len(self._marks) and self._marks[rank] == 1

    def __iter__(self) -> Iterator[str]:
        return (self._splits[rank].id for rank in np.flatnonzero(np.frombuffer(self._marks, np.uint8)).tolist())

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"Finished({self._count} of {len(self._marks)})"

    def spans(self) -> list[list[int]]:
        """Runs of finished splits as [first, after the last], counted in the order of the set."""
        edges = np.flatnonzero(np.diff(np.frombuffer(b"\0" + self._marks + b"\0", np.int8)))
        return [[int(first), int(after)] for first, after in edges.reshape(-1, 2)]


class FinishedMarks:
    """What is marked while a pipeline runs; `now` is a `Finished` of it."""

    def __init__(self, splits: tuple[Split, ...], finished: Iterable[str]) -> None:
        self.splits = splits
        self._rank = {split.id: rank for rank, split in enumerate(splits)}
        self._marks = bytearray(len(splits))
        for split in finished:
            self.add(split)

    def extend(self, splits: Iterable[Split]) -> None:
        """Splits that have appeared since; those that are known stay as they are."""
        fresh = {split.id: split for split in splits if split.id not in self._rank}
        self._rank.update((name, rank) for rank, name in enumerate(fresh, len(self._marks)))
        self.splits += tuple(fresh.values())
        self._marks.extend(bytes(len(fresh)))

    def add(self, split: str) -> None:
        """A split was read to its end; one that is not of the set is none of ours."""
        rank = self._rank.get(split)
        if rank is not None:
            self._marks[rank] = 1

    def now(self) -> Finished:
        """As it is at this moment."""
        return Finished(self.splits, self._rank, bytes(self._marks))


def of_spans(splits: tuple[Split, ...], spans: Iterable[Sequence[int]]) -> Finished:
    """The inverse of `Finished.spans`. Raises ValueError when they are not spans of this set."""
    marks = bytearray(len(splits))
    for first, after in spans:
        if not 0 <= first < after <= len(marks):
            raise ValueError(f"[{first}, {after}] is not a span of {len(marks)} splits")
        marks[first:after] = b"\1" * (after - first)
    return Finished(splits, {split.id: rank for rank, split in enumerate(splits)}, bytes(marks))
