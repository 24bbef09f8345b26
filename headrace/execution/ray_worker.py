"""The same worker as a Ray actor, reached by two of its methods; what goes through them is wire messages as bytes.

It is never imported where no job runs on Ray.
"""

import os
import queue
import threading
import time
from collections.abc import Mapping

from headrace.connector import sinks, sources, transforms
from headrace.execution.budget import Budget
from headrace.execution.lanes import HEARTBEAT_SECONDS
from headrace.execution.messages import Event, Heartbeat
from headrace.execution.runner import this_machine
from headrace.execution.wire import Unreadable, read_message, write_message, write_refusal
from headrace.execution.worker import Worker
from headrace.logs import worker_logs
from headrace.reach import guard_worker

MOST_BYTES = 4 * 1024 * 1024
"""Of the events that go in one answer."""

ALONE_SECONDS = 60.0
"""When nobody has asked for events for so long, whoever commanded this worker is gone, and it ends."""


class RayWorker:
    """memory: bytes it may hold. environment: what the process that commands it tells its workers.

    Ray calls the methods on several threads, and not always in order: commands are numbered, from 0 on.
    """

    def __init__(self, memory: int, environment: Mapping[str, str]) -> None:
        os.environ.update(environment)
        guard_worker()
        worker_logs()
        self._events: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._worker = Worker(self._send, Budget(memory))
        self._early: dict[int, bytes] = {}
        self._next, self._refused = 0, False
        self._lock = threading.Lock()
        self._asked = time.monotonic()
        for registry in (sources, transforms, sinks):
            registry.names()  # import all plugins now, while nobody waits
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def where(self) -> tuple[str, int]:
        """The machine and the process."""
        return this_machine(), os.getpid()

    def take(self, number: int, content: bytes) -> None:
        """Take a command, in its turn."""
        with self._lock:
            self._early[number] = content
            while self._next in self._early and not self._refused:
                self._handle(self._early.pop(self._next))
                self._next += 1

    def events(self) -> list[bytes]:
        """What has happened since the last call, once something has."""
        self._asked = time.monotonic()
        found = [self._events.get()]
        size = len(found[0])
        while size < MOST_BYTES:
            try:
                found.append(self._events.get_nowait())
            except queue.Empty:
                break
            size += len(found[-1])
        self._asked = time.monotonic()
        return found

    def _handle(self, content: bytes) -> None:
        try:
            command = read_message(content)
        except Unreadable as error:
            self._refused = True
            self._events.put(write_refusal(f"does not take a message: who commands it {error}"))
            return
        self._worker.handle(command)

    def _send(self, event: Event) -> None:
        self._events.put(write_message(event))

    def _beat(self) -> None:
        """Beats are counted, not seconds: none pass while this process is frozen."""
        silent, asked = 0, self._asked
        while silent * HEARTBEAT_SECONDS < ALONE_SECONDS:
            self._send(Heartbeat())
            time.sleep(HEARTBEAT_SECONDS)
            silent = silent + 1 if self._asked == asked else 0
            asked = self._asked
        os._exit(0)
