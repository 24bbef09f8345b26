"""A last resort: a plugin that holds the interpreter in C code keeps even signals from being noticed."""

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress

SILENT_SECONDS = 4
"""Without a sign of life for so long after a signal, no Python code runs any more."""

_WATCH = f"""
[ -n "$(head -c 1)" ] || exit
while sign=$(timeout {SILENT_SECONDS} head -c 1); code=$?; [ -n "$sign" ]; do :; done
if [ $code = 124 ]; then
  echo "error: a plugin holds the interpreter, so the job cannot be ended in good order: its process is killed." \
    "Uncommitted rows are discarded. With --runner processes only its worker is killed" >&2
  kill -9 $PPID
fi
"""


class Guard:
    """A shell that waits for a signal of this process, then for signs of life, and kills it when there are none.

    The interpreter tells it of a signal from its handler in C, which needs no lock.
    """

    def __init__(self) -> None:
        self._watching: subprocess.Popen[bytes] | None = None
        self._living = False
        with suppress(OSError):  # no shell, no guard
            self._watching = subprocess.Popen(
                ["/bin/sh", "-c", _WATCH], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
            )
        if self._watching is not None and self._watching.stdin is not None:
            self._pipe = self._watching.stdin.fileno()
            os.set_blocking(self._pipe, False)
            self._before = signal.set_wakeup_fd(self._pipe, warn_on_full_buffer=False)

    def live(self) -> None:
        """A signal was noticed: from now on give signs of life."""
        if self._watching is not None and not self._living:
            self._living = True
            threading.Thread(target=self._live, name="signs-of-life", daemon=True).start()

    def _live(self) -> None:
        with suppress(OSError):
            while self._living:
                os.write(self._pipe, b".")
                time.sleep(0.5)

    def close(self) -> None:
        """Nothing needs to be watched any more."""
        self._living = False
        if self._watching is not None:
            signal.set_wakeup_fd(self._before)
            self._watching.communicate()
