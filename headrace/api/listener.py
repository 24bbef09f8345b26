"""How one port speaks: what tells REST v1 from v2 stands in values here, and the routes of both are the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.responses import Response

from headrace.api.body import jetty_query, query_of, tags_of
from headrace.api.paths import MAPS
from headrace.api.security import Guard
from headrace.server_settings import ServerSettings, Wire


class Manners(Protocol):
    """What a listener does with the method and the path of a request before a route sees it."""

    def before(self, method: str, path: str, query: str) -> "Response | HangUp | None":
        """The answer that comes before anybody is asked who he is; None goes on."""

    def unauthenticated(self, method: str, path: str, accept: str) -> Response:
        """The answer to somebody who may not ask."""

    def routed(self, method: str, path: str, query: str, accept: str) -> "Response | tuple[str, str]":
        """The method and the path of the route that serves this request, or the answer of none."""


class HangUp:
    """The connection is closed without a byte."""


@dataclass(frozen=True)
class Listener:
    """One port.

    base: what its paths begin with. wire: whose answers it gives where releases exclude each other. address:
    host:port that it tells others. read_query, read_tags: the parameters of a query, and those that filter nodes.
    pages: whether lists are paged on request. no_id: the text about a missing id, from the path that was asked for.
    types: content types of the routes → those that are sent. names_type: that of the list of log names.
    is_inner: whether other members ask here, who are told of this node alone.
    """

    name: str
    base: str
    wire: Wire
    scheme: str
    address: str
    guard: Guard
    max_body: int
    manners: Manners
    read_query: Callable[[str], dict[str, str]] = query_of
    read_tags: Callable[[str], dict[str, str]] = tags_of
    pages: bool = False
    no_id: Callable[[str], str] = lambda path: f'For input string: "{path.removesuffix("/")}"'
    types: Mapping[str, str] = field(default_factory=dict)
    names_type: str = "text/plain"
    is_inner: bool = False

    @property
    def url(self) -> str:
        """What links to this listener begin with."""
        return f"{self.scheme}://{self.address}{self.base}"


JETTY_TYPES = {
    "application/json": "application/json;charset=utf-8",
    "text/plain": "text/plain;charset=utf-8",
    "text/html; charset=UTF-8": "text/html;charset=utf-8",
}
"""Types as 2.3.13 sends them on v2."""


def first_listener(settings: ServerSettings, address: str, manners: Manners) -> Listener:
    """REST v1, on Hazelcast's port."""
    scheme = "http" if settings.tls_certificate is None else "https"
    guard = Guard(settings)
    return Listener("v1", MAPS, settings.v1_wire, scheme, address, guard, settings.max_body, manners)


def second_listener(settings: ServerSettings, address: str, manners: Manners, scheme: str) -> Listener:
    """REST v2, on a port of its own."""
    how: dict[str, Any] = {
        "read_query": jetty_query,
        "read_tags": jetty_query,
        "pages": True,
        "no_id": lambda path: "The jobId must not be empty.",
        "types": JETTY_TYPES,
        "names_type": "application/json",
    }
    guard = Guard(settings, realm="SeaTunnel Web UI")
    base = settings.base_path
    return Listener("v2", base, Wire.V2_3_13, scheme, address, guard, settings.max_body, manners, **how)
