"""What a service does again and again, each thing on a thread of its own: a slow one holds up no other."""

import threading
import time
from collections.abc import Callable

CLOSE_SECONDS = 5.0
"""How long the end of a service waits for a round that hangs, such as in a place of checkpoints that is away."""


class Rounds:
    """log: is told of a failure, once for each text until the round that met it succeeds again."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._failing: dict[str, str] = {}
        self._threads: list[threading.Thread] = []
        self._wakes: list[threading.Event] = []
        self._over = False

    def every(self, name: str, seconds: float, do: Callable[[], None], wake: threading.Event | None = None) -> None:
        """Begin a round; one that fails is tried again the next time. wake: set to have it done at once."""
        woken = wake or threading.Event()
        self._wakes.append(woken)
        thread = threading.Thread(target=self._repeat, args=(name, seconds, do, woken), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """No round begins any more."""
        self._over = True
        for wake in self._wakes:
            wake.set()
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _repeat(self, name: str, seconds: float, do: Callable[[], None], wake: threading.Event) -> None:
        while not self._over:
            wake.wait(seconds)
            wake.clear()
            if self._over:
                return
            try:
                do()
            except Exception as error:  # whatever the store has, the next round tries again
                self._failed(name, str(error))
            else:
                self._failing.pop(name, None)

    def _failed(self, name: str, text: str) -> None:
        with self._lock:
            is_told = text in self._failing.values()
            self._failing[name] = text
        if not is_told and not self._over:
            self._log(text)
