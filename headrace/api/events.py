"""/events: jobs and their counts as they change, as server-sent events. HTML Living Standard, 9.2.

One look at the store a second serves all listeners, and each message is made once for all of them.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from headrace.api import answers
from headrace.api.problems import failure
from headrace.errors import Problem
from headrace.jobs.service import JobService

SECONDS = 1.0
"""Between two looks."""

PING_SECONDS = 15.0
"""Silence after which a comment is sent, so that proxies keep the connection."""

MOST_LISTENERS = 500
BEHIND = 8
"""Messages that wait for a slow listener, at most; then its connection is closed, and it comes back by itself."""


class Changes:
    """What changed since the last look: jobs by version, and the counts of each state."""

    def __init__(self, service: JobService) -> None:
        self._service = service
        self._known: dict[tuple[int, int], int] = {}
        self._counts: dict[str, int] = {}
        self._told: set[tuple[int, int]] = set()
        self._since = time.time()

    def look(self) -> bytes:
        """The messages about what has changed; empty when nothing has."""
        store = self._service.store
        now = {(job_id, run): version for job_id, run, version in store.unfinished_keys()}
        ended = {(job_id, run) for job_id, run, _ in store.finished_keys(since=self._since - 2 * SECONDS)}
        changed = [key for key, version in now.items() if self._known.get(key) != version]
        over = [key for key in self._known if key not in now]
        new = [key for key in ended if key in self._known or key not in self._told]
        self._since, self._told = time.time(), ended
        self._known = now
        records = store.runs(dict.fromkeys([*changed, *over, *new]))
        jobs = sorted((answers.brief_job(record) for record in records), key=lambda job: job["createTime"])
        counts = store.counts()
        found = message("jobs", jobs) if jobs else b""
        if counts != self._counts:
            self._counts = counts
            found += message("counts", counts)
        return found

    def all(self) -> bytes:
        """What somebody is told who begins to listen: the jobs that have not ended, and the counts."""
        jobs = [answers.brief_job(record) for record in self._service.store.unfinished()]
        return message("jobs", jobs) + message("counts", self._service.store.counts())


def message(event: str, data: Any) -> bytes:
    """One server-sent event."""
    return b"event: " + event.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


class Broadcast:
    """The listeners, and the task that looks while there are any."""

    def __init__(self, service: JobService) -> None:
        self._service = service
        self._listeners: set[asyncio.Queue[bytes | None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._ended = False

    def end(self) -> None:
        """The server stops: every listener's connection is closed."""
        self._ended = True
        for listener in self._listeners:
            _put(listener, None)

    def is_full(self) -> bool:
        """Whether nobody else may listen."""
        return len(self._listeners) >= MOST_LISTENERS

    async def listen(self) -> AsyncIterator[bytes]:
        """What one listener is sent."""
        mine: asyncio.Queue[bytes | None] = asyncio.Queue(BEHIND)
        self._listeners.add(mine)
        try:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look())
            yield b"retry: 2000\n\n" + await run_in_threadpool(Changes(self._service).all)
            while not self._ended:
                try:
                    found = await asyncio.wait_for(mine.get(), PING_SECONDS)
                except TimeoutError:
                    found = b": still here\n\n"
                if found is None:
                    return
                yield found
        finally:
            self._listeners.discard(mine)

    async def _look(self) -> None:
        changes = Changes(self._service)
        while self._listeners and not self._ended:
            found = await self._one(changes.look)  # the first, too: its jobs may have changed since the listener began
            for listener in [*self._listeners] if found else []:
                _put(listener, found)
            await asyncio.sleep(SECONDS)

    async def _one(self, look: Callable[[], bytes]) -> bytes:
        try:
            return await run_in_threadpool(look)
        except Exception as error:  # a store that cannot be read now is asked again
            self._service.log("warning", f"/events cannot look at the jobs, and tries again: {error}")
            return b""


def _put(listener: "asyncio.Queue[bytes | None]", found: bytes | None) -> None:
    """A message for a listener; one that is too far behind is sent away."""
    if listener.full():
        while not listener.empty():
            listener.get_nowait()
        found = None
    listener.put_nowait(found)


def event_routes(routes: APIRouter, broadcast: Broadcast) -> None:
    """The one route."""

    @routes.get("/events", responses={200: {"content": {"text/event-stream": {}}}, 503: {"description": "Full."}})
    async def events(request: Request) -> Response:
        """Server-sent events: `jobs`, a list of jobs without their plans that changed, and `counts`, jobs by state."""
        if broadcast.is_full():
            text = f"{MOST_LISTENERS} listeners are there already"
            return failure(text, [Problem("", text, "ask for /running-jobs/summary now and then")], status=503)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        if request.scope["asked_method"] == "HEAD":
            return Response(headers={**headers, "Content-Type": "text/event-stream"})
        return StreamingResponse(broadcast.listen(), media_type="text/event-stream", headers=headers)
