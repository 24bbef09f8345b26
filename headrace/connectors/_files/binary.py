"""Writing binary files: pieces with the path of their file, each file under the name it had."""

import os
import shutil
import uuid
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from headrace.connector import Batch, Committable, SinkWriter, State, TaskContext, staging_name
from headrace.errors import Rejected


def splice(staged: str, final: str, offset: int) -> None:
    """Put staged bytes at an offset of the target, whatever stood from there on; repeating it changes nothing."""
    with open(staged, "rb") as source, open(final, "r+b" if os.path.exists(final) else "wb") as target:
        target.truncate(offset)
        target.seek(offset)
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
    os.remove(staged)


def batch_folder(task: TaskContext) -> str:
    """The name of a new directory for the files of one writer up to its next checkpoint."""
    return f"T_{staging_name(task.job, task.index, uuid.uuid4().hex[:20])}"


class BinaryFilesWriter(SinkWriter):
    """A file that goes on over a checkpoint is continued: what is visible of it grows with each one.

    Its state is the bytes that each file has so far.
    """

    def __init__(self, target: Path, staging: Path, task: TaskContext, state: State | None) -> None:
        self._target, self._staging, self._task = target, staging, task
        self._sizes: dict[str, int] = dict(state or {})
        self._folder = staging / batch_folder(task)
        self._open: tuple[str, BinaryIO] | None = None
        self._moves: list[list[str | int]] = []

    def write(self, batch: Batch) -> None:
        data, paths, numbers = (batch.rows.column(name) for name in ("data", "relativePath", "partIndex"))
        for piece, path, number in zip(data, paths.to_pylist(), numbers.to_pylist(), strict=True):
            if self._open is None or self._open[0] != path:
                self._begin(str(path), number)
            assert self._open is not None
            if piece.is_valid:
                self._sizes[path] += self._open[1].write(piece.as_buffer())

    def _begin(self, path: str, number: int) -> None:
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts or not parts.name:
            raise Rejected(f"cannot write a file called {path!r}: relativePath must stay below the target directory")
        self._finish()
        if number == 0:
            self._sizes = {path: 0}
        self._sizes.setdefault(path, 0)
        self._folder.mkdir(parents=True, exist_ok=True)
        staged = self._folder / str(len(self._moves))
        self._open = path, open(staged, "wb")
        self._moves.append([str(staged), str(self._target / parts), self._sizes[path]])

    def _finish(self) -> None:
        if self._open is not None:
            stream = self._open[1]
            stream.flush()
            os.fsync(stream.fileno())
            stream.close()
        self._open = None

    def prepare_commit(self, checkpoint_id: int) -> Committable | None:
        self._finish()
        if not self._moves:
            return None
        prepared = {"moves": self._moves, "folder": str(self._folder)}
        self._moves, self._folder = [], self._staging / batch_folder(self._task)
        return prepared

    def state(self) -> State | None:
        return dict(self._sizes)

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
        shutil.rmtree(self._folder, ignore_errors=True)
