"""Where checkpoints are kept: one contract, and its rules over any place of small contents."""

import hashlib
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from headrace.checkpoint.blobs import Blobs, FileBlobs
from headrace.checkpoint.checkpoint import Checkpoint
from headrace.checkpoint.history import History
from headrace.checkpoint.json_values import dump_values, load_values
from headrace.checkpoint.marks import Marks
from headrace.checkpoint.split_sets import Names, SplitSets, is_split_set
from headrace.connector import Split
from headrace.errors import CheckpointError, Replaced, StoreUnavailable

CLAIM_TRIES = 100


class CheckpointStore(ABC):
    """Keeps the checkpoints of many jobs. Every method raises StoreUnavailable when the place cannot be used now.

    place: where, as far as it tells one store from another.
    """

    place: str = ""

    @abstractmethod
    def claim_epoch(self, job_id: int, pipeline: int, held: int = 0) -> int:
        """Begin a new start of a pipeline: more than any epoch claimed before, also by other processes.

        Also more than those of a state that was deleted, which a target may still remember.
        held: the epoch that the caller has claimed before; 0 at its first. Raises Replaced when another has claimed
        one since: whoever was taken over cannot take back (guarantee 9).
        """

    @abstractmethod
    def epoch(self, job_id: int, pipeline: int) -> int:
        """The newest epoch that was claimed; 0 when none was."""

    @abstractmethod
    def save(self, checkpoint: Checkpoint, retain: int) -> int:
        """Store a checkpoint, keep the newest `retain` ones of its pipeline; its size in bytes.

        Raises StoreUnavailable when it cannot be stored, Replaced when its epoch is not the newest (guarantee 9).
        """

    @abstractmethod
    def all(
        self, job_id: int, pipeline: int | None = None, on_broken: Callable[[int, int, str], None] | None = None
    ) -> list[Checkpoint]:
        """The stored checkpoints of a job, oldest first. An unreadable one raises CheckpointError.

        on_broken: leave those out, and call this with pipeline, checkpoint and what is wrong with it.
        """

    @abstractmethod
    def numbers(self, job_id: int) -> list[tuple[int, int]]:
        """(pipeline, checkpoint) of all that is stored of a job, also of what cannot be read; nothing is read."""

    @abstractmethod
    def delete(self, job_id: int) -> None:
        """Forget a job's checkpoints and epochs."""

    def release(self, job_id: int) -> None:
        """Nobody here saves checkpoints of the job any more: what is kept in memory for it can go."""

    def latest(self, job_id: int, pipeline: int, skip_broken: Callable[[str], None] | None = None) -> Checkpoint | None:
        """The newest checkpoint of a pipeline. Raises CheckpointError when it cannot be read.

        skip_broken: take the newest that can be read, and call this with what is wrong with those after it. Rows since
        then come again: not for a pipeline with a staged sink, whose later rows may be visible already.
        """
        found = self.all(job_id, pipeline)
        return found[-1] if found else None


class BlobStore(CheckpointStore):
    """`<job id>/<pipeline>-<epoch>-<checkpoint id>.json`, and `<job id>/<pipeline>.epoch` with the newest epoch.

    Sets of many splits lie beside them: see split_sets.

    A save puts the checkpoint first and looks at the epoch after that: either the start that claimed a newer one finds
    the checkpoint and goes on from it, or the save is refused. A refused one stays, for that start may have found it.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs, self._split_sets, self.place = blobs, SplitSets(blobs), blobs.place
        self.marks = Marks(blobs)

    def claim_epoch(self, job_id: int, pipeline: int, held: int = 0) -> int:  # noqa: D102
        name = f"{job_id}/{pipeline}.epoch"
        self._split_sets.release(job_id, pipeline)
        for _ in range(CLAIM_TRIES):
            found = self._blobs.get(name)
            newest = self._number(found[0], name) if found else 0
            if held and newest != held:
                raise replaced(job_id, pipeline, held, newest)
            epoch = newest + 1 if found else self._first_epoch(job_id, pipeline)
            if self._blobs.swap(name, str(epoch).encode(), found[1] if found else None):
                return epoch
        raise StoreUnavailable(
            f"cannot claim an epoch of job {job_id} in {self._blobs.place}: another service took the job"
        )

    def epoch(self, job_id: int, pipeline: int) -> int:  # noqa: D102
        name = f"{job_id}/{pipeline}.epoch"
        found = self._blobs.get(name)
        return self._number(found[0], name) if found else 0

    def _first_epoch(self, job_id: int, pipeline: int) -> int:
        """The seconds of the clock: starts of a deleted state were fewer. More than those of a state that lost its."""
        stored = (_numbers(name)[1] for name in self._names(job_id, pipeline))
        return max([int(time.time()), *(epoch + 1 for epoch in stored)])

    def _number(self, content: bytes, name: str) -> int:
        try:
            found = int(content)
        except ValueError:
            found = -1
        if not 0 < found < 2**62:
            raise CheckpointError(
                f"cannot read {name} in {self._blobs.place}: {content[:40]!r} is not the number of an epoch; put it "
                "back from a backup, or remove it once nothing runs the job any more: its next start makes it anew"
            )
        return found

    def save(self, checkpoint: Checkpoint, retain: int) -> int:  # noqa: D102
        job_id, pipeline = checkpoint.job_id, checkpoint.pipeline
        self._check_epoch(checkpoint)
        name = f"{job_id}/{pipeline}-{checkpoint.epoch:06d}-{checkpoint.id:012d}.json"
        splits = self._split_sets.refer(job_id, pipeline, checkpoint.splits)
        content = _encode({**checkpoint.to_json_without_splits(), "splits": splits})
        self._blobs.put(name, content)
        self._check_epoch(checkpoint)
        with suppress(StoreUnavailable):  # the next save removes them
            self._blobs.delete(self._names(job_id, pipeline)[: -max(retain, 1)])
        return len(content)

    def _check_epoch(self, checkpoint: Checkpoint) -> None:
        newest = self.epoch(checkpoint.job_id, checkpoint.pipeline)
        if newest != checkpoint.epoch:
            raise replaced(checkpoint.job_id, checkpoint.pipeline, checkpoint.epoch, newest)

    def all(  # noqa: D102
        self, job_id: int, pipeline: int | None = None, on_broken: Callable[[int, int, str], None] | None = None
    ) -> list[Checkpoint]:
        found, sets = [], dict[Names, tuple[Split, ...]]()
        for name in self._names(job_id, pipeline):
            try:
                found.append(self._read(name, sets))
            except CheckpointError as error:
                if on_broken is None or isinstance(error, StoreUnavailable):
                    raise
                numbers = _numbers(name)
                on_broken(numbers[0], numbers[2], str(error))
        return [checkpoint for checkpoint in found if checkpoint is not None]

    def numbers(self, job_id: int) -> list[tuple[int, int]]:  # noqa: D102
        found = (_numbers(name) for name in self._names(job_id, None))
        return [(pipeline, number) for pipeline, _, number in found]

    def latest(  # noqa: D102
        self, job_id: int, pipeline: int, skip_broken: Callable[[str], None] | None = None
    ) -> Checkpoint | None:
        problem: CheckpointError | None = None
        sets: dict[Names, tuple[Split, ...]] = {}
        for name in reversed(self._names(job_id, pipeline)):
            try:
                found = self._read(name, sets)
            except StoreUnavailable:
                raise
            except CheckpointError as error:
                if skip_broken is None:
                    raise
                problem = error
                skip_broken(str(error))
                continue
            if found is not None:
                for names, splits in sets.items():
                    self._split_sets.are_stored(job_id, pipeline, names, splits)
                return found
        if problem is not None:
            raise problem
        return None

    def release(self, job_id: int) -> None:  # noqa: D102
        self._split_sets.release(job_id)

    def delete(self, job_id: int) -> None:
        """Only what is ours: SeaTunnel may keep its files in the same directory.

        The newest goes last: whoever finds a part of it must not go on from an older one.
        """
        self._split_sets.release(job_id)
        names = self._blobs.names(str(job_id))
        sets = [name for name in names if is_split_set(name)]
        epochs = [name for name in names if re.search(r"/\d+\.epoch$", name)]
        self._blobs.delete([*_checkpoints_of(names), *sets, *epochs])

    def _names(self, job_id: int, pipeline: int | None) -> list[str]:
        """Checkpoints, oldest first."""
        return _checkpoints_of(self._blobs.names(str(job_id)), pipeline)

    def _read(self, name: str, sets: dict[Names, tuple[Split, ...]]) -> Checkpoint | None:
        """None when retention has removed it meanwhile. sets: see SplitSets.read."""
        found = self._blobs.get(name)
        if found is None:
            return None
        try:
            values = _decode(found[0])
            splits = self._split_sets.read(values["job_id"], values["splits"], sets)
            return replace(Checkpoint.from_json(values, splits), stored_bytes=len(found[0]))
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"cannot read checkpoint {name} in {self._blobs.place}: {error}; put it back from a backup. Without it "
                "the one before would be used, and rows since then would come again; to accept that, remove it"
            ) from error


def _checkpoints_of(names: Iterable[str], pipeline: int | None = None) -> list[str]:
    """Those of the names that are checkpoints, oldest first; of all pipelines where none is given."""
    found = sorted((numbers, name) for name in names if (numbers := _numbers(name)))
    return [name for numbers, name in found if pipeline in (None, numbers[0])]


def _numbers(name: str) -> tuple[int, ...]:
    """Pipeline, epoch and checkpoint of a stored checkpoint's name; empty when it is none."""
    match = re.fullmatch(r"(\d+)-(\d+)-(\d+)\.json", name.rpartition("/")[2])
    return tuple(map(int, match.groups())) if match else ()


def stored_histories(store: CheckpointStore, job_id: int) -> list[History]:
    """What the store knows of a job, a history for each pipeline; none when it knows nothing."""
    found: dict[int, list[tuple[Checkpoint, int]]] = {}
    broken: list[tuple[int, int, str]] = []
    for checkpoint in store.all(job_id, on_broken=lambda *what: broken.append(what)):
        found.setdefault(checkpoint.pipeline, []).append((checkpoint, checkpoint.stored_bytes))
    for pipeline, _, _ in broken:
        found.setdefault(pipeline, [])
    histories = {pipeline: History.of_stored(pipeline, stored) for pipeline, stored in sorted(found.items())}
    for pipeline, number, problem in broken:
        histories[pipeline].is_broken(number, problem)
    return list(histories.values())


class FileStore(BlobStore):
    """Checkpoints in a directory."""

    def __init__(self, folder: Path) -> None:
        super().__init__(FileBlobs(folder))


_HEAD = b'{"sha256":"'
_MIDDLE = b'","checkpoint":'
_DIGEST = 64


def _encode(values: Mapping[str, Any]) -> bytes:
    """JSON that holds its own checksum."""
    body = dump_values(values)
    return _HEAD + hashlib.sha256(body).hexdigest().encode() + _MIDDLE + body + b"}"


def _decode(content: bytes) -> dict[str, Any]:
    """Raises ValueError when it was cut or changed, or is not an object."""
    start = len(_HEAD) + _DIGEST + len(_MIDDLE)
    digest, body = content[len(_HEAD) : len(_HEAD) + _DIGEST], content[start:-1]
    if not content.startswith(_HEAD) or hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError(f"its {len(content)} bytes do not have the checksum they were stored with")
    values = load_values(body)
    if not isinstance(values, dict):
        raise ValueError("it is not an object")
    return values


def replaced(job_id: int, pipeline: int, epoch: int, newest: int) -> Replaced:
    """What a start is told whose epoch is no longer the newest; newest: 0 when there is none any more."""
    by = f"epoch {newest}" if newest else "nothing: the job has ended, or its saved state was removed"
    return Replaced(f"pipeline {pipeline} of job {job_id}: epoch {epoch} was replaced by {by}")
