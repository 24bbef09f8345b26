"""Workers in processes of their own: which job has which, who is to blame for a death, which one is frozen.

What is kept here is the same wherever they run. How one is started and reached is added by `processes` and others.
"""

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Collection
from typing import Any

from headrace.errors import ConfigError, Problem, Rejected, Unavailable
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
from headrace.execution.runner import Lane, Runner
from headrace.execution.suspects import Suspects
from headrace.execution.wire import Unreadable, read_message, write_message
from headrace.plan.plan import Plan

NICENESS = 5
"""Whoever commands the workers comes first: a server answers in milliseconds while they keep all cores busy."""

HEARTBEAT_SECONDS = 1.0

LEAVING_SECONDS = 4.0
"""How long a call may go on when its job is over; then its worker is replaced, at the next heartbeat."""

SILENT_BEATS = 30
"""Heartbeats in a row that a worker may miss before it counts as frozen and is replaced."""

STARTING = 4
"""So many times more it may miss before its first one: on a busy machine its imports take long."""

QUIET_BEATS = 3
"""After so many a worker does not answer as a whole: a job whose tasks do not stop there need not be the cause."""


class WorkerLane(Lane):
    """A worker in a process of its own. `jobs` are those it knows, in the order in which they came.

    alone: the only job that gets it. ended_by: the job for which it is ended, empty when it ends by itself.
    refused: why it and this process do not understand each other; empty when they do.
    """

    def __init__(self, name: str, machine: str, on_gone: Callable[["WorkerLane"], Collection[str]]) -> None:
        self.name, self.machine = name, machine
        self.jobs: dict[str, Callable[[Event], None]] = {}
        self.alone = self.ended_by = self.refused = ""
        self.alive = True
        self.silent, self.heard = 0, False
        self._work: dict[tuple[Any, ...], str] = {}
        self._leaving: dict[str, float] = {}
        self._on_gone = on_gone

    @abstractmethod
    def end(self) -> None:
        """End the process; this does not wait for it."""

    @abstractmethod
    def kill(self) -> None:
        """End the process now, and wait until it is gone as far as that can be known here."""

    @abstractmethod
    def _transmit(self, content: bytes) -> None:
        """Send a message. A worker that is gone swallows it."""

    @abstractmethod
    def _receive(self) -> bytes | None:
        """The next message; None when the worker is gone. It may block."""

    @abstractmethod
    def _bury(self) -> None:
        """Nothing comes from the worker any more: see that it is gone, and give back what it took here."""

    @abstractmethod
    def _title(self) -> str:
        """What the worker is called in errors."""

    @abstractmethod
    def _end_told(self) -> str:
        """How it ended, in words that go on after its title."""

    def send(self, command: Command) -> None:  # noqa: D102
        if isinstance(command, StartTask):
            context = command.spec.context
            self._work[command.job, context.pipeline, context.epoch, command.spec.index] = command.job
        elif isinstance(command, Call):
            self._work[command.job, command.id] = command.job
        self._transmit(write_message(command))

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
                self.end()

    def listen(self) -> None:
        """Take what the worker says until it is gone, then tell its jobs. On a thread of its own."""
        while (event := self._event()) is not None:
            self.silent, self.heard = 0, True
            if isinstance(event, TaskEnded | TaskFailed):
                self._work.pop((event.job, event.pipeline, event.epoch, event.task), None)
            elif isinstance(event, Reply):
                self._work.pop((event.job, event.id), None)
            listener = self.jobs.get(event.job)
            if listener is not None:
                listener(event)
        self._bury()
        guilty = self._on_gone(self)
        reason = self._reason(guilty)
        for job, listener in list(self.jobs.items()):
            listener(WorkerGone(job, self.name, reason, job in guilty))
        self.alive = False

    def _event(self) -> Event | None:
        """The next event; None when the worker is gone, or does not speak as this process does."""
        content = self._receive()
        try:
            event: Event | None = None if content is None else read_message(content)
        except Unreadable as error:
            self.refused = str(error)
            self.end()
            return None
        return event

    def _reason(self, guilty: Collection[str]) -> str:
        if self.refused:
            return f"{self._title()} {self.refused}"
        if self.ended_by:
            return f"{self._title()} was ended because job {_id(self.ended_by)} did not stop in it"
        shared = ", ".join(map(_id, self.at_work()))
        also = "" if guilty or not shared else f", and it is not known by which of the jobs {shared}"
        return f"{self._title()} {self._end_told()}{also}"


def _id(job: str) -> str:
    """A job's id, of the key that its master chose."""
    return job.partition(".")[0]


class LanesRunner(Runner):
    """Keeps workers and shares them between jobs: a job gets the ones with the fewest jobs.

    most_alone: how many jobs may have a worker of their own, see Suspects. has_fixed: whether such a worker takes the
    place of a shared one, for there is memory for so many and no more.
    """

    def __init__(self, most_alone: int, silent_beats: int, *, has_fixed: bool) -> None:
        self._lanes: list[WorkerLane] = []
        self._suspects = Suspects(most_alone)
        self._has_fixed = has_fixed
        self._lock = threading.Lock()
        self._started = 0
        self._closed = False
        self._silent_beats = silent_beats
        self._over = threading.Event()

    @property
    @abstractmethod
    def wanted(self) -> int:
        """How many shared workers there may be."""

    @abstractmethod
    def _start(self, numbers: Collection[int], machine: str, least: int) -> list[WorkerLane]:
        """Start a worker for each number, on this machine or, when it is empty, anywhere. Called under the lock.

        There may be fewer where there is no room, but no less than `least`. Raises Unavailable when these cannot be.
        """

    def _begin(self) -> None:
        """Watch the workers from now on."""
        threading.Thread(target=self._watch, name="watch-workers", daemon=True).start()

    def warm_up(self) -> None:
        """Start all workers now, so that the first job need not wait for them."""
        with self._lock:
            if not self._closed:
                self._fill(self.wanted)

    def attach(  # noqa: D102
        self, job: str, plan: Plan, lanes: int, on_event: Callable[[Event], None], machine: str = ""
    ) -> list[Lane]:
        with self._lock:
            if self._closed:
                raise Unavailable("the worker processes were ended")
            there = machine if machine in self.machines() else ""
            is_alone = self._suspects.is_alone(job)
            found = [self._own_lane(job, there)] if is_alone else self._shared_lanes(job, lanes, there)
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

    def _shared_lanes(self, job: str, lanes: int, machine: str) -> list[WorkerLane]:
        """Those that have the job, then those with the fewest jobs; the first of them on the machine."""
        wanted = min(max(lanes, 1), self._fill(min(max(lanes, 1), self.wanted)))
        shared = [lane for lane in self._lanes if not lane.alone]
        found = [lane for lane in shared if job in lane.jobs]
        others = [lane for lane in shared if job not in lane.jobs]
        while others and len(found) < wanted:
            taken = [lane.machine for lane in found]
            least = min(others, key=lambda lane: (len(lane.jobs), taken.count(lane.machine)))
            others.remove(least)
            found.append(least)
        if not machine or any(lane.machine == machine for lane in found):
            return sorted(found, key=lambda lane: bool(machine) and lane.machine != machine)
        there = [lane for lane in others if lane.machine == machine] or self._add(1, machine, least=1)
        return [min(there, key=lambda lane: len(lane.jobs)), *found]

    def _own_lane(self, job: str, machine: str) -> WorkerLane:
        own = (lane for lane in self._lanes if lane.alone == job and machine in ("", lane.machine))
        found = next(own, None)
        if found is None:
            (found,) = self._add(1, machine, least=1)
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

    def _take_spare(self) -> list[WorkerLane]:
        """Shared workers that are too many, and idle."""
        shared = [lane for lane in self._lanes if not lane.alone]
        idle = [lane for lane in shared if not lane.jobs and not lane.at_work()]
        spare = idle[: max(len(shared) - self.wanted, 0)]
        self._lanes = [lane for lane in self._lanes if lane not in spare]
        return spare

    def replace(self, job: str, lane: Lane) -> list[str]:  # noqa: D102
        assert isinstance(lane, WorkerLane)
        if lane.silent < QUIET_BEATS:
            lane.ended_by = job
        with self._lock:
            before = sum(1 for other in self._lanes if not other.alone)
        lane.kill()
        deadline = time.monotonic() + 2
        while lane.alive and time.monotonic() < deadline:
            time.sleep(0.005)
        with self._lock:
            if not self._closed:
                self._fill(before)
        return []

    def close(self) -> None:  # noqa: D102
        self._over.set()
        with self._lock:
            self._closed = True
            lanes, self._lanes = self._lanes, []
        for lane in lanes:
            lane.jobs.clear()
            lane.kill()

    def _watch(self) -> None:
        """End workers that are frozen. Beats are counted, not seconds: none pass while this process is frozen."""
        while not self._over.wait(HEARTBEAT_SECONDS):
            for lane in list(self._lanes):
                lane.end_overdue()
                lane.silent += 1
                if lane.silent > self._silent_beats * (1 if lane.heard else STARTING):
                    lane.end()

    def _fill(self, wanted: int) -> int:
        """Start shared workers until there are so many, or as many as there may be; how many there are."""
        most = self.wanted if not self._has_fixed else max(self.wanted - self._suspects.alone, 1)
        count = sum(1 for lane in self._lanes if not lane.alone)
        missing = min(wanted, most) - count
        return count if missing <= 0 else count + len(self._add(missing, least=0 if count else 1))

    def _add(self, count: int, machine: str = "", *, least: int) -> list[WorkerLane]:
        numbers = range(self._started + 1, self._started + 1 + count)
        self._started += count
        made = self._start(numbers, machine, least)
        self._lanes += made
        return made

    def _gone(self, lane: WorkerLane) -> Collection[str]:
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
