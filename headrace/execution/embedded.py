"""Tasks as threads of this process: no server, nothing to set up."""

from collections.abc import Callable

from headrace.execution.budget import PROCESS_BYTES, Budget, check_budget
from headrace.execution.messages import Command, Event, Forget
from headrace.execution.runner import Lane, Runner, this_machine
from headrace.execution.worker import Worker
from headrace.memory import resident_bytes
from headrace.plan.plan import Plan


class _EmbeddedLane(Lane):
    def __init__(self, worker: Worker) -> None:
        self.name, self.machine, self.worker = "embedded", this_machine(), worker

    def send(self, command: Command) -> None:
        self.worker.handle(command)


class EmbeddedRunner(Runner):
    """One worker a job, in this process. A thread that is stuck in a plugin cannot be ended, only abandoned.

    memory: what this process may hold, in bytes; half of what the machine allows when None.
    """

    def __init__(self, memory: int | None = None) -> None:
        self._lanes: dict[str, _EmbeddedLane] = {}
        self._memory, self._budget = memory, Budget(memory)

    def check(self, plan: Plan | None) -> None:  # noqa: D102
        if self._memory is not None:
            check_budget(plan, self._memory, max(resident_bytes(), PROCESS_BYTES), 1)

    def attach(  # noqa: D102
        self, job: str, plan: Plan, lanes: int, on_event: Callable[[Event], None], machine: str = ""
    ) -> list[Lane]:
        if job not in self._lanes:
            worker = Worker(on_event, self._budget)
            worker.load(job, plan)
            self._lanes[job] = _EmbeddedLane(worker)
        return [self._lanes[job]]

    def detach(self, job: str) -> None:  # noqa: D102
        lane = self._lanes.pop(job, None)
        if lane is not None:
            lane.send(Forget(job))

    def replace(self, job: str, lane: Lane) -> list[str]:  # noqa: D102
        assert isinstance(lane, _EmbeddedLane)
        return [thread.name for thread in lane.worker.stuck(job)]

    def close(self) -> None:  # noqa: D102
        self._lanes.clear()
