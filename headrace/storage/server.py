"""Servers that keep files in folders: files are staged in a hidden folder there, and published by renaming them."""

import contextlib
import hashlib
import logging
import posixpath
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, BinaryIO, Generic, NamedTuple, TypeVar

from headrace.errors import ConnectorError, Rejected, Unavailable, Undelivered
from headrace.storage.claims import Claim
from headrace.storage.contract import Left, Staged, StagedFile, Stat, Storage
from headrace.storage.opened import Opened
from headrace.storage.ranged import all_done, requests
from headrace.storage.spool import Spool

LOG = logging.getLogger("headrace.plugin")

STAGING = ".headrace-staging"
"""The folder of staged files and marks, within a target and within tmp_path."""

_MARK = ".published"

PIECE = 8 << 20
"""Bytes of a file that are sent at a time."""

ATTEMPTS = 5
"""How often something is asked before the engine hears that the server cannot be used."""

L = TypeVar("L")
T = TypeVar("T")


class FileServer(ABC):
    """What a storage asks of one server. Used by many threads; paths are absolute, or begin where the user logs in.

    What breaks in passing is tried again; then it is Unavailable, and Rejected where trying again cannot help.
    """

    @abstractmethod
    def url(self, path: str) -> str:
        """What messages call a file or folder."""

    @abstractmethod
    def stat(self, path: str) -> Stat | None:
        """See Storage.stat."""

    @abstractmethod
    def entries(self, folder: str, wants: Callable[[str], bool] = lambda path: True) -> list[Stat]:
        """What lies in a folder itself, in no order; nothing where there is no folder.

        wants: by its path, whether a file is to be among them.
        """

    @abstractmethod
    def open(self, path: str, size: int | None) -> Opened:
        """See Storage.open."""

    @abstractmethod
    def put(self, path: str, start: int, content: bytes) -> bool:
        """Write bytes behind the first `start` ones, of which there are so many; with 0 the file is made, or made anew.

        May be repeated. False where there is no such folder, or no such file to write on.
        """

    def flush(self, path: str) -> None:
        """The file is there after a power cut of the server, as far as the server can do that."""

    @abstractmethod
    def rename(self, path: str, new: str) -> bool:
        """Give a file another path, over one that is there; False where there is no such file."""

    @abstractmethod
    def unlink(self, path: str) -> bool:
        """Remove a file or a link, if it is there. False where it is a folder."""

    @abstractmethod
    def make_folder(self, path: str) -> None:
        """So that it is there, with those above it."""

    @abstractmethod
    def remove_folder(self, path: str) -> None:
        """Remove a folder that is empty; otherwise nothing."""

    @abstractmethod
    def set_modified(self, path: str, seconds: int) -> None:
        """Set when a file was changed, in seconds since 1970; nothing where the server does not do that."""


class Lines(Generic[L]):
    """Connections to one server. One is used by one thread at a time, and kept for the next.

    connect: makes one; raises Unavailable or Rejected. close: ends one. broken: what is raised where a connection has
    broken. most: how many are used at a time.
    """

    def __init__(
        self, connect: Callable[[], L], close: Callable[[L], None], broken: tuple[type[Exception], ...], most: int
    ) -> None:
        self._connect, self._close, self._broken = connect, close, broken
        self._room, self._lock, self._idle = threading.BoundedSemaphore(most), threading.Lock(), list[L]()

    def ask(self, told: str, ask: Callable[[L], T]) -> T:
        """What `ask` gives on a connection; tried again where that breaks, or what it raises is Unavailable.

        told: what is done, for messages.
        """
        failed = Unavailable(f"cannot {told}: the connection breaks again and again")
        wait = 0.0
        for _ in range(ATTEMPTS):
            if wait:
                LOG.warning("%s; it is tried again", failed.message)
                time.sleep(wait)
            with self._room:
                was_idle, line = False, None
                try:
                    was_idle, line = self._taken()
                    found = ask(line)
                except self._broken as error:
                    failed = Unavailable(f"cannot {told}: {shown(error)}")
                    self._end([*([] if line is None else [line]), *self._all_idle()])
                except Unavailable as error:
                    failed = error
                    self._keep(line)
                except (ConnectorError, FileNotFoundError):
                    self._keep(line)
                    raise
                except BaseException:
                    self._end([] if line is None else [line])
                    raise
                else:
                    self._keep(line)
                    return found
            wait = 0 if was_idle else 2 * wait or 0.2  # a connection that was not used for long may have been given up
        raise failed

    def hold(self) -> L:
        """A connection for as long as the caller needs it, beside those that are used at a time."""
        return self._taken()[1]

    def release(self, line: L) -> None:
        """A held one may serve others."""
        self._keep(line)

    def _taken(self) -> tuple[bool, L]:
        """Whether it was kept, and the connection."""
        with self._lock:
            if self._idle:
                return True, self._idle.pop()
        return False, self._connect()

    def _keep(self, line: L | None) -> None:
        if line is not None:
            with self._lock:
                self._idle.append(line)

    def _all_idle(self) -> list[L]:
        with self._lock:
            found, self._idle = self._idle, []
        return found

    def _end(self, lines: Iterable[L]) -> None:
        for line in lines:
            with contextlib.suppress(Exception):
                self._close(line)


def shown(error: Exception) -> str:
    """What a library says of a broken connection."""
    told = str(getattr(error, "strerror", None) or error).strip().rstrip(".")
    return told or "the connection was closed"


class ServerStorage(Storage):
    """Files are staged in a hidden folder: in tmp_path where a rename reaches the target from there, else in the target
    itself. Marks lie in the target's, so that they last as long as it does.

    What a writer has written lies in a temporary file of this machine, too, until its file is finished. A file that was
    renamed before its mark was made is known by what it holds.
    """

    def __init__(self, server: FileServer) -> None:
        self._server = server
        self._reaching: dict[tuple[str, str], bool] = {}

    # ------------------------------------------------------------------------------------------------------- reading

    def stat(self, path: str) -> Stat | None:  # noqa: D102
        return self._server.stat(path)

    def files(  # noqa: D102
        self,
        folder: str,
        enters: Callable[[str], bool] = lambda name: True,
        wants: Callable[[str], bool] = lambda path: True,
    ) -> Iterator[Stat]:
        folders = [folder]
        while folders:
            for one in self._server.entries(folders.pop(), wants):
                if not one.is_folder:
                    yield one
                elif enters(posixpath.basename(one.path)):
                    folders.append(one.path)

    def entries(self, folder: str) -> Iterator[Stat]:  # noqa: D102
        yield from sorted(self._server.entries(folder))

    def open(self, path: str, size: int | None = None) -> Opened:  # noqa: D102
        return self._server.open(path, size)

    # ------------------------------------------------------------------------------------------------------- writing

    def write(self, path: str, content: bytes) -> None:
        """As a hidden file that is renamed. Its time is moved on where it would not tell the two apart."""
        hidden = posixpath.join(posixpath.dirname(path), f".headrace-{secrets.token_hex(8)}.tmp")
        before = self._server.stat(path)
        try:
            self._make(hidden, content)
            self._server.flush(hidden)
            now = self._server.stat(hidden)
            if before is not None and now is not None and (before.size, before.version) == (now.size, now.version):
                self._server.set_modified(hidden, before.modified // 1_000_000_000 + 1)
            self._server.rename(hidden, path)
        except BaseException:
            with contextlib.suppress(ConnectorError):
                self._server.unlink(hidden)
            raise

    def delete(self, path: str) -> None:  # noqa: D102
        if not self._server.unlink(path):
            for one in self._server.entries(path):
                self.delete(one.path)
            self._server.remove_folder(path)

    def make_folder(self, path: str) -> None:  # noqa: D102
        self._server.make_folder(path)

    def _make(self, path: str, content: bytes) -> None:
        """Make a file, and its folder; somebody may remove that meanwhile because it is empty."""
        while not self._server.put(path, 0, content):
            self._server.make_folder(posixpath.dirname(path))

    # ------------------------------------------------------------------------------------------------------- staging

    def areas(self, targets: str, temporary: str) -> Sequence[str]:
        """With placeholders in `targets`, all below the part before the first one."""
        begin, filled, _ = targets.partition("${")
        found = {_area(temporary)}
        if not filled:
            found.add(_area(targets))
        elif (base := posixpath.dirname(begin)) not in ("", "/"):
            found |= set(self._areas_below(base))
        return sorted(area for area in found if self._is_folder(area))

    def _areas_below(self, folder: str) -> Iterator[str]:
        folders = [folder]
        while folders:
            for one in self._server.entries(folders.pop(), lambda path: False):
                if posixpath.basename(one.path) == STAGING:
                    yield one.path
                else:
                    folders.append(one.path)

    def _is_folder(self, path: str) -> bool:
        found = self._server.stat(path)
        return found is not None and found.is_folder

    def stage(self, final: str, target: str, temporary: str, claim: Claim, after: int = 0) -> StagedFile:  # noqa: D102
        area = _area(temporary if self._reaches(temporary, target, claim) else target)
        staged = f"{area}/{claim.name}/{secrets.token_hex(10)}"
        self._make(staged, b"")
        return self.staged_file(staged, final, after)

    def staged_file(self, staged: str, final: str, after: int) -> "ServerStagedFile":
        """What `stage` gives; the file is there, and empty."""
        return ServerStagedFile(self, self._server, staged, final, after)

    def _reaches(self, temporary: str, target: str, claim: Claim) -> bool:
        """Whether a file of tmp_path can be renamed into the target, which one of another disk cannot. It is tried."""
        known = self._reaching.get((temporary, target))
        if known is None:
            token = secrets.token_hex(10)
            here, there = (f"{_area(folder)}/{claim.name}/{token}" for folder in (temporary, target))
            self._make(there, b"")
            try:
                self._make(here, b"")
                known = self._server.rename(here, there)
            except Rejected:
                known = False
            self.drop([{"staged": path} for path in (here, there)])
            self._reaching[temporary, target] = known
        return known

    def publish(  # noqa: D102
        self, target: str, claim: Claim, batch: str, checkpoint: int, staged: Sequence[Staged]
    ) -> None:
        mark = f"{_area(target)}/{claim.name}/{checkpoint}-{batch}{_MARK}"
        if self._server.stat(mark) is None:
            for folder in {posixpath.dirname(item["final"]) for item in staged}:
                self._server.make_folder(folder)
            all_done(requests().submit(self._show, item) for item in staged)
            self._make(mark, b"")
            self._server.flush(mark)
        for item in staged:
            if item["after"]:
                self._server.unlink(item["staged"])

    def _show(self, item: Mapping[str, Any]) -> None:
        """Make one file visible, unless it is."""
        staged, final = item["staged"], item["final"]
        is_shown = self._join(item) if item["after"] else self._server.rename(staged, final)
        if not is_shown and not self._is_shown(item):
            raise Undelivered(
                f"the rows that a checkpoint holds as staged for {self._server.url(final)} are lost: "
                f"{self._server.url(staged)} is gone, and was not published. Who removed it must put it back; else "
                "start the job anew under a new job id"
            )

    def _is_shown(self, item: Mapping[str, Any]) -> bool:
        """Whether a file ends with what was staged, and with no more."""
        final, after = item["final"], item["after"]
        found = self._server.stat(final)
        if found is None or found.size != after + item["size"]:
            return False
        digest = hashlib.blake2b(digest_size=DIGEST)
        with self._server.open(final, found.size).stream() as stream:
            stream.seek(after)
            for part in iter(lambda: stream.read(1 << 20), b""):
                digest.update(part)
        return digest.hexdigest() == item["digest"]

    def _join(self, item: Mapping[str, Any]) -> bool:
        """Put staged bytes behind the first ones of the file that is there, in a copy that takes its place; repeating
        it changes nothing. False where nothing is staged."""
        staged, final, after = item["staged"], item["final"], item["after"]
        there = self._server.stat(final)
        if there is None or there.size < after:
            raise Undelivered(
                f"{self._server.url(final)} must hold {after} bytes of the checkpoints before, and does not; put it "
                "back, or start the job anew under a new job id"
            )
        if self._server.stat(staged) is None:
            return False
        copy, place = f"{staged}-{secrets.token_hex(4)}", 0
        with self._server.open(final, there.size).stream() as before, self.open(staged, item["size"]).stream() as rest:
            while part := before.read(min(PIECE, after - place)) if place < after else rest.read(PIECE):
                self._server.put(copy, place, part)
                place += len(part)
        if place != after + item["size"]:
            raise Unavailable(f"cannot write {self._server.url(final)}: it changed while it was gone on with")
        self._server.flush(copy)
        return self._server.rename(copy, final)

    def drop(self, staged: Sequence[Staged]) -> None:
        """What cannot be removed now is found again by its claim."""
        for item in staged:
            with contextlib.suppress(ConnectorError):
                self._server.unlink(item["staged"])
                self._remove_empty(posixpath.dirname(item["staged"]))

    def _remove_empty(self, folder: str) -> None:
        """A claim's folder and the area around it, as far as they are empty."""
        self._server.remove_folder(folder)
        self._server.remove_folder(posixpath.dirname(folder))

    def forget(self, areas: Iterable[str], claim: Claim, before: tuple[int, int]) -> None:  # noqa: D102
        for place in self._claimed(areas):
            owner = place.owner
            if owner.is_of_job(claim) and owner.pipeline == claim.pipeline and owner.epoch <= before[0]:
                for one in self._server.entries(place.folder):
                    name = posixpath.basename(one.path)
                    if name.endswith(_MARK) and (owner.epoch, int(name.partition("-")[0])) < before:
                        self._server.unlink(one.path)
                if owner.epoch < claim.epoch:
                    self._remove_empty(place.folder)

    def remove(  # noqa: D102
        self, areas: Iterable[str], gone: Callable[[Claim], bool], *, marks: bool = True
    ) -> None:
        for place in self._claimed(areas):
            if gone(place.owner):
                for one in self._server.entries(place.folder):
                    if marks or not one.path.endswith(_MARK):
                        self._server.unlink(one.path)
                self._remove_empty(place.folder)

    def left(self, areas: Iterable[str]) -> Iterator[Left]:  # noqa: D102
        for place in self._claimed(areas):
            found = self._server.entries(place.folder)
            newest = max(one.modified for one in (place.stat, *found)) / 1e9
            size = sum(one.size for one in found)
            yield Left(place.owner, self._server.url(place.folder), newest, size, len(found))

    def _claimed(self, areas: Iterable[str]) -> "Iterator[_Place]":
        """The folders of claims in these areas."""
        for area in areas:
            for one in self._server.entries(area):
                if one.is_folder and (claim := Claim.read(posixpath.basename(one.path))) is not None:
                    yield _Place(one.path, claim, one)


DIGEST = 20
"""Bytes of the digest of a staged file."""


class _Place(NamedTuple):
    folder: str
    owner: Claim
    stat: Stat


class ServerStagedFile(StagedFile):
    """Pieces are sent one after the other, while the next ones are written."""

    def __init__(self, storage: ServerStorage, server: FileServer, staged: str, final: str, after: int) -> None:
        self._storage, self._server = storage, server
        self._staged, self._final, self._after = staged, final, after
        self._sent, self._digest = 0, hashlib.blake2b(digest_size=DIGEST)
        self._sending: Future[None] = Future()
        self._sending.set_result(None)
        self._spool = Spool(self._written)
        self.stream: BinaryIO = self._spool.stream

    def _written(self, size: int) -> None:
        if size - self._sent >= PIECE and self._sending.done():
            self._sending.result()
            self._spool.flush()
            self._sending = requests().submit(self._send, size)

    def _send(self, end: int) -> None:
        while self._sent < end:
            part = self._spool.part(self._sent, min(PIECE, end - self._sent))
            if not self._server.put(self._staged, self._sent, part):
                raise Rejected(
                    f"cannot write {self._server.url(self._staged)}: it was removed while it was written; see who "
                    f"removes files of {STAGING}"
                )
            self._digest.update(part)
            self._sent += len(part)

    def finish(self) -> Staged:  # noqa: D102
        try:
            self._sending.result()
            self._spool.flush()
            size = self._spool.tell()
            self._send(size)
            self._end()
            found = self._server.stat(self._staged)
            if found is None or found.size != size:
                there = "nothing" if found is None else f"{found.size} bytes"
                raise Unavailable(
                    f"cannot write {self._server.url(self._staged)}: there is {there} of {size} bytes that were sent"
                )
        except BaseException:
            self.drop()
            raise
        self._spool.close()
        places = {"staged": self._staged, "final": self._final, "after": self._after}
        return {**places, "size": size, "digest": self._digest.hexdigest()}

    def _end(self) -> None:
        """What was sent is durable."""
        self._server.flush(self._staged)

    def opened(self) -> Opened:  # noqa: D102
        return self._spool.opened(self._final)

    def drop(self) -> None:  # noqa: D102
        self._spool.close()
        if not self._sending.cancel():
            self._sending.exception()
        self._storage.drop([{"staged": self._staged}])


def _area(folder: str) -> str:
    return posixpath.join(folder, STAGING)
