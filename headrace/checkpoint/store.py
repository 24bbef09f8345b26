"""Where checkpoints are kept: one small contract, and files in a directory. Whole or not at all (guarantee 5)."""

import contextlib
import fcntl
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import orjson

from headrace.checkpoint.checkpoint import Checkpoint
from headrace.errors import CheckpointError


class CheckpointStore(ABC):
    """Keeps the checkpoints of many jobs."""

    @abstractmethod
    def claim_epoch(self, job_id: int, pipeline: int) -> int:
        """Begin a new start of a pipeline: one more than any epoch claimed before, also by other processes."""

    @abstractmethod
    def save(self, checkpoint: Checkpoint, retain: int) -> None:
        """Store a checkpoint, keep the newest `retain` ones of its pipeline.

        Raises CheckpointError when it cannot be stored, or when a newer epoch was claimed (guarantee 9).
        """

    @abstractmethod
    def all(self, job_id: int, pipeline: int | None = None) -> list[Checkpoint]:
        """The stored checkpoints of a job, oldest first. An unreadable one raises CheckpointError."""

    @abstractmethod
    def delete(self, job_id: int) -> None:
        """Forget a job's checkpoints and epochs."""

    def latest(self, job_id: int, pipeline: int) -> Checkpoint | None:
        """The newest checkpoint of a pipeline."""
        found = self.all(job_id, pipeline)
        return found[-1] if found else None


class FileStore(CheckpointStore):
    """`<folder>/<job id>/<pipeline>-<checkpoint id>.json`, written under another name, synced and renamed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def claim_epoch(self, job_id: int, pipeline: int) -> int:  # noqa: D102
        with self._locked(job_id, pipeline) as file:
            epoch = int(file.read_text() or 0) + 1
            _write_whole(file, str(epoch).encode())
            return epoch

    def save(self, checkpoint: Checkpoint, retain: int) -> None:  # noqa: D102
        with self._locked(checkpoint.job_id, checkpoint.pipeline) as file:
            newest = int(file.read_text() or 0)
            if newest > checkpoint.epoch:
                raise CheckpointError(
                    f"cannot save checkpoint {checkpoint.id} of job {checkpoint.job_id}: epoch {checkpoint.epoch} "
                    f"was replaced by epoch {newest}"
                )
            name = f"{checkpoint.pipeline}-{checkpoint.id:012d}.json"
            try:
                _write_whole(self._job(checkpoint.job_id) / name, orjson.dumps(checkpoint.to_json()))
            except OSError as error:
                raise CheckpointError(f"cannot save checkpoint {checkpoint.id} in {self.folder}: {error}") from error
            for old in self._files(checkpoint.job_id, checkpoint.pipeline)[: -max(retain, 1)]:
                old.unlink(missing_ok=True)

    def all(self, job_id: int, pipeline: int | None = None) -> list[Checkpoint]:  # noqa: D102
        return [_read(file) for file in self._files(job_id, pipeline)]

    def latest(self, job_id: int, pipeline: int) -> Checkpoint | None:  # noqa: D102
        files = self._files(job_id, pipeline)
        return _read(files[-1]) if files else None

    def delete(self, job_id: int) -> None:  # noqa: D102
        shutil.rmtree(self._job(job_id), ignore_errors=True)

    def _job(self, job_id: int) -> Path:
        return self.folder / str(job_id)

    def _files(self, job_id: int, pipeline: int | None) -> list[Path]:
        pattern = "*-*.json" if pipeline is None else f"{pipeline}-*.json"
        return sorted(self._job(job_id).glob(pattern), key=lambda f: f.stem.rpartition("-")[::2][::-1])

    @contextlib.contextmanager
    def _locked(self, job_id: int, pipeline: int) -> Iterator[Path]:
        """The file that holds the pipeline's newest epoch, while no other process changes it."""
        try:
            self._job(job_id).mkdir(parents=True, exist_ok=True)
            with open(self._job(job_id) / f"{pipeline}.lock", "wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                file = self._job(job_id) / f"{pipeline}.epoch"
                if not file.exists():
                    file.touch()
                yield file
        except OSError as error:
            raise CheckpointError(f"cannot use the checkpoint directory {self.folder}: {error}") from error


def _read(file: Path) -> Checkpoint:
    try:
        return Checkpoint.from_json(orjson.loads(file.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"cannot read checkpoint {file}: {error}") from error


def _write_whole(file: Path, content: bytes) -> None:
    """Temporary name, fsync, rename, fsync of the directory."""
    temporary = file.with_name(f".{file.name}.tmp")
    with open(temporary, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
