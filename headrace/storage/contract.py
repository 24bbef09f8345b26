"""The contract of a storage: where bytes lie, and what it promises of them.

A storage is one file here, and one file of connectors that names it (`connectors/local_file.py` is the pattern). It is
made anew in every process that needs it; making it opens nothing. `headrace.testing.StorageContract` is the suite that
it must pass.

Paths are texts with `/`; what they begin with (a root, a bucket, a host) is the storage's own. Every method raises
Unavailable where trying again may help, Rejected where it cannot; both say what was tried, why not, and the cure.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, BinaryIO, ClassVar, NamedTuple

from headrace.storage.claims import Claim
from headrace.storage.opened import Opened

Staged = Any
"""What `Storage.publish` needs of one staged file, kept in checkpoints. JSON-serialisable; the storage's own."""


class Stat(NamedTuple):
    """What a storage tells of a file without reading it.

    modified: nanoseconds since 1970. version: changes whenever the content does, for files of one size. kept: names the
    file for as long as it exists, whatever its path becomes; empty where the storage cannot tell. created: like
    modified; that of the last change where it is not known. touched: changes with whatever is known of the file.
    """

    path: str
    size: int
    modified: int
    version: str
    is_folder: bool = False
    kept: str = ""
    created: int = 0
    touched: int = 0


class Left(NamedTuple):
    """What is staged under one claim in one area: files that are not published, and marks of those that are.

    place: where, for people. modified: seconds since 1970, of the newest. size: bytes.
    """

    claim: Claim
    place: str
    modified: float
    size: int
    files: int


class StagedFile(ABC):
    """A file that is being written and that nobody sees, from `Storage.stage`. Used on one thread at a time."""

    stream: BinaryIO
    """Takes the bytes and tells how many they are; it need not seek. Errors as in `Storage.telling`."""

    @abstractmethod
    def finish(self) -> Staged:
        """The file is whole: make it durable, whatever happens to this process or machine. Once."""

    @abstractmethod
    def opened(self) -> Opened:
        """The finished file, to read back what was written; Rejected where that cannot be done before publication."""

    @abstractmethod
    def drop(self) -> None:
        """It will never be published. May be called at any time, also twice, and raises nothing."""


class Storage(ABC):
    """Reading, writing, and staging: a staged file is durable and invisible until it is published, whole, at once.

    One is used by many threads. Hidden is what lies in a folder, or has a name, that begins with a dot.
    Several machines may use one place at a time. Nothing is ever removed because of its age or because a file elsewhere
    is missing: what cannot be known to be over stays, see Claim.
    """

    lacks: ClassVar[Sequence[str]] = ()
    """What it cannot promise, a sentence each; `headrace check` and each run repeat them for sinks that write there."""

    is_of_one_machine: ClassVar[bool] = False
    """Whether what it holds may be out of reach for other machines, as on a disk that they need not share."""

    # ------------------------------------------------------------------------------------------------------- reading

    @abstractmethod
    def stat(self, path: str) -> Stat | None:
        """A file or folder, through links; None where there is nothing. A storage without folders calls a path one
        when something lies below it."""

    @abstractmethod
    def files(
        self,
        folder: str,
        enters: Callable[[str], bool] = lambda name: True,
        wants: Callable[[str], bool] = lambda path: True,
    ) -> Iterator[Stat]:
        """The files below a folder, in no order, page by page; one that goes meanwhile is left out.

        enters: by its name, whether a folder's files are wanted. wants: by its path, whether a file is.
        """

    def check_readable(self, path: str) -> None:
        """Raises Rejected where it is known without reading that a file cannot be read."""

    @abstractmethod
    def entries(self, folder: str) -> Iterator[Stat]:
        """What lies in a folder itself, files and folders, sorted by name; nothing where there is no folder."""

    @abstractmethod
    def open(self, path: str, size: int | None = None) -> Opened:
        """A file's bytes, by any range. size: where it is known, to save the question."""

    # ------------------------------------------------------------------------------------------------------- writing

    def telling(self, path: str) -> AbstractContextManager[None]:
        """Around the use of streams that write below `path`: what they raise becomes an error of the contract."""
        return nullcontext()

    @abstractmethod
    def write(self, path: str, content: bytes) -> None:
        """Write a small file whole or not at all, over one that is there; durable when this returns."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it; nothing there is no trouble."""

    @abstractmethod
    def make_folder(self, path: str) -> None:
        """So that it is there, with those above it; a storage without folders does nothing."""

    # ------------------------------------------------------------------------------------------------------- staging

    @abstractmethod
    def areas(self, targets: str, temporary: str) -> Sequence[str]:
        """The places where files for these targets may be staged, as far as they exist.

        targets: a folder, or with `${…}` in it the folders that it may come to. temporary: the option tmp_path.
        """

    @abstractmethod
    def stage(self, final: str, target: str, temporary: str, claim: Claim, after: int = 0) -> StagedFile:
        """Begin a file that is to be published as `final`, somewhere below the folder `target`.

        Its place or tag carries `claim.name`, so that `left` finds it. temporary: a folder to stage in, where it can
        be published from there at once. after: the file goes on after so many bytes of the one that is there then.
        """

    @abstractmethod
    def publish(self, target: str, claim: Claim, batch: str, checkpoint: int, staged: Sequence[Staged]) -> None:
        """Make the files of one batch visible; repeated, also by another machine, it changes nothing.

        When all are visible a mark stays, named by claim, batch and checkpoint, until `forget`. What is neither staged,
        nor marked, nor seen to be the published file, is lost: that raises Undelivered, never nothing.
        batch: a name that is unique within the claim.
        """

    @abstractmethod
    def drop(self, staged: Sequence[Staged]) -> None:
        """These files will not be published; one that was is left alone."""

    @abstractmethod
    def forget(self, areas: Iterable[str], claim: Claim, before: tuple[int, int]) -> None:
        """Remove the marks of the claim's job and pipeline whose (epoch, checkpoint) come before `before`."""

    @abstractmethod
    def remove(self, areas: Iterable[str], gone: Callable[[Claim], bool], *, marks: bool = True) -> None:
        """Remove what is staged under the claims that are `gone`, and their marks unless they are to stay."""

    @abstractmethod
    def left(self, areas: Iterable[str]) -> Iterator[Left]:
        """What is staged there, whoever's it is."""
