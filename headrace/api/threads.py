"""thread-dump and running-threads: the threads of this server process."""

import sys
import threading
import traceback
from types import FrameType
from typing import Any

_WAITING = ("threading.py", "queue.py", "selectors.py", "socket.py", "thread.py", "_base.py")


def thread_dump() -> list[dict[str, Any]]:
    """Every thread with the stack it is at, the innermost call first as Java shows it."""
    threads = {thread.ident: thread for thread in threading.enumerate()}
    return [
        {
            "threadName": threads[ident].name if ident in threads else f"thread-{ident}",
            "threadId": ident,
            "threadState": _state(frame),
            "stackTrace": "\n".join(
                f"{entry.name}({entry.filename}:{entry.lineno})" for entry in reversed(traceback.extract_stack(frame))
            ),
        }
        for ident, frame in sys._current_frames().items()
    ]


def running_threads() -> list[dict[str, str]]:
    """Names of the threads, in their order, with the class that runs each."""
    return [
        {"threadName": thread.name, "classLoader": f"{type(thread).__module__}.{type(thread).__qualname__}"}
        for thread in sorted(threading.enumerate(), key=lambda thread: thread.name)
    ]


def _state(frame: FrameType) -> str:
    return "WAITING" if frame.f_code.co_filename.rsplit("/", 1)[-1] in _WAITING else "RUNNABLE"
