"""A request with a body, read whole and then worked on beside the event loop: megabytes of JSON hold nobody up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from headrace.api.body import text_of


@dataclass(frozen=True)
class Asked:
    """What a client sent."""

    body: bytes
    query: str
    content_type: str

    @property
    def text(self) -> str:
        """The body as text. Raises BadRequest when it is empty or not UTF-8."""
        return text_of(self.body)


Work = Callable[[Asked], Response]


def posted(routes: APIRouter, path: str, *, put: bool = False, **how: Any) -> Callable[[Work], Work]:
    """Declare what answers a POST: a function of the request that runs in a thread. put: PUT is the same."""

    def declare(work: Work) -> Work:
        async def endpoint(request: Request) -> Response:
            content_type = request.headers.get("content-type", "")
            asked = Asked(await request.body(), request.url.query, content_type)
            return await run_in_threadpool(work, asked)

        endpoint.__doc__, endpoint.__name__ = work.__doc__, work.__name__
        for method in ("PUT", "POST") if put else ("POST",):
            routes.add_api_route(path, endpoint, methods=[method], **how)
        return work

    return declare
