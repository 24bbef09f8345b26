"""What happens to a request before a route sees it: groups, authentication, size, SeaTunnel's way with paths."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from starlette.responses import Response

from headrace.api.encoding import TooLarge, encodings, not_unpacked, unpacked
from headrace.api.paths import GET, MAPS, POST, group, route
from headrace.api.problems import Json, failure
from headrace.api.security import Guard
from headrace.api.state import State
from headrace.errors import Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_METHODS = ("GET", "HEAD", "POST", "PUT")
_OPEN_GROUPS = ("/docs", "/openapi.json")


class Gate:
    """The outermost layer of the server's application."""

    def __init__(self, app: App, state: State, guard: Guard) -> None:
        self._app, self._state, self._guard = app, state, guard

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
        method, path = scope["method"], _path(scope)
        settings = self._state.settings
        of = group(method, path)
        if of is not None and (not settings.rest_enabled or not settings.groups.get(of, False)):
            await _hang_up(send)
            return
        refusal = self._refusal(scope, method)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        scope = {**scope, "asked_path": path, "path": route(method, path)}
        if method == "HEAD":
            scope["method"], send = "GET", _without_body(send)
        elif method == "PUT":
            scope["method"] = "POST"
        odd = _other_way_round(scope["method"], path)
        if odd is not None:
            await odd(scope, receive, send)
            return
        receive = _limited(receive, settings.max_body)
        packed = encodings(_headers(scope).get("content-encoding", ""))
        await self._app(scope, unpacked(receive, settings.max_body) if packed else receive, send)

    def _refusal(self, scope: Scope, method: str) -> Json | None:
        headers = _headers(scope)
        strange = self._guard.strangeness(headers.get("host", ""), headers.get("origin", ""))
        if strange:
            return failure(strange, [Problem("", strange, "")], status=403)
        if not self._guard.allows(headers.get("authorization", "")):
            answer = failure("authentication is needed", status=401)
            answer.headers["WWW-Authenticate"] = self._guard.challenge
            return answer
        if method not in _METHODS:
            answer = failure(f"the method {method} is not allowed", status=405)
            answer.headers["Allow"] = ", ".join(_METHODS)
            return answer
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._state.settings.max_body:
            return too_large(self._state.settings.max_body)
        strange = not_unpacked(encodings(headers.get("content-encoding", "")))
        if strange:
            answer = failure(strange, [Problem("Content-Encoding", strange, "")], status=415)
            answer.headers["Accept-Encoding"] = "gzip"
            return answer
        return None


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


def _other_way_round(method: str, path: str) -> Response | None:
    """GET of what is posted has no body; POST to what is read is a write to a map without a name."""
    if not path.startswith(f"{MAPS}/"):
        return None
    name = path[len(MAPS) + 1 :].removesuffix("/")
    if method == "GET" and name in POST:
        return Response(status_code=400)
    if method == "POST" and name in GET:
        return failure("Missing map name")
    return None


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
