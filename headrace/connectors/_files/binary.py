"""Writing binary files: pieces with the path of their file, each file under the name it had."""

from pathlib import PurePosixPath

from headrace.connector import Batch, Committable, SinkWriter, State
from headrace.connectors._files.staging import Staging
from headrace.errors import Rejected
from headrace.storage.contract import StagedFile


class BinaryFilesWriter(SinkWriter):
    """A file that goes on over a checkpoint is continued: what is visible of it grows with each one.

    Its state is the bytes that each file has so far.
    """

    def __init__(self, staging: Staging, state: State | None) -> None:
        self._staging = staging
        self._sizes: dict[str, int] = dict(state or {})
        self._open: tuple[str, StagedFile] | None = None

    def write(self, batch: Batch) -> None:
        data, paths, numbers = (batch.rows.column(name) for name in ("data", "relativePath", "partIndex"))
        for piece, path, number in zip(data, paths.to_pylist(), numbers.to_pylist(), strict=True):
            if self._open is None or self._open[0] != path:
                self._begin(str(path), number)
            assert self._open is not None
            if piece.is_valid:
                with self._staging.telling():
                    self._sizes[path] += self._open[1].stream.write(piece.as_buffer())

    def _begin(self, path: str, number: int) -> None:
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts or not parts.name:
            raise Rejected(f"cannot write a file called {path!r}: relativePath must stay below the target directory")
        self._finish()
        if number == 0:
            self._sizes = {path: 0}
        self._sizes.setdefault(path, 0)
        self._open = path, self._staging.file(str(parts), self._sizes[path])

    def _finish(self) -> None:
        if self._open is not None:
            file, self._open = self._open[1], None
            self._staging.add(file.finish())

    def prepare_commit(self, checkpoint_id: int) -> Committable | None:
        self._finish()
        return self._staging.prepared(checkpoint_id)

    def state(self) -> State | None:
        return dict(self._sizes)

    def close(self) -> None:
        if self._open is not None:
            self._open[1].drop()
        self._staging.drop()
