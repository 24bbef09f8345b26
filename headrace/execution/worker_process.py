"""The main program of a worker process: `python -m headrace.execution.worker_process FD MEMORY`."""

import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

from headrace.connector import sinks, sources, transforms
from headrace.execution.budget import Budget
from headrace.execution.lanes import HEARTBEAT_SECONDS, NICENESS
from headrace.execution.messages import Event, Heartbeat
from headrace.execution.processes import Channel
from headrace.execution.wire import Unreadable, read_message, write_message, write_refusal
from headrace.execution.worker import Worker
from headrace.logs import worker_logs
from headrace.reach import guard_worker

_PR_SET_PDEATHSIG = 1


def main(fd: int, memory: int) -> None:
    """Serve one socket until it closes, then end at once, whatever the tasks do. memory: bytes it may hold."""
    parent = os.getppid()
    _die_with_parent(parent)
    os.nice(NICENESS)
    guard_worker()
    worker_logs()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the master decides
    channel = Channel(socket.socket(fileno=fd))

    def send(event: Event) -> None:
        content = write_message(event)
        with contextlib.suppress(OSError):  # the master is gone: the loop below sees it, too
            channel.send(content)

    worker = Worker(send, Budget(memory))
    threading.Thread(target=_watch_parent, args=(parent,), name="watch-parent", daemon=True).start()
    threading.Thread(target=_beat, args=(send,), name="heartbeat", daemon=True).start()
    for registry in (sources, transforms, sinks):
        registry.names()  # import all plugins now, while nobody waits
    with contextlib.suppress(OSError):
        _serve(channel, worker)
    os._exit(0)


def _serve(channel: Channel, worker: Worker) -> None:
    """Until the socket closes, or a message comes that is none of this version."""
    while (content := channel.receive()) is not None:
        try:
            command = read_message(content)
        except Unreadable as error:
            channel.send(write_refusal(f"does not take a message: who commands it {error}"))
            return
        worker.handle(command)


def _beat(send: Callable[[Event], None]) -> None:
    while True:
        send(Heartbeat())
        time.sleep(HEARTBEAT_SECONDS)


def _die_with_parent(parent: int) -> None:
    """Ask the kernel to end this process with its parent, for the case that a plugin holds the interpreter."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
