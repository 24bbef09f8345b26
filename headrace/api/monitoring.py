"""system-monitoring-information: what the JVM's words mean for a Python process. `docs/monitoring.md` has the table."""

import gc
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from headrace.jobs.record import Node

_UNITS = "KMGTPE"

QUEUES = ("async", "client", "client.query", "client.blocking", "query", "scheduled", "io", "system", "operations")
MORE_QUEUES = ("mapLoad", "mapLoadAllKeys", "cluster", "response")


class Monitor:
    """Measures this process and this machine.

    figures: name → a function that gives it: `waiting_jobs`, `waiting_writes`, `waiting_requests`, `running_requests`,
    `answered_requests`, `asked_jobs`, `running_jobs`, `connections`, `clients`, `workers`.
    """

    def __init__(self, figures: dict[str, Callable[[], int]]) -> None:
        self._figures = figures
        self._process = psutil.Process()
        self._process.cpu_percent()
        psutil.cpu_percent()
        self._gc_seconds = [0.0, 0.0]
        self._gc_started = 0.0
        self._peak_threads = 0
        gc.callbacks.append(self._watch_gc)

    def close(self) -> None:
        """Stop measuring."""
        gc.callbacks.remove(self._watch_gc)

    def values(self, node: Node, *, master: bool) -> dict[str, str]:
        """All keys of this node in SeaTunnel's order, as texts."""
        host, _, port = node.address.rpartition(":")
        return {
            "isMaster": "true" if master else "false",
            "host": host,
            "port": port,
            "processors": str(len(os.sched_getaffinity(0))),
            **self._memory(),
            **self._collections(),
            **self._load(),
            "cluster.timeDiff": "0",
            **self._queues(),
        }

    def _watch_gc(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._gc_started = time.perf_counter()
        else:
            self._gc_seconds[info["generation"] == 2] += time.perf_counter() - self._gc_started

    def memory(self) -> tuple[int, int, int]:
        """Bytes of this process: resident, the most it ever held, and what it may use."""
        used = int(self._process.memory_info().rss)
        return used, max(_peak_resident(), used), memory_limit(psutil.virtual_memory().total)

    def resources(self) -> dict[str, float]:
        """What /resource/workers tells of this node: cores, memory in bytes, and the shares in use."""
        machine, load = psutil.virtual_memory(), psutil.cpu_percent() / 100
        cores = len(os.sched_getaffinity(0))
        return {
            "totalCpuCores": cores,
            "availableCpuCores": round(cores * (1 - load), 2),
            "totalHeapMemoryBytes": memory_limit(machine.total),
            "availableHeapMemoryBytes": machine.available,
            "cpuUsage": round(load, 4),
            "memUsage": round(machine.percent / 100, 4),
        }

    def collections(self) -> dict[str, tuple[int, float]]:
        """`young` and `full` → how many collections of garbage there were, and the seconds they took."""
        young, middle, full = (generation["collections"] for generation in gc.get_stats())
        minor, major = self._gc_seconds
        return {"young": (young + middle, minor), "full": (full, major)}

    def peak_threads(self) -> int:
        """The most Python threads that were seen at once."""
        self._peak_threads = max(self._peak_threads, threading.active_count())
        return self._peak_threads

    def _memory(self) -> dict[str, str]:
        machine, swap = psutil.virtual_memory(), psutil.swap_memory()
        used, total, most = self.memory()
        return {
            "physical.memory.total": size(machine.total),
            "physical.memory.free": size(machine.free),
            "swap.space.total": size(swap.total),
            "swap.space.free": size(swap.free),
            "heap.memory.used": size(used),
            "heap.memory.free": size(total - used),
            "heap.memory.total": size(total),
            "heap.memory.max": size(most),
            "heap.memory.used/total": percent(used / total),
            "heap.memory.used/max": percent(used / most),
        }

    def _collections(self) -> dict[str, str]:
        (young, minor), (full, major) = self.collections().values()
        return {
            "minor.gc.count": str(young),
            "minor.gc.time": f"{minor * 1000:.0f}ms",
            "major.gc.count": str(full),
            "major.gc.time": f"{major * 1000:.0f}ms",
        }

    def _load(self) -> dict[str, str]:
        peak, threads = self.peak_threads(), threading.active_count()
        cores = os.cpu_count() or 1
        return {
            "load.process": percent(self._process.cpu_percent() / 100 / cores),
            "load.system": percent(psutil.cpu_percent() / 100),
            "load.systemAverage": f"{os.getloadavg()[0]:.2f}",
            "thread.count": str(threads),
            "thread.peakCount": str(peak),
        }

    def _queues(self) -> dict[str, str]:
        figure = {name: str(give()) for name, give in self._figures.items()}
        sizes = {
            "scheduled": figure["waiting_jobs"],
            "io": figure["waiting_writes"],
            "client": figure["waiting_requests"],
            "operations": figure["asked_jobs"],
        }
        return {
            "event.q.size": "0",
            **{f"executor.q.{name}.size": sizes.get(name, "0") for name in QUEUES},
            "executor.q.priorityOperation.size": "0",
            "operations.completed.count": figure["answered_requests"],
            **{f"executor.q.{name}.size": "0" for name in MORE_QUEUES},
            "operations.running.count": figure["running_requests"],
            "operations.pending.invocations.percentage": "0.00%",
            "operations.pending.invocations.count": "0",
            "proxy.count": figure["running_jobs"],
            "clientEndpoint.count": figure["clients"],
            "connection.active.count": figure["connections"],
            "client.connection.count": figure["connections"],
            "connection.count": figure["workers"],
        }


_STATES = {"R": "RUNNABLE", "S": "WAITING", "I": "WAITING", "D": "BLOCKED", "Z": "TERMINATED", "X": "TERMINATED"}


def thread_states() -> dict[str, int]:
    """Java's word for a state → how many threads of this process are in it, as the kernel says."""
    found = dict.fromkeys((*_STATES.values(), "UNKNOWN"), 0)
    for file in Path("/proc/self/task").glob("*/stat"):
        with suppress(OSError):  # it has just ended
            found[_STATES.get(file.read_text().rpartition(")")[2].split()[0], "UNKNOWN")] += 1
    return found


def size(count: int) -> str:
    """Bytes in the largest unit that they exceed, with one digit: `23.5G`; fewer than 1,025 as they are."""
    for power in range(len(_UNITS), 0, -1):
        if count > 1024**power:
            return f"{count / 1024**power:.1f}{_UNITS[power - 1]}"
    return str(count)


def percent(share: float) -> str:
    """`24.78%`."""
    return f"{share * 100:.2f}%"


def memory_limit(physical: int) -> int:
    """The bytes this process may use: what its control group allows, or all there are."""
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(file).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            return min(int(text), physical)
    return physical


def _peak_resident() -> int:
    """VmHWM of /proc: the most this process ever held."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
