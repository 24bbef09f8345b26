"""The proof that a member uses the place of checkpoints that all use: it finds the mark of the head there."""

import threading
import time

from headrace.checkpoint.marks import Marks
from headrace.errors import ConfigError, HeadraceError, Problem, StoreUnavailable
from headrace.jobs.record import Node
from headrace.jobs.service import JobService

PROOF_SECONDS = 6.0
"""How long a member waits for the mark of a head that stays the same: one that has just become it leaves it soon."""

LOOK_SECONDS = 0.2


class Proof:
    """The head is the first of the living members, as the store of jobs knows them; it leaves its mark while it is."""

    def __init__(self, service: JobService, marks: Marks) -> None:
        self._service, self._marks = service, marks
        self._has_mark = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_mark, name="leave-mark", daemon=True)

    def begin(self) -> None:
        """Wait for the proof; from then on this member takes jobs, and leaves its mark when it becomes the head.

        Raises ConfigError where the mark is not there, StoreUnavailable where nobody can look.
        """
        since: dict[str, float] = {}
        while not self._is_proved(head := self._service.nodes()[0]):
            if time.monotonic() > since.setdefault(head.id, time.monotonic()) + PROOF_SECONDS:
                where = f"{self._marks.place} is not the place of checkpoints that {head.address} uses"
                cure = "name one shared place on all members"
                raise ConfigError([Problem("checkpoint_store", f"{where}: its mark is not there", cure)])
            time.sleep(LOOK_SECONDS)
        self._service.join()
        self._thread.start()

    def close(self) -> None:
        """Leave no mark any more."""
        self._over.set()

    def _is_proved(self, head: Node) -> bool:
        if head.id != self._service.id:
            return self._marks.is_there(head.id)
        self._leave()
        return True

    def _leave(self) -> None:
        self._marks.leave(self._service.id)
        self._marks.remove_others({node.id for node in self._service.store.nodes()} | {self._service.id})
        self._has_mark = True

    def _keep_mark(self) -> None:
        while not self._over.wait(1.0):
            try:
                if not self._has_mark and self._service.nodes()[0].id == self._service.id:
                    self._leave()
            except StoreUnavailable as error:
                self._service.log("warning", f"new members wait, for the head's mark cannot be left: {error}")
            except HeadraceError:
                continue  # the store of jobs is away, which others say
