"""Job ends as HTTP posts: SeaTunnel's `event-report-http`. A listener that is slow or away holds up no job."""

import fcntl
import json
import queue
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from headrace.execution.progress import Progress
from headrace.jobs.record import JobRecord
from headrace.secrets import mask_urls

CAPACITY = 2000
"""Events that wait, at most, as in SeaTunnel; then the oldest are dropped."""

AT_ONCE = 100
"""Events in one post."""

TIMEOUT_SECONDS = 10.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
END_SECONDS = 3.0
"""What the server's end waits for the last post."""

Event = Mapping[str, Any]


def event_of(record: JobRecord) -> Event:
    """SeaTunnel's JobStateEvent, and why a job failed."""
    return {
        "jobId": str(record.job_id),
        "jobName": record.name,
        "jobStatus": record.status.value,
        "createdTime": int((record.ended or time.time()) * 1000),
        "eventType": "JOB_STATUS",
        **({"errorMsg": record.error} if record.error else {}),
    }


class Outbox:
    """Events that are not posted yet, in a file that outlives this process.

    It is locked while the process lives; what processes left behind that are gone is taken over. The file only repeats
    what the memory has: where the disk is full, events are posted nevertheless.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        left = [event for file in sorted(folder.glob("*.jsonl")) for event in _taken_over(file)]
        self._path = folder / f"{uuid.uuid4().hex}.jsonl"
        self._file = open(self._path, "a+", encoding="utf-8")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.waiting: deque[Event] = deque()
        self.dropped = 0
        for event in left:
            self.add(event)

    def add(self, event: Event) -> None:
        """One more event waits; the oldest is dropped where there are too many."""
        if len(self.waiting) == CAPACITY:
            self.waiting.popleft()
            self.dropped += 1
        self.waiting.append(event)
        with suppress(OSError):
            self._file.write(f"{json.dumps(event)}\n")
            self._file.flush()

    def done(self, count: int) -> None:
        """The first events are posted. The file is emptied with the last: an end before that posts some twice."""
        for _ in range(count):
            self.waiting.popleft()
        if not self.waiting:
            with suppress(OSError):
                self._file.truncate(0)

    def close(self) -> None:
        """What waits is left to the next process."""
        if not self.waiting:
            self._path.unlink(missing_ok=True)
        self._file.close()


def _taken_over(path: Path) -> Iterator[Event]:
    with suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another server lives
            return
        for line in file:
            with suppress(ValueError):  # its last line, cut off by a crash
                yield json.loads(line)
        path.unlink(missing_ok=True)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Headers may hold a token, which is for the address that was named alone."""
        return


class EventReport:
    """Posts events on a thread of its own, as JSON arrays, until they are answered with 2xx.

    headers: sent with each post. on_log: gets (level, text).
    """

    def __init__(self, url: str, headers: Mapping[str, str], folder: Path, on_log: Callable[[str, str], None]) -> None:
        self._url, self._on_log = url, on_log
        self._headers = {"Content-Type": "application/json", **headers}
        self._new: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._outbox = Outbox(folder)
        self._opener = urllib.request.build_opener(_NoRedirects)
        self.posted = 0
        self._problem = ""
        self._thread = threading.Thread(target=self._post_all, name="event-report", daemon=True)
        self._thread.start()

    def job_ended(self, record: JobRecord, progress: Progress | None) -> None:
        """See JobService.when_a_job_ends."""
        if record.status.is_end:
            self._new.put(event_of(record))

    def close(self) -> None:
        """Try once more, and leave the rest to the next server of this home."""
        self._new.put(None)
        self._thread.join(END_SECONDS)

    @property
    def waiting(self) -> int:
        """Events that are not posted yet."""
        return len(self._outbox.waiting) + self._new.qsize()

    @property
    def dropped(self) -> int:
        """Events that nobody ever got."""
        return self._outbox.dropped

    def _post_all(self) -> None:
        pause, closing = FIRST_PAUSE_SECONDS, False
        while not closing:
            closing = self._collect(pause if self._problem else None)
            before = self._problem
            while self._outbox.waiting and self._post():
                pause = FIRST_PAUSE_SECONDS
            if self._problem and before:
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        self._outbox.close()

    def _collect(self, pause: float | None) -> bool:
        """Take what is new, for `pause` seconds, or until there is something; whether the server ends."""
        deadline = None if pause is None else time.monotonic() + pause
        if deadline is None and self._outbox.waiting:
            return False
        while True:
            try:
                event = self._new.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return False
            if event is None:
                return True
            self._outbox.add(event)
            if deadline is None and self._new.empty():
                return False

    def _post(self) -> bool:
        events = [event for event, _ in zip(self._outbox.waiting, range(AT_ONCE), strict=False)]
        request = urllib.request.Request(self._url, json.dumps(events).encode(), self._headers, method="POST")
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS):
                pass
        except (OSError, HTTPException, ValueError) as error:
            self._failed(error)
            return False
        if self._problem:
            self._on_log("info", f"event-report-http: {self._shown()} answers again")
        self._problem = ""
        self._outbox.done(len(events))
        self.posted += len(events)
        return True

    def _failed(self, error: Exception) -> None:
        """A problem is told once, not with each try."""
        reason = getattr(error, "reason", None) or error
        problem = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else str(reason)
        if problem != self._problem:
            waiting = len(self._outbox.waiting)
            self._on_log("warning", f"event-report-http: {self._shown()}: {problem}; {waiting} events wait for it")
        self._problem = problem

    def _shown(self) -> str:
        """The address without what may be secret in it."""
        return mask_urls(self._url.partition("?")[0])
