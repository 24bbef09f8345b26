"""What must survive a crash: how far each split was read, what writers know, what is prepared but not yet visible."""

import time
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from headrace.checkpoint.finished import Finished, of_spans
from headrace.connector import Committable, Position, Share, Split, State


def add_counts(one: Mapping[str, int], other: Mapping[str, int | None]) -> dict[str, int]:
    """The sums by name; modulo 2^64, which checksums need and rows never reach."""
    found = dict(one)
    for name, value in other.items():
        if value is not None:
            found[name] = (found.get(name, 0) + value) % 2**64
    return found


class CheckpointKind(StrEnum):
    """Why a checkpoint was taken; the values are SeaTunnel's names in lower case (CheckpointType.java)."""

    START = "start"
    """The split set of the first start, before any row."""
    CHECKPOINT = "checkpoint"
    SAVEPOINT = "savepoint"
    COMPLETED = "completed_point"
    """All rows of a bounded pipeline were handed to the sinks."""


@dataclass(frozen=True)
class Checkpoint:
    """The saved state of one pipeline.

    id: counts from 1 over all starts of the job; 0 is the START record. epoch: the start of the pipeline that saved it.
    splits: all that are known, fixed at the first start for a bounded source. positions: split → after its last row
    that was handed to the sinks before the barrier, for those that are being read or were finished since the checkpoint
    before. finished: splits read to their end.
    states: sink's name → table → the states of all its writers. committables: sink's name → what to make visible.
    counts: execution.tally.flow_key → the fields of execution.progress.Counts. steps: names of all, in plan order.
    wiring: how rows go through the steps, and how their delivery is proved. before: the counts from before the job file
    was last changed in its wiring; `counts` does not hold them, for only what passed the same steps balances.
    columns: table of the source → column → type. triggered, completed: seconds since 1970. parallelism: tasks of the
    start that saved it. stored_bytes: what it takes where it was read from.
    """

    job_id: int
    run: int
    pipeline: int
    epoch: int
    id: int
    kind: CheckpointKind = CheckpointKind.CHECKPOINT
    splits: tuple[Split, ...] = ()
    positions: Mapping[str, Position] = field(default_factory=dict)
    finished: Set[str] = frozenset()
    states: Mapping[str, Mapping[str, list[State]]] = field(default_factory=dict)
    committables: Mapping[str, list[Committable]] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    wiring: tuple[str, ...] = ()
    before: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parallelism: int = 1
    triggered: float = field(default_factory=time.time)
    completed: float = field(default_factory=time.time)
    stored_bytes: int = field(default=0, compare=False)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values, all splits among them."""
        values = self.to_json_without_splits()
        return {**values, "splits": [split_to_json(split) for split in self.splits]}

    def to_json_without_splits(self) -> dict[str, Any]:
        """As plain JSON values; the splits are saved elsewhere, in this order."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("splits", "stored_bytes")}
        if isinstance(self.finished, Finished):
            values["finished"] = {"spans": self.finished.spans()}
        else:
            values["finished"] = sorted(self.finished)
        values["kind"] = str(self.kind)
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any], splits: tuple[Split, ...] | None = None) -> "Checkpoint":
        """The inverse of both. Raises KeyError, TypeError or ValueError when the values are not a checkpoint's."""
        found = tuple(map(split_from_json, values["splits"])) if splits is None else splits
        told = values["finished"]
        return cls(
            **{
                **values,
                "splits": found,
                "finished": of_spans(found, told["spans"]) if isinstance(told, Mapping) else frozenset(told),
                "kind": CheckpointKind(values["kind"]),
                "steps": tuple(values["steps"]),
                "wiring": tuple(values.get("wiring", ())),
            }
        )

    @property
    def is_whole(self) -> bool:
        """Whether it was taken after all rows: nothing is left to do but to commit what it names (guarantee 4)."""
        ended = self.kind is CheckpointKind.COMPLETED
        return ended and all(split.id in self.finished for split in self.splits)

    def counts_in_all(self) -> dict[str, dict[str, int]]:
        """Also those from before the job file was changed."""
        found = {key: dict(values) for key, values in self.before.items()}
        for key, values in self.counts.items():
            found[key] = add_counts(found.get(key, {}), values)
        return found

    def rewired(self, steps: tuple[str, ...], wiring: tuple[str, ...]) -> "Checkpoint":
        """The same state in a job file whose rows go other ways: it balances by itself from here on."""
        if wiring == self.wiring:
            return replace(self, steps=steps)
        return replace(self, steps=steps, wiring=wiring, before=self.counts_in_all(), counts={})

    def with_target_positions(self, positions: Mapping[str, Position], finished: Set[str]) -> "Checkpoint":
        """The same with what a transactional target tells of its splits, whatever was saved here."""
        return replace(
            self, positions={**self.positions, **positions}, finished=(self.finished - set(positions)) | finished
        )


def split_to_json(split: Split) -> dict[str, Any]:
    """As plain JSON values."""
    share = split.share and vars(split.share)
    return {
        "id": split.id,
        "size": split.size,
        "table": split.table,
        "after": list(split.after),
        "data": dict(split.data),
        "share": share,
        "ends": split.ends,
    }


def split_from_json(values: Mapping[str, Any]) -> Split:
    """The inverse. Raises KeyError, TypeError or ValueError when the values are not a split's."""
    share = _share(values.get("share"))
    after, ends = tuple(values["after"]), bool(values.get("ends"))
    return Split(values["id"], values["size"], values["table"], after, values["data"], share, ends)


def _share(values: Mapping[str, Any] | None) -> Share | None:
    return Share(**{**values, "without": tuple(values["without"])}) if values else None
