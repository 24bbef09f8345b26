"""Looking for new splits of an unbounded source while its pipeline runs: nothing else waits for the answer."""

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from headrace.connector import Split
from headrace.errors import HeadraceError
from headrace.execution.messages import portable

DISCOVERY_SECONDS = 5.0
"""How often an unbounded source is asked for new splits."""


@dataclass(frozen=True)
class Found:
    """The source's new splits, or why it could not tell. epoch: that it was asked in."""

    epoch: int
    splits: Sequence[Split]
    error: HeadraceError | None = None


class Discovery:
    """Asks on a thread of its own. ask: the source's `new_splits`, by the splits that are known. tell: takes Found.

    due: when to ask next, in seconds of time.monotonic.
    """

    def __init__(self, name: str, ask: Callable[[list[str]], Sequence[Split]], tell: Callable[[Found], None]) -> None:
        self._ask, self._tell = ask, tell
        self._thread = ThreadPoolExecutor(1, name)
        self._known: set[str] = set()
        self._epoch = 0
        self.due = math.inf

    def begin(self, epoch: int, known: Iterable[str], now: float) -> None:
        """An epoch of an unbounded source begins."""
        self._epoch, self._known, self.due = epoch, set(known), now + DISCOVERY_SECONDS

    def tick(self, now: float) -> None:
        """Ask where it is time to, and then not before there is an answer."""
        if now >= self.due:
            self.due = math.inf
            self._thread.submit(self._look, self._epoch, sorted(self._known))

    def _look(self, epoch: int, known: list[str]) -> None:
        try:
            found = Found(epoch, self._ask(known))
        except Exception as problem:  # the pipeline's thread raises it
            found = Found(epoch, (), portable(problem))
        self._tell(found)

    def take(self, found: Found, now: float) -> Sequence[Split]:
        """The splits of an answer. Raises what the source raised."""
        if found.error is not None:
            raise found.error
        self.due = now + DISCOVERY_SECONDS
        self._known.update(split.id for split in found.splits)
        return found.splits

    def end(self) -> None:
        """Nobody waits for an answer any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
