"""Requests from one member of a cluster to another, over HTTP or HTTPS, with the token that comes from their secret."""

import http.client
import ssl
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import HeadraceError

MEMBERS = "/hazelcast/rest/members"
"""What the paths begin with that only members ask."""

ANSWER_SECONDS = 0.8
"""How long a member may take to answer what somebody waits for."""

KEPT = 8
"""Connections to each member that wait for the next request."""


class Unanswered(HeadraceError):
    """A member could not be reached, or did not answer in time."""


@dataclass(frozen=True)
class Reply:
    """What a member answered."""

    status: int
    content_type: str
    content: bytes
    headers: http.client.HTTPMessage


class Peers:
    """token: see member_token. certificates: PEM file of those who sign the members' certificates; None: plain HTTP."""

    def __init__(self, token: str, certificates: Path | None = None) -> None:
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._tls = None if certificates is None else ssl.create_default_context(cafile=certificates)
        self._kept: dict[str, list[http.client.HTTPConnection]] = {}
        self._hanging: dict[str, bool] = {}  # address of a member that did not answer → whether it is being asked
        self._lock = threading.Lock()

    def ask(
        self, address: str, method: str, path: str, body: bytes | None = None, seconds: float = ANSWER_SECONDS
    ) -> Reply:
        """One request to the member at host:port. Raises Unanswered.

        While a member hangs, one request at a time waits for it, and all others are told at once.
        """
        if seconds > ANSWER_SECONDS:
            return self._asked(address, method, path, body, seconds)
        with self._lock:
            if self._hanging.get(address):
                raise Unanswered(f"{address} does not answer at the moment")
            if address in self._hanging:
                self._hanging[address] = True
        hangs = False
        try:
            return self._asked(address, method, path, body, seconds)
        except Unanswered as error:
            hangs = isinstance(error.__cause__, TimeoutError)
            raise
        finally:
            with self._lock:
                if hangs:
                    self._hanging[address] = False
                else:
                    self._hanging.pop(address, None)

    def _asked(self, address: str, method: str, path: str, body: bytes | None, seconds: float) -> Reply:
        connection = self._taken(address, seconds)
        for is_last in (True,) if connection.sock is None else (False, True):
            try:
                connection.request(method, path, body, self._headers)
                answer = connection.getresponse()
                content = answer.read()
            except (http.client.HTTPException, OSError) as error:
                connection.close()
                # one that was kept may have been closed by the other side; a member that hangs is not asked again
                if is_last or isinstance(error, TimeoutError):
                    raise Unanswered(_told(address, error, seconds)) from error
            else:
                self._keep(address, connection)
                return Reply(answer.status, answer.headers.get("Content-Type", ""), content, answer.headers)
        raise AssertionError

    def ask_each(self, addresses: Iterable[str], path: str) -> dict[str, Reply | Unanswered]:
        """The same question to several members at once."""
        wanted = list(dict.fromkeys(addresses))
        if not wanted:
            return {}

        def one(address: str) -> Reply | Unanswered:
            try:
                return self.ask(address, "GET", path)
            except Unanswered as error:
                return error

        with ThreadPoolExecutor(len(wanted), thread_name_prefix="ask-member") as pool:
            return dict(zip(wanted, pool.map(one, wanted), strict=True))

    def close(self) -> None:
        """Close the connections that are kept."""
        with self._lock:
            kept, self._kept = self._kept, {}
        for connections in kept.values():
            for connection in connections:
                connection.close()

    def _taken(self, address: str, seconds: float) -> http.client.HTTPConnection:
        with self._lock:
            waiting = self._kept.get(address)
            connection = waiting.pop() if waiting else None
        if connection is None:
            if self._tls is None:
                return http.client.HTTPConnection(address, timeout=seconds)
            return http.client.HTTPSConnection(address, timeout=seconds, context=self._tls)
        connection.timeout = seconds
        if connection.sock is not None:
            connection.sock.settimeout(seconds)
        return connection

    def _keep(self, address: str, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            waiting = self._kept.setdefault(address, [])
            if len(waiting) < KEPT:
                waiting.append(connection)
                return
        connection.close()


def _told(address: str, error: Exception, seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"{address} did not answer within {seconds} s"
    return f"{address} cannot be reached: {error}"
