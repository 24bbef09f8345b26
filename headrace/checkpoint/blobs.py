"""Where small named contents lie: one contract for directories and object stores. Whole or not at all (guarantee 5)."""

import contextlib
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from headrace.errors import StoreUnavailable
from headrace.storage.local import FileLock, write_whole

Tag = Any
"""What `swap` compares: the version of a content that was read."""


class Blobs(ABC):
    """Names are paths with `/`, contents a few kilobytes. Every method raises StoreUnavailable when it cannot be done.

    What one process has put, every other process reads and lists from then on.
    """

    place: str
    """Where it is, for messages; holds no secret."""

    @abstractmethod
    def get(self, name: str) -> tuple[bytes, Tag] | None:
        """A content and its version; None when there is none."""

    @abstractmethod
    def put(self, name: str, content: bytes) -> None:
        """Store a content whole, over one that is there; durable when this returns."""

    @abstractmethod
    def swap(self, name: str, content: bytes, tag: Tag | None) -> bool:
        """Store a content if the one that is there has this version, or if there is none and `tag` is None."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """All names below `folder`, in no order."""

    @abstractmethod
    def delete(self, names: Iterable[str]) -> None:
        """Remove contents, one after the other; those that are not there are no trouble."""


class FileBlobs(Blobs):
    """Files below a directory: written under another name, synced and renamed; swapped under a lock."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, str(folder)

    def get(self, name: str) -> tuple[bytes, Tag] | None:  # noqa: D102
        with self._translated():
            try:
                content = (self.folder / name).read_bytes()
            except FileNotFoundError:
                return None
            return content, content

    def put(self, name: str, content: bytes) -> None:  # noqa: D102
        with self._translated():
            write_whole(self.folder / name, content)

    def swap(self, name: str, content: bytes, tag: Tag | None) -> bool:  # noqa: D102
        file = self.folder / name
        with self._translated(), closing(FileLock(self.folder / ".lock", wait=True)):
            if (file.read_bytes() if file.exists() else None) != tag:
                return False
            write_whole(file, content)
            return True

    def names(self, folder: str) -> list[str]:  # noqa: D102
        with self._translated():
            try:
                found = os.listdir(self.folder / folder)
            except (FileNotFoundError, NotADirectoryError):
                return []
            return [f"{folder}/{name}" for name in found if not name.startswith(".")]

    def delete(self, names: Iterable[str]) -> None:
        """Once a directory is empty it goes, with what an interrupted writing has left in it."""
        files = [self.folder / name for name in names]
        with self._translated():
            for file in files:
                file.unlink(missing_ok=True)
            for folder in {file.parent for file in files}:
                with contextlib.suppress(FileNotFoundError):
                    if all(name.startswith(".") for name in os.listdir(folder)):
                        shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(
                f"cannot use the checkpoint directory {self.folder}: {error.strerror or error}"
            ) from error
