"""A job as the store knows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.execution.progress import Counts, Progress
from headrace.jobs.outline import Outline
from headrace.jobs.roles import Role
from headrace.jobs.status import JobStatus


@dataclass(frozen=True)
class Metrics:
    """What a job had moved at one moment. started, ended: seconds since 1970. slow_side, lag: see Progress.

    report: DeliveryReport.to_json of a job that has ended.
    """

    counts: Mapping[tuple[int, str], Counts] = field(default_factory=dict)
    started: float | None = None
    ended: float | None = None
    checkpoints: int = 0
    restarts: int = 0
    slow_side: str = ""
    report: Mapping[str, Any] | None = None
    lag: int | None = None

    @classmethod
    def of(cls, progress: Progress) -> "Metrics":
        """The metrics of a job's progress."""
        return cls(
            progress.counts,
            progress.started,
            progress.ended,
            progress.checkpoints,
            progress.restarts,
            progress.slow_side(),
            lag=progress.lag,
        )

    def to_json(self) -> dict[str, Any]:
        """As values of JSON."""
        counts = [[step, table, vars(value)] for (step, table), value in self.counts.items()]
        return {**{name: getattr(self, name) for name in _PLAIN}, "counts": counts}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Metrics":
        """What `to_json` gave."""
        counts = {(step, table): Counts(**value) for step, table, value in values["counts"]}
        return cls(counts, **{name: values[name] for name in _PLAIN if name in values})


_PLAIN = ("started", "ended", "checkpoints", "restarts", "slow_side", "report", "lag")


@dataclass(frozen=True)
class JobText:
    """What a job was submitted as. It may hold passwords: the store seals it, and drops it when the job has ended."""

    text: str
    format: str = "hocon"
    variables: Mapping[str, str] | None = None


@dataclass(frozen=True)
class JobRecord:
    """One run of a job. Times are seconds since 1970, None before that happened.

    env: the `env` block as written, secrets masked. restore: whether it goes on from saved state. from_savepoint:
    whether the user asked for that. owner: the service that runs it, empty when none does. epoch: counts the owners.
    request: what a user asked for and its owner has not done yet: `cancel`, `savepoint` or nothing. recover: what
    becomes of it when its service dies: `auto`, `restart` or `fail`. version: counts all changes.
    """

    job_id: int
    run: int
    name: str
    mode: str
    status: JobStatus
    env: Mapping[str, Any]
    outline: Outline
    created: float
    restore: bool = False
    from_savepoint: bool = False
    started: float | None = None
    ended: float | None = None
    error: str = ""
    metrics: Metrics = field(default_factory=Metrics)
    owner: str = ""
    epoch: int = 1
    request: str = ""
    recover: str = "auto"
    version: int = 1

    @property
    def key(self) -> tuple[int, int]:
        """What tells runs apart: job id and run."""
        return self.job_id, self.run


@dataclass(frozen=True)
class Node:
    """A service that uses the store.

    expires: when it counts as dead unless it says otherwise before. slots: how many it has, None for any number.
    role: see `Role`. drained: whether it shall give its jobs to others and take none.
    """

    id: str
    address: str
    started: float
    expires: float
    slots: int | None
    used: int
    tags: Mapping[str, str]
    role: str = ""
    drained: bool = False

    @property
    def runs_jobs(self) -> bool:
        """Whether jobs may be given to it."""
        return self.role in (Role.BOTH, Role.WORKER) and not self.drained
