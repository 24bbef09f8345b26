"""What happens to a request before a route sees it: authentication, size, packing, and a listener's way with paths."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote

from starlette.responses import Response

from headrace.api.encoding import TooLarge, encodings, not_unpacked, unpacked
from headrace.api.listener import HangUp, Listener
from headrace.api.paths import MAPS
from headrace.api.problems import Json, failure
from headrace.api.state import State
from headrace.api.tokens import Role
from headrace.cluster.peers import MEMBERS
from headrace.errors import Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


_LOOKING = ("GET", "HEAD", "OPTIONS")
_HARMLESS = ("/check", "/encrypt-config")
"""What is posted and changes nothing."""


class Gate:
    """The outermost layer of a listener's application. document: gives its OpenAPI document."""

    def __init__(self, app: App, state: State, listener: Listener, document: Callable[[], dict[str, Any]]) -> None:
        self._app, self._state, self._listener = app, state, listener
        self.document = document

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        traffic = self._state.traffic
        traffic.running += 1
        try:
            await self._pass(_in_origin_form(scope), receive, send)
        finally:
            traffic.running -= 1
            traffic.answered += 1

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        listener, method, path = self._listener, scope["method"], _path(scope)
        query, headers = scope["query_string"].decode("latin-1"), _headers(scope)
        if method == "HEAD":
            send = _without_body(send)
        found = self._answer(method, path, query, (scope.get("client") or ("",))[0], headers)
        if isinstance(found, HangUp):
            await _hang_up(send)
            return
        if isinstance(found, Response):
            await found(scope, receive, send)
            return
        served_method, served_path = found
        scope = {**scope, "asked_path": path, "asked_method": method, "method": served_method, "path": served_path}
        is_member = listener.guard.is_member(headers.get("authorization", ""))
        receive = receive if is_member else _limited(receive, listener.max_body)
        packed = encodings(headers.get("content-encoding", ""))
        receive = unpacked(receive, listener.max_body) if packed else receive
        await run_to_an_answer(self._app, scope, receive, _typed(send, listener.types) if listener.types else send)

    def _answer(
        self, method: str, path: str, query: str, client: str, headers: dict[str, str]
    ) -> "Response | HangUp | tuple[str, str]":
        """An answer that needs no route, or the method and the path of the route."""
        manners, guard, accept = self._listener.manners, self._listener.guard, headers.get("accept", "")
        if path.startswith(f"{MEMBERS}/") and guard.is_member(headers.get("authorization", "")):
            return method, path
        early = manners.before(method, path, query)
        if early is not None:
            return early
        strange = guard.strangeness(headers.get("host", ""), headers.get("origin", ""))
        if strange:
            return failure(strange, [Problem("", strange, "")], status=403)
        refused = self._unknown(method, path, client, headers)
        if refused is not None:
            return refused
        routed = manners.routed(method, path, query, accept)
        if isinstance(routed, Response):
            return routed
        return self._refusal(headers) or routed

    def _unknown(self, method: str, path: str, client: str, headers: dict[str, str]) -> Response | None:
        """The answer to who may not do this; None for who may."""
        guard, given = self._listener.guard, headers.get("authorization", "")
        wait = guard.attempts.wait(client) if given and not guard.is_open else 0.0
        if wait > 0:
            text = "too many wrong logins from this address"
            answer: Response = failure(text, [Problem("", text, f"wait {wait:.0f} s")], status=429)
            answer.headers["Retry-After"] = str(math.ceil(wait))
            return answer
        role = guard.role(given)
        if role is None:
            if given:
                guard.attempts.was_wrong(client)
            answer = self._listener.manners.unauthenticated(method, path, headers.get("accept", ""))
            if headers.get("x-requested-with") != "headrace":  # the page has a login of its own
                answer.headers["WWW-Authenticate"] = guard.challenge
            return answer
        if role is Role.VIEWER and method not in _LOOKING and not path.rstrip("/").endswith(_HARMLESS):
            text = "this user may look, and change nothing"
            return failure(text, [Problem("", text, "ask with a user or token of the role operator")], status=403)
        return None

    def _refusal(self, headers: dict[str, str]) -> Json | None:
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._listener.max_body:
            return too_large(self._listener.max_body)
        strange = not_unpacked(encodings(headers.get("content-encoding", "")))
        if strange:
            answer = failure(strange, [Problem("Content-Encoding", strange, "")], status=415)
            answer.headers["Accept-Encoding"] = "gzip"
            return answer
        return None


async def run_to_an_answer(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """The application; what it cannot answer before the server ends is told so, and not called a fault."""
    begun = False

    async def sent(message: Message) -> None:
        nonlocal begun
        begun = True
        await send(message)

    try:
        await app(scope, receive, sent)
    except asyncio.CancelledError:
        if begun:
            raise
        text = "the server is being stopped, and may have taken this or not"
        answer = failure(text, [Problem("", text, "ask again when it is back, with the same jobId")], status=503)
        answer.headers["Retry-After"] = "1"
        await answer(scope, receive, send)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _in_origin_form(scope: Scope) -> Scope:
    """A request whose target is the whole URL, as for a proxy: its host counts for that of Host. RFC 9112, 3.2.2."""
    raw = bytes(scope.get("raw_path") or b"")
    scheme, found, rest = raw.partition(b"://")
    if not found or scheme.lower() not in (b"http", b"https"):
        return scope
    host, slash, path = rest.partition(b"/")
    raw = slash + path or b"/"
    headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"host"]
    path_text = unquote(raw.decode("ascii"))
    return {**scope, "raw_path": raw, "path": path_text, "headers": [(b"host", host.rpartition(b"@")[2]), *headers]}


def _path(scope: Scope) -> str:
    """Paths of v1 are taken as they were sent: SeaTunnel does not decode them."""
    raw = scope.get("raw_path") or b""
    return raw.decode("latin-1") if raw.startswith(MAPS.encode()) else str(scope["path"])


def too_large(limit: int) -> Json:
    """The answer to a body that is too large."""
    problem = Problem("", f"the body has more than {limit} bytes", "raise the setting max_body")
    return failure("Request body is too large.", [problem], status=413)


def _limited(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise TooLarge(limit)
        return message

    return counted


def _typed(send: Send, types: Mapping[str, str]) -> Send:
    """The content types of the routes as a listener sends them."""

    async def with_type(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [
                (name, types.get(value.decode("latin-1"), value.decode("latin-1")).encode("latin-1"))
                if name.lower() == b"content-type"
                else (name, value)
                for name, value in message["headers"]
            ]
            message = {**message, "headers": headers}
        await send(message)

    return with_type


def _without_body(send: Send) -> Send:
    async def headers_only(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return headers_only


async def _hang_up(send: Send) -> None:
    """Close the connection without a byte, as SeaTunnel does for what is switched off.

    ASGI has no such message: the transport of uvicorn, whose method `send` is, is closed instead.
    """
    cycle = getattr(send, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if transport is None:
        await failure("REST is switched off", status=403)({"type": "http"}, _nothing, send)
        return
    transport.abort()
    while not cycle.disconnected:  # type: ignore[union-attr]
        await asyncio.sleep(0)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
