"""Tasks in worker processes, one for each core: a plugin's crash or endless loop is theirs, never the server's.

Workers are spawned, never forked. Each has one socket to this process that carries messages behind a length of four
bytes; a worker whose socket closes ends at once, so none outlives its server.
"""

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from headrace.errors import ConfigError, Problem, Rejected, Unavailable
from headrace.execution.budget import PROCESS_BYTES, check_budget, default_budget
from headrace.execution.messages import (
    Call,
    Command,
    Event,
    Forget,
    LoadJob,
    Reply,
    StartTask,
    TaskEnded,
    TaskFailed,
    WorkerGone,
)
from headrace.execution.runner import Lane, Runner, this_machine
from headrace.execution.suspects import Suspects
from headrace.execution.wire import Unreadable, read_message, write_message
from headrace.memory import MIB, resident_bytes
from headrace.plan.plan import Plan

_LENGTH = struct.Struct("!I")

HEARTBEAT_SECONDS = 1.0

WORKER_BYTES = PROCESS_BYTES + 64 * MIB
"""A worker process is not worth its while with less than this, where fewer workers can have more."""

OWN_GROWTH_BYTES = 16 * MIB
"""What progress, checkpoints and logs of its jobs may add to a process that commands workers."""

LEAVING_SECONDS = 4.0
"""How long a call may go on when its job is over; then its worker is replaced, at the next heartbeat."""

SILENT_BEATS = 30
"""Heartbeats in a row that a worker may miss before it counts as frozen and is replaced."""

STARTING = 4
"""So many times more it may miss before its first one: on a busy machine its imports take long."""

QUIET_BEATS = 3
"""After so many a worker does not answer as a whole: a job whose tasks do not stop there need not be the cause."""


class Channel:
    """Messages over a socket. `send` may be called from several threads, `receive` from one."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lock = threading.Lock()
        self._reader = connection.makefile("rb")

    def send(self, content: bytes) -> None:
        """Raises OSError when the other side is gone."""
        with self._lock:
            self._socket.sendall(_LENGTH.pack(len(content)) + content)

    def receive(self) -> bytes | None:
        """The next message; None when the other side is gone."""
        try:
            head = self._reader.read(_LENGTH.size)
            if len(head) < _LENGTH.size:
                return None
            return self._reader.read(_LENGTH.unpack(head)[0]) or None
        except OSError:
            return None

    def close(self) -> None:
        """Close the socket; the other side sees its end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.close()
        self._socket.close()


class _ProcessLane(Lane):
    """A worker process. `jobs` are those it knows, in the order in which they came.

    alone: the only job that gets it. ended_by: the job for which it is ended, empty when it ends by itself.
    refused: why it and this process do not understand each other; empty when they do.
    """

    def __init__(self, number: int, memory: int, on_gone: Callable[["_ProcessLane"], Collection[str]]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "headrace.execution.worker_process", str(theirs.fileno()), str(memory)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self.name, self.machine = f"worker-{number}", this_machine()
        self.jobs: dict[str, Callable[[Event], None]] = {}
        self.alone = self.ended_by = self.refused = ""
        self.alive = True
        self.silent, self.heard = 0, False
        self._work: dict[tuple[Any, ...], str] = {}
        self._leaving: dict[str, float] = {}
        self._channel = Channel(ours)
        self._on_gone = on_gone
        threading.Thread(target=self._listen, name=self.name, daemon=True).start()

    def send(self, command: Command) -> None:
        if isinstance(command, StartTask):
            context = command.spec.context
            self._work[command.job, context.pipeline, context.epoch, command.spec.index] = command.job
        elif isinstance(command, Call):
            self._work[command.job, command.id] = command.job
        content = write_message(command)
        with contextlib.suppress(OSError):
            self._channel.send(content)

    def at_work(self) -> list[str]:
        """The jobs whose tasks or calls run in it, also calls that nobody waits for any more; the oldest job first."""
        working = set(self._work.values())
        return [job for job in list(self.jobs) if job in working] + sorted(working - self.jobs.keys())

    def forget(self, job: str) -> None:
        """The job is over: its calls get a moment to end."""
        if any(key[0] == job for key in list(self._work)):
            self._leaving[job] = time.monotonic() + LEAVING_SECONDS
        self.send(Forget(job))

    def end_overdue(self) -> None:
        """End the process where a job that is over still works in it."""
        now, working = time.monotonic(), set(self._work.values())
        for job, until in list(self._leaving.items()):
            if job not in working:
                self._leaving.pop(job, None)
            elif now >= until:
                self.ended_by = job
                self.process.kill()

    def kill(self) -> None:
        """End the process now."""
        self.process.kill()
        self.process.wait()

    def _listen(self) -> None:
        while (event := self._receive()) is not None:
            self.silent, self.heard = 0, True
            if isinstance(event, TaskEnded | TaskFailed):
                self._work.pop((event.job, event.pipeline, event.epoch, event.task), None)
            elif isinstance(event, Reply):
                self._work.pop((event.job, event.id), None)
            listener = self.jobs.get(event.job)
            if listener is not None:
                listener(event)
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:  # it lives, but nobody listens to it any more
            self.kill()
        guilty = self._on_gone(self)
        reason = self._reason(guilty)
        for job, listener in list(self.jobs.items()):
            listener(WorkerGone(job, self.name, reason, job in guilty))
        self.alive = False
        self._channel.close()

    def _receive(self) -> Event | None:
        """The next event; None when the worker is gone, or does not speak as this process does."""
        content = self._channel.receive()
        try:
            event: Event | None = None if content is None else read_message(content)
        except Unreadable as error:
            self.refused = str(error)
            self.process.kill()
            return None
        return event

    def _reason(self, guilty: Collection[str]) -> str:
        if self.refused:
            return f"worker process {self.process.pid} {self.refused}"
        if self.ended_by:
            return f"worker process {self.process.pid} was ended because job {_id(self.ended_by)} did not stop in it"
        shared = ", ".join(map(_id, self.at_work()))
        also = "" if guilty else f", and it is not known by which of the jobs {shared}"
        return f"worker process {self.process.pid} ended with exit code {self.process.returncode}{also}"


def _id(job: str) -> str:
    """A job's id, of the key that its master chose."""
    return job.partition(".")[0]


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
        # A worker of a job's own is one more; where the memory is given, it takes the place of a shared one.
        self._suspects = Suspects(self._wanted if memory is None else self._wanted - 1)
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

    def attach(  # noqa: D102
        self, job: str, plan: Plan, lanes: int, on_event: Callable[[Event], None], machine: str = ""
    ) -> list[Lane]:
        with self._lock:
            if self._closed:
                raise Unavailable("the worker processes were ended")
            found = [self._own_lane(job)] if self._suspects.is_alone(job) else self._shared_lanes(job, lanes)
            fresh = [lane for lane in found if job not in lane.jobs]
            for lane in fresh:
                lane.jobs[job] = on_event
        try:
            for lane in fresh:
                lane.send(LoadJob(job, plan.job.resolved()))
        except Rejected as error:
            text = f"an option holds what only this process has: {error.message}"
            raise ConfigError([Problem("", text, "run the job embedded")]) from error
        return list(found)

    def _shared_lanes(self, job: str, lanes: int) -> list[_ProcessLane]:
        """Those that have the job, then those with the fewest jobs."""
        wanted = min(max(lanes, 1), self._fill(min(max(lanes, 1), self._wanted)))
        shared = [lane for lane in self._lanes if not lane.alone]
        mine = [lane for lane in shared if job in lane.jobs]
        others = sorted((lane for lane in shared if job not in lane.jobs), key=lambda lane: len(lane.jobs))
        return [*mine, *others[: max(wanted - len(mine), 0)]]

    def _own_lane(self, job: str) -> _ProcessLane:
        found = next((lane for lane in self._lanes if lane.alone == job), None)
        if found is None:
            found = self._begin_lane()
            found.alone = job
        return found

    def detach(self, job: str) -> None:  # noqa: D102
        with self._lock:
            mine = [lane for lane in self._lanes if lane.jobs.pop(job, None) is not None]
            self._suspects.forget(job)
            self._share_again()
            spare = self._take_spare()
        for lane in mine:
            lane.forget(job)
        for lane in spare:
            lane.kill()

    def _share_again(self) -> None:
        """Workers that no job has for itself any more serve all."""
        for lane in self._lanes:
            if lane.alone and not self._suspects.is_alone(lane.alone):
                lane.alone = ""

    def _take_spare(self) -> list[_ProcessLane]:
        """Shared workers that are too many, and idle."""
        shared = [lane for lane in self._lanes if not lane.alone]
        idle = [lane for lane in shared if not lane.jobs and not lane.at_work()]
        spare = idle[: max(len(shared) - self._wanted, 0)]
        self._lanes = [lane for lane in self._lanes if lane not in spare]
        return spare

    def replace(self, job: str, lane: Lane) -> list[str]:  # noqa: D102
        assert isinstance(lane, _ProcessLane)
        if lane.silent < QUIET_BEATS:
            lane.ended_by = job
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
                lane.end_overdue()
                lane.silent += 1
                if lane.silent > self._silent_beats * (1 if lane.heard else STARTING):
                    lane.process.kill()

    def pids(self) -> list[int]:
        """Process ids of the living workers."""
        return [lane.process.pid for lane in self._lanes if lane.alive]

    def _fill(self, wanted: int) -> int:
        """Start shared workers until there are so many, or as many as there may be; how many there are."""
        most = self._wanted if self._memory is None else max(self._wanted - self._suspects.alone, 1)
        while (count := sum(1 for lane in self._lanes if not lane.alone)) < min(wanted, most):
            self._begin_lane()
        return count

    def _begin_lane(self) -> _ProcessLane:
        self._started += 1
        lane = self._spawner.submit(_ProcessLane, self._started, self._worker_memory, self._gone).result()
        self._lanes.append(lane)
        return lane

    def _gone(self, lane: _ProcessLane) -> Collection[str]:
        """A worker has ended: the jobs that are to pay for it."""
        with self._lock:
            if lane in self._lanes:
                self._lanes.remove(lane)
            if lane.ended_by or self._closed:
                return {lane.ended_by}
            if lane.refused:
                return set(lane.jobs)
            guilty = self._suspects.died(lane.at_work())
            self._share_again()
            return guilty


def _own_bytes() -> int:
    """What this process takes, which commands the workers and touches no rows, and may grow by."""
    return max(resident_bytes(), PROCESS_BYTES) + OWN_GROWTH_BYTES
