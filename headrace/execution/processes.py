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
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from headrace.execution.budget import PROCESS_BYTES, check_budget, default_budget
from headrace.execution.lanes import SILENT_BEATS, LanesRunner, WorkerLane
from headrace.execution.runner import this_machine
from headrace.memory import MIB, resident_bytes
from headrace.plan.plan import Plan

_LENGTH = struct.Struct("!I")

WORKER_BYTES = PROCESS_BYTES + 64 * MIB
"""A worker process is not worth its while with less than this, where fewer workers can have more."""

OWN_GROWTH_BYTES = 16 * MIB
"""What progress, checkpoints and logs of its jobs may add to a process that commands workers."""


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


class _ProcessLane(WorkerLane):
    """A worker process of this machine. memory: what it may hold, in bytes."""

    def __init__(self, number: int, memory: int, on_gone: Callable[[WorkerLane], Collection[str]]) -> None:
        super().__init__(f"worker-{number}", this_machine(), on_gone)
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "headrace.execution.worker_process", str(theirs.fileno()), str(memory)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._channel = Channel(ours)
        threading.Thread(target=self.listen, name=self.name, daemon=True).start()

    def end(self) -> None:
        self.process.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _transmit(self, content: bytes) -> None:
        with contextlib.suppress(OSError):
            self._channel.send(content)

    def _receive(self) -> bytes | None:
        return self._channel.receive()

    def _bury(self) -> None:
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:  # it lives, but nobody listens to it any more
            self.kill()
        self._channel.close()

    def _title(self) -> str:
        return f"worker process {self.process.pid}"

    def _end_told(self) -> str:
        return f"ended with exit code {self.process.returncode}"


class ProcessesRunner(LanesRunner):
    """Keeps worker processes of this machine.

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
        is_limited = memory is not None
        # A worker of a job's own is one more; where the memory is given, it takes the place of a shared one.
        super().__init__(self._wanted - 1 if is_limited else self._wanted, silent_beats, has_fixed=is_limited)
        # The kernel ends a worker with the thread that started it, so one thread starts them all and stays.
        self._spawner = ThreadPoolExecutor(1, "spawn-workers")
        self._begin()

    @property
    def wanted(self) -> int:  # noqa: D102
        return self._wanted

    def check(self, plan: Plan | None) -> None:  # noqa: D102
        if self._memory is not None:
            check_budget(plan, self._memory, _own_bytes() + self._wanted * PROCESS_BYTES, self._wanted)

    def close(self) -> None:  # noqa: D102
        super().close()
        self._spawner.shutdown()

    def pids(self) -> list[int]:
        """Process ids of the living workers."""
        return [lane.process.pid for lane in self._lanes if isinstance(lane, _ProcessLane) and lane.alive]

    def _start(self, numbers: Collection[int], machine: str, least: int) -> list[WorkerLane]:
        return [self._spawner.submit(_ProcessLane, n, self._worker_memory, self._gone).result() for n in numbers]


def _own_bytes() -> int:
    """What this process takes, which commands the workers and touches no rows, and may grow by."""
    return max(resident_bytes(), PROCESS_BYTES) + OWN_GROWTH_BYTES
