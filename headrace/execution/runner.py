"""What a runner must do: give a job its workers, carry messages, replace a worker that is stuck or gone."""

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable

from headrace.execution.messages import Command, Event
from headrace.plan.plan import Plan


def this_machine() -> str:
    """What tells this machine from others that run workers of the same job, also when they are started again."""
    return socket.gethostname()


class Lane(ABC):
    """One worker as a job master sees it. machine: where it runs."""

    name: str
    machine: str

    @abstractmethod
    def send(self, command: Command) -> None:
        """Give the worker a command. A worker that is gone swallows it: its WorkerGone event was sent or will be."""


class Runner(ABC):
    """Runs tasks somewhere. All runners pass the same job tests."""

    @abstractmethod
    def check(self, plan: Plan | None) -> None:
        """Raises NotEnoughMemory when this job, or any, cannot run even by itself in the memory that was given."""

    @abstractmethod
    def attach(
        self, job: str, plan: Plan, lanes: int, on_event: Callable[[Event], None], machine: str = ""
    ) -> list[Lane]:
        """Give a job up to `lanes` living workers that know its plan. Called again to replace those that are gone.

        machine: the first of them runs there, where there is one.
        on_event: called with every event of the job, on threads of the runner; it must not block.
        """

    def machines(self) -> list[str]:
        """The machines that run workers now."""
        return [this_machine()]

    @abstractmethod
    def detach(self, job: str) -> None:
        """The job is over. Its workers serve others from now on."""

    @abstractmethod
    def replace(self, job: str, lane: Lane) -> list[str]:
        """End what a task of this job still does on `lane`, whatever it takes.

        Returns the names of threads that cannot be ended; a worker process can always be, so only `embedded` has any.
        """

    @abstractmethod
    def close(self) -> None:
        """End all workers."""
