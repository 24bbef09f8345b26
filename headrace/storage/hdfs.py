"""Files of HDFS: by the RPC of its NameNode, through the library hdfs-native; or by WebHDFS."""

import contextlib
import hashlib
import logging
import os
import posixpath
import re
import secrets
import sys
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Protocol, TypeVar

from headrace.errors import ConnectorError, MissingExtra, Rejected, Unavailable
from headrace.reach import is_guarded, is_named
from headrace.storage.contract import Stat
from headrace.storage.hadoop import HdfsPlace, name_nodes, refusal, settings_of
from headrace.storage.opened import Opened
from headrace.storage.ranged import RangedFile
from headrace.storage.server import ATTEMPTS, DIGEST, PIECE, FileServer, ServerStagedFile, ServerStorage

LOG = logging.getLogger("headrace.plugin")

T = TypeVar("T")


class Writer(Protocol):
    """A file that is written from its first byte on."""

    def write(self, data: bytes) -> Any:
        """The next bytes. Raises Unavailable or Rejected."""

    def close(self) -> None:
        """It is whole, and as durable as the cluster makes it. Raises Unavailable or Rejected."""


class HdfsServer(FileServer):
    """What both ways to a cluster have in common. A file is written in one go: what was gone on with cannot be cut."""

    def __init__(self, place: HdfsPlace) -> None:
        self.place = place

    def url(self, path: str) -> str:  # noqa: D102
        return f"{self.place.url}{path}"

    @abstractmethod
    def create(self, path: str) -> Writer:
        """Begin a file, over one that is there, with the folders above it. Raises Unavailable or Rejected."""

    @abstractmethod
    def append(self, path: str, content: bytes) -> None:
        """Bytes behind those that are there. Raises FileNotFoundError; Unavailable where it is not known how far."""

    @abstractmethod
    def read(self, path: str, start: int, size: int) -> bytes:
        """A range, or less where the file ends before. Raises FileNotFoundError."""

    @abstractmethod
    def move(self, path: str, new: str) -> None:
        """Rename a file over what is there. Raises FileNotFoundError, also where the new folder is not there."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file, or a folder that is empty."""

    def open(self, path: str, size: int | None) -> Opened:  # noqa: D102
        if size is None:
            found = self.stat(path)
            if found is None:
                raise Rejected(f"cannot read {self.url(path)}: there is no such file; correct `path`")
            size = found.size
        return _HdfsFile(self, path, size)

    def put(self, path: str, start: int, content: bytes) -> bool:  # noqa: D102
        try:
            if start:
                self.append(path, content)
            else:
                self._put_whole(path, content)
        except FileNotFoundError:
            return False
        return True

    def _put_whole(self, path: str, content: bytes) -> None:
        for attempt in range(ATTEMPTS):
            try:
                writer = self.create(path)
                if content:
                    writer.write(content)
                writer.close()
            except Unavailable as error:
                if attempt == ATTEMPTS - 1:
                    raise
                LOG.warning("%s; it is sent again", error)
                time.sleep(0.1 * 2**attempt)
            else:
                return

    def rename(self, path: str, new: str) -> bool:  # noqa: D102
        while True:
            try:
                self.move(path, new)
            except FileNotFoundError:
                if self.stat(path) is None:
                    return False
                self.make_folder(posixpath.dirname(new))  # somebody has removed it, because it was empty
            else:
                return True

    def unlink(self, path: str) -> bool:  # noqa: D102
        found = self.stat(path)
        if found is not None and not found.is_folder:
            self.remove(path)
        return found is None or not found.is_folder

    def remove_folder(self, path: str) -> None:  # noqa: D102
        if (found := self.stat(path)) is not None and found.is_folder and not self.entries(path):
            with contextlib.suppress(Rejected):  # somebody has put something into it
                self.remove(path)


class HdfsStorage(ServerStorage):
    """See ServerStorage. Versions of files are their times in milliseconds."""

    def __init__(self, place: HdfsPlace) -> None:
        super().__init__(server_of(place))

    def staged_file(self, staged: str, final: str, after: int) -> ServerStagedFile:  # noqa: D102
        return _HdfsStagedFile(self, self._server, staged, final, after)


@cache
def server_of(place: HdfsPlace) -> HdfsServer:
    """By the way that the place's scheme names.

    The library opens its sockets where the guard of a server's jobs does not see them, to DataNodes of which the
    NameNode tells: so jobs of a server go by WebHDFS, unless its operator has named the NameNodes as hosts to trust.
    """
    from headrace.storage.webhdfs import WebHdfsServer

    if place.scheme != "hdfs":
        return WebHdfsServer(place)
    if is_guarded():
        hosts = [node.rpc.rpartition(":")[0].strip("[]") for node in name_nodes(place, settings_of(place))]
        if not all(map(is_named, hosts)):
            return WebHdfsServer(place)
    return RpcServer(place)


class _HdfsFile(RangedFile):
    """A file, of which all ranges are of one version."""

    def __init__(self, server: HdfsServer, path: str, size: int) -> None:
        super().__init__(server.url(path), size, self._range)
        self._server, self._path, self._version = server, path, ""

    def _range(self, start: int, end: int) -> bytes:
        told, failed = f"cannot read {self.name}", None
        content = b""
        try:
            content = self._server.read(self._path, start, end - start)
        except FileNotFoundError:
            raise Rejected(f"{told}: it is gone; start the job anew") from None
        except ConnectorError as error:  # as of blocks of a file that another has replaced
            failed = error
        found = self._server.stat(self._path)
        if found is None:
            raise Rejected(f"{told}: it is gone; start the job anew")
        now = f"{found.size} {found.version}"
        if self._version not in ("", now) or found.size < end:
            raise Rejected(f"{told}: it was changed meanwhile; start the job anew")
        if failed is not None:
            raise failed
        if len(content) != end - start:
            raise Unavailable(f"{told}: {len(content)} bytes came instead of {end - start}")
        self._version = now
        return content


class _HdfsStagedFile(ServerStagedFile):
    """Sent in one go. Where that breaks it is sent anew under another name, from what is kept here."""

    _server: HdfsServer
    _writer: Writer | None = None

    def _send(self, end: int) -> None:
        self._tried(lambda: self._write(end))

    def _end(self) -> None:
        def close() -> None:
            size = self._spool.tell()
            self._write(size)
            if self._writer is not None:
                self._writer.close()

        self._tried(close)
        self._writer = None

    def _tried(self, act: Callable[[], None]) -> None:
        for attempt in range(ATTEMPTS):
            try:
                act()
            except (Unavailable, FileNotFoundError) as error:
                self._begin_anew()
                if attempt == ATTEMPTS - 1:
                    if isinstance(error, FileNotFoundError):
                        told = f"cannot write {self._server.url(self._staged)}"
                        raise Unavailable(f"{told}: it was removed while it was written") from error
                    raise
                LOG.warning("%s; it is sent again", error)
                time.sleep(2**attempt)  # 15 s in all: so long a DataNode or another NameNode takes to come
            else:
                return

    def _write(self, end: int) -> None:
        if self._writer is None:
            self._writer = self._server.create(self._staged)
        while self._sent < end:
            part = self._spool.part(self._sent, min(PIECE, end - self._sent))
            self._writer.write(part)
            self._digest.update(part)
            self._sent += len(part)

    def _begin_anew(self) -> None:
        """Under another name: who was cut off may still write to the old one."""
        self._writer, self._sent, self._digest = None, 0, hashlib.blake2b(digest_size=DIGEST)
        old, folder = self._staged, posixpath.dirname(self._staged)
        self._staged = f"{folder}/{secrets.token_hex(10)}"
        with contextlib.suppress(ConnectorError):
            self._server.unlink(old)


# ----------------------------------------------------------------------------------------------------------------- RPC

_CONNECTING = {
    "dfs.client.failover.max.attempts": "2",
    "dfs.client.failover.sleep.base.millis": "200",
    "dfs.client.failover.sleep.max.millis": "1000",
}
"""How often the library itself tries each NameNode; the attempts here come on top."""


class RpcServer(HdfsServer):
    """The requests of one file system, which share the library's connections."""

    def __init__(self, place: HdfsPlace) -> None:
        super().__init__(place)
        self._made: Any = None
        self._making = threading.Lock()

    def _client(self) -> Any:
        with self._making:
            if self._made is None:
                self._made = self._new_client()
            return self._made

    def _new_client(self) -> Any:
        place, library = self.place, _library()
        settings = {**settings_of(place), **_CONNECTING}
        if place.principal:
            settings["hadoop.security.authentication"] = "kerberos"
        nodes = name_nodes(place, settings)
        names = f"dfs.ha.namenodes.{place.host}"
        if several := place.port is None and names in settings:
            settings[names] = "".join(settings[names].split())  # the library takes blanks for parts of names
        url = f"hdfs://{place.host if several else nodes[0].rpc}"
        with contextlib.suppress(OSError):
            return library.Client(
                url, settings, kerberos_principal=place.principal or None, kerberos_keytab=place.keytab or None
            )
        raise Rejected(f"cannot use {place.url}: no NameNode of {place.host!r} is known; correct hdfs_site_path")

    def _ask(self, verb: str, path: str, ask: Callable[[Any], T], attempts: int = ATTEMPTS) -> T:
        """What `ask` gives of a client, tried again where that may help. Raises FileNotFoundError."""
        told = f"cannot {verb} {self.url(path)}"
        failed: Exception = Unavailable(told)
        for attempt in range(attempts):
            if attempt:
                LOG.warning("%s; it is tried again", failed)
                time.sleep(0.1 * 2**attempt)
            try:
                with _USERS.acting(self.place.user):
                    return ask(self._client())
            except FileNotFoundError:
                raise
            except ConnectorError as error:
                failed = error
            except (Exception, _panic()) as error:
                failed = self._meant(told, error)
            if not isinstance(failed, Unavailable):
                raise failed
        raise failed

    def _meant(self, told: str, error: BaseException) -> Exception:
        """What the library raised: an exception of the cluster with its class, or what became of a connection."""
        text = str(error)
        if found := _JAVA.match(text):
            message = found[2].replace("\\n", "\n").replace('\\"', '"').replace("\\'", "'")
            return refusal(told, found[1], message, self.place.user)
        why = text.partition("\n")[0].partition(" [")[0].rstrip(":. ") or f"it failed ({type(error).__name__})"
        if isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
            return Rejected(f"{told}: {why}")
        return Unavailable(f"{told}: {why}; see whether fs.defaultFS is right")

    def stat(self, path: str) -> Stat | None:  # noqa: D102
        try:
            return _stat(path, self._ask("read", path, lambda client: client.get_file_info(path)))
        except FileNotFoundError:
            return None

    def entries(self, folder: str, wants: Callable[[str], bool] = lambda path: True) -> list[Stat]:  # noqa: D102
        def ask(client: Any) -> list[Stat]:
            found = []
            for one in client.list_status(folder):
                path = posixpath.join(folder, posixpath.basename(one.path))
                if one.path.rstrip("/") != folder.rstrip("/") and (one.isdir or wants(path)):
                    found.append(_stat(path, one))
            return found

        try:
            return self._ask("list", folder, ask)
        except FileNotFoundError:
            return []

    def read(self, path: str, start: int, size: int) -> bytes:  # noqa: D102
        def ask(client: Any) -> bytes:
            file = client.read(path)
            return bytes(file.read_range(start, size)) if start + size <= len(file) else b""

        return self._ask("read", path, ask)

    def create(self, path: str) -> Writer:  # noqa: D102
        options = _library().WriteOptions(overwrite=True, create_parent=True)
        return _RpcWriter(self, path, self._ask("write", path, lambda client: client.create(path, options)))

    def append(self, path: str, content: bytes) -> None:  # noqa: D102
        def ask(client: Any) -> None:
            with client.append(path) as file:
                file.write(content)

        self._ask("write", path, ask, attempts=1)

    def move(self, path: str, new: str) -> None:  # noqa: D102
        self._ask("rename", path, lambda client: client.rename(path, new, overwrite=True))

    def remove(self, path: str) -> None:  # noqa: D102
        with contextlib.suppress(FileNotFoundError):
            self._ask("remove", path, lambda client: client.delete(path, recursive=False))

    def make_folder(self, path: str) -> None:  # noqa: D102
        self._ask("write", path, lambda client: client.mkdirs(path, 0o755, create_parent=True))

    def set_modified(self, path: str, seconds: int) -> None:  # noqa: D102
        milliseconds = seconds * 1000
        self._ask("write", path, lambda client: client.set_times(path, milliseconds, milliseconds))


class _RpcWriter:
    """See Writer. What it was told to write may not be told again."""

    def __init__(self, server: RpcServer, path: str, file: Any) -> None:
        self._server, self._path, self._file = server, path, file

    def write(self, data: bytes) -> None:
        self._server._ask("write", self._path, lambda client: self._file.write(data), attempts=1)

    def close(self) -> None:
        def ask(client: Any) -> None:
            try:
                self._file.hsync()
            except Exception as error:  # files with erasure codes have no such thing
                LOG.debug("%s: %s", self._path, error)
            self._file.close()

        self._server._ask("write", self._path, ask, attempts=1)


def _stat(path: str, found: Any) -> Stat:
    modified = found.modification_time * 1_000_000
    return Stat(path, found.length, modified, str(found.modification_time), found.isdir, created=modified)


class _Users:
    """The library takes the user from the environment whenever it connects: those of one user act at a time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._user, self._acting, self._waiting = "", 0, 0

    @contextlib.contextmanager
    def acting(self, user: str) -> Iterator[None]:
        """Act as a user; as who the environment names where it is empty."""
        with self._changed:
            while self._acting and (user != self._user or self._waiting):
                self._waiting += user != self._user
                try:
                    self._changed.wait()
                finally:
                    self._waiting -= user != self._user
            if user != self._user:
                self._name(user)
            self._acting += 1
        try:
            yield
        finally:
            with self._changed:
                self._acting -= 1
                self._changed.notify_all()

    def _name(self, user: str) -> None:
        if not self._user:
            self._own = os.environ.get(_USER)
        self._user, named = user, user or self._own
        if named is None:
            os.environ.pop(_USER, None)
        else:
            os.environ[_USER] = named


_USER = "HADOOP_USER_NAME"

_USERS = _Users()

_JAVA = re.compile(r'\w*RPCError\("([\w.$]+)", "(.*)', re.DOTALL)
"""How the library tells an exception of the cluster."""


def _panic() -> type[BaseException]:
    """What the library raises where it has met what it did not expect."""
    found = sys.modules.get("pyo3_runtime")
    return getattr(found, "PanicException", RuntimeError)


def _library() -> Any:
    try:
        import hdfs_native
    except ImportError as error:
        msg = "needs the Python package 'hdfs-native': pip install 'headrace[hdfs]'"
        raise MissingExtra(msg) from error
    return hdfs_native
