"""Tasks in Ray actors, on all nodes of a Ray cluster: the same workers and messages as in worker processes.

Ray places them where there are CPU and memory, carries the bytes, and tells when one is gone. What they say to each
other, who shares which, and who is to blame for a death is the same as for worker processes.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

import psutil

from headrace.errors import ConfigError, Problem, Unavailable, told
from headrace.execution.budget import LEAST_BYTES, PROCESS_BYTES, check_budget, default_budget
from headrace.execution.lanes import SILENT_BEATS, LanesRunner, WorkerLane
from headrace.execution.ray_cluster import RayCluster, RayNode
from headrace.execution.ray_worker import RayWorker
from headrace.execution.runner import this_machine
from headrace.logs import worker_environment as environment_of_logs
from headrace.memory import MIB, resident_bytes, show_size
from headrace.plan.plan import Plan
from headrace.reach import worker_environment as environment_of_reach

RAY_BYTES = 560 * MIB
"""What Ray's own processes take on its head, without its dashboard; their resident memory was measured at 527."""

OWN_GROWTH_BYTES = 64 * MIB
"""What Ray's library, and the progress, checkpoints and logs of jobs, may add to a process that commands workers."""

WORKER_BYTES = 172 * MIB
"""A Ray actor without a task, all plugins imported; it was measured at 157."""

PLACED_BYTES = WORKER_BYTES + LEAST_BYTES
"""What is told to Ray that a worker takes: with less, no task could run there."""

THREADS = 4
"""Of an actor, for its methods: one waits for events."""

PLACING_SECONDS = 60.0
"""How long Ray may take to find room for a worker that is needed, and to start it."""

LOOK_SECONDS = 0.5

ENDING_SECONDS = 2.0
"""A worker whose end was asked for, and of which Ray tells nothing for so long, counts as gone: its epoch is fenced."""


_BECAUSE, _GUESSES = "The actor is dead because", "Some common causes"


class _RayLane(WorkerLane):
    """A worker that is a Ray actor. actor: its handle, which may still wait for its place.

    pid: its process on that machine, once it has told.
    """

    def __init__(self, number: int, ray: Any, actor: Any, on_gone: Callable[[WorkerLane], Collection[str]]) -> None:
        super().__init__(f"ray-worker-{number}", "", on_gone)
        self.pid = 0
        self._ray, self._actor = ray, actor
        self._told = "ended"
        self._inbox: deque[bytes] = deque()
        self._asked: Any = None
        self._sent, self._lock = 0, threading.Lock()
        self._ended_at: float | None = None
        self._thread = threading.Thread(target=self.listen, name=self.name, daemon=True)
        self.place = actor.where.remote()

    def begin(self) -> None:
        """It has its place: from now on it is listened to. Raises what Ray raises when it has died meanwhile."""
        self.machine, self.pid = self._ray.get(self.place)
        self._thread.start()

    def end(self) -> None:
        if self._ended_at is None:
            self._ended_at = time.monotonic()
        with suppress(Exception):  # Ray knows it no more, or is away: its node ends it then
            self._ray.kill(self._actor, no_restart=True)
        if self.machine == this_machine():
            self._end_here()

    def _end_here(self) -> None:
        """A process that is frozen does not hear Ray; what has its number may also be in another container."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            if any("RayWorker" in part for part in process.cmdline()):
                process.kill()

    def kill(self) -> None:
        self.end()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(2 * ENDING_SECONDS)

    def _transmit(self, content: bytes) -> None:
        with self._lock:
            self._actor.take.remote(self._sent, content)
            self._sent += 1

    def _receive(self) -> bytes | None:
        while not self._inbox:
            if self._asked is None:
                self._asked = self._actor.events.remote()
            try:
                if not self._ray.wait([self._asked], timeout=LOOK_SECONDS)[0]:
                    if self._ended_at is not None and time.monotonic() > self._ended_at + ENDING_SECONDS:
                        return None
                    continue
                self._inbox.extend(self._ray.get(self._asked))
            except Exception as error:  # dead, cut off, or Ray has ended: what it said meanwhile is lost
                self._told = _told(error)
                return None
            self._asked = None
        return self._inbox.popleft()

    def _bury(self) -> None:
        self.end()

    def _title(self) -> str:
        return f"Ray worker {self.pid} on {self.machine}"

    def _end_told(self) -> str:
        return self._told


def ray_runner(address: str, workers: int | None, memory: int | None, tasks: int | None) -> "RayRunner":
    """A runner on the Ray at this address, or on one of its own when it is empty. See RayRunner.

    Raises MissingExtra, and ConfigError where Ray cannot be used or the memory cannot be kept.
    """
    if address and memory is not None:
        cure = "say it where Ray is started, with `ray start --memory`"
        raise ConfigError([Problem("--memory", f"what workers may hold is known to the Ray at {address}", cure)])
    for_workers = max((memory or default_budget()) - _own_bytes(), PLACED_BYTES)
    cluster = RayCluster(address, workers, for_workers)
    return RayRunner(cluster, workers, memory, tasks, on_close=cluster.close)


class RayRunner(LanesRunner):
    """Keeps Ray actors as workers, as many as the cluster has CPUs for.

    workers: how many at most; as many as the cluster has CPUs when None. memory: what Ray, they and this process may
    hold, in bytes, where Ray is started for this process. tasks: how many there will be at once, where that is known.
    on_close: called when its workers have ended.
    """

    def __init__(
        self,
        cluster: RayCluster,
        workers: int | None = None,
        memory: int | None = None,
        tasks: int | None = None,
        silent_beats: int = SILENT_BEATS,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self.cluster, self._on_close = cluster, on_close
        self._memory = memory
        self._most = min((limit for limit in (workers, tasks) if limit), default=0)
        is_limited = memory is not None
        super().__init__(self.wanted - 1 if is_limited else self.wanted, silent_beats, has_fixed=is_limited)
        self._begin()

    @property
    def wanted(self) -> int:  # noqa: D102
        cpus = max(int(sum(node.cpus for node in self.cluster.nodes)), 1)
        return min(cpus, self._most or cpus)

    def machines(self) -> list[str]:  # noqa: D102
        return list(dict.fromkeys(node.machine for node in self.cluster.nodes))

    def check(self, plan: Plan | None) -> None:  # noqa: D102
        if self._memory is not None:
            check_budget(plan, self._memory, _own_bytes() + self.wanted * WORKER_BYTES, self.wanted)

    def close(self) -> None:  # noqa: D102
        super().close()
        self._on_close()

    def pids(self) -> list[int]:
        """Process ids of the living workers, each on its machine."""
        return [lane.pid for lane in self._lanes if isinstance(lane, _RayLane) and lane.alive]

    def _start(self, numbers: Collection[int], machine: str, least: int) -> list[WorkerLane]:
        """A worker that must be gets no CPU of its own where all are taken: a busy cluster is slow, but never stuck."""
        room = 0 if machine else int(self.cluster.free_cpus())
        asked = list(numbers)[: max(room, least)]
        nodes = [node for node in self.cluster.nodes if node.machine == machine]
        lanes = [self._ask_for(number, 1 if i < room else 0, nodes) for i, number in enumerate(asked)]
        if not lanes:
            return []
        places = [lane.place for lane in lanes]
        found, _ = self.cluster.ray.wait(places, num_returns=len(places), timeout=PLACING_SECONDS)
        made: list[WorkerLane] = []
        reason = (
            f"Ray has found no room for a worker, which takes {show_size(PLACED_BYTES)}, in {PLACING_SECONDS:.0f} s"
        )
        for lane in lanes:
            try:
                if lane.place in found:
                    lane.begin()
                    made.append(lane)
                else:
                    lane.end()
            except self.cluster.ray.exceptions.RayError as error:
                reason = f"a Ray worker cannot begin: {_told(error)}"
        if len(made) < least:
            for extra in made:
                extra.kill()
            raise Unavailable(reason)
        return made

    def _ask_for(self, number: int, cpus: int, nodes: list[RayNode]) -> _RayLane:
        """A new actor, on one of these nodes, or on any when there is none."""
        ray = self.cluster.ray
        strategies = ray.util.scheduling_strategies
        actor = (
            ray.remote(RayWorker)
            .options(
                num_cpus=cpus,
                memory=PLACED_BYTES,
                max_restarts=0,
                max_task_retries=0,
                max_concurrency=THREADS,
                scheduling_strategy=strategies.NodeAffinitySchedulingStrategy(nodes[number % len(nodes)].id, soft=False)
                if nodes
                else "SPREAD",
            )
            .remote(self._worker_memory(), {**environment_of_logs(), **environment_of_reach()})
        )
        return _RayLane(number, ray, actor, self._gone)

    def _worker_memory(self) -> int:
        """What a worker may hold, in bytes."""
        if self._memory is not None:
            return max((self._memory - _own_bytes()) // self.wanted, 1)
        shares = [int(node.memory / node.cpus) for node in self.cluster.nodes if node.cpus and node.memory]
        return min(shares, default=PLACED_BYTES)


def _told(error: Exception) -> str:
    """Why an actor is gone, in words that go on after its title."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    because = [line for line in lines if line.startswith(_BECAUSE)]
    because = because or lines or [told(error)]
    text = because[0].removeprefix(_BECAUSE).partition(_GUESSES)[0]
    return f"ended: {text.strip()}"


def _own_bytes() -> int:
    """What Ray takes, and this process, which commands the workers and touches no rows, and may grow by."""
    return max(resident_bytes(), PROCESS_BYTES) + OWN_GROWTH_BYTES + RAY_BYTES
