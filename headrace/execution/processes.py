"""Tasks in worker processes, one for each core: a plugin's crash or endless loop is theirs, never the server's.

Workers are spawned, never forked. Each has one socket to this process that carries pickled messages behind a length
of four bytes; a worker whose socket closes ends at once, so none outlives its server.
"""

import contextlib
import os
import pickle
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from headrace.errors import Unavailable
from headrace.execution.budget import PROCESS_BYTES, check_budget, default_budget
from headrace.execution.messages import Command, Event, Forget, LoadJob, WorkerGone
from headrace.execution.runner import Lane, Runner
from headrace.memory import MIB, resident_bytes
from headrace.plan.plan import Plan

_LENGTH = struct.Struct("!I")

HEARTBEAT_SECONDS = 1.0

WORKER_BYTES = PROCESS_BYTES + 64 * MIB
"""A worker process is not worth its while with less than this, where fewer workers can have more."""

OWN_GROWTH_BYTES = 16 * MIB
"""What progress, checkpoints and logs of its jobs may add to a process that commands workers."""

SILENT_BEATS = 30
"""Heartbeats in a row that a worker may miss before it counts as frozen and is replaced."""


class Channel:
    """Messages over a socket. `send` may be called from several threads, `receive` from one."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lock = threading.Lock()
        self._reader = connection.makefile("rb")

    def send(self, message: Any) -> None:
        """Raises OSError when the other side is gone."""
        content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._lock:
            self._socket.sendall(_LENGTH.pack(len(content)) + content)

    def receive(self) -> Any:
        """The next message; None when the other side is gone."""
        try:
            head = self._reader.read(_LENGTH.size)
            if len(head) < _LENGTH.size:
                return None
            content = self._reader.read(_LENGTH.unpack(head)[0])
        except OSError:
            return None
        return pickle.loads(content) if content else None

    def close(self) -> None:
        """Close the socket; the other side sees its end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.close()
        self._socket.close()


class _ProcessLane(Lane):
    """A worker process. `jobs` are those it knows."""

    def __init__(self, number: int, memory: int, on_gone: Callable[["_ProcessLane"], None]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "headrace.execution.worker_process", str(theirs.fileno()), str(memory)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self.name = f"worker-{number}"
        self.jobs: dict[str, Callable[[Event], None]] = {}
        self.alive = True
        self.silent = 0
        self._channel = Channel(ours)
        self._on_gone = on_gone
        threading.Thread(target=self._listen, name=self.name, daemon=True).start()

    def send(self, command: Command) -> None:
        with contextlib.suppress(OSError):
            self._channel.send(command)

    def kill(self) -> None:
        """End the process now."""
        self.process.kill()
        self.process.wait()

    def _listen(self) -> None:
        while (event := self._channel.receive()) is not None:
            self.silent = 0
            listener = self.jobs.get(event.job)
            if listener is not None:
                listener(event)
        self.alive = False
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        reason = f"worker process {self.process.pid} ended with exit code {self.process.returncode}"
        self._on_gone(self)
        for job, listener in list(self.jobs.items()):
            listener(WorkerGone(job, self.name, reason))
        self._channel.close()


class ProcessesRunner(Runner):
    """Keeps worker processes and shares them between jobs: a job gets the ones with the fewest jobs.

    workers: how many; when None, the number of cores, or fewer where the memory does not suffice for so many. They are
    started when first needed, or by `warm_up`. memory: what they and this process may hold, in bytes; half of what the
    machine allows when None. tasks: how many there will be at once, where that is known; no more workers are made.
    """

    def __init__(
        self,
        workers: int | None = None,
        memory: int | None = None,
        tasks: int | None = None,
        silent_beats: int = SILENT_BEATS,
    ) -> None:
        self._memory = memory
        for_workers = (memory or default_budget()) - _own_bytes()
        wanted = workers or min(os.cpu_count() or 1, max(for_workers // WORKER_BYTES, 1))
        self._wanted = min(wanted, tasks or wanted)
        self._worker_memory = max(for_workers // self._wanted, 1)
        self._lanes: list[_ProcessLane] = []
        self._lock = threading.Lock()
        self._started = 0
        self._closed = False
        self._silent_beats = silent_beats
        self._over = threading.Event()
        # The kernel ends a worker with the thread that started it, so one thread starts them all and stays.
        self._spawner = ThreadPoolExecutor(1, "spawn-workers")
        threading.Thread(target=self._watch, name="watch-workers", daemon=True).start()

    def check(self, plan: Plan | None) -> None:  # noqa: D102
        if self._memory is not None:
            check_budget(plan, self._memory, _own_bytes() + self._wanted * PROCESS_BYTES, self._wanted)

    def warm_up(self) -> None:
        """Start all workers now, so that the first job need not wait for them."""
        with self._lock:
            if not self._closed:
                self._fill(self._wanted)

    def attach(self, job: str, plan: Plan, lanes: int, on_event: Callable[[Event], None]) -> list[Lane]:  # noqa: D102
        with self._lock:
            if self._closed:
                raise Unavailable("the worker processes were ended")
            wanted = min(max(lanes, 1), self._wanted)
            self._fill(wanted)
            mine = [lane for lane in self._lanes if job in lane.jobs]
            others = sorted((lane for lane in self._lanes if job not in lane.jobs), key=lambda lane: len(lane.jobs))
            fresh = others[: wanted - len(mine)] if len(mine) < wanted else []
            for lane in fresh:
                lane.jobs[job] = on_event
        config = plan.job
        for lane in fresh:
            lane.send(LoadJob(job, config.text, config.format, config.file, config.variables))
        return [*mine, *fresh]

    def detach(self, job: str) -> None:  # noqa: D102
        with self._lock:
            mine = [lane for lane in self._lanes if lane.jobs.pop(job, None) is not None]
        for lane in mine:
            lane.send(Forget(job))

    def replace(self, job: str, lane: Lane) -> list[str]:  # noqa: D102
        assert isinstance(lane, _ProcessLane)
        lane.kill()
        deadline = time.monotonic() + 2
        while lane.alive and time.monotonic() < deadline:
            time.sleep(0.005)
        self.warm_up()
        return []

    def close(self) -> None:  # noqa: D102
        self._over.set()
        with self._lock:
            self._closed = True
            lanes, self._lanes = self._lanes, []
        for lane in lanes:
            lane.jobs.clear()
            lane.kill()
        self._spawner.shutdown()

    def _watch(self) -> None:
        """Kill workers that are frozen. Beats are counted, not seconds: none pass while this process is frozen."""
        while not self._over.wait(HEARTBEAT_SECONDS):
            for lane in list(self._lanes):
                lane.silent += 1
                if lane.silent > self._silent_beats:
                    lane.process.kill()

    def pids(self) -> list[int]:
        """Process ids of the living workers."""
        return [lane.process.pid for lane in self._lanes if lane.alive]

    def _fill(self, wanted: int) -> None:
        while len(self._lanes) < wanted:
            self._started += 1
            self._lanes.append(
                self._spawner.submit(_ProcessLane, self._started, self._worker_memory, self._gone).result()
            )

    def _gone(self, lane: _ProcessLane) -> None:
        with self._lock:
            if lane in self._lanes:
                self._lanes.remove(lane)


def _own_bytes() -> int:
    """What this process takes, which commands the workers and touches no rows, and may grow by."""
    return max(resident_bytes(), PROCESS_BYTES) + OWN_GROWTH_BYTES
