"""/events: jobs and their counts as they change, as server-sent events. HTML Living Standard, 9.2.

One look at the store a second serves all listeners, and what has changed since the look before is written once for
all of them. Who has fallen behind, or comes back with the id of the last event that reached it, is sent all that has
changed since in one piece: nothing queues up for a slow listener.
"""

import asyncio
import re
import secrets
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from headrace.api import answers
from headrace.api.problems import failure
from headrace.errors import Problem
from headrace.jobs.record import JobRecord
from headrace.jobs.service import JobService

SECONDS = 1.0
"""Between two looks."""

SOONEST = 0.1
"""Seconds between two looks when somebody begins to listen meanwhile, who is told how things are then."""

PING_SECONDS = 15.0
"""Silence after which a comment is sent, so that proxies keep the connection."""

MOST_LISTENERS = 500
REMEMBERED_SECONDS = 300.0
"""How long jobs are known here after their end, for those who come back; also how long nobody may have listened."""

MOST_REMEMBERED = 5000
"""Ended jobs that are known at most; the oldest go first."""

LAST_EVENT_ID = "Last-Event-ID"


@dataclass(frozen=True)
class Told:
    """What brings a listener to a look. number: of that look; looks at which nothing had changed are not counted."""

    number: int
    content: bytes


class _Seen:
    """A job's last run: its fields, and the number of the look at which each was last seen to change."""

    def __init__(self, record: JobRecord, number: int) -> None:
        self.run, self.version, self.is_ended = record.run, record.version, record.status.is_end
        self.fields = answers.brief_job(record)
        self.changed = dict.fromkeys(self.fields, number)
        self.number = number

    def take(self, record: JobRecord, number: int) -> None:
        """A later version of the same run."""
        self.version, self.is_ended, self.number = record.version, record.status.is_end, number
        for name, value in answers.brief_job(record).items():
            if self.fields[name] != value:
                self.fields[name], self.changed[name] = value, number

    def since(self, number: int) -> dict[str, Any]:
        """Its id, and the fields that have changed since a look: all of them when it is newer."""
        fields = {name: value for name, value in self.fields.items() if self.changed[name] > number}
        return {"jobId": self.fields["jobId"], **fields}


class Changes:
    """The jobs that have not ended and those that ended of late, and what has changed since any look.

    Its methods may be called from any thread.
    """

    def __init__(self, service: JobService) -> None:
        self._service = service
        self._epoch = secrets.token_hex(4)
        self._jobs: dict[int, _Seen] = {}
        self._ended: dict[int, float] = {}
        self._counts: dict[str, int] = {}
        self._counts_changed = 0
        self._forgotten = 0
        self._since = time.time()
        self._picture = Told(-1, b"")
        self._lock = threading.Lock()
        self.last = Told(0, b"")
        """What has changed at the last look at which anything had, since the one before it."""

    def look(self) -> None:
        """See what has changed. Raises HeadraceError when the store cannot be read now."""
        with self._lock:
            store, number = self._service.store, self.last.number + 1
            since = self._since - 2 * SECONDS
            now = time.time()
            live = store.unfinished_keys()
            found = [*store.finished_keys(since=since), *live]
            changed = [(job_id, run) for job_id, run, version in found if self._is_news(job_id, run, version)]
            runs = {(job_id, run) for job_id, run, _ in live}
            over = [(i, seen.run) for i, seen in self._jobs.items() if not seen.is_ended and (i, seen.run) not in runs]
            records = list(store.runs(dict.fromkeys([*changed, *over])))
            counts = store.counts()
            for record in records:
                self._take(record, number)
            for job_id, run in set(over) - {record.key for record in records}:  # the history was cleaned
                if self._jobs[job_id].run == run:
                    self._forget(job_id)
            if counts != self._counts:
                self._counts, self._counts_changed = counts, number
            self._since = now
            self._forget_the_oldest()
            if content := self._changes(number, number - 1):
                self.last = Told(number, content)

    def since(self, number: int | None) -> Told:
        """What has changed since a look; how all is, when it is None or was too long ago."""
        with self._lock:
            now = self.last.number
            if number is not None and number >= self._forgotten:
                return Told(now, self._changes(now, number))
            if self._picture.number != now:
                jobs = [seen.fields for seen in self._jobs.values() if not seen.is_ended]
                self._picture = Told(now, _message("counts", self._counts) + _message("jobs", jobs, self._id(now)))
            return self._picture

    def number_of(self, event_id: str) -> int | None:
        """The look that an event's id stands for; None for an id that was not given here."""
        found = re.fullmatch(rf"{self._epoch}-(\d{{1,15}})", event_id)
        return int(found[1]) if found and int(found[1]) <= self.last.number else None

    def _id(self, number: int) -> str:
        return f"{self._epoch}-{number}"

    def _is_news(self, job_id: int, run: int, version: int) -> bool:
        seen = self._jobs.get(job_id)
        return seen is None or run > seen.run or (run == seen.run and version != seen.version)

    def _take(self, record: JobRecord, number: int) -> None:
        job_id, seen = record.job_id, self._jobs.get(record.job_id)
        if seen is not None and seen.run == record.run:
            seen.take(record, number)
        elif seen is None or seen.run < record.run:
            self._jobs[job_id] = seen = _Seen(record, number)
        self._ended.pop(job_id, None)
        if seen.is_ended:
            self._ended[job_id] = time.monotonic()

    def _forget_the_oldest(self) -> None:
        long_ago = time.monotonic() - REMEMBERED_SECONDS
        while self._ended:
            job_id, at = next(iter(self._ended.items()))
            if len(self._ended) <= MOST_REMEMBERED and at >= long_ago:
                return
            self._forget(job_id)

    def _forget(self, job_id: int) -> None:
        self._ended.pop(job_id, None)
        self._forgotten = max(self._forgotten, self._jobs.pop(job_id).number)

    def _changes(self, now: int, number: int) -> bytes:
        """The messages about what has changed since a look; the last one has the id of the look at which it is so."""
        jobs = [seen.since(number) for seen in self._jobs.values() if seen.number > number]
        found = b""
        if self._counts_changed > number:
            found += _message("counts", self._counts, "" if jobs else self._id(now))
        if jobs:
            found += _message("changes", jobs, self._id(now))
        return found


def _message(event: str, data: Any, event_id: str = "") -> bytes:
    """One server-sent event."""
    named = f"id: {event_id}\n" if event_id else ""
    return f"{named}event: {event}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"


class Broadcast:
    """The listeners, and the task that looks while there are any."""

    def __init__(self, service: JobService) -> None:
        self._service = service
        self._changes = Changes(service)
        self._listeners = 0
        self._looking: asyncio.Task[None] | None = None
        self._begun = self._done = 0
        self._idle_since = time.monotonic()
        self._wanted, self._looked = asyncio.Event(), asyncio.Event()
        self._ended = False

    def end(self) -> None:
        """The server stops: every listener's connection is closed."""
        self._ended = True
        self._wanted.set()
        self._wake()

    def is_full(self) -> bool:
        """Whether nobody else may listen."""
        return self._listeners >= MOST_LISTENERS

    async def listen(self, last_id: str) -> AsyncIterator[bytes]:
        """What one listener is sent. last_id: of the last event that reached it; empty when it begins."""
        self._begin()
        try:
            yield b"retry: 2000\n\n"
            seen, wanted, spoke = self._changes.number_of(last_id), self._begun + 1, time.monotonic()
            self._wanted.set()
            while not self._ended:
                looked = self._looked  # before asking what there is: no look is missed between the two
                last = self._changes.last
                if self._done >= wanted and seen != last.number:
                    if seen != last.number - 1:
                        last = await run_in_threadpool(self._changes.since, seen)
                    seen, spoke = last.number, time.monotonic()
                    yield last.content
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(looked.wait(), PING_SECONDS)
                if time.monotonic() - spoke > PING_SECONDS:
                    spoke = time.monotonic()
                    yield b": still here\n\n"
        finally:
            self._listeners -= 1
            self._idle_since = time.monotonic()

    def _begin(self) -> None:
        if not self._listeners and time.monotonic() - self._idle_since > REMEMBERED_SECONDS:
            self._changes = Changes(self._service)  # not all that has ended since is read for nobody
        self._listeners += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while self._listeners and not self._ended:
            self._wanted.clear()
            self._begun += 1
            try:
                await run_in_threadpool(self._changes.look)
                self._done = self._begun
            except Exception as error:  # a store that cannot be read now is asked again
                self._service.log("warning", f"/events cannot look at the jobs, and tries again: {error}")
            self._wake()
            await asyncio.sleep(SOONEST)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), SECONDS - SOONEST)

    def _wake(self) -> None:
        """All listeners go on."""
        looked, self._looked = self._looked, asyncio.Event()
        looked.set()


def event_routes(routes: APIRouter, broadcast: Broadcast) -> None:
    """The one route."""

    @routes.get("/events", responses={200: {"content": {"text/event-stream": {}}}, 503: {"description": "Full."}})
    async def events(request: Request) -> Response:
        """Server-sent events: `jobs`, all that have not ended; `changes`, the fields of jobs that changed; `counts`.

        The header Last-Event-ID, the id of the last event that came, asks for what has changed since.
        """
        if broadcast.is_full():
            text = f"{MOST_LISTENERS} listeners are there already"
            return failure(text, [Problem("", text, "ask for /running-jobs/summary now and then")], status=503)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        if request.scope["asked_method"] == "HEAD":
            return Response(headers={**headers, "Content-Type": "text/event-stream"})
        last_id = request.headers.get(LAST_EVENT_ID, "")
        return StreamingResponse(broadcast.listen(last_id), media_type="text/event-stream", headers=headers)
