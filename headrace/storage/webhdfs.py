"""WebHDFS: the files of a cluster by HTTP. A NameNode answers, and sends who wants bytes to a DataNode.

Source: https://hadoop.apache.org/docs/stable/hadoop-project-dist/hadoop-hdfs/WebHDFS.html
"""

import http.client
import json
import posixpath
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from headrace.errors import ConnectorError, Rejected, Unavailable
from headrace.storage.contract import Stat
from headrace.storage.hadoop import HdfsPlace, NameNode, name_nodes, refusal, settings_of
from headrace.storage.hdfs import HdfsServer, Writer
from headrace.storage.server import Lines, shown

T = TypeVar("T")

_SECONDS = 60
"""How long an answer may take."""

_LINES = 8
"""Connections to NameNodes that are used at a time."""

_PREFIX = "/webhdfs/v1"


class _Line(NamedTuple):
    """A connection to one NameNode."""

    node: NameNode
    http: http.client.HTTPConnection


class _Answer(NamedTuple):
    status: int
    content: bytes
    location: str

    def told(self, key: str) -> Any:
        """A part of what JSON says."""
        return json.loads(self.content)[key]


class _Broken(Exception):
    """The connection is of no use."""


class WebHdfsServer(HdfsServer):
    """The requests of one file system, on connections to the NameNode that is active."""

    def __init__(self, place: HdfsPlace) -> None:
        super().__init__(place)
        self._nodes: list[NameNode] = []
        self._turn, self._lock = 0, threading.Lock()
        self._lines = Lines(self._connect, lambda line: line.http.close(), (_Broken,), _LINES)

    # ------------------------------------------------------------------------------------------------------- requests

    def _connect(self) -> _Line:
        with self._lock:
            if not self._nodes:
                self._nodes = [node for node in name_nodes(self.place, settings_of(self.place)) if node.web]
            if not self._nodes:
                raise Rejected(f"cannot use {self.place.url}: no NameNode is known; correct hdfs_site_path")
            node = self._nodes[self._turn % len(self._nodes)]
        return _Line(node, _connection(node.web, secure=node.secure))

    def _next_node(self) -> None:
        with self._lock:
            self._turn += 1

    def _ask(self, verb: str, path: str, ask: Callable[[_Line], T]) -> T:
        """What `ask` gives on a connection. Raises FileNotFoundError where the cluster says that."""
        told = f"cannot {verb} {self.url(path)}"

        def translated(line: _Line) -> T:
            try:
                return ask(line)
            except (ConnectorError, FileNotFoundError):
                raise
            except PermissionError as error:
                raise Rejected(f"{told}: {error}") from error
            except ssl.SSLCertVerificationError as error:
                raise Rejected(
                    f"{told}: the certificate is not trusted ({error.verify_message}); correct fs.defaultFS"
                ) from error
            except (OSError, http.client.HTTPException) as error:
                self._next_node()
                raise _Broken(shown(error)) from error

        return self._lines.ask(told.removeprefix("cannot "), translated)

    def _name_node(self, line: _Line, told: str, method: str, op: str, path: str, **parameters: Any) -> _Answer:
        """The answer of a NameNode to one request."""
        return self._checked(told, _answer(line.http, method, self._target(op, path, parameters)))

    def _target(self, op: str, path: str, parameters: dict[str, Any]) -> str:
        user = {"user.name": self.place.user} if self.place.user else {}
        return f"{_PREFIX}{quote(path)}?{urlencode({'op': op, **user, **parameters})}"

    def _checked(self, told: str, answer: _Answer) -> _Answer:
        if answer.status < 400:
            return answer
        try:
            error = answer.told("RemoteException")
            kind, message = str(error.get("javaClassName") or error["exception"]), str(error.get("message", ""))
        except (ValueError, KeyError, TypeError):
            text = f"{told}: the server answers {answer.status}"
            if answer.status == 401:
                why = "it wants Kerberos, which WebHDFS is not used with here; use hdfs:// with kerberos_principal"
                raise Rejected(f"{told}: {why}") from None
            again = answer.status in (408, 429) or answer.status >= 500
            raise (Unavailable if again else Rejected)(f"{text}; see whether fs.defaultFS is WebHDFS") from None
        meant = refusal(told, kind, message, self.place.user)
        if kind.endswith("StandbyException"):
            self._next_node()
            raise _Broken(str(meant))
        raise meant

    def _simple(self, verb: str, method: str, op: str, path: str, **parameters: Any) -> _Answer:
        told = f"cannot {verb} {self.url(path)}"
        return self._ask(verb, path, lambda line: self._name_node(line, told, method, op, path, **parameters))

    def _sent_on(self, line: _Line, told: str, method: str, op: str, path: str, **parameters: Any) -> str:
        """The DataNode's URL that the NameNode sends to."""
        answer = self._name_node(line, told, method, op, path, **parameters)
        if answer.status != 307 or not answer.location:
            raise Rejected(f"{told}: the server names no DataNode ({answer.status}); see whether fs.defaultFS is right")
        return answer.location

    # ------------------------------------------------------------------------------------------------------- the files

    def stat(self, path: str) -> Stat | None:  # noqa: D102
        try:
            return _stat(path, self._simple("read", "GET", "GETFILESTATUS", path).told("FileStatus"))
        except FileNotFoundError:
            return None

    def entries(self, folder: str, wants: Callable[[str], bool] = lambda path: True) -> list[Stat]:  # noqa: D102
        try:
            return [one for one in self._listed(folder) if one.is_folder or wants(one.path)]
        except FileNotFoundError:
            return []

    def _listed(self, folder: str) -> Iterator[Stat]:
        """Page by page, as long as more remain."""
        after: dict[str, str] = {}
        while True:
            answer = self._simple("list", "GET", "LISTSTATUS_BATCH", folder, **after).told("DirectoryListing")
            page = answer["partialListing"]["FileStatuses"]["FileStatus"]
            yield from (_stat(posixpath.join(folder, one["pathSuffix"]), one) for one in page if one["pathSuffix"])
            if not answer["remainingEntries"] or not page:
                return
            after = {"startAfter": page[-1]["pathSuffix"]}

    def read(self, path: str, start: int, size: int) -> bytes:  # noqa: D102
        told = f"cannot read {self.url(path)}"

        def ask(line: _Line) -> bytes:
            where = self._sent_on(line, told, "GET", "OPEN", path, offset=start, length=size)
            with _Sent(where) as node:
                answer = self._checked(told, _answer(node.http, "GET", node.target))
                if answer.status != 200:
                    raise Rejected(f"{told}: a DataNode answers {answer.status}")
                return answer.content

        return self._ask("read", path, ask) if size else b""

    def create(self, path: str) -> Writer:  # noqa: D102
        told = f"cannot write {self.url(path)}"

        def ask(line: _Line) -> Writer:
            where = self._sent_on(line, told, "PUT", "CREATE", path, overwrite="true")
            return _WebWriter(self, told, _Sent(where))

        return self._ask("write", path, ask)

    def append(self, path: str, content: bytes) -> None:  # noqa: D102
        told = f"cannot write {self.url(path)}"
        where = self._ask("write", path, lambda line: self._sent_on(line, told, "POST", "APPEND", path))
        try:
            with _Sent(where) as node:
                self._checked(told, _answer(node.http, "POST", node.target, content))
        except (OSError, http.client.HTTPException) as error:
            raise _lost(told, error) from error

    def move(self, path: str, new: str) -> None:  # noqa: D102
        self._simple("rename", "PUT", "RENAME", path, destination=new, renameoptions="OVERWRITE")

    def remove(self, path: str) -> None:  # noqa: D102
        self._simple("remove", "DELETE", "DELETE", path, recursive="false")

    def make_folder(self, path: str) -> None:  # noqa: D102
        self._simple("write", "PUT", "MKDIRS", path, permission="755")

    def set_modified(self, path: str, seconds: int) -> None:  # noqa: D102
        self._simple("write", "PUT", "SETTIMES", path, modificationtime=seconds * 1000)


class _Sent:
    """A connection to where a NameNode has sent somebody."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.http = _connection(parts.netloc, secure=parts.scheme == "https")
        self.target = f"{parts.path}?{parts.query}"

    def __enter__(self) -> "_Sent":
        return self

    def __exit__(self, *raised: object) -> None:
        self.http.close()


class _WebWriter:
    """See Writer. One request, whose body comes in pieces."""

    def __init__(self, server: WebHdfsServer, told: str, node: _Sent) -> None:
        self._server, self._told, self._node = server, told, node
        self._do(self._begin)

    def _do(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except (OSError, http.client.HTTPException) as error:
            self._node.http.close()
            if isinstance(error, PermissionError):
                raise Rejected(f"{self._told}: {error}") from error
            raise _lost(self._told, error) from error

    def _begin(self) -> None:
        http = self._node.http
        http.putrequest("PUT", self._node.target)
        http.putheader("Content-Type", "application/octet-stream")
        http.putheader("Transfer-Encoding", "chunked")
        http.endheaders()

    def write(self, data: bytes) -> None:
        self._do(lambda: self._node.http.send(b"%x\r\n%b\r\n" % (len(data), data)))

    def close(self) -> None:
        def end() -> _Answer:
            self._node.http.send(b"0\r\n\r\n")
            return _answered(self._node.http)

        answer = self._do(end)
        self._node.http.close()
        self._server._checked(self._told, answer)


def _connection(address: str, *, secure: bool) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    return kind(address, timeout=_SECONDS)


def _answer(line: http.client.HTTPConnection, method: str, target: str, content: bytes = b"") -> _Answer:
    sized = {"Content-Type": "application/octet-stream"} if content else {}
    line.request(method, target, content or None, sized)
    return _answered(line)


def _answered(line: http.client.HTTPConnection) -> _Answer:
    with line.getresponse() as found:
        return _Answer(found.status, found.read(), found.headers.get("Location", ""))


def _lost(told: str, error: Exception) -> Unavailable:
    return Unavailable(f"{told}: {shown(error)}")


def _stat(path: str, found: Any) -> Stat:
    modified, version = found["modificationTime"] * 1_000_000, str(found["modificationTime"])
    return Stat(path, found["length"], modified, version, found["type"] == "DIRECTORY", created=modified)
