"""The memory that a process may take, divided among the tasks that run in it.

Two things keep it. Each task has a share: its queue is budgeted by bytes, its source is told how big batches may be,
its writers how much they may hold back. And the process is measured: while it holds almost all it may, no reader goes
on but those whose task has nothing under way.
"""

import math
import threading
import time
from collections.abc import Callable

from headrace.connector import Sink, Source
from headrace.errors import NotEnoughMemory
from headrace.memory import MIB, allowed_bytes, keep_nothing, release_unused, resident_bytes, show_size
from headrace.plan.plan import Pipeline, Plan
from headrace.rows import TARGET_BYTES

PROCESS_BYTES = 112 * MIB
"""A process without a task, all plugins imported; it was measured at 100."""

VARYING = 20
"""By such a part of it what a process takes varies from start to start: the minimum that is named suffices for all."""

LEAST_BYTES = Source.memory_bytes + Sink.memory_bytes
"""What a task needs whose plugins need what is usual."""

FRUGAL_BYTES = 128 * MIB
"""With a smaller share, what allocators keep for later would be a good part of it."""

IN_FLIGHT_BYTES = 64 * MIB
"""A reader runs ahead by no more than this, whatever the budget."""

MEASURE_SECONDS = 0.01
RELEASE_SECONDS = 0.5


class MemoryShare:
    """What one task may use; it shrinks when others start and grows when they end."""

    def __init__(self, budget: "Budget") -> None:
        self._budget = budget

    @property
    def bytes(self) -> int:
        """All of it."""
        return self._budget.share_bytes

    @property
    def in_flight(self) -> int:
        """Bytes of the batches under way: being read, in the queue, and in the transforms and sinks."""
        return min(self.bytes // 4, IN_FLIGHT_BYTES)

    @property
    def batch_bytes(self) -> int:
        """Bytes of one batch."""
        return min(self.bytes // 16, TARGET_BYTES)

    def held_bytes(self, writers: int) -> int:
        """What each of so many writers may hold back."""
        return self.bytes // 4 // max(writers, 1)

    def is_tight(self) -> bool:
        """Whether the process holds almost all it may."""
        return self._budget.is_tight()


class Budget:
    """Of one process. limit: resident bytes, at most; half of what the machine allows when None."""

    def __init__(self, limit: int | None = None, measure: Callable[[], int] = resident_bytes) -> None:
        self._limit, self._measure = limit or default_budget(), measure
        self._lock = threading.Lock()
        self._shares: set[MemoryShare] = set()
        self._idle, self._expected = 0, 1
        self._measured_at, self._released_at = 0.0, 0.0
        self._tight = False
        self.share_bytes = Source.memory_bytes

    def join(self, expected: int = 1) -> MemoryShare:
        """A share for a task that starts. What the process holds without any task is not divided.

        expected: how many tasks there will be at once, as far as the task's job tells.
        """
        with self._lock:
            self._expected = max(expected, self._expected if self._shares else 1)
            if not self._shares:
                release_unused()
                self._idle = self._measure()
            share = MemoryShare(self)
            self._shares.add(share)
            self._divide()
            if self.share_bytes < FRUGAL_BYTES:
                keep_nothing()
            return share

    @property
    def call_bytes(self) -> int:
        """What a call beside the tasks may keep: half of what a process has beside what it takes without any task."""
        return max(self._limit - max(self._idle, PROCESS_BYTES), 0) // 2

    def leave(self, share: MemoryShare) -> None:
        """The task has ended."""
        with self._lock:
            self._shares.discard(share)
            self._divide()

    def _divide(self) -> None:
        """Each task has the same, and never less than a task needs to go on."""
        free = max(self._limit - self._idle, 0)
        self.share_bytes = max(free // max(len(self._shares), self._expected), Source.memory_bytes)

    def is_tight(self) -> bool:
        """See MemoryShare. Measured now and then; what allocators only keep is given back first."""
        now = time.monotonic()
        if now - self._measured_at >= MEASURE_SECONDS:
            self._measured_at = now
            most = self._limit - max(self._limit - self._idle, 0) // 3
            self._tight = self._measure() > most
            if self._tight and now - self._released_at >= RELEASE_SECONDS:
                self._released_at = now
                release_unused()
                self._tight = self._measure() > most
        return self._tight


def default_budget() -> int:
    """Half of what the control group or the machine allows."""
    return allowed_bytes() // 2


def needed_bytes(pipeline: Pipeline) -> int:
    """What one task of a pipeline needs, at least: its reader, and the writers of each sink."""
    return pipeline.source.source.memory_bytes + sum(step.sink.memory_bytes for step in pipeline.all_sinks())


def check_budget(plan: Plan | None, budget: int, processes: int, workers: int) -> None:
    """Raises NotEnoughMemory when not even this one job can run, or the smallest one when None.

    processes: what processes without tasks take, in bytes. workers: how many processes share the tasks.
    """
    pipelines = plan.pipelines if plan else ()
    fullest = sum(needed_bytes(p) * math.ceil(p.parallelism / workers) for p in pipelines) or LEAST_BYTES
    least = processes + workers * fullest
    if least > budget:
        count = sum(p.parallelism for p in pipelines)
        tasks = f"{count} tasks" if count > 1 else "a task"
        raise NotEnoughMemory(
            f"{'the job cannot' if plan else 'no job can'} run in {show_size(budget)} of memory: {tasks} and the "
            f"processes around need {show_size(least + processes // VARYING)}; raise --memory to that"
            + (", or lower env.parallelism" if count > 1 else "")
            + (", or take fewer workers" if workers > 1 else "")
        )
