"""What a writer has staged up to a checkpoint, and what becomes of it."""

import os
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from headrace.connector import Claim, Committable, JobContext
from headrace.storage.contract import Staged, StagedFile, Storage


class Staging:
    """The files of one writer: staged below a target directory, prepared for commit at each checkpoint."""

    def __init__(self, storage: Storage, target: str, temporary: str, claim: Claim) -> None:
        self._storage, self._target, self._temporary, self._claim = storage, target, temporary, claim
        self._finished: list[Staged] = []

    def telling(self) -> AbstractContextManager[None]:
        """See Storage.telling."""
        return self._storage.telling(self._target)

    def file(self, name: str, after: int = 0) -> StagedFile:
        """Begin a file of this name below the target; see Storage.stage."""
        final = os.path.join(self._target, name)
        return self._storage.stage(final, self._target, self._temporary, self._claim, after)

    def is_taken(self, path: str) -> bool:
        """Whether a file of this path is there already."""
        return self._storage.stat(path) is not None

    def add(self, file: Staged) -> None:
        """A file that is finished."""
        self._finished.append(file)

    def prepared(self, checkpoint_id: int) -> Committable | None:
        """What was finished since the last time; None where nothing was."""
        files, self._finished = self._finished, []
        if not files:
            return None
        owner = {"claim": self._claim.name, "batch": uuid.uuid4().hex[:20], "checkpoint": checkpoint_id}
        return {**owner, "target": self._target, "files": files}

    def drop(self) -> None:
        """What was not prepared will never be published."""
        self._storage.drop(self._finished)
        self._finished = []


class Batches:
    """What checkpoints hold of staged files."""

    def __init__(self, storage: Storage, temporary: str, committables: Sequence[Committable]) -> None:
        self._storage, self._temporary = storage, temporary
        self._batches: Sequence[dict[str, Any]] = committables

    def publish(self, job: JobContext) -> None:
        """Make them visible, and forget what no checkpoint that can be restored still names."""
        for batch in self._batches:
            claim = Claim.read(batch["claim"])
            assert claim is not None, "a committable holds the claim that it was staged under"
            self._storage.publish(batch["target"], claim, batch["batch"], batch["checkpoint"], batch["files"])
        if job.restorable is not None:
            for target in {batch["target"] for batch in self._batches}:
                self._storage.forget(self._storage.areas(target, self._temporary), job.claim, job.restorable)

    def drop(self) -> None:
        """They will not be published."""
        for batch in self._batches:
            self._storage.drop(batch["files"])
