"""Sets of splits, each stored once beside the checkpoints that refer to it: a checkpoint carries only what changed.

`<job id>/<pipeline>-<digest>.splits` holds a part of a set: the splits as JSON, packed by zlib. Small sets stand in the
checkpoint itself.
"""

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from headrace.checkpoint.blobs import Blobs
from headrace.checkpoint.checkpoint import split_from_json, split_to_json
from headrace.checkpoint.json_values import dump_values, load_values
from headrace.connector import Split

INLINE = 100
"""So many splits stand in a checkpoint itself."""

_BLOCK = 10_000
_SUFFIX = ".splits"


Names = tuple[str, ...]
"""The parts of a set, in order."""


@dataclass(frozen=True)
class _Stored:
    """The splits that lie in `names`, part after part."""

    names: Names = ()
    splits: tuple[Split, ...] = ()


class SplitSets:
    """Those of one place of checkpoints. Remembers what it stored last for each pipeline."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._known: dict[tuple[int, int], _Stored] = {}

    def refer(self, job_id: int, pipeline: int, splits: tuple[Split, ...]) -> Any:
        """What a checkpoint says of its splits. What is not stored yet is stored first, so that it is never missing."""
        known = self._known.get((job_id, pipeline), _Stored())
        if known.splits is not splits and known.splits != splits[: len(known.splits)]:
            known = _Stored()
        rest = splits[len(known.splits) :]
        if len(rest) > INLINE:
            known = _Stored((*known.names, self._put(f"{job_id}/{pipeline}", rest)), splits)
            rest = ()
        self._known[job_id, pipeline] = known
        inline = [split_to_json(split) for split in rest]
        return {"stored": list(known.names), "more": inline} if known.names else inline

    def _put(self, start: str, splits: Sequence[Split]) -> str:
        packer, digest, parts = zlib.compressobj(1), hashlib.sha256(), []
        waiting = iter(splits)
        while block := list(islice(waiting, _BLOCK)):
            line = dump_values([split_to_json(split) for split in block]) + b"\n"
            digest.update(line)
            parts.append(packer.compress(line))
        name = f"{start}-{digest.hexdigest()[:32]}{_SUFFIX}"
        self._blobs.put(name, b"".join([*parts, packer.flush()]))
        return name.rpartition("/")[2]

    def read(self, job_id: int, told: Any, found: dict[Names, tuple[Split, ...]]) -> tuple[Split, ...]:
        """The splits that a checkpoint refers to. Raises ValueError when a part is missing or damaged.

        found: sets that were read just now, and this one with them.
        """
        if not isinstance(told, Mapping):
            return tuple(map(split_from_json, told))
        names = tuple(told["stored"])
        if names not in found:
            found[names] = tuple(split for name in names for split in self._part(job_id, name))
        return (*found[names], *map(split_from_json, told["more"])) if told["more"] else found[names]

    def are_stored(self, job_id: int, pipeline: int, names: Names, splits: tuple[Split, ...]) -> None:
        """These were read: a checkpoint that goes on from there refers to them."""
        self._known[job_id, pipeline] = _Stored(names, splits)

    def release(self, job_id: int, pipeline: int | None = None) -> None:
        """Forget what is known of the sets of a job or pipeline, which others may have removed since."""
        for key in [key for key in list(self._known) if key[0] == job_id and pipeline in (None, key[1])]:
            self._known.pop(key, None)

    def _part(self, job_id: int, name: str) -> Iterator[Split]:
        found = self._blobs.get(f"{job_id}/{name}")
        if found is None:
            raise ValueError(f"its splits, {name}, are missing")
        try:
            plain = zlib.decompress(found[0])
        except zlib.error as error:
            raise ValueError(f"its splits, {name}, are damaged: {error}") from error
        if hashlib.sha256(plain).hexdigest()[:32] != name.rpartition("-")[2].removesuffix(_SUFFIX):
            raise ValueError(f"its splits, {name}, are damaged: they do not have the checksum they were stored with")
        for line in plain.splitlines():
            yield from map(split_from_json, load_values(line))


def is_split_set(name: str) -> bool:
    """Whether something of this name holds splits."""
    return name.endswith(_SUFFIX)
