"""Which job ended a worker that several jobs shared: found by letting suspects run alone, so that no other one pays."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

HEALTHY_SECONDS = 600.0
"""A job whose workers all lived so long is not a suspect any more."""

ISOLATED_FROM = 2
"""At so many deaths that it took part in, a job goes into a worker of its own."""


@dataclass
class _Suspicion:
    deaths: int
    last: float


class Suspects:
    """Called by one thread at a time. Jobs are told apart by their keys, which no other run has.

    most_alone: how many of them may have a worker of their own at once; 0 isolates none.
    """

    def __init__(self, most_alone: int) -> None:
        self._most_alone = most_alone
        self._found: dict[str, _Suspicion] = {}
        self._alone: dict[str, None] = {}

    def died(self, at_work: Sequence[str], now: float | None = None) -> frozenset[str]:
        """A worker ended without a known cause: the jobs that are to pay for it.

        at_work: those whose tasks or calls ran in it, in the order in which they came. The only one is the cause. Of
        several nobody pays: who was there twice is a suspect, and the newest of them run alone from now on. Where none
        can run alone, all pay from the third time on, for else nothing would ever end.
        """
        now = time.monotonic() if now is None else now
        if len(at_work) < 2:
            return frozenset(at_work)
        for job in at_work:
            found = self._found.setdefault(job, _Suspicion(0, now))
            found.deaths = found.deaths + 1 if now - found.last < HEALTHY_SECONDS else 1
            found.last = now
        if not self._most_alone:
            return frozenset(job for job in at_work if self._found[job].deaths > ISOLATED_FROM)
        self._acquit(at_work, now)
        suspects = [job for job in at_work if self._found[job].deaths >= ISOLATED_FROM and job not in self._alone]
        free = self._most_alone - len(self._alone)
        self._alone |= dict.fromkeys(suspects[::-1][:free])
        return frozenset()

    def _acquit(self, at_work: Collection[str], now: float) -> None:
        """Who ran alone while the others lost one more worker was not the cause; nor who has been healthy for long."""
        again = any(self._found[job].deaths > ISOLATED_FROM for job in at_work)
        for job in [job for job in self._alone if job not in at_work]:
            if again or now - self._found[job].last >= HEALTHY_SECONDS:
                self.forget(job)

    @property
    def alone(self) -> int:
        """How many jobs have a worker of their own, or are about to."""
        return len(self._alone)

    def is_alone(self, job: str) -> bool:
        """Whether the job's tasks belong into a worker of its own."""
        return job in self._alone

    def forget(self, job: str) -> None:
        """The job has ended, or is not a suspect any more."""
        self._found.pop(job, None)
        self._alone.pop(job, None)
