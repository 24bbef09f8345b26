"""The terms on which a pipeline runs: its settings, and what its job does for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from headrace.checkpoint.coordinator import CheckpointSettings
from headrace.config.env import Verify
from headrace.config.error_handlers import Limit
from headrace.execution.runner import Lane
from headrace.plan.plan import Step


class JobOfPipeline(Protocol):
    """What a pipeline needs of its job."""

    def call(self, name: str, *arguments: Any, deadline: float | None = ..., machine: str = ...) -> Any:
        """Run a call on a worker. Raises what it raises, Unavailable after `deadline` seconds, JobCanceled.

        machine: where, if there is a worker; an empty name is any.
        """

    def call_sink(self, name: str, step: Step, *arguments: Any) -> None:
        """Run a call that concerns all that a sink has staged: once, or on each machine where something may lie."""

    def tables_of(self, step: int) -> list[str]:
        """The paths of the tables a step gives."""

    def lanes(self, count: int) -> list[Lane]:
        """Living workers that know the job."""

    def replace(self, lane: Lane) -> list[str]:
        """See Runner.replace."""

    def is_spared(self, lane: Lane) -> bool:
        """Whether a worker has ended through no fault of this job."""

    def log(self, level: str, text: str) -> None:
        """Write into the job's log."""

    def check_bad_rows(self) -> None:
        """Raises TooManyBadRows when the tasks of all pipelines have set more rows aside than the job allows."""

    def savepoint_taken(self, pipeline: int, problem: str) -> None:
        """The pipeline's answer to Savepoint; when `problem` is empty it was taken, and a Decision follows."""


@dataclass(frozen=True)
class PipelineSettings:
    """restarts, restart_wait: `job.retry.times` and `job.retry.interval.seconds`. retain: how many checkpoints stay.
    isolate: whether a table that fails leaves the others alone (`multi_table.failure_policy`).

    unverified: see execution.delivery.deliveries.
    """

    checkpoints: CheckpointSettings
    restarts: int = 3
    restart_wait: float = 3.0
    retain: int = 3
    rows_per_second: int | None = None
    bytes_per_second: int | None = None
    isolate: bool = False
    limits: tuple[Limit, ...] = ()
    verify: Verify = Verify.COUNT
    unverified: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
